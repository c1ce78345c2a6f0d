#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# check --repair: where what is right comes from, and what becomes of containers meanwhile.
. "$(dirname "$0")/checking.bash"
. "$TOOLS/registry.sh"

# ---- blobs ------------------------------------------------------------------------------------

blob_of() {
	python - "$IMAGE" "$1" <<-'END'
		import json, os, sys
		top, what = sys.argv[1:]
		read = lambda d: json.load(open(f"{top}/blobs/" + d["digest"].replace(":", "/")))
		index = json.load(open(top + "/index.json"))["manifests"][0]
		manifest = read(index)
		got = {"manifest": index, "config": manifest["config"], "layer": manifest["layers"][0]}[what]
		print(got["digest"].split(":")[1])
	END
}
document() {
	loaded
	blob=$ROOT/content/sha256/$(blob_of "$1")
	want=$(sha256sum <"$blob")
	echo >>"$blob"
	expect_exit 1 snap check
	[[ $OUT == "blob sha256:"*" bytes, not "* ]] || fail_ "$OUT"
	expect_exit 0 snap check --repair
	[[ $OUT == *"repaired: written again from the database"* ]] || fail_ "$OUT"
	same "$want" "$(sha256sum <"$blob")"
	rm "$blob"
	expect_exit 1 snap check
	[[ $OUT == "blob sha256:"*": its file is missing"* ]] || fail_ "$OUT"
	expect_exit 0 snap check --repair
	same "$want" "$(sha256sum <"$blob")"
	expect_exit 0 snap check --deep
}
case_ "a manifest that is longer, or missing, is written again from the database" document manifest
case_ "and so is a config" document config

no_origin() {
	loaded
	blob=$ROOT/content/sha256/$(blob_of layer)
	flip "$blob" 20
	expect_exit 0 snap check
	expect_exit 1 snap check --deep
	[[ $OUT == "blob sha256:"*"its content has another digest"*"images: img:1"* ]] || fail_ "$OUT"
	dir=$(files_of 1)
	in_place "$dir/etc/a" flip "$dir/etc/a" 1
	close_files "$dir"
	# Neither can be made good: both are named.
	expect_exit 1 snap check --deep --repair
	[[ $OUT == *"not repaired: put away; load or pull the image again"* ]] || fail_ "$OUT"
	[[ $OUT == *"not repaired: blob sha256:"*"is not kept: load or pull the image, then repair again"* ]] || fail_ "$OUT"
	[ ! -e "$blob" ]
	# The blob comes with the image, and the layer from the blob.
	cp -r "$IMAGE" again
	expect_exit 0 snap load again
	[ -e "$blob" ]
	expect_exit 0 snap check --deep --repair
	[[ $OUT == *"repaired: made again from its blob"* ]] || fail_ "$OUT"
	well_again
}
case_ "a layer and its blob, both damaged, and no registry: named; after a load they are made good" no_origin

committed() {
	loaded
	expect_exit 0 snap commit c mine:1
	blob=$(snap inspect mine:1 | pick 'd[0]["RootFS"]["Layers"][-1].split(":")[1]')
	blob=$ROOT/content/sha256/$blob
	want=$(sha256sum <"$blob")
	flip "$blob" 600
	expect_exit 1 snap check --deep
	expect_exit 0 snap check --deep --repair
	[[ $OUT == *"repaired: written again from the layer"* ]] || fail_ "$OUT"
	same "$want" "$(sha256sum <"$blob")"
	expect_exit 0 snap check --deep
}
case_ "the blob of a commit is written again from its layer" committed

# ---- registries -------------------------------------------------------------------------------

registry_start registry
registry_fill "oci:$IMAGE:img:1" "docker://$REGISTRY/lib/img:1" >/dev/null

pulled() {
	expect_exit 0 snap pull --plain-http "$@" "$REGISTRY/lib/img:1"
	blob=$ROOT/content/sha256/$(blob_of layer)
}
pull_blob() {
	pulled
	want=$(sha256sum <"$blob")
	flip "$blob" 99
	dir=$(files_of 1)
	in_place "$dir/etc/a" flip "$dir/etc/a" 1
	close_files "$dir"
	expect_exit 1 snap check --deep
	expect_exit 0 snap check --deep --repair
	[[ $OUT == *"repaired: pulled again"* ]] || fail_ "$OUT"
	[[ $OUT == *"repaired: made again from its blob"* ]] || fail_ "$OUT"
	same "$want" "$(sha256sum <"$blob")"
	expect_exit 0 snap check --deep
}
case_ "a damaged blob of an image that was pulled is pulled again, and its layer is made from it" pull_blob

pull_discarded() {
	pulled --discard-blobs
	dir=$(files_of 1)
	in_place "$dir/etc/a" flip "$dir/etc/a" 1
	close_files "$dir"
	expect_exit 0 snap check --deep --repair
	[[ $OUT == *"repaired: made again from its blob"* ]] || fail_ "$OUT"
	expect_exit 0 snap check --deep
	expect_exit 0 snap create "$REGISTRY/lib/img:1"
	same "content a" "$(<"$OUT/etc/a")"
	same 0 "$(find "$ROOT/content/sha256" -size +1M | wc -l)"
}
case_ "a damaged layer whose blob was discarded is pulled for the repair alone" pull_discarded

registry_gone() {
	pulled
	expect_exit 0 snap create --name c "$REGISTRY/lib/img:1"
	expect_exit 0 snap umount c
	python - "$ROOT" <<-'END'
		import sqlite3, sys
		db = sqlite3.connect(sys.argv[1] + "/snapdrv.db")
		db.execute("UPDATE image SET origin = 'http://127.0.0.1:1/lib/img'")
		db.commit()
	END
	flip "$blob" 99
	expect_exit 1 snap check --deep --repair
	[[ $OUT == *"not repaired: put away; load or pull the image again: "*"127.0.0.1"* ]] || fail_ "$OUT"
	expect_exit 0 snap check --deep
}
case_ "a registry that does not answer is said, and the blob put away" registry_gone

# Another process removes the image while its blob is on its way.
removed_meanwhile() {
	liar_start "$IMAGE" hold=1000
	touch "$LIAR_LOG.go"
	expect_exit 0 snap pull --plain-http "$LIAR/lib/img:1"
	blob=$ROOT/content/sha256/$(blob_of layer)
	flip "$blob" 99
	rm "$LIAR_LOG.go"
	TMPDIR=$CASE/tmp "$SNAPDRV" --root "$ROOT" check --deep --repair >out 2>&1 &
	pid=$!
	wait_for 20 eval '[ -n "$(ls -A "$ROOT/content/partial" 2>/dev/null)" ]'
	expect_exit 0 snap rmi "$LIAR/lib/img:1"
	touch "$LIAR_LOG.go"
	wait $pid
	grep -q "repaired: it has been removed or replaced meanwhile" out || fail_ "$(<out)"
	same "" "$(ls -A "$ROOT/content/sha256")"
	same "" "$(ls -A "$ROOT/staging")"
	liar_stop
}
case_ "a blob whose image is removed during the repair is not put back" removed_meanwhile

registry_start first auth
FIRST=$REGISTRY
registry_start second auth
SECOND=$REGISTRY
two_registries() {
	layout <<-'END'
		Layout(small_image("other", names="img:1")).write_dir("other")
	END
	registry_fill "oci:$IMAGE:img:1" "docker://$FIRST/lib/img:1" --dest-creds me:secret:word
	registry_fill "oci:other:img:1" "docker://$SECOND/lib/img:1" --dest-creds me:secret:word
	for name in "$FIRST" "$SECOND"; do
		expect_exit 0 snap pull --plain-http --creds me:secret:word "$name/lib/img:1"
	done
	for blob in "$ROOT"/content/sha256/*; do
		[ "$(head -c 2 "$blob" | od -An -tx1)" != " 1f 8b" ] || flip "$blob" 20
	done
	: >"$WORK/first/log"
	: >"$WORK/second/log"
	for command in "check --deep --repair --creds me:secret:word" "check --deep --repair --cert-dir $CASE"; do
		# shellcheck disable=SC2086 # words are meant
		expect_exit 2 snap $command
		one_line_error "$FIRST" "$SECOND"
	done
	same "" "$(asked first /)$(asked second /)"
	# Of one registry it is to be had.
	expect_exit 0 snap rmi "$SECOND/lib/img:1"
	expect_exit 0 snap check --deep --repair --creds me:secret:word
	[[ $OUT == *"repaired: pulled again"* ]] || fail_ "$OUT"
	same "" "$(asked second /)"
	expect_exit 0 snap check --deep
}
case_ "--creds and --cert-dir are for one registry: with damaged images of two, neither is asked" two_registries

# ---- containers -------------------------------------------------------------------------------

mounted() {
	loaded
	expect_exit 0 snap mount c
	C=$OUT
	same "content b" "$(<"$C/etc/b")"
	dir=$(files_of 1)
	in_place "$dir/etc/a" flip "$dir/etc/a" 1
	close_files "$dir"
	expect_exit 0 snap check --deep --repair
	# What runs goes on, with what it wrote.
	same "mine changed" "$(cat "$C/mine" "$C/etc/c" | tr '\n' ' ' | sed 's/ $//')"
	same "content b" "$(<"$C/etc/b")"
	find "$C" -type f -exec cat {} + >/dev/null
	expect_exit 0 snap gc
	find "$C" -type f -exec cat {} + >/dev/null
	expect_exit 0 snap umount c
	expect_exit 0 snap gc
	same "" "$(find "$ROOT/layers" -name '*.damaged')"
	well_again
}
case_ "a container that is mounted goes on over the repair, and has the right layer when it is mounted next" mounted

# Whoever mounts while a layer is exchanged has one of the two, whole.
mounted_meanwhile() {
	loaded
	dir=$(files_of 1)
	in_place "$dir/etc/a" flip "$dir/etc/a" 1
	close_files "$dir"
	ASAN_OPTIONS=${ASAN_OPTIONS:-}:detect_leaks=0 strace -f -qq -o .slow -e trace=renameat2 -e inject=renameat2:delay_enter=2000000:when=1 \
		"$SNAPDRV" --root "$ROOT" check --deep --repair >.out 2>.err &
	wait_for 30 grep -q renameat2 .slow
	expect_exit 0 snap mount c
	C=$OUT
	wait $! || fail_ "$(<.err)"
	same "content b" "$(<"$C/etc/b")"
	find "$C" -type f -exec cat {} + >/dev/null
	expect_exit 0 snap umount c
	well_again
}
case_ "a container that is mounted while its layer is made again has all its files" mounted_meanwhile

wrong_mount() {
	loaded
	expect_exit 0 snap mount c
	umount "$OUT"
	mkdir other
	own_mount mount --bind other "$OUT"
	expect_exit 1 snap check
	[[ $OUT == "container c: what is mounted on its rootfs is not its tree"* ]] || fail_ "$OUT"
	umount "$ROOT/containers/c/rootfs"
	expect_exit 0 snap check
}
case_ "what is mounted on a container's rootfs and is not its tree" wrong_mount

# ---- btrfs ------------------------------------------------------------------------------------

thawed() {
	loaded
	dir=$(files_of 1)
	expect_exit 1 snap check
	[[ $OUT == "layer sha256:"*": it is not read-only"* ]] || fail_ "$OUT"
	expect_exit 0 snap check --repair
	[[ $OUT == *"repaired: made read-only again"* ]] || fail_ "$OUT"
	! touch "$dir/new" 2>/dev/null
	dir=$(files_of 2)
	in_place "$dir/etc/c" flip "$dir/etc/c" 1
	expect_exit 0 snap check --repair
	[[ $OUT == *"repaired: made again from its blob"* ]] || fail_ "$OUT"
	well_again
}

# The layers and the container share the damaged blocks of the disk.
bad_blocks() {
	local place
	loop_fs "$CASE/disk" 600M mkfs.btrfs -q -d single -m dup
	ROOT=$CASE/disk/store
	loaded
	dir=$(files_of 1)
	close_files "$dir"
	expect_exit 0 snap create --no-mount --name view --read-only img:1
	sync -f "$dir"
	place=$(filefrag -v "$dir/big/data" | awk '$1 == "0:" { sub(/\.\./, "", $4); print $4 * 4096 }')
	place=$(btrfs-map-logical -l "$place" "$(findmnt -no SOURCE "$CASE/disk")" | awk '{ for (i = 1; i < NF; i++) if ($i == "physical") print $(i + 1); exit }')
	umount "$CASE/disk"
	dd if=/dev/urandom of="$CASE/disk.img" bs=4096 count=16 seek=$((place / 4096)) conv=notrunc status=none
	mount -o loop "$CASE/disk.img" "$CASE/disk"
	# The container's share is as bad as the layer's.
	expect_exit 0 snap mount c
	! cat "$OUT/big/data" >/dev/null 2>&1 || fail_ "the disk is not damaged"
	expect_exit 0 snap mount view
	view=$OUT
	expect_exit 1 snap check --deep
	[[ $OUT == *"'big/data' cannot be read"* ]] || fail_ "$OUT"
	expect_exit 0 snap check --deep --repair
	[[ $OUT == *"made again from its blob; 2 files of containers too"* ]] || fail_ "$OUT"
	cmp "$view/big/data" "$dir/big/data"
	! touch "$view/new" 2>/dev/null || fail_ "the view can be written to"
	expect_exit 0 snap rm view
	expect_exit 0 snap umount c
	well_again
	umount "$CASE/disk"
}
[ "$BACKEND" != btrfs ] || {
	case_ "a layer that is not read-only any more" thawed
	case_ "blocks of the disk that the layers and a container share: all are made good" bad_blocks
}

# A container of the vfs driver or on btrfs has files from its start, and their loss is seen.
lost_container() {
	loaded
	dir=$(printf '%s\n' "$ROOT"/active/*/fs)
	[ "$BACKEND" != btrfs ] || btrfs subvolume delete "$dir" >/dev/null
	rm -rf "$(dirname "$dir")"
	expect_exit 1 snap check --repair
	[[ $OUT == "container c: its files are missing; what was written in it is lost"* ]] || fail_ "$OUT"
	expect_exit 0 snap rm c
	expect_exit 0 snap check
}
[ "$BACKEND" = overlay ] || case_ "a container whose files are missing is named" lost_container

exit "$FILE_STATUS"
