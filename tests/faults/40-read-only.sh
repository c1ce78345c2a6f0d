#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A disk that becomes read-only, or fails altogether: what reads still reads, what writes says why it does not.
. "$(dirname "$0")/common.bash"

case $BACKEND in
btrfs) MKFS=(256M mkfs.btrfs -q) ;;
*) MKFS=(64M mkfs.ext4 -q) ;;
esac

layout "$SOURCES" <<'END'
import random, sys
random.seed(9)
Layout(Image([[directory("."), file("random", random.randbytes(3 << 20))]], names="big:1")).write_archive(f"{sys.argv[1]}/big.tar")
END

# fill_store FS...: a store with two images and containers on a filesystem of its own.
fill_store() {
	loop_fs "$CASE/small" "$@"
	ROOT=$CASE/small/store
	expect_exit 0 snap load "$SOURCES/app"
	expect_exit 0 snap load "$SOURCES/witness"
	expect_exit 0 snap create --name box app:1
	echo added >"$OUT/etc/added"
	rm -r "$OUT/share"
	expect_exit 0 snap create --read-only --name view app:1
	treedump "$OUT" >view.tree
	expect_exit 0 snap umount view
	expect_exit 0 snap create --no-mount --name plain app:1
	said before
}

# said WHERE: what everything that reads says, and makes outside of the store.
said() {
	local words
	mkdir "$1"
	for words in "--json images" "--json ls" "inspect app:1 box" "history app:1" "diff box" "export box" "df" "check" "check --deep"; do
		# shellcheck disable=SC2086 # words are meant
		snap $words 2>"$1/error" >"$1/$words" || fail_ "$words: $(<"$1/error")"
		sed -i '/"MountOptions"/d' "$1/$words"
	done
	snap save app:1 -o "$1/saved" || fail_ "save"
	rm "$1/error"
}
same_said() {
	said "$1"
	diff -r before "$1" >difference || fail_ "it reads something else: $(head -n 20 difference)"
	rm -r "$1"
}

# refuses WORD: each command that writes fails so, in a line.
refuses() {
	local words
	for words in "load $SOURCES/old.tar" "load -" "import $SOURCES/flat.tar flat:1" "create --name new app:1" \
		"create --no-mount --name new app:1" "tag app:1 other:1" "commit box changed:1" "rm plain" "rmi witness:1" "gc"; do
		# shellcheck disable=SC2086
		expect_exit 1 snap $words <"$SOURCES/app.tar"
		one_line_error
		[[ $ERR =~ $1 ]] || fail_ "$words: $ERR"
	done
}

# goes_on: once it can be written to again, everything works, and all is there.
goes_on() {
	expect_exit 0 snap mount box
	same_said again
	expect_exit 0 snap load "$SOURCES/old.tar"
	expect_exit 0 snap create --name new old:1
	expect_exit 0 snap rm new view plain box
	expect_exit 0 snap rmi old:1 app:1 witness:1
	expect_exit 0 snap gc
	same "" "$(ls -A "$ROOT/layers" "$ROOT/active" "$ROOT/content/sha256" "$ROOT/staging" "$ROOT/containers" | grep -v : || :)"
}

remounted() {
	fill_store "${MKFS[@]}"
	mount -o remount,ro small
	same_said read-only
	expect_exit 0 snap info
	expect_exit 0 snap mount view
	treedump "$OUT" | diff view.tree - || fail_ "the container is not what it was"
	expect_exit 0 snap umount view
	# Overlay writes to its work directory when it is mounted; a subvolume and a directory can be shown as they are.
	if [ "$BACKEND" = overlay ]; then
		expect_exit 1 snap mount plain
		one_line_error plain
	else
		expect_exit 0 snap mount plain
		same again "$(<"$OUT/etc/word")"
		expect_exit 0 snap umount plain
	fi
	refuses "Read-only file system"
	ROOT=$CASE/small/other
	expect_exit 1 snap images
	one_line_error "Read-only file system"
	ROOT=$CASE/small/store
	mount -o remount,rw small
	goes_on
}
case_ "a filesystem that is remounted read-only: all that reads reads, all that writes says so" remounted

# after_failure COMMAND...: the filesystem fails in the middle of a load, and is repaired by mounting it again.
after_failure() {
	local status=0
	mkfifo pipe
	TMPDIR=$CASE/tmp "$SNAPDRV" --root "$ROOT" load - <pipe >said.out 2>said.err &
	exec 7>pipe
	head -c 1000000 "$SOURCES/big.tar" >&7
	sleep 0.3
	"$@"
	tail -c +1000001 "$SOURCES/big.tar" >&7 2>/dev/null || :
	exec 7>&-
	wait $! || status=$?
	same "1, and a line" "$status, and $([ "$(wc -l <said.err)" = 1 ] && echo a line || cat said.err)"
	grep -qE '^snapdrv: [^:]+: .*(Read-only file system|Input/output error|disk I/O error)$' said.err ||
		fail_ "load: $(<said.err)"
}

mount_again() {
	umount small/store/containers/box/rootfs
	umount small
	mount -o loop small.img "$CASE/small"
}

aborted() {
	fill_store 64M mkfs.ext4 -q -E lazy_itable_init=0
	sync
	after_failure mount -o remount,abort small
	expect_exit 0 snap images
	[[ $OUT == *witness* ]] || fail_ "what reads does not read: $OUT"
	expect_exit 1 snap load "$SOURCES/old.tar"
	one_line_error
	mount_again
	goes_on
}
shut_down() {
	fill_store 300M mkfs.xfs -q
	sync
	after_failure xfs_io -x -c shutdown small
	refuses "Input/output error|I/O error"
	mount_again
	goes_on
}
if [ "$BACKEND" != btrfs ]; then
	case_ "an ext4 that is made read-only in the middle of a load, as errors=remount-ro does" aborted
	case_ "an xfs that is shut down in the middle of a load" shut_down
fi
