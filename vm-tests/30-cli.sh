#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Files of tests/cli in a guest, on Debian's kernel (6.1: an overlay takes no layers one at a time there). An emulated
# processor is slow: VM_CLI names others than these. All that need no compiler, registry or network are fit.
# 63-many-layers fails there: while an image is loaded, its layers have long names (staging/SESSION/N), of which one page
# of mount options holds 113.
. "$(dirname "$0")/../tests/lib.sh"

FITTING="20-import 30-create 55-diff"
PROGRAMS="/usr/bin/python3 awk attr basename cat chattr chmod chown comm cp cut date dd diff dirname du env find getfattr grep
	gzip head id kill ln losetup ls mkdir mkfifo mknod mktemp mount mountpoint mv od paste printf ps realpath rm rmdir sed seq skopeo
	setfattr setfacl setpriv sha256sum sleep sort stat strace sync tail tar tee timeout touch tr truncate umoci umount unshare wc
	xargs xz zstd bzip2"

in_guest() {
	local driver=$1 mkfs=$2 programs=() program files=()
	shift 2
	own_mount mount -t tmpfs tmpfs "$CASE"
	cd "$CASE"
	mkdir tmp vm
	truncate -s 2G disk
	$mkfs disk
	for program in $PROGRAMS; do
		! command -v "$program" >/dev/null || programs+=(--program "$program")
	done
	for program; do
		files+=("tests/cli/$program.sh")
	done
	cat >script <<-END
		mount /dev/vda /mnt && mkdir /mnt/tmp /mnt/cache || exit 1
		export TMPDIR=/mnt/tmp SNAPDRV_CACHE=/mnt/cache SNAPDRV=/usr/bin/snapdrv BACKEND=$driver TEST_LIMIT=1500
		chmod 1777 /mnt/tmp
		bash ./tests/run ${files[*]}
	END
	"$TOP/vm-tests/boot" --work vm --disk disk --file "tests=$TOP/tests" --tree /usr/lib/python3.11 "${programs[@]}" \
		--memory 3000 --limit 6000 script >out 2>err || { tail -n 60 out err; fail_ "the tests in the guest"; }
	grep -qE '^[1-9][0-9]* passed, 0 failed' out || fail_ "$(tail -n 20 out)"
	figure "in the guest: $(tail -n 1 out)"
}
# shellcheck disable=SC2086 # words are meant
case_ "tests of the program on Debian's kernel, driver overlay" in_guest overlay "mkfs.ext4 -q" ${VM_CLI:-$FITTING}
