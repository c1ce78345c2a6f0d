#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Where the store of a btrfs driver may be, what auto takes there, and subvolumes that a container made.
. "$(dirname "$0")/../lib.sh"
unset SNAPDRV_DRIVER

IMAGE=$WORK/image
layout "$IMAGE" <<'END'
import sys
Layout(small_image(names="small:1")).write_dir(sys.argv[1])
END

# works: load, create, write, remount, rm with subvolumes inside, rmi; nothing stays behind.
works() {
	expect_exit 0 "$SNAPDRV" --root "$ROOT" load "$IMAGE"
	expect_exit 0 "$SNAPDRV" --root "$ROOT" info
	grep -q '^Driver: btrfs' <<<"$OUT" || fail_ "$OUT"
	rootfs=$("$SNAPDRV" --root "$ROOT" create --name c small:1)
	[[ $rootfs == "$STAGE"/*/containers/c/rootfs ]] || fail_ "$rootfs"
	same hello "$(<"$rootfs/etc/word")"
	echo written >"$rootfs/new"
	expect_exit 0 "$SNAPDRV" --root "$ROOT" umount c
	[ "$("$SNAPDRV" --root "$ROOT" mount c)" = "$rootfs" ]
	same written "$(<"$rootfs/new")"
	# What a container engine inside would make: nested subvolumes and read-only snapshots.
	btrfs subvolume create "$rootfs/outer" >/dev/null
	btrfs subvolume create "$rootfs/outer/inner" >/dev/null
	echo x >"$rootfs/outer/inner/file"
	btrfs subvolume snapshot -r "$rootfs/outer/inner" "$rootfs/outer/frozen" >/dev/null
	expect_exit 0 "$SNAPDRV" --root "$ROOT" rm c
	expect_exit 0 "$SNAPDRV" --root "$ROOT" rmi small:1
	same "" "$(ls -A "$ROOT/active" "$ROOT/layers" | grep -v : || :)"
	same "" "$(btrfs subvolume list -o "$ROOT" | grep -F "/fs" || :)"
}

top() {
	loop_fs "$CASE/disk" 400M mkfs.btrfs -q
	ROOT=$CASE/disk/store
	works
}
case_ "ROOT in the top of a btrfs" top

subvolume() {
	loop_fs "$CASE/disk" 400M mkfs.btrfs -q
	btrfs subvolume create "$CASE/disk/store" >/dev/null
	ROOT=$CASE/disk/store
	works
}
case_ "ROOT is a subvolume itself" subvolume

nested() {
	loop_fs "$CASE/disk" 400M mkfs.btrfs -q
	btrfs subvolume create "$CASE/disk/one" >/dev/null
	mkdir -p "$CASE/disk/one/a/b"
	btrfs subvolume create "$CASE/disk/one/a/b/two" >/dev/null
	ROOT=$CASE/disk/one/a/b/two/c/store
	works
}
case_ "ROOT is a directory in a nested subvolume" nested

by_option() {
	loop_fs "$CASE/disk" 400M mkfs.btrfs -q
	btrfs subvolume create "$CASE/disk/data" >/dev/null
	mkdir "$CASE/mounted"
	own_mount mount -o subvol=data "$(findmnt -no SOURCE "$CASE/disk" | sed 's/\[.*//')" "$CASE/mounted"
	ROOT=$CASE/mounted/store
	works
}
case_ "ROOT on a mount with subvol=" by_option

# 400 subvolumes in each other, each with directories before and behind the next, some read-only: no descriptor is held
# for each of them, whatever their paths are long.
nested_deep() {
	loop_fs "$CASE/disk" 800M mkfs.btrfs -q
	ROOT=$CASE/disk/store
	expect_exit 0 "$SNAPDRV" --root "$ROOT" load "$IMAGE"
	expect_exit 0 "$SNAPDRV" --root "$ROOT" create --name c small:1
	"$PYTHON" - "$OUT" <<-'END'
		import fcntl, os, struct, sys
		os.chdir(sys.argv[1])
		# The kernel tells no names that long.
		for _ in range(25):
		    os.mkdir("x" * 200)
		    os.chdir("x" * 200)
		for n in range(400):
		    name = f"n{n}" * 15
		    here = os.open(".", os.O_RDONLY)
		    fcntl.ioctl(here, 0x5000940e, bytearray(struct.pack("q4088s", 0, name.encode())))  # BTRFS_IOC_SUBVOL_CREATE
		    os.close(here)
		    os.chdir(name)
		    os.makedirs("a/b")
		    os.makedirs("z/" + "d/" * 40)
		    if n == 200:
		        os.mkdir(".deep.0")
	END
	expect_exit 0 prlimit --nofile=256:256 -- timeout 100 "$SNAPDRV" --root "$ROOT" rm c
	expect_exit 0 "$SNAPDRV" --root "$ROOT" gc
	same "" "$(ls -A "$ROOT/active" "$ROOT/staging" | grep -v : || :)"
	same 2 "$(btrfs subvolume list "$CASE/disk" | wc -l)"
}
case_ "a container of 400 subvolumes in each other is removed by a process that may open 256 files" nested_deep

elsewhere() {
	loop_fs "$CASE/disk" 64M mkfs.ext4 -q
	expect_exit 0 "$SNAPDRV" --root "$CASE/disk/store" info
	grep -q '^Driver: overlay' <<<"$OUT" || fail_ "$OUT"
	for driver in btrfs overlay vfs; do
		grep -q "^Driver $driver: " <<<"$OUT" || fail_ "no answer of $driver: $OUT"
	done
	grep -q '^Driver btrfs: .*ext4' <<<"$OUT" || fail_ "$OUT"
	mkdir "$CASE/ram"
	own_mount mount -t ramfs ramfs "$CASE/ram"
	expect_exit "0 1" "$SNAPDRV" --root "$CASE/ram/store" info
	[[ $OUT$ERR == *ramfs* ]] || fail_ "$OUT$ERR"
}
case_ "auto takes overlay elsewhere, and info has each driver's answer in words" elsewhere
