#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What a container holds of the disk for itself: `inspect` says it, whatever the driver.
. "$(dirname "$0")/../lib.sh"

IMAGE=$WORK/image
layout "$IMAGE" <<'END'
import random, sys
random.seed(7)
data = [file(f"data/{n}", random.randbytes(100000)) for n in range(50)]
Layout(Image([[directory("data")] + data, [file("top", "x")]], names="data:1")).write_dir(sys.argv[1])
END

# written: SizeRw of container c.
written() {
	sync -f "$ROOT"
	expect_exit 0 snap --json inspect c
	python -c 'import json, sys; print(json.load(sys.stdin)["inspected"][0]["SizeRw"])' <<<"$OUT"
}
between() {
	[ "$2" -ge "$1" ] && [ "$2" -le "$3" ] || fail_ "$4: $2 is not between $1 and $3"
}

usage() {
	expect_exit 0 snap load "$IMAGE"
	expect_exit 0 snap create --name c data:1
	rootfs=$OUT
	fresh=$(written)
	# On vfs without reflinks a container is a copy of its five megabytes.
	case $BACKEND in
	vfs) between 0 "$fresh" 5500000 "a fresh container" ;;
	*) between 0 "$fresh" 20000 "a fresh container" ;;
	esac
	head -c 3000000 /dev/urandom >"$rootfs/new"
	between 2990000 $(($(written) - fresh)) 3300000 "three megabytes more"
	# One more name takes nothing; changing a file of the image takes what was changed, or its copy.
	ln "$rootfs/new" "$rootfs/again"
	between 2990000 $(($(written) - fresh)) 3300000 "one more name"
	rm "$rootfs/new" "$rootfs/again"
	between 0 $(($(written) - fresh + 20000)) 60000 "after removing it"
	expect_exit 0 snap create --name view --read-only data:1
	expect_exit 0 snap inspect view
}
case_ "inspect tells the bytes that a container alone holds" usage

few_files() {
	prlimit --nofile=512:512 --stack=1048576:1048576 -- "$SNAPDRV" --root "$ROOT" "$@"
}
# 4,000 directories in each other, a second one beside each: no descriptor and no stack is held for each of them.
deep() {
	expect_exit 0 snap load "$IMAGE"
	expect_exit 0 snap create --name c data:1
	"$PYTHON" - "$OUT" <<-'END'
		import os, sys
		os.chdir(sys.argv[1])
		for _ in range(4000):
		    os.mkdir("a")
		    os.mkdir("b")
		    os.chdir("a")
		with open("bottom", "wb") as out:
		    out.write(os.urandom(1000000))
	END
	sync -f "$ROOT"
	expect_exit 0 few_files --json inspect c
	size=$(python -c 'import json, sys; print(json.load(sys.stdin)["inspected"][0]["SizeRw"])' <<<"$OUT")
	[ "$size" -ge 1000000 ] || fail_ "what is at the bottom does not count: $size"
	expect_exit 0 few_files df --verbose --json
	same "$size" "$(python -c 'import json, sys; print(json.load(sys.stdin)["df"]["containers"][0]["size"])' <<<"$OUT")"
	expect_exit 0 few_files rm c
}
case_ "a container of 4,000 directories in each other is counted, by a process that may open 512 files" deep

by_quota_groups() {
	[ "$BACKEND" = btrfs ] || skip_optional "quota groups are btrfs's"
	btrfs quota enable "$(dirname "$ROOT")" 2>/dev/null || btrfs quota enable "$CASE"
	usage
	expect_exit 0 snap rm --all
	expect_exit 0 snap rmi data:1
	btrfs subvolume sync "$CASE" >/dev/null
	sync -f "$CASE"
	btrfs quota rescan -w "$CASE" >/dev/null 2>&1 || :
	same "0/5" "$(btrfs qgroup show "$CASE" 2>/dev/null | awk '/^0\// { print $1 }' | tr '\n' ' ' | sed 's/ $//')"
}
case_ "with quota groups on, by them; and none of them stays behind" by_quota_groups
