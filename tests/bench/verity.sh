#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A benchmark, no test: what `load --verity` costs more than `load`, of Debian's image, on ext4, btrfs and f2fs. In a guest,
# side by side, medians of ROUNDS (3), in seconds of the whole command: its processor is emulated, so the ratio counts, and
# hashing weighs more in it than it does elsewhere. Before each the store is emptied and synced.
. "$(dirname "$0")/../lib.sh"
ROUNDS=${ROUNDS:-3}

bench() {
	own_mount mount -t tmpfs tmpfs "$CASE"
	cd "$CASE"
	mkdir vm
	gzip -1 <"$("$TOOLS/realimage" debian)" | "$SNAPDRV" --root store --driver vfs import - debian:12
	"$SNAPDRV" --root store --driver vfs save debian:12 -o debian.tar
	truncate -s 1G ext4 btrfs f2fs
	mkfs.ext4 -q -O verity ext4
	mkfs.btrfs -q btrfs
	mkfs.f2fs -q -O verity f2fs
	cat >script <<-END
		set -e
		export SNAPDRV_DRIVER=overlay
		timed() {
			start=\$(date +%s%N)
			"\$@" >/dev/null
			echo \$((\$(date +%s%N) - start))
		}
		for disk in a:ext4 b:btrfs c:f2fs; do
			export SNAPDRV_ROOT=/mnt/\${disk#*:}
			mkdir -p \$SNAPDRV_ROOT
			mount /dev/vd\${disk%:*} \$SNAPDRV_ROOT
			for round in \$(seq 0 $ROUNDS); do
				for way in --quiet --verity; do
					echo "\${disk#*:} \$round \$way \$(timed snapdrv load \$way /job/debian.tar)"
					snapdrv rmi --all >/dev/null
					snapdrv gc >/dev/null
					sync -f \$SNAPDRV_ROOT
				done
			done
		done
	END
	"$TOP/vm-tests/boot" --kernel full --work vm --disk ext4 --disk btrfs --disk f2fs --file debian.tar=debian.tar --memory 2048 \
		--limit 6000 script >times || fail_ "$(tail -n 20 times)"
	# The first round warms the cache.
	"$PYTHON" - times <<'END'
import collections, statistics, sys
times = collections.defaultdict(list)
for line in open(sys.argv[1]):
    if line.split()[1:2] not in ([], ["0"]):
        filesystem, _, way, taken = line.split()
        times[filesystem, way].append(int(taken) / 1e9)
for filesystem in "ext4", "btrfs", "f2fs":
    plain, sealed = (times[filesystem, way] for way in ("--quiet", "--verity"))
    ratio = statistics.median(b / a for a, b in zip(plain, sealed))
    print(f"figure: {filesystem}: load {statistics.median(plain):.2f} s, with --verity {statistics.median(sealed):.2f} s; "
          f"the median of the rounds' ratios is {ratio:.2f}")
END
}
case_ "the cost of --verity" bench
