#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A benchmark, no test: `ctr image import` of make bench's image (or IMAGE, a layout) through snapdrvd's snapshotter
# and differ against containerd's own overlayfs, in turn, each on a fresh ext4; Prepare + Mounts + Remove through
# the socket with 0 to 10,000 snapshots; memory of an idle daemon. RUNS (3), ROUNDS (1000); ONLY=import. Fails when
# a target is missed.
. "$(dirname "$0")/../lib.sh"
. "$TOOLS/containerd.sh"
RUNS=${RUNS:-3} ROUNDS=${ROUNDS:-1000}
IMAGE=${IMAGE:-$CACHE/bench/1/debian}
LIBRARY=${LIBSNAPDRV:-$(dirname "$SNAPDRV")/libsnapdrv.a}
missed=0

# target WHAT VALUE LIMIT UNIT
target() {
	local verdict
	verdict=$(awk -v value="$2" -v limit="$3" 'BEGIN { print (value <= limit ? "PASS" : "MISS") }')
	figure "$(printf '%-58s %10s  at most %s %s  %s' "$1" "$2" "$3" "$4" "$verdict")"
	[ "$verdict" = PASS ] || missed=$((missed + 1))
}
median() {
	sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

# import_with SNAPSHOTTER new|plain: seconds, of the import and of that with the sync of the filesystem behind it.
import_with() {
	local began middle
	loop_fs "$CASE/fs" 12G mkfs.ext4 -q
	mkdir "$CASE/fs/c"
	ln -s "$CASE/fs/c" "$CASE/c"
	ROOT=$CASE/fs/store
	cat "$CASE/image.tar" >/dev/null
	daemon_start --metrics "$CASE/m.sock"
	containerd_start "$2"
	began=$EPOCHREALTIME
	ctr image import --snapshotter "$1" --base-name docker.io/local/big "$CASE/image.tar" >/dev/null
	middle=$EPOCHREALTIME
	sync -f "$CASE/fs"
	echo "$began $middle $EPOCHREALTIME" | awk '{ print $2 - $1, $3 - $1 }'
	counted 'snapdrvd_call_seconds_sum{service="Diff"' >>"$CASE/applied"
	containerd_stop
	daemon_stop
	umount "$CASE/fs"
	rm -rf "$CASE/c" "$CASE/fs" "$CASE/fs.img"
}

imports() {
	local ours theirs
	[ -f "$IMAGE/index.json" ] || fail_ "no image at $IMAGE; make bench makes it"
	daemons
	tar -C "$IMAGE" -cf image.tar .
	for run in $(seq "$RUNS"); do
		import_with snapdrv new >>ours
		import_with overlayfs plain >>theirs
	done
	ours=$(awk '{ print $2 }' ours | median) theirs=$(awk '{ print $2 }' theirs | median)
	figure "of which in Apply, s: $(grep -v '^0$' applied | median)"
	figure "ctr image import, s, synced: snapdrv $ours, overlayfs $theirs; not synced: $(awk '{ print $1 }' ours | median), $(awk '{ print $1 }' theirs | median)"
	target "ctr image import against containerd's overlayfs" "$(awk -v a="$ours" -v b="$theirs" 'BEGIN { printf "%.3f", a / b }')" 0.25 ""
}

latency() {
	daemons
	# shellcheck disable=SC2046 # words are meant
	gcc -std=gnu17 -D_GNU_SOURCE -O2 -Wall -Wextra -I"$TOP/driver" -o bench "$TESTS/bench/rpc-latency.c" \
		"$(dirname "$SNAPDRV")"/driver/wire/rpc_*.o "$LIBRARY" \
		$(pkg-config --libs jansson libarchive libcrypto libisal liblzma libxxhash libzstd mount sqlite3 zlib) -lbtrfsutil -lgrpc -lgpr -lm -pthread
	daemon_start
	sleep 2
	target "an idle daemon, MB resident" "$(awk '/VmRSS/ { printf "%.1f", $2 / 1000 }' "/proc/$(<d.pid)/status")" 25 MB
	./bench "$CASE/d.sock" "$ROUNDS" 0 1000 10000 >times
	while read -r count middle _; do
		target "Prepare + Mounts + Remove, $count snapshots, ms" "$middle" 1 ms
	done <times
	target "the same, 10,000 against none" "$(awk 'NR == 1 { a = $2 } END { printf "%.2f", $2 / a }' times)" 1.2 ""
	sleep 2
	target "that daemon, idle again, MB resident" "$(awk '/VmRSS/ { printf "%.1f", $2 / 1000 }' "/proc/$(<d.pid)/status")" 25 MB
}

the_end() {
	figure "missed: $missed"
	[ "$missed" = 0 ] || fail_ "$missed targets are missed"
}
measure_latency() {
	latency
	the_end
}
measure_imports() {
	imports
	the_end
}
case_ "latency and memory of snapdrvd" measure_latency
case_ "ctr image import" measure_imports
