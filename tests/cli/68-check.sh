#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Damage in the store: check finds it, --deep to the last byte, and --repair makes layers good.
. "$(dirname "$0")/checking.bash"

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
