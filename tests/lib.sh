# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The harness of the shell tests. A test file sources it, writes functions, and gives each a sentence:
#
#	. "$(dirname "$0")/../lib.sh"
#	layout() { expect_exit 0 snap load "$LAYOUT"; same_tree "$WANT" "$GOT"; }
#	case_ "load of an OCI layout gives umoci's tree" layout
#
# A case runs in a subshell with `set -e`, in a directory of its own ($CASE, which is also where it
# stands) with a store of its own ($ROOT, not made yet). It prints `ok SENTENCE`, `skip SENTENCE: WHY`
# or `not ok SENTENCE`, the last with the reason and the case's output on stderr. What was mounted is
# unmounted after each case; a mount, a loop device or a temporary file that the program under test
# left behind is a failure of its own. The file exits 1 when a case failed.
#
# From outside: SNAPDRV (build/snapdrv), BACKEND (overlay), SNAPDRV_CACHE (/var/cache/snapdrv-test),
# TMPDIR (/tmp), ONLY (a regular expression: run only the cases whose sentence matches), NOSYS (system calls
# that the program under test cannot have), SLOW (how many times slower than others this machine is: so much longer is waited).

set -u -o pipefail
export LC_ALL=C PYTHONDONTWRITEBYTECODE=1
umask 022

TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TOP=$(dirname "$TESTS")
TOOLS=$TESTS/tools
SNAPDRV=$(realpath "${SNAPDRV:-$TOP/build/snapdrv}")
BACKEND=${BACKEND:-overlay}
CACHE=${SNAPDRV_CACHE:-/var/cache/snapdrv-test}
# Debian's own starts in a quarter of the time that one of a version manager takes. See python().
PYTHON=${PYTHON:-$([ -x /usr/bin/python3 ] && echo /usr/bin/python3 || python3 -c 'import sys; print(sys.executable)')}
export TESTS TOP TOOLS SNAPDRV BACKEND PYTHON SNAPDRV_CACHE=$CACHE SNAPDRV_DRIVER=$BACKEND
unset SNAPDRV_ROOT

# The tests run as root, with hostile layers and a program that may be wrong: so in a mount namespace of
# their own, where all of the machine but the temporary directory and the cache is read-only.
if [ -z "${SNAPDRV_TEST_CONFINED:-}" ]; then
	[ "$(id -u)" = 0 ] || { echo "$0: root rights are needed" >&2; exit 1; }
	SNAPDRV_TEST_CONFINED=1 exec unshare --mount --propagation private bash "$0" "$@"
fi
unset SNAPDRV_TEST_CONFINED
mkdir -p "$CACHE"
for dir in "${TMPDIR:-/tmp}" "$CACHE"; do
	mount --bind "$dir" "$dir" || exit 1
done
mount -o remount,bind,ro / || exit 1
if touch "/etc/snapdrv-test.$$" 2>/dev/null; then
	rm "/etc/snapdrv-test.$$"
	echo "$0: the machine is not read-only for the test" >&2
	exit 1
fi

WORK=$(mktemp -d "${TMPDIR:-/tmp}/snapdrv-test.XXXXXX")
# Where netavark is, podman and buildah lock a file in the directory of networks, even for none.
export CONTAINERS_CONF=$WORK/containers.conf
printf '[network]\nnetwork_config_dir = "%s"\n' "$WORK/networks" >"$CONTAINERS_CONF"
FILE_STATUS=0
CASE_NUMBER=0

# ---- cleaning up ------------------------------------------------------------------------------

# read_mounts DIR: fill the array MOUNTS with the mount points at and below DIR, the latest first.
read_mounts() {
	local path
	MOUNTS=()
	while read -r _ _ _ _ path _; do
		path=${path//\\040/ } path=${path//\\011/$'\t'} path=${path//\\012/$'\n'}
		path=${path//\\134/\\}
		case $path in
		"$1" | "$1"/*) MOUNTS=("$path" "${MOUNTS[@]}") ;;
		esac
	done </proc/self/mountinfo
}

# mounts_under DIR: the same, printed, a line for each.
mounts_under() {
	read_mounts "$1"
	[ ${#MOUNTS[@]} = 0 ] || printf '%q\n' "${MOUNTS[@]}"
}

# loops_under DIR: loop devices whose backing file is below DIR.
loops_under() {
	local at file
	for at in /sys/block/loop*/loop; do
		file=$(<"$at/backing_file") || continue
		[[ $file != "$1"/* ]] || basename "${at%/loop}"
	done 2>/dev/null
}

# Unmount everything below DIR; say on stdout what no test made and no container explains.
unmount_under() {
	local path
	read_mounts "$1"
	for path in "${MOUNTS[@]}"; do
		case $path in
		*/containers/*/rootfs) ;;
		*) grep -qxF -- "$path" "$WORK/own-mounts" 2>/dev/null || echo "mount left behind: $path" ;;
		esac
		umount "$path" 2>/dev/null || umount -l "$path"
	done
	loops_under "$1" | while read -r path; do
		echo "loop device left behind: $path"
		losetup -d "/dev/$path"
	done
}

finish() {
	local status=$? left
	trap - EXIT
	[ $FILE_STATUS != 0 ] || FILE_STATUS=$status
	cd / || exit 1
	left=$(unmount_under "$WORK")
	if [ -n "$left" ]; then
		echo "not ok nothing is left behind by $(basename "$0")"
		echo "$left" >&2
		FILE_STATUS=1
	fi
	if [ -n "${KEEP:-}" ]; then
		echo "kept: $WORK" >&2
	else
		chattr -R -i "$WORK" 2>/dev/null
		rm -rf --one-file-system "$WORK"
	fi
	exit $FILE_STATUS
}
trap finish EXIT
CASE_SENTENCE=
trap 'FILE_STATUS=130; [ -z "$CASE_SENTENCE" ] || echo "not ok $CASE_SENTENCE: stopped"; exit 130' INT TERM

# A btrfs store needs a btrfs: the cases then stand on one. With vfs they do on an xfs without reflinks: ext4 looks long
# for an inode that was not deleted in the last five seconds (recently_deleted()), when many files are made and removed.
STAGE=$WORK
declare -A STAGE_MKFS=([btrfs]="mkfs.btrfs -q" [vfs]="mkfs.xfs -q -m reflink=0")
if [ -n "${STAGE_MKFS[$BACKEND]:-}" ]; then
	STAGE=$WORK/stage
	mkdir "$STAGE"
	truncate -s 8G "$WORK/stage.img"
	${STAGE_MKFS[$BACKEND]} "$WORK/stage.img" && mount -o loop "$WORK/stage.img" "$STAGE" || exit 1
	echo "$STAGE" >>"$WORK/own-mounts"
fi

# ---- cases ------------------------------------------------------------------------------------

# What a program left in the directory where this stands.
temporary_files() {
	local file
	for file in .[!.]* ..?* *; do
		[ ! -e "$file" ] && [ ! -L "$file" ] || printf 'temporary file left behind: %s\n' "$file"
	done
}

# case_ SENTENCE FUNCTION [ARGUMENT...]
case_() {
	local status left
	CASE_SENTENCE=$1
	shift
	[[ $CASE_SENTENCE =~ ${ONLY:-.*} ]] || return 0
	CASE_NUMBER=$((CASE_NUMBER + 1))
	CASE=$STAGE/$CASE_NUMBER
	ROOT=$CASE/store
	mkdir -p "$CASE/tmp"
	[ ! -e "$WORK/why" ] || rm "$WORK/why"
	(
		set -eE
		cd "$CASE"
		trap 'echo "status $? from line $LINENO of ${BASH_SOURCE[0]##*/}: $BASH_COMMAND" >&2' ERR
		trap '[ -z "${!:-}" ] || kill -9 $(jobs -p) 2>/dev/null || :' EXIT
		"$@"
	) >"$WORK/output" 2>&1 </dev/null
	status=$?
	left=$(unmount_under "$CASE"; cd "$CASE/tmp" && temporary_files)
	if [ $status = 77 ] && [ -f "$WORK/why" ] && [ -z "$left" ]; then
		echo "skip $CASE_SENTENCE: $(<"$WORK/why")"
	elif [ $status = 0 ] && [ -z "$left" ]; then
		echo "ok $CASE_SENTENCE"
		# Seldom: most cases need no grep. bash warns of a NUL.
		{ [[ $(<"$WORK/output") != *"figure: "* ]]; } 2>/dev/null || grep -a '^figure: ' "$WORK/output" || :
	else
		echo "not ok $CASE_SENTENCE"
		{
			echo "$CASE_SENTENCE:"
			tail -n 40 "$WORK/output" | sed 's/^/	/'
			[ -z "$left" ] || echo "	$left"
		} >&2
		FILE_STATUS=1
	fi
	if [ -z "${KEEP:-}" ]; then
		rm -rf --one-file-system "$CASE" 2>/dev/null
		[ ! -e "$CASE" ] || { btrfs_drop "$CASE"; rm -rf --one-file-system "$CASE"; }
	fi
	CASE_SENTENCE=
}

# Subvolumes cannot always be removed by rm.
btrfs_drop() {
	btrfs subvolume list -o "$1" 2>/dev/null | awk '{ print $NF }' | tac | while read -r path; do
		btrfs subvolume delete "$STAGE/$path" >/dev/null
	done
}

# skip_ WHY: this machine cannot run the case. A failure in CI, unless it is skip_optional.
skip_() {
	printf '%s\n' "$*" >"$WORK/why"
	exit 77
}

skip_optional() {
	skip_ "not required here: $*"
}

# needs_calls NAME...: the case is about these system calls; `make check-nosys` takes some away.
needs_calls() {
	local call
	for call; do
		[[ " ${NOSYS:-} " != *" $call "* ]] || skip_optional "$call answers ENOSYS in this run"
	done
}

# fail_ WHY: the case failed.
fail_() {
	trap - ERR
	printf '%s\n' "$*" >&2
	exit 1
}

# has [OPTION]... PATTERN: what comes in has it. All of it is read: grep -q leaves when it knows, and whoever still writes
# to it dies of SIGPIPE.
has() {
	[ -n "$(grep "$@")" ]
}

# figure WORDS: a measured number, shown with the result.
figure() {
	echo "figure: $*"
}

# timeout(1) by the seconds of a machine that is not slow.
if [ "${SLOW:-1}" != 1 ]; then
	timeout() {
		local options=()
		while [[ $1 == -* ]]; do
			options+=("$1")
			[[ $1 != -[ks] ]] || { options+=("$2"); shift; }
			shift
		done
		command timeout "${options[@]}" "$(($1 * SLOW))" "${@:2}"
	}
fi

# ---- the program under test -------------------------------------------------------------------

# SNAP_TIMEOUT: how many seconds it may take, where a case is about that; the file has a limit as a whole.
snap() {
	local limit=()
	[ -z "${SNAP_TIMEOUT:-}" ] || limit=(timeout --foreground -k 5 "$SNAP_TIMEOUT")
	TMPDIR=$CASE/tmp "${limit[@]}" "$SNAPDRV" --root "$ROOT" "$@"
}

# expect_exit CODE COMMAND...: run it; OUT and ERR are what it printed. CODE may be several, "2 3".
expect_exit() {
	local want=$1 got=0
	shift
	"$@" >"$CASE/.stdout" 2>"$CASE/.stderr" || got=$?
	OUT=$(<"$CASE/.stdout") ERR=$(<"$CASE/.stderr")
	if [[ " $want " == *" $got "* ]]; then
		# Tests write below what create and mount print: it must be a rootfs of ours.
		[ "$got" != 0 ] || [[ ! " $* " =~ " "(create|mount)" " ]] || [[ " $* " == *" --json "* ]] ||
			{ [[ $OUT == "$STAGE"/*/containers/*/rootfs && $OUT != *..* ]] && [ -d "$OUT" ]; } ||
			fail_ "'$OUT' is not the path of a rootfs; from: $*"
		return
	fi
	fail_ "exit $got, not $want, from: $*"$'\n'"stdout: $OUT"$'\n'"stderr: $ERR"
}

# one_line_error [WORD...]: stderr of the last expect_exit is one line, `snapdrv: WHAT: WHY`, which
# has each WORD in it, and nothing is on stdout.
one_line_error() {
	local word lines
	mapfile lines <"$CASE/.stderr"
	[ ${#lines[@]} = 1 ] && [[ ${lines[0]} == *$'\n' ]] || fail_ "not one line on stderr: $ERR"
	[[ $ERR == "snapdrv: "*": "* ]] || fail_ "not 'snapdrv: WHAT: WHY': $ERR"
	[ -z "$OUT" ] || fail_ "an error, and on stdout: $OUT"
	for word; do
		[[ $ERR == *"$word"* ]] || fail_ "the error does not say '$word': $ERR"
	done
}

# refused CODE COMMAND...: it fails so, with one line, and the store is exactly as it was. Words that
# the line must have come in the array WORDS.
WORDS=()
refused() {
	local code=$1
	shift
	[ -e "$ROOT/snapdrv.db" ] || expect_exit 0 snap images
	store_snapshot "$CASE/.before"
	expect_exit "$code" "$@"
	one_line_error ${WORDS[@]+"${WORDS[@]}"}
	store_snapshot "$CASE/.after"
	diff -u "$CASE/.before" "$CASE/.after" >"$CASE/.difference" ||
		fail_ "the store has changed:"$'\n'"$(head -n 30 "$CASE/.difference")"
}

# store_snapshot FILE: every row of every table, and every file of the store.
store_snapshot() {
	python "$TOOLS/storedump" "$ROOT" >"$1"
}

# rootfs_of SOURCE [OPTION...]: load one image, make a container; OUT is its rootfs.
rootfs_of() {
	expect_exit 0 snap load "$@"
	[ "$(wc -l <"$CASE/.stdout")" = 1 ] || fail_ "not one line from load: $OUT"
	expect_exit 0 snap create "${OUT##* }"
}

# python ARGUMENT...: by one that is started already where tests/run has one (tools/pythond), so that it is no process of
# this shell's: what is to get a signal, or to wait beside the case, is "$PYTHON".
python() {
	"${PYTHON_CLIENT:-$PYTHON}" "$@"
}

# ---- trees, documents, images -----------------------------------------------------------------

treedump() {
	python -IS "$TOOLS/treedump" "$@"
}

# same_tree WANT GOT [TREEDUMP-OPTION...]: the two trees are the same.
same_tree() {
	local want=$1 got=$2
	shift 2
	treedump "$@" "$want" >"$CASE/.want"
	treedump "$@" "$got" >"$CASE/.got"
	[ "$(wc -l <"$CASE/.want")" -gt 1 ] || fail_ "nothing to compare in $want"
	diff -u "$CASE/.want" "$CASE/.got" >"$CASE/.difference" ||
		fail_ "the trees differ:"$'\n'"$(head -n 30 "$CASE/.difference" | cut -c 1-400)"
}

# same WANT GOT: two strings are the same.
same() {
	[ "$1" = "$2" ] || fail_ "want: $1"$'\n'"got:  $2"
}

# pick EXPRESSION: from the JSON document on stdin (`d`), what the Python expression gives.
pick() {
	python -IS -c '
import json, sys
d = json.load(sys.stdin)
v = eval(sys.argv[1])
print(v if isinstance(v, str) else json.dumps(v))' "$1"
}

# holds EXPRESSION: it is true of the JSON document that the last expect_exit printed.
holds() {
	local answer
	answer=$(pick "bool($1)" <"$CASE/.stdout") || fail_ "cannot look at '$1' in: $OUT"
	[ "$answer" = true ] || fail_ "does not hold: $1 in: $OUT"
}

# layout [ARGUMENT...]: run a Python program from stdin that uses tools/mklayout.py.
layout() {
	{
		echo 'from mklayout import *'
		cat
	} | PYTHONPATH=$TOOLS python -S - "$@" || fail_ "the test's own image could not be made"
}

# real KIND: path of an image that other programs made; see tools/realimage.
real() {
	"$TOOLS/realimage" "$1" 2>"$WORK/real.log" || fail_ "no image '$1': $(tail -n 20 "$WORK/real.log")"
}

# umoci_tree LAYOUT:TAG DIR: what umoci makes of an image.
umoci_tree() {
	umoci raw unpack --image "$1" "$2" 2>"$CASE/.umoci" || fail_ "umoci: $(<"$CASE/.umoci")"
}

# own_mount COMMAND...: mount for the test itself; the mount point is the last argument.
own_mount() {
	"$@"
	printf '%s\n' "${*: -1}" >>"$WORK/own-mounts"
}

# loop_fs DIR SIZE MKFS...: a filesystem of its own at DIR.
loop_fs() {
	local dir=$1 size=$2
	shift 2
	truncate -s "$size" "$dir.img"
	"$@" "$dir.img" >/dev/null
	mkdir -p "$dir"
	own_mount mount -o loop "$dir.img" "$dir"
}

# compile_helper SOURCE PROGRAM: a C program of the tests with the library that is tested, inside of which it may look.
# LIBRARY is another one.
compile_helper() {
	local library=${LIBRARY:-$(dirname "$SNAPDRV")/libsnapdrv.a} sanitize=()
	[ -f "$library" ] || fail_ "there is no $library: make build"
	# Not by the status: grep -q would end nm.
	if [ -n "$(nm "$library" 2>/dev/null | grep __asan_init)" ]; then
		sanitize=(-fsanitize=address,undefined -fno-sanitize-recover=undefined)
	fi
	# Linked as the program is, which saves time at each start.
	gcc -std=gnu17 -D_GNU_SOURCE -Wall -Wextra -Wshadow -Werror -O1 -g "${sanitize[@]}" -I"$TOP/driver" "$1" "$library" -o "$2" \
		-Wl,-Bstatic -larchive -lbtrfsutil -lcrypto -ljansson -lsqlite3 -lxxhash -lzstd -lbz2 -llzma -lz \
		-Wl,-Bdynamic -lisal -lmount -lm -pthread
}

# wait_for SECONDS COMMAND...: until it succeeds.
wait_for() {
	local tries=$(($1 * 20 * ${SLOW:-1}))
	shift
	while ! "$@" >/dev/null 2>&1; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || fail_ "waited in vain for: $*"
		sleep 0.05
	done
}

mounted() {
	mountpoint -q "$1"
}
