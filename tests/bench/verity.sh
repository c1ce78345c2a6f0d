#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A benchmark, no test: what `import --verity` costs more than `import`, of the gzipped tar of Debian, on ext4, btrfs and
# f2fs. In a guest, side by side, medians of ROUNDS (3), in seconds of the whole command: its processor is emulated, so the
# ratio counts, and hashing weighs more in it than it does elsewhere. Before each the store is emptied and synced.
. "$(dirname "$0")/../lib.sh"
ROUNDS=${ROUNDS:-3}

bench() {
	own_mount mount -t tmpfs tmpfs "$CASE"
	cd "$CASE"
	mkdir tmp vm
	gzip -1 <"$("$TOOLS/realimage" debian)" >debian.tar.gz
	truncate -s 1G ext4 btrfs f2fs
	mkfs.ext4 -q -O verity ext4
	mkfs.btrfs -q btrfs
	mkfs.f2fs -q -O verity f2fs
	cat >script <<-END
		set -e
		export SNAPDRV_DRIVER=overlay
		cp /tmp/machine$CASE/debian.tar.gz /tmp
		timed() {
			local start=\$(date +%s%N)
			"\$@" >/dev/null
			echo \$((\$(date +%s%N) - start))
		}
		snap() {
			/tmp/machine$SNAPDRV --root /mnt/store --quiet "\$@"
		}
		for disk in a:ext4 b:btrfs c:f2fs; do
			mount /dev/vd\${disk%:*} /mnt
			for round in \$(seq 0 $ROUNDS); do
				for way in quiet verity; do
					echo "\${disk#*:} \$round \$way \$(timed snap import --\$way /tmp/debian.tar.gz debian:12)"
					snap rmi --all >/dev/null
					snap gc >/dev/null
					sync -f /mnt
				done
			done
			umount /mnt
		done
	END
	"$TOP/vm-tests/boot" --machine --work vm --disk ext4 --disk btrfs --disk f2fs --memory 3000 --limit 6000 script >times ||
		fail_ "$(tail -n 20 times)"
	# The first round warms the cache.
	"$PYTHON" - times <<'END'
import collections, statistics, sys
times = collections.defaultdict(list)
for line in open(sys.argv[1]):
    words = line.split()
    if len(words) == 4 and words[1] != "0":
        times[words[0], words[2]].append(int(words[3]) / 1e9)
for filesystem in "ext4", "btrfs", "f2fs":
    plain, sealed = (times[filesystem, way] for way in ("quiet", "verity"))
    ratio = statistics.median(b / a for a, b in zip(plain, sealed))
    print(f"figure: {filesystem}: import {statistics.median(plain):.2f} s, with --verity {statistics.median(sealed):.2f} s; "
          f"the median of the rounds' ratios is {ratio:.2f}")
END
}
case_ "the cost of --verity" bench
