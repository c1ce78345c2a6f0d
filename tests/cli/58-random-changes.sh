#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Random changes of containers, drawn from seeds: diff finds what another way of comparing finds, commit gives
# the container's tree wherever the image is loaded, and the same DiffID on each driver.
#
# From outside: N (seeds, 7), SEED (the first, 1), BACKENDS ("overlay btrfs vfs").
. "$(dirname "$0")/../lib.sh"

N=${N:-7} SEED=${SEED:-1}
CHANGES=$TOOLS/randomchanges.py

# one_change DRIVER SEED: in $HERE; OUT is the image's DiffIDs.
one_change() {
	local driver=$1 seed=$2 rootfs digest
	ROOT=$HERE/store.$seed SNAPDRV_DRIVER=$driver
	expect_exit 0 snap import "$CASE/$seed.tar" base:1
	expect_exit 0 snap create --name base base:1
	base=$OUT
	expect_exit 0 snap create --name c base:1
	rootfs=$OUT
	python "$CHANGES" change "$seed" "$rootfs"
	python "$CHANGES" expect "$base" "$rootfs" >want
	expect_exit 0 snap diff c
	diff -a want "$CASE/.stdout" || fail_ "seed $seed: diff"
	treedump "$rootfs" | grep -v ' socket ' >tree
	expect_exit 0 snap umount c base
	expect_exit 0 snap commit c new:1
	expect_exit 0 snap --json inspect new:1
	digest=$(pick 'list(d.values())[0][0]["Digest"]' <"$CASE/.stdout")
	ids=$(pick 'list(d.values())[0][0]["RootFS"]["Layers"]' <"$CASE/.stdout")
	# Once more: the same layer.
	expect_exit 0 snap commit c again:1
	expect_exit 0 snap --json inspect again:1
	same "$ids" "$(pick 'list(d.values())[0][0]["RootFS"]["Layers"]' <"$CASE/.stdout")"
	rm -rf "${HERE:?}/layout"
	python "$CHANGES" layout "$ROOT" "$digest" "$HERE/layout"
	ROOT=$HERE/elsewhere.$seed
	expect_exit 0 snap load "$HERE/layout"
	expect_exit 0 snap create --name c committed:1
	treedump "$OUT" >got
	diff -a tree got || fail_ "seed $seed: the tree"
	expect_exit 0 snap umount c
	expect_exit 0 snap rm c
	# What is exported is the same tree, too.
	ROOT=$HERE/store.$seed
	snap export c >"$HERE/export.tar"
	ROOT=$HERE/elsewhere.$seed
	expect_exit 0 snap import "$HERE/export.tar" exported:1
	expect_exit 0 snap create --name e exported:1
	treedump "$OUT" >got
	diff -a tree got || fail_ "seed $seed: the exported tree"
	expect_exit 0 snap umount e
	OUT=$ids
}

random_changes() {
	local seed driver first
	loop_fs "$CASE/btrfs" 8G mkfs.btrfs -q
	for ((seed = SEED; seed < SEED + N; seed++)); do
		python "$CHANGES" base "$seed" "$CASE/$seed.tar"
		first=
		for driver in ${BACKENDS:-overlay btrfs vfs}; do
			HERE=$CASE/$driver
			mkdir -p "$HERE"
			one_change "$driver" "$seed"
			if [ -n "$first" ]; then
				diff -a first tree || fail_ "seed $seed: the change itself is another one on $driver"
				[ "$first" = "$OUT" ] || fail_ "seed $seed: another DiffID on $driver"
			fi
			first=$OUT
			cp tree first
			if [ "$driver" != btrfs ]; then
				rm -rf --one-file-system "${HERE:?}/store.$seed" "${HERE:?}/elsewhere.$seed"
			fi
		done
	done
}
case_ "$N random changes (seeds $SEED-$((SEED + N - 1))): diff, commit, load elsewhere, export, on each driver alike" random_changes
