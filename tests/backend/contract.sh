#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What driver/backend/backend.h promises, for each backend on each filesystem (contract.c has the cases).
# The cases stand on filesystems of their own, whatever the other tests run on.
export BACKEND=overlay
. "$(dirname "$0")/../lib.sh"

CONTRACT=$WORK/contract
case_ "the cases of the contract compile" compile_helper "$TESTS/backend/contract.c" "$CONTRACT"
[ -x "$CONTRACT" ] || exit 1

# The cases of a filesystem stand on it: lib.sh makes their directories below STAGE.
filesystem() {
	local fs=$1
	STAGE=$WORK/$fs
	case $fs in
	ext4) loop_fs "$STAGE" 1G mkfs.ext4 -q ;;
	xfs) loop_fs "$STAGE" 1G mkfs.xfs -q ;;
	btrfs) loop_fs "$STAGE" 1G mkfs.btrfs -q ;;
	*) mkdir "$STAGE" && own_mount mount -t "$fs" "$fs" "$STAGE" ;;
	esac
	[ "$(stat -f -c %T "$STAGE" | sed 's/ext2.*/ext4/')" = "$fs" ]
}

contract() {
	mkdir "$CASE/dir"
	"$CONTRACT" run "$1" "$2" "$CASE/dir"
	rm -rf --one-file-system "$CASE/dir"
}

# The answer is no: one sentence, which names the filesystem and what it lacks.
refuses() {
	local status=0
	mkdir "$CASE/dir"
	expect_exit 3 "$CONTRACT" probe "$1" "$CASE/dir"
	[ "$(wc -l <"$CASE/.stdout")" = 1 ] || fail_ "not one line: $OUT"
	[ -z "$ERR" ] || fail_ "on stderr: $ERR"
	[[ $OUT == *"$2 "* ]] || fail_ "does not name the filesystem: $OUT"
	[[ $OUT =~ ^[[:print:]]{20,250}$ ]] || fail_ "not a sentence: $OUT"
	[[ $OUT =~ " has no "|" keeps no "|" takes no "|" cannot "|" tells no " ]] || fail_ "does not say what is missing: $OUT"
	same "" "$(ls -A "$CASE/dir")"
	rmdir "$CASE/dir"
	echo "figure: $OUT"
}

works() {
	mkdir "$CASE/dir"
	expect_exit 0 "$CONTRACT" probe "$1" "$CASE/dir"
	expect_exit 0 "$CONTRACT" probe "$1" "$CASE/dir"
	rmdir "$CASE/dir"
}

# What has to work where; the rest has to be refused.
must_work() {
	case $1:$2 in
	*:ramfs) return 1 ;;
	btrfs:*) [ "$2" = btrfs ] ;;
	esac
}

quota_groups() {
	btrfs qgroup show --raw "$1" | awk '$1 ~ /^[0-9]+\// { print $1 }' | sort
}
quotas() {
	loop_fs "$CASE/quota" 512M mkfs.btrfs -q
	mount -o remount,commit=1 "$CASE/quota" # the cleaner comes then, not after 30 seconds
	btrfs quota enable "$CASE/quota"
	local before
	before=$(quota_groups "$CASE/quota")
	[ -n "$before" ] || fail_ "no quota groups to look at"
	mkdir "$CASE/quota/dir"
	"$CONTRACT" run btrfs nested "$CASE/quota/dir"
	# The groups go with the last blocks.
	btrfs subvolume sync "$CASE/quota"
	sync -f "$CASE/quota"
	gone() { [ "$(quota_groups "$CASE/quota")" = "$before" ]; }
	wait_for 20 gone
}

mapfile -t backends < <("$CONTRACT" backends)
[ ${#backends[@]} -ge 3 ] || { echo "not ok there is a table of backends"; exit 1; }
for fs in ext4 xfs btrfs tmpfs ramfs; do
	filesystem "$fs" || { echo "not ok $fs can be made"; exit 1; }
	for backend in "${backends[@]}"; do
		if ! must_work "$backend" "$fs"; then
			case_ "$backend on $fs: refused in one clear sentence" refuses "$backend" "$fs"
			continue
		fi
		case_ "$backend on $fs: the probe works, twice, and leaves nothing" works "$backend"
		while read -r key sentence; do
			case_ "$backend on $fs: $sentence" contract "$backend" "$key"
		done < <("$CONTRACT" cases "$backend")
	done
	if [ "$fs" = btrfs ]; then
		case_ "btrfs on btrfs: no quota groups stay behind" quotas
	fi
done
exit $FILE_STATUS
