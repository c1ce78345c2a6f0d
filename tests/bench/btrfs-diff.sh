#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A benchmark, no test: `diff` of a container of FILES files (50,000) of which 10 have changed, on btrfs by
# generation, against a walk over the whole of both trees: that of `diff` on vfs, and that of rsync where it is
# installed. On one btrfs, side by side, with a warm cache; medians of ROUNDS (11), in milliseconds of the
# whole command. Before each round of btrfs a file is changed again, so that there is something to commit.
. "$(dirname "$0")/../lib.sh"
FILES=${FILES:-50000} ROUNDS=${ROUNDS:-11} WIDTH=${WIDTH:-100}

# median COMMAND...: of ROUNDS runs.
median() {
	local round start
	for ((round = 0; round < ROUNDS; round++)); do
		start=$(date +%s%N)
		"$@" >"$CASE/lines" || fail_ "failed: $*"
		echo $(($(date +%s%N) - start))
	done | sort -n | awk '{ a[NR] = $1 } END { printf "%.2f\n", a[int((NR + 1) / 2)] / 1e6 }'
}

on_driver() {
	SNAPDRV_DRIVER=$1 "$SNAPDRV" --root "$place/$1" "${@:2}"
}
touched() {
	echo again >>"$place/btrfs/containers/c/rootfs/d0/file0"
	on_driver btrfs diff c
}

bench() {
	local place=$CASE/btrfs driver number
	layout "$CASE/image" "$FILES" "$WIDTH" <<'END'
import sys
count, width = int(sys.argv[2]), int(sys.argv[3])
entries = []
for number in range(count):
    if number % width == 0:
        entries.append(directory(f"d{number // width}"))
    entries.append(file(f"d{number // width}/file{number}", f"{number}\n" * 20))
Layout(Image([entries], names="many:1")).write_dir(sys.argv[1])
END
	loop_fs "$place" 4G mkfs.btrfs -q
	for driver in btrfs vfs; do
		on_driver "$driver" load "$CASE/image" >/dev/null
		on_driver "$driver" create --name c many:1 >/dev/null
		for number in 0 1 2 3 4 5 6; do
			echo changed >>"$place/$driver/containers/c/rootfs/d$((number * 7 * 100 / WIDTH))/file$((number * 700))"
		done
		echo new >"$place/$driver/containers/c/rootfs/d3/new"
		rm "$place/$driver/containers/c/rootfs/d4/file$((4 * WIDTH))"
		chmod 700 "$place/$driver/containers/c/rootfs/d5/file$((5 * WIDTH))"
	done
	sync -f "$place"
	on_driver btrfs diff c >one
	on_driver vfs diff c >other
	cmp one other
	figure "$(grep -c file one) changed files among $FILES, $WIDTH in a directory"
	local generation touched walk
	generation=$(median on_driver btrfs diff c)
	touched=$(median touched)
	walk=$(median on_driver vfs diff c)
	figure "btrfs, by generation: $generation ms; with a change of a moment ago to be committed first: $touched ms"
	figure "vfs, a walk over both trees: $walk ms"
	figure "times faster: $(awk "BEGIN { printf \"%.1f and %.1f\", $walk / $generation, $walk / $touched }")"
	if command -v rsync >/dev/null; then
		figure "rsync -nac --delete of both trees, content compared: $(median rsync -nacAXHi --delete \
			"$place/vfs/containers/c/rootfs/" "$(echo "$place"/vfs/layers/*/fs)/") ms"
	fi
}
case_ "diff on btrfs of 10 changes among $FILES files, medians of $ROUNDS" bench
