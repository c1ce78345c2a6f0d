# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the tests of check share: lib.sh, an image, and damaging what the store has of it.
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

IMAGE=$WORK/image
mkdir "$IMAGE"
layout "$IMAGE" <<'END'
import random, sys
random.seed(5)
base = [directory("etc"), file("etc/a", "content a"), file("etc/b", "content b"), symlink("etc/link", "a"),
        hardlink("etc/hard", "etc/b"), directory("big"), file("big/data", random.randbytes(3 << 20)),
        file("empty", ""), directory("gone"), file("gone/x", "x"), directory("old"), file("old/y", "y"),
        file("etc/x", "with", xattrs={"user.note": b"here"})]
upper = [whiteout("gone"), directory("old"), opaque("old"), file("old/z", "z"), file("etc/c", "content c"),
         file("with\nnewline", "odd"), entry("pipe", FIFO)]
Layout(Image([base, upper], names="img:1")).write_dir(sys.argv[1])
END

# The directory of the files of the lower layer, or of the upper one, open for us to damage.
files_of() {
	local n=$1 dir
	dir=$(printf '%s\n' "$ROOT"/layers/*/fs | sort -V | sed -n "${n}p")
	# Trees are numbered as they were finished.
	if [ "$n" = 1 ] && [ ! -e "$dir/big/data" ]; then
		dir=$(dirname "$(dirname "$(printf '%s\n' "$ROOT"/layers/*/fs/big | sort -V | sed -n 1p)")")/fs
	elif [ "$n" = 2 ] && [ ! -e "$dir/pipe" ]; then
		dir=$(dirname "$(printf '%s\n' "$ROOT"/layers/*/fs/pipe)")
	fi
	[ "$BACKEND" != btrfs ] || btrfs property set "$dir" ro false
	echo "$dir"
}
# A layer that anybody could see is writable would be found by that alone.
close_files() {
	[ "$BACKEND" != btrfs ] || btrfs property set "$1" ro true
}

# The store links blobs of the layout into itself: each case has one of its own to damage.
loaded() {
	cp -r "$IMAGE" image
	expect_exit 0 snap load image
	expect_exit 0 snap create --name c img:1
	C=$OUT
	echo mine >"$C/mine"
	echo changed >"$C/etc/c"
	treedump "$C" >want
	expect_exit 0 snap umount c
}
# All is as it was before the damage, for the container and for a new one.
well_again() {
	expect_exit 0 snap check --deep
	expect_exit 0 snap mount c
	treedump "$OUT" >got
	diff -u want got || fail_ "the container is not as it was"
	expect_exit 0 snap umount c
	expect_exit 0 snap create --name new img:1
	same "content a" "$(<"$OUT/etc/a")"
	expect_exit 0 snap rm new
}

# found_deep PATTERN: only --deep finds it; it is repaired.
found_deep() {
	expect_exit 0 snap check
	expect_exit 1 snap check --deep
	[[ $OUT == *"$1"* ]] || fail_ "no '$1' in: $OUT"
	[[ $OUT == *"  images: img:1"* && $OUT == *"  containers: c"* ]] || fail_ "$OUT"
	expect_exit 0 snap check --deep --repair
	[[ $OUT == *"  repaired: "* ]] || fail_ "$OUT"
	well_again
}

# damage LAYER PATTERN COMMAND...: run in the layer's files, whose times stay as they were.
damage() {
	local layer=$1 pattern=$2 dir
	shift 2
	loaded
	dir=$(files_of "$layer")
	(cd "$dir" && "$@")
	close_files "$dir"
	found_deep "$pattern"
}
# in_place FILE COMMAND...: whatever it does to the file, its mtime stays, and that of its directory.
in_place() {
	local at=$1 dir
	shift
	dir=$(dirname "$at")
	stat -c '@%.9Y' "$dir" >"$CASE/dir-time"
	[ ! -L "$at" ] && [ ! -e "$at" ] || stat -c '@%.9Y' "$at" >"$CASE/time"
	"$@"
	[ ! -e "$CASE/time" ] || { [ ! -L "$at" ] && [ ! -e "$at" ]; } || touch -h -d "$(<"$CASE/time")" "$at"
	touch -d "$(<"$CASE/dir-time")" "$dir"
}
flip() {
	printf X | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}
