#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Damage in the store: check finds it, --deep to the last byte, and --repair makes it good.
. "$(dirname "$0")/../lib.sh"
. "$TOOLS/registry.sh"

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

clean() {
	expect_exit 0 snap check
	same "0 layers, 0 blobs, 0 images, 0 containers: 0 damaged" "$OUT"
	loaded
	expect_exit 0 snap check
	same "2 layers, 4 blobs, 1 images, 1 containers: 0 damaged" "$OUT"
	expect_exit 0 snap check --deep
	[[ $OUT == *" read: 0 damaged" ]] || fail_ "$OUT"
	expect_exit 0 snap check --deep --repair
	[[ $OUT == *" read: 0 damaged" ]] || fail_ "$OUT"
	expect_exit 0 snap --json check --deep
	holds 'd["check"]["damaged"] == 0 and d["check"]["layers"] == 2 and d["check"]["bytes_read"] > 3 << 20'
	expect_exit 0 snap --quiet check
	same "" "$OUT"
}
case_ "a store in order: check and check --deep say so and exit 0" clean

# A subvolume that is read-only keeps its times anyway.
access_times() {
	local dir
	loaded
	dir=$(files_of 1)
	touch -a -d @5 "$dir/etc" "$dir/big"
	[ "$BACKEND" != btrfs ] || btrfs property set "$dir" ro true
	expect_exit 0 snap check --deep
	same "5 5" "$(stat -c %X "$dir/etc" "$dir/big" | paste -sd" ")"
}
case_ "check --deep leaves the access times of directories" access_times

strays() {
	loaded
	mkdir -p "$ROOT/layers/99/fs"
	echo "left by somebody" >"$ROOT/layers/99/fs/file"
	echo x >"$ROOT/content/sha256/$(printf 'x%.0s' {1..64})"
	expect_exit 0 snap check
	[[ $OUT == *", 2 stray files ("*", for gc): 0 damaged" ]] || fail_ "$OUT"
	expect_exit 0 snap --json check
	holds 'd["check"]["strays"] == 2 and d["check"]["stray_bytes"] > 0'
	expect_exit 0 snap gc
	expect_exit 0 snap check
	same "2 layers, 4 blobs, 1 images, 1 containers: 0 damaged" "$OUT"
}
case_ "files that nothing knows are counted, and gone after gc" strays

every_good_layer() {
	layout <<-'END'
		import random
		random.seed(11)
		odd = [file(bytes(random.choice([1, 9, 45, 46, 47 + 1, 65, 195, 169]) for _ in range(1 + n % 9)), str(n)) for n in range(60)]
		dirs = [directory("a"), file("a/x", "1"), directory("a-b"), file("a-b/y", "2"), file("a.c", "3"), file("a\x01d", "4")]
		sparse = [directory("s"), file("s/f", bytes(5 << 20) + b"end"), file("s/g", bytes(1 << 20)), file("s/h", bytes((1 << 20) + 1))]
		twice = [file("t", "first"), file("t", "second"), directory("u"), file("u/v", "1"), file("u", "now a file")]
		Layout(Image([odd, dirs, sparse, twice], names="odd:1")).write_dir("odd")
	END
	expect_exit 0 snap load odd
	expect_exit 0 snap check --deep
	[[ $OUT == *": 0 damaged" ]] || fail_ "$OUT"
}
case_ "odd names, names twice, files of zeros: what was written down when they were unpacked is what is there" every_good_layer

missing_layer() {
	local dir
	loaded
	dir=$(files_of "$1")
	[ "$BACKEND" != btrfs ] || btrfs subvolume delete "$dir" >/dev/null
	rm -rf "$(dirname "$dir")"
	expect_exit 1 snap check
	[[ $OUT == "layer sha256:"*": its files are missing"* ]] || fail_ "$OUT"
	[[ $OUT == *"  images: img:1"* && $OUT == *"  containers: c"* ]] || fail_ "$OUT"
	[[ $ERR == "snapdrv: check: "*" damaged" ]] || fail_ "$ERR"
	expect_exit 0 snap check --repair
	[[ $OUT == *"  repaired: made again from its blob"* ]] || fail_ "$OUT"
	well_again
}
case_ "a lower layer whose files are missing is found, and made again from its blob" missing_layer 1
case_ "an upper layer whose files are missing is found, and made again from its blob" missing_layer 2

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
swap_link() {
	rm etc/link
	ln -s b etc/link
}
break_link() {
	cp -a etc/b etc/new
	mv etc/new etc/b
}
case_ "a byte of a file that is another one, size and times as before" \
	damage 1 "'etc/a' has another content" in_place etc/a flip etc/a 3
case_ "a byte in the third MiB of a file" damage 1 "'big/data' has another content" in_place big/data flip big/data 2500000
case_ "a file that is missing" damage 1 "'etc/b' is missing" in_place etc/b rm etc/b etc/hard
case_ "a file that was not there" damage 1 "'etc/extra' was not there" in_place etc/extra touch etc/extra
case_ "another mode" damage 1 "'etc/a' has other attributes" chmod 600 etc/a
case_ "another owner" damage 2 "'etc/c' has other attributes" chown 5 etc/c
case_ "another time" damage 1 "'etc/a' has other attributes" touch -d @5 etc/a
case_ "another xattr" damage 1 "'etc/x' has other attributes" setfattr -n user.note -v there etc/x
case_ "another link target" damage 1 "'etc/link' has other attributes" in_place etc/link swap_link
case_ "two files where there was one with two names" damage 1 "'etc/hard' has other attributes" in_place etc/b break_link
case_ "a directory with all that was in it is missing" damage 1 "are not as they were" in_place big rm -r big
case_ "a name with a newline that is missing" damage 2 "'with\\x0anewline' is missing" in_place pipe rm $'with\nnewline'
case_ "attributes of the layer's root" damage 1 "its root has other attributes" chmod 700 .
[ "$BACKEND" != overlay ] || {
	case_ "a whiteout that is missing" damage 2 "'gone' is missing" in_place gone rm gone
	case_ "an opaque mark that is missing" damage 2 "'old' has other attributes" setfattr -x trusted.overlay.opaque old
}

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
	strace -f -qq -o .slow -e trace=renameat2 -e inject=renameat2:delay_enter=2000000:when=1 \
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

# ---- the record itself ------------------------------------------------------------------------

inventory() {
	loaded
	dir=$(files_of 1)
	close_files "$dir"
	flip "$(dirname "$dir")/inventory" "$1"
	found_deep "the inventory is damaged"
}
case_ "an inventory with another byte in its head" inventory 3
case_ "an inventory with another byte in an entry" inventory 60
short_inventory() {
	loaded
	dir=$(files_of 2)
	close_files "$dir"
	truncate -s -20 "$(dirname "$dir")/inventory"
	found_deep "the inventory is damaged"
}
case_ "an inventory that is cut" short_inventory

unrecorded() {
	loaded
	rm "$ROOT"/layers/*/inventory
	expect_exit 0 snap check --deep
	[[ $OUT == *", 2 layers without a record: 0 damaged" ]] || fail_ "$OUT"
	expect_exit 0 snap check --deep --repair
	[[ $OUT == *", 2 layers recorded now: 0 damaged" ]] || fail_ "$OUT"
	expect_exit 0 snap check --deep
	[[ $OUT != *record* ]] || fail_ "$OUT"
	dir=$(files_of 1)
	in_place "$dir/etc/a" flip "$dir/etc/a" 1
	close_files "$dir"
	found_deep "'etc/a' has another content"
}
case_ "layers without an inventory are counted, and --repair writes one" unrecorded

step_of_build() {
	expect_exit 0 snap load "$IMAGE"
	mkdir context
	echo new >context/new
	printf 'FROM img:1\nCOPY new /new\nLABEL a=b\n' >context/Dockerfile
	expect_exit 0 snap build -t built:1 context
	expect_exit 0 snap rmi built:1
	expect_exit 0 snap check --deep
	dir=$(dirname "$(printf '%s\n' "$ROOT"/layers/*/fs/new)")
	[ "$BACKEND" != btrfs ] || btrfs property set "$dir" ro false
	echo changed >"$dir/new"
	close_files "$dir"
	expect_exit 1 snap check --deep
	expect_exit 0 snap check --deep --repair
	[[ $OUT == *"repaired: removed: nothing needs it"* ]] || fail_ "$OUT"
	expect_exit 0 snap check --deep
	expect_exit 0 snap build -t built:1 context
	expect_exit 0 snap create built:1
	same new "$(<"$OUT/new")"
}
case_ "the damaged step of a build that no image has is forgotten, and done again" step_of_build

# ---- the database -----------------------------------------------------------------------------

row() {
	python - "$ROOT" "$1" <<-'END'
		import sqlite3, sys
		db = sqlite3.connect(sys.argv[1] + "/snapdrv.db")
		db.execute(sys.argv[2])
		db.commit()
	END
	expect_exit 1 snap check
	[[ $OUT == *"$2"* ]] || fail_ "no '$2' in: $OUT"
}
rows() {
	loaded
	row "$@"
}
case_ "a config in the database that is not what its ID says" \
	rows "UPDATE image SET config = replace(config, 'amd64', 'arm64')" "image img:1: its config is damaged"
case_ "a manifest that is not what its digest says" \
	rows "UPDATE image SET manifest = manifest || ' '" "image img:1: its manifest is damaged"
case_ "layers that do not fit their image" \
	rows "UPDATE snapshot SET name = 'sha256:' || hex(randomblob(32)) WHERE kind = 'c' AND parent IS NULL" "do not fit"
case_ "a row that refers to one that is not there" \
	rows "DELETE FROM tree WHERE id = 1" "database snapdrv.db: row "

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
