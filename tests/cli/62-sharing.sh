#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Unpacked once: a layer that needs nothing of its parents is shared by images whose parents differ.
. "$(dirname "$0")/../lib.sh"

[ "$BACKEND" = overlay ] || { echo "skip layers are shared by DiffID: not required here: overlay alone keeps them so"; exit 0; }

# layers: how many trees there are; inode: that of the file that the top layer gives.
layers() {
	ls "$ROOT/layers" | wc -l
}

shared() {
	layout <<-'END'
		top = Layer([directory("app"), file("app/data", "shared" * 1000), whiteout("app/gone"),
		             whiteout("removed")])
		for n in ("1", "2"):
		    base = [file("removed", n), file("base", n), directory("app"), file("app/gone", n)]
		    Layout(Image([base, top], names="image:" + n)).write_dir(n)
	END
	expect_exit 0 snap load 1
	same 2 "$(layers)"
	expect_exit 0 snap load 2
	same 3 "$(layers)"
	for n in 1 2; do
		expect_exit 0 snap create --name c$n image:$n
		same $n "$(<"$OUT/base")"
		same "data" "$(ls -A "$OUT/app")"
		same "app base" "$(echo $(ls -A "$OUT"))"
	done
	same 1 "$(find "$ROOT/layers" -name data -size +4k | wc -l)"
	expect_exit 0 snap rm --all
	expect_exit 0 snap rmi image:1
	same 2 "$(layers)"
	expect_exit 0 snap create image:2
	same 6000 "$(stat -c %s "$OUT/app/data")"
}
case_ "a self-contained layer over two different parents is one tree under layers/" shared

needs_parents() {
	layout <<-'END'
		link = Layer([directory("app"), hardlink("app/link", "below")])
		nested = Layer([file("dir/inside", "x")])
		for n in ("1", "2"):
		    base = [file("below", "content " + n), directory("dir", mode=0o700 + int(n), uid=int(n))]
		    Layout(Image([base, link], names="link:" + n)).write_dir("link" + n)
		    Layout(Image([base, nested], names="nested:" + n)).write_dir("nested" + n)
	END
	for n in 1 2; do
		expect_exit 0 snap load link$n
		expect_exit 0 snap load nested$n
	done
	for n in 1 2; do
		expect_exit 0 snap create link:$n
		same "content $n" "$(<"$OUT/app/link")"
		same "content $n" "$(<"$OUT/below")"
		expect_exit 0 snap create nested:$n
		same "70$n $n x" "$(stat -c '%a %u' "$OUT/dir") $(<"$OUT/dir/inside")"
	done
}
case_ "a layer that needs its parents is bound to them" needs_parents

same_layer_twice() {
	layout <<-'END'
		one = Layer([directory("a"), file("a/file", "one")])
		away = Layer([whiteout("a")])
		Layout(Image([one, away, one], names="twice:1")).write_dir("twice")
		Layout(Image([one, one, one, one], names="four:1")).write_dir("four")
	END
	expect_exit 0 snap load twice
	expect_exit 0 snap create twice:1
	same one "$(<"$OUT/a/file")"
	expect_exit 0 snap load four
	expect_exit 0 snap create four:1
	same one "$(<"$OUT/a/file")"
	expect_exit 0 snap create --read-only four:1
	same one "$(<"$OUT/a/file")"
	expect_exit 0 snap rm --all
	expect_exit 0 snap rmi twice:1 four:1
	same 0 "$(layers)"
}
case_ "an image that holds the same layer several times" same_layer_twice

whiteouts_before_parent() {
	# The big parent is unpacked while the small layer of deletions is long done.
	layout <<-'END'
		import random
		random.seed(3)
		parent = Layer([directory("d")] + [file(f"d/{n}", random.randbytes(2000)) for n in range(3000)])
		deletions = Layer([whiteout(f"d/{n}") for n in range(0, 3000, 2)] + [file("d/new", "new")])
		Layout(Image([parent, deletions], names="w:1")).write_dir("w")
		folded = Layer([directory("d"), opaque("d"), file("d/only", "only")])
		Layout(Image([parent, folded], names="o:1")).write_dir("o")
	END
	expect_exit 0 snap load w
	expect_exit 0 snap create w:1
	same 1501 "$(ls -A "$OUT/d" | wc -l)"
	[ ! -e "$OUT/d/0" ] || fail_ "a deleted file came back"
	same new "$(<"$OUT/d/new")"
	expect_exit 0 snap load o
	expect_exit 0 snap create o:1
	same only "$(ls -A "$OUT/d")"
}
case_ "whiteouts hold whether or not their parent was unpacked first" whiteouts_before_parent
