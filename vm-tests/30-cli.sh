#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The tests of tests/cli in a guest, on Debian's kernel (6.1: an overlay takes no layers one at a time there), which has
# this machine's files, read-only, and a disk. An emulated processor is slow: this takes hours. VM_CLI names some of them
# instead, with or without a driver, as "20-import btrfs:30-create".
. "$(dirname "$0")/../tests/lib.sh"

# in_guest MKFS FILE...: run them there on an empty filesystem.
in_guest() {
	local mkfs=$1
	shift
	own_mount mount -t tmpfs tmpfs "$CASE"
	cd "$CASE"
	mkdir tmp vm
	truncate -s 16G disk
	$mkfs disk
	cat >script <<-END
		mount /dev/vda /mnt && mkdir /mnt/tmp /mnt/cache /mnt/upper /mnt/work || exit 1
		mount -t overlay -o lowerdir=$CACHE,upperdir=/mnt/upper,workdir=/mnt/work cache /mnt/cache || exit 1
		chmod 1777 /mnt/tmp
		export TMPDIR=/mnt/tmp SNAPDRV_CACHE=/mnt/cache SNAPDRV=/tmp/machine$SNAPDRV TEST_LIMIT=5000 JOBS=2 PYTHONDONTWRITEBYTECODE=1
		export SNAP_TIMEOUT=900
		cd /tmp/machine$TOP && tests/run ${*/%/.sh}
	END
	sed -i -E 's,( |:)([0-9]{2}-[a-z0-9-]+\.sh),\1tests/cli/\2,g' script
	"$TOP/vm-tests/boot" --machine --work vm --disk disk --memory 4000 --processors 2 --limit 14000 script >out 2>err ||
		{ tail -n 100 out err; fail_ "the tests in the guest"; }
	grep -qE '^[1-9][0-9]* passed, 0 failed' out || fail_ "$(tail -n 20 out)"
	figure "in the guest: $(tail -n 1 out)"
}

all() {
	local file
	for file in "$TOP"/tests/cli/*.sh; do
		basename "$file" .sh
	done
}
# shellcheck disable=SC2046,SC2086 # words are meant
case_ "tests of the program on Debian's kernel" in_guest "mkfs.ext4 -q -O verity" ${VM_CLI:-$(all)}
