#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What a power cut can undo of a container whose row is there: the making of its tree, or only its move to
# its place. The next command makes up for it.
. "$(dirname "$0")/../lib.sh"

sql() {
	python -c 'import sqlite3, sys; print(*sqlite3.connect(sys.argv[1]).execute(sys.argv[2]).fetchone())' \
		"$ROOT/snapdrv.db" "$1"
}

one_container() {
	layout <<-'END'
		root = directory(".", mode=0o751, uid=5)
		Layout(Image([[root, file("word", "image")]], names="small:1")).write_dir("image")
	END
	expect_exit 0 snap load image
	expect_exit 0 snap create --name c small:1
	treedump "$OUT" >want
}

put_back() {
	one_container
	echo written >"$OUT/word"
	expect_exit 0 snap umount c
	read -r path id <<<"$(sql "SELECT draft, id FROM tree WHERE key IS NULL")"
	[[ $path == */* ]] || fail_ "draft is $path"
	mkdir "$ROOT/staging/${path%/*}"
	mv "$ROOT/active/${id:?}" "$ROOT/staging/$path"
	mkdir "$ROOT/staging/${path%/*}/other"
	expect_exit 0 snap mount c
	same written "$(<"$OUT/word")"
	same "" "$(ls -A "$ROOT/staging")"
	expect_exit 0 snap rm c
	same "" "$(ls -A "$ROOT/active")"
}

made_again() {
	one_container
	expect_exit 0 snap umount c
	mv "$ROOT/active/$(sql "SELECT id FROM tree WHERE key IS NULL")" lost
	expect_exit 0 snap --json inspect c
	holds 'd["inspected"][0]["SizeRw"] == 0'
	expect_exit 0 snap mount c
	treedump "$OUT" >got
	diff want got || fail_ "the tree that was made again is another one"
	echo written >"$OUT/word"
	expect_exit 0 snap umount c
	expect_exit 0 snap mount c
	same written "$(<"$OUT/word")"
	expect_exit 0 snap rm c
	same "" "$(ls -A "$ROOT/active")"
}

work_again() {
	one_container
	echo written >"$OUT/word"
	expect_exit 0 snap umount c
	id=$(sql "SELECT id FROM tree WHERE key IS NULL")
	mv "$ROOT/active/${id:?}/work" lost
	expect_exit 0 snap mount c
	same written "$(<"$OUT/word")"
	rm "$OUT/word"
	expect_exit 0 snap rm c
	same "" "$(ls -A "$ROOT/active")"
}

if [ "$BACKEND" = btrfs ]; then
	case_ "a container's tree that a power cut left in staging is put back" put_back
else
	case_ "a container's tree that a power cut took before anything was in it is made again" made_again
fi
if [ "$BACKEND" = overlay ]; then
	case_ "what was synced in a container is there where a power cut took overlay's own directory beside it" work_again
fi
