#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Images of many layers, and what the kernel's limit looks like.
. "$(dirname "$0")/../lib.sh"

# many COUNT DIR: an image of COUNT small layers; each changes one file and adds one.
many() {
	layout "$@" <<-'END'
		import sys
		count, path = int(sys.argv[1]), sys.argv[2]
		layers = [Layer([directory("d"), file("d/last", str(n)), file(f"d/{n}", str(n))] +
		                ([whiteout(f"d/{n - 1}")] if n % 2 else []), "none") for n in range(count)]
		Layout(Image(layers, names=f"many:{count}")).write_dir(path)
	END
}

works() {
	local count=$1
	many "$count" image
	expect_exit 0 snap load image
	expect_exit 0 snap create --name c "many:$count"
	same $((count - 1)) "$(<"$OUT/d/last")"
	same $((count / 2 + 1)) "$(ls "$OUT/d" | wc -l)"
	echo written >"$OUT/d/last"
	expect_exit 0 snap umount c
	expect_exit 0 snap mount c
	same written "$(<"$OUT/d/last")"
	expect_exit 0 snap create --read-only "many:$count"
	same $((count - 1)) "$(<"$OUT/d/last")"
	expect_exit 0 snap rm --all
	expect_exit 0 snap rmi "many:$count"
	same "" "$(ls -A "$ROOT/layers")"
}
case_ "an image of 128 layers" works 128
case_ "an image of 300 layers" works 300
case_ "an image of 500 layers" works 500

long_root() {
	ROOT=$CASE/$(printf 'x%.0s' $(seq 200))/$(printf 'y%.0s' $(seq 200))/store
	mkdir -p "$(dirname "$ROOT")"
	works 200
}
case_ "an image of 200 layers in a store with a path of 450 bytes" long_root

# layers COUNT DIR: an image of COUNT times one layer.
layers() {
	layout "$@" <<-'END'
		import sys
		count, path = int(sys.argv[1]), sys.argv[2]
		Layout(Image([Layer([file("one", "1")], "none")] * count, names=f"same:{count}")).write_dir(path)
	END
}
far_too_many() {
	local count
	expect_exit 0 snap images
	WORDS=("more than 4096 layers")
	for count in 4097 4200; do
		layers $count image.$count
		refused 5 snap load image.$count
	done
	# Elsewhere each layer is a tree of its own, and it takes minutes.
	[ "$BACKEND" = overlay ] || return 0
	layers 4096 image
	expect_exit 0 snap load image
	expect_exit 0 snap history same:4096
	expect_exit 0 snap check
	[[ $OUT == *" 0 damaged"* ]] || fail_ "$OUT"
	expect_exit 0 snap rmi same:4096
}
case_ "4096 layers can be kept; more are refused before anything is unpacked" far_too_many

too_many() {
	[ "$BACKEND" = overlay ] || skip_optional "overlay alone has a limit"
	many 501 image
	expect_exit 0 snap images
	expect_exit "0 1" snap load image
	if [ -z "$ERR" ]; then
		expect_exit 1 snap create --name over many:501
	fi
	one_line_error 501 500
	expect_exit 0 snap --json ls
	holds 'd["containers"] == []'
	same "" "$(ls -A "$ROOT/containers")"
}
case_ "501 layers: an error that says how many this kernel takes, and no container" too_many
