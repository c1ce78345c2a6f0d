#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Power cuts, see power-cuts: VM_CUTS of them on each filesystem (300), and an eighth of that in each of three
# recoveries; VM_STEPS commands of the guest (60), SEED (1). With less than 100 cuts, for continuous integration,
# recoveries are cut on ext4 alone, and one control run is made of four.
. "$(dirname "$0")/../tests/lib.sh"

CUTS=${VM_CUTS:-300} STEPS=${VM_STEPS:-60} SEED=${SEED:-1}

power_cuts() {
	own_mount mount -t tmpfs tmpfs "$CASE"
	mkdir "$CASE/tmp" "$CASE/work"
	"$TOP/vm-tests/power-cuts" --work "$CASE/work" --seed "$SEED" --steps "$STEPS" --cuts "$CUTS" "$@"
}

# What is not synced is lost: a check that does not see that sees nothing.
caught() {
	local status=0
	power_cuts --leave-out "$@" >found || status=$?
	cat found
	[ $status = 1 ] || fail_ "exit $status, not 1"
	grep -E "^cut .*: (image|container) .* (is lost|is \('f', )" found || fail_ "not because of what was lost"
}

again() {
	[ "$CUTS" -lt 100 ] && [ "$1" != ext4 ] && echo 0 || echo $((CUTS / 8))
}
for at in ext4:overlay xfs:overlay btrfs:btrfs; do
	case_ "power cuts on ${at%:*}, driver ${at#*:}" power_cuts --filesystem "${at%:*}" --driver "${at#*:}" \
		--again "$(again "${at%:*}")"
done
case_ "that syncfs(2) is left out on ext4 is found" caught syncfs --filesystem ext4
# Looked at in a guest too, where this machine's kernel has no f2fs: slowly, 300 and their recoveries in more than an hour.
f2fs() {
	local CUTS=$CUTS
	[ "$CUTS" -ge 100 ] || CUTS=$((CUTS / 5))
	power_cuts --filesystem f2fs --again "$(again f2fs)"
}
case_ "power cuts on f2fs, driver overlay" f2fs
[ "$CUTS" -ge 100 ] || exit "$FILE_STATUS"

case_ "that syncfs(2) is left out on xfs is found" caught syncfs --filesystem xfs
case_ "that syncfs(2) is left out on btrfs is found" caught syncfs --filesystem btrfs --driver btrfs
CUTS=$((CUTS / 5)) case_ "that syncfs(2) is left out on f2fs is found" caught syncfs --filesystem f2fs
case_ "that load, import and commit do not sync is found" caught load --filesystem ext4
CUTS=$((CUTS / 3))
case_ "power cuts on btrfs, driver overlay" power_cuts --filesystem btrfs --driver overlay
case_ "power cuts on ext4, driver vfs" power_cuts --filesystem ext4 --driver vfs
