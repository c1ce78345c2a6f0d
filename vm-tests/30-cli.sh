#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The tests of tests/cli in a guest, on Debian's kernel (6.1: an overlay takes no layers one at a time there), which has
# this machine's files, read-only, and a disk. An emulated processor is slow: most files take 2 to 6 minutes of one, all (an
# estimate) a night. VM_CLI names some instead, with or without a driver, as "20-import btrfs:30-create". Each guest runs
# VM_PORTION (6) of them on VM_PROCESSORS (2); what they print is kept in VM_OUT, a directory below TMPDIR, by the name of
# the first.
. "$(dirname "$0")/../tests/lib.sh"

PORTION=${VM_PORTION:-6} PROCESSORS=${VM_PROCESSORS:-2}

# There is no network in a guest.
case_ "what the tests get from elsewhere is in the cache" "$TOOLS/fillcache"

# in_guest MKFS FILE...: run them there on an empty filesystem.
in_guest() {
	local mkfs=$1 status=0
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
		export TMPDIR=/mnt/tmp SNAPDRV_CACHE=/mnt/cache SNAPDRV=/tmp/machine$SNAPDRV TEST_LIMIT=5000 JOBS=$PROCESSORS SLOW=10
		cd /tmp/machine$TOP || exit 1
		# 9p shows no extended attributes but those of users.
		rm -r /mnt/cache/*/umoci-tree && tests/tools/realimage umoci-tree >/dev/null || exit 1
		tests/run ${*/%/.sh}
	END
	sed -i -E 's,( |:)([0-9]{2}-[a-z0-9-]+\.sh),\1tests/cli/\2,g' script
	"$TOP/vm-tests/boot" --machine --work vm --disk disk --memory 4000 --processors "$PROCESSORS" --limit 14000 script >out 2>err ||
		status=$?
	[ -z "${VM_OUT:-}" ] || cat out err >"$VM_OUT/${1//:/-}"
	[ $status = 0 ] || { tail -n 100 out err; fail_ "the tests in the guest"; }
	grep -qE '^[1-9][0-9]* passed, 0 failed' out || fail_ "$(tail -n 20 out)"
	figure "in the guest: $(tail -n 1 out)"
}

all() {
	local file
	for file in "$TOP"/tests/cli/*.sh; do
		basename "$file" .sh
	done
}

# shellcheck disable=SC2207,SC2206 # words are meant
FILES=(${VM_CLI:-$(all)})
for ((at = 0; at < ${#FILES[@]}; at += PORTION)); do
	case_ "tests of the program on Debian's kernel: ${FILES[*]:at:PORTION}" in_guest "mkfs.ext4 -q -O verity" "${FILES[@]:at:PORTION}"
done
