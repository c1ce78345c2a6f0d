#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A power cut may undo the move of a container's tree to its place, while its row is there: the next
# opening puts it there again.
. "$(dirname "$0")/../lib.sh"

put_back() {
	layout <<-'END'
		Layout(small_image(names="small:1")).write_dir("image")
	END
	expect_exit 0 snap load image
	expect_exit 0 snap create --name c small:1
	echo written >"$OUT/word"
	expect_exit 0 snap umount c
	draft=$("$PYTHON" -c 'import sqlite3, sys; print(*sqlite3.connect(sys.argv[1]).execute("SELECT draft, id FROM tree WHERE key IS NULL").fetchone())' "$ROOT/snapdrv.db")
	read -r path id <<<"$draft"
	[[ $path == */* ]] || fail_ "draft is $path"
	mkdir "$ROOT/staging/${path%/*}"
	mv "$ROOT/active/${id:?}" "$ROOT/staging/$path"
	mkdir "$ROOT/staging/${path%/*}/other"
	expect_exit 0 snap mount c
	same written "$(cat "$OUT/word")"
	same "" "$(ls -A "$ROOT/staging")"
	expect_exit 0 snap rm c
	same "" "$(ls -A "$ROOT/active")"
}
case_ "a container's tree that a power cut left in staging is put back" put_back
