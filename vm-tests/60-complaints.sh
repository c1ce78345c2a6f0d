#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The tests of the other files would notice what the guest's kernel complains of: here it is made to.
. "$(dirname "$0")/../tests/lib.sh"

# complained WORDS SCRIPT: boot tells of it, whatever the script's own status.
complained() {
	own_mount mount -t tmpfs tmpfs "$CASE"
	cd "$CASE"
	mkdir tmp vm
	echo "$2" >script
	expect_exit 99 "$TOP/vm-tests/boot" --work vm "${@:3}" script
	[[ $ERR == *"$1"* ]] || fail_ "not told of: $ERR"
}
case_ "a warning of the kernel is a failure" complained "the guest's kernel: " \
	'echo "<4>WARNING: CPU: 0 PID: 1 at fs/overlayfs/super.c:1 nothing" >/dev/kmsg; true'
case_ "so is what lockdep says" complained "possible circular locking" \
	'echo "<4>======= possible circular locking dependency detected" >/dev/kmsg; true'
case_ "the oldest line of a long log is looked at too" complained "Oops: 0002" \
	'echo "<4>Oops: 0002 [#1] SMP" >/dev/kmsg; for n in $(seq 20000); do echo "<6>line $n of many, each of them made longer by these words" >/dev/kmsg; done'
case_ "a crash of the kernel is a failure" complained "did not end by itself" 'echo c >/proc/sysrq-trigger'

quiet() {
	own_mount mount -t tmpfs tmpfs "$CASE"
	cd "$CASE"
	mkdir tmp vm
	echo 'echo "<6>nothing to say" >/dev/kmsg; exit 3' >script
	expect_exit 3 "$TOP/vm-tests/boot" --work vm script
	same "" "$ERR"
}
case_ "without a complaint the script's own status comes back" quiet
