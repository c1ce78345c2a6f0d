#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Odd places: ROOT paths with bytes that mount options know, symlinks, other filesystems.
. "$(dirname "$0")/../lib.sh"

IMAGE=$WORK/image
layout "$IMAGE" <<'END'
import sys
Layout(Image([small_layer(), [file("second", "2")], [whiteout("etc/word"), file("etc/third", "3")]],
             names="small:1")).write_dir(sys.argv[1])
END

works_here() {
	mkdir -p "$(dirname "$ROOT")"
	expect_exit 0 snap load "$IMAGE"
	expect_exit 0 snap create --name one small:1
	same "$ROOT/containers/one/rootfs" "$OUT"
	mounted "$OUT"
	same "third" "$(ls -A "$OUT/etc")"
	echo written >"$OUT/second"
	expect_exit 0 snap umount one
	expect_exit 0 snap mount one
	same written "$(<"$OUT/second")"
	expect_exit 0 snap create --read-only small:1
	same 2 "$(<"$OUT/second")"
	if [[ $ROOT != *$'\xe9'* ]]; then # a config.json is UTF-8
		expect_exit 0 snap create --name bundled --bundle "$CASE/bundle" small:1 -- /bin/tool
		same "$ROOT/containers/bundled/rootfs" "$(pick 'd["root"]["path"]' <"$CASE/bundle/config.json")"
	fi
	expect_exit 0 snap rm --all
	same "" "$(mounts_under "$ROOT")"
	same "" "$(ls -A "$ROOT/containers")"
}
odd_root() {
	ROOT=$CASE/$1/store
	works_here
}
case_ "ROOT with a comma" odd_root 'a,upperdir=b,ro'
case_ "ROOT with a colon" odd_root 'a:b::c'
case_ "ROOT with a backslash" odd_root 'a\b\,c\:d\'
case_ "ROOT with spaces and a newline" odd_root $'a b\nc  d'
case_ "ROOT with quotes, a percent sign and a hash" odd_root $'a"b\'c%d#e?f=g&h'
case_ "ROOT with bytes that are not UTF-8" odd_root $'caf\xe9'

symlinked() {
	mkdir real
	ln -s real link
	ROOT=$CASE/link/store
	expect_exit 0 snap load "$IMAGE"
	expect_exit 0 snap create --name one small:1
	same 2 "$(<"$OUT/second")"
	ROOT=$CASE/real/store
	expect_exit 0 snap ls --json
	holds 'd["containers"][0]["mounted"] is True'
	expect_exit 0 snap rm one
}
case_ "a ROOT that is reached through a symlink" symlinked

moved() {
	expect_exit 0 snap load "$IMAGE"
	expect_exit 0 snap create --name one --no-mount small:1
	mv "$ROOT" "$CASE/elsewhere"
	ROOT=$CASE/elsewhere
	expect_exit 0 snap mount one
	same "$CASE/elsewhere/containers/one/rootfs" "$OUT"
	same 2 "$(<"$OUT/second")"
}
case_ "a store that was moved to another path" moved

other_filesystem() {
	[ "$BACKEND" = overlay ] || skip_optional "the backend chooses the filesystem"
	loop_fs "$CASE/fs" "$2" "mkfs.$1" ${3:-}
	ROOT=$CASE/fs/store
	works_here
}
case_ "a store on ext4" other_filesystem ext4 64M -q
case_ "a store on xfs" other_filesystem xfs 400M -q
case_ "a store on btrfs, with overlay" other_filesystem btrfs 400M -q
on_tmpfs() {
	[ "$BACKEND" = overlay ] || skip_optional "the backend chooses the filesystem"
	mkdir fs
	own_mount mount -t tmpfs none "$CASE/fs"
	ROOT=$CASE/fs/store
	works_here
}
case_ "a store on tmpfs" on_tmpfs
