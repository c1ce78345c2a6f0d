#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A disk that is really full, at each point of a command; a quota that is used up.
# FULL_STEPS: at so many points (24, or 4 with FAULT_SECONDS).
. "$(dirname "$0")/common.bash"

STEPS=${FULL_STEPS:-$([ -n "${FAULT_SECONDS:-}" ] && echo 4 || echo 24)}
layout "$SOURCES" <<'END'
import random, sys
random.seed(8)
victim = Image([[directory("."), file("random", random.randbytes(3 << 20))]], names="victim:1")
Layout(victim).write_dir(f"{sys.argv[1]}/victim")
END

# full COMMAND OPTION...: full.py on the filesystem at small/.
full() {
	local command=$1
	shift
	mkdir small/work
	"$PYTHON" "$FAULTS/full.py" --snapdrv "$SNAPDRV" --driver "$BACKEND" --work "$CASE/small/work" \
		--sources "$SOURCES" --steps "$STEPS" --command "$command" "$@"
}

on() {
	local command=$1 size=$2
	shift 2
	loop_fs "$CASE/small" "$size" "$@"
	full "$command"
}

quota() {
	truncate -s 64M small.img
	mkfs.ext4 -q -O quota,project small.img
	mkdir small
	mount -o loop,prjquota small.img "$CASE/small" 2>/dev/null || skip_optional "no project quota on ext4 here"
	echo "$CASE/small" >>"$WORK/own-mounts"
	full "$1" --quota "$(findmnt -no SOURCE small)"
}

for command in load load-stream load-docker import create commit save save-dir; do
	is_wanted $command || continue
	case $BACKEND in
	btrfs) case_ "$command on a btrfs that gets full" on $command 256M mkfs.btrfs -q --mixed ;;
	*)
		case_ "$command on an ext4 that gets full" on $command 64M mkfs.ext4 -q -m 0
		case_ "$command on an xfs that gets full" on $command 300M mkfs.xfs -q
		case_ "$command under a quota that is used up" quota $command
		;;
	esac
done
