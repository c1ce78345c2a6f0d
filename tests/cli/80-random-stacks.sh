#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Random stacks of layers, drawn from seeds: each is the tree of the model in tools/randomstack.py (section 5
# of the design), on every backend, and umoci's where umoci can.
#
# From outside: N (stacks, 60), SEED (the first, 1), BACKENDS ("overlay btrfs vfs").
. "$(dirname "$0")/../lib.sh"

N=${N:-60} SEED=${SEED:-1}
SEEDS="seeds $SEED-$((SEED + N - 1))"

random_stacks() {
	local driver=$1 place=$CASE
	if [ "$2" = btrfs ]; then
		place=$CASE/btrfs
		loop_fs "$place" 4G mkfs.btrfs -q
	fi
	unset SNAPDRV_DRIVER
	mkdir "$place/work"
	TMPDIR=$CASE/tmp "$PYTHON" "$TOOLS/randomstack.py" check "$SEED" "$N" "$place/work" "$driver"
}
for backend in ${BACKENDS:-overlay btrfs vfs}; do
	if [ "$backend" != btrfs ]; then
		case_ "$N random stacks ($SEEDS) are the model's tree on $backend" random_stacks "$backend" here
	fi
	# There vfs has reflinks.
	if [ "$backend" != overlay ]; then
		case_ "$N random stacks ($SEEDS) are the model's tree on $backend, on a btrfs" random_stacks "$backend" btrfs
	fi
done

umoci_stacks() {
	command -v umoci >/dev/null || skip_ "there is no umoci"
	mkdir "$CASE/work"
	TMPDIR=$CASE/tmp "$PYTHON" "$TOOLS/randomstack.py" check-umoci "$SEED" "$N" "$CASE/work"
}
case_ "random stacks ($SEEDS) are umoci's tree where umoci can" umoci_stacks
