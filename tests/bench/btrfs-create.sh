#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A benchmark, no test: `create` and `rm` on btrfs for an image of FILES files (50,000), against the bare
# ioctls, side by side on one btrfs of its own. See btrfs-create.c; medians of ROUNDS (50).
. "$(dirname "$0")/../lib.sh"
FILES=${FILES:-50000} ROUNDS=${ROUNDS:-50}
LIBRARY=${LIBSNAPDRV:-$(dirname "$SNAPDRV")/libsnapdrv.a}

bench() {
	local place=$CASE/btrfs subvolumes
	command -v mkfs.btrfs >/dev/null || skip_ "there is no mkfs.btrfs"
	# shellcheck disable=SC2046 # words are meant
	gcc -std=gnu17 -D_GNU_SOURCE -O2 -Wall -Wextra -I"$TOP/driver" -o "$CASE/bench" "$TESTS/bench/btrfs-create.c" \
		"$LIBRARY" $(pkg-config --libs jansson libarchive libcrypto libisal liblzma libxxhash libzstd mount sqlite3 zlib) -lbtrfsutil -pthread
	layout "$CASE/image" "$FILES" <<'END'
import sys
count = int(sys.argv[2])
entries = []
for number in range(count):
    if number % 100 == 0:
        entries.append(directory(f"d{number // 100}"))
    entries.append(file(f"d{number // 100}/file{number}", f"{number}\n" * 20))
Layout(Image([entries], names="many:1")).write_dir(sys.argv[1])
END
	loop_fs "$place" 4G mkfs.btrfs -q
	ROOT=$place/store
	expect_exit 0 snap --driver btrfs load "$CASE/image"
	mapfile -t subvolumes < <(find "$ROOT/layers" -maxdepth 2 -name fs -inum 256)
	same 1 ${#subvolumes[@]}
	same "$FILES" "$(find "${subvolumes[0]}" -type f | wc -l)"
	mkdir "$place/scratch"
	sync -f "$place"
	"$CASE/bench" "$ROOT" many:1 "${subvolumes[0]}" "$place/scratch" "$ROUNDS" >figures
	sed 's/^/figure: /' figures
}
case_ "create and rm on btrfs of an image of $FILES files, medians of $ROUNDS" bench
