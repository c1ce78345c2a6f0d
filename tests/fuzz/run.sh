#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Run the fuzzers: first what they found before (tests/fuzz/finds/NAME/*), then, each for some seconds, new
# inputs that come of their working corpus. Two run at a time.
#
#	run.sh			`ok NAME`, or `not ok NAME` with the end of its log
#	run.sh --coverage	which lines of the parsers the working corpus reaches
#
# From outside: SECONDS_EACH (20), FUZZERS (all; "layer reference"). `make fuzz` builds what this needs.
#
#	build/fuzz/tests/fuzz/NAME	the program; NAME.c says what an input is
#	build/fuzz/seeds/NAME		made by seeds.py
#	build/fuzz/corpus/NAME		the working corpus: it stays and grows
#	build/fuzz/finds/NAME/		inputs that broke something: fix it and keep the input in tests/fuzz/finds/
#	build/fuzz/log/NAME		what it printed last
set -u -o pipefail
export LC_ALL=C PYTHONDONTWRITEBYTECODE=1
cd "$(dirname "$0")/../.." || exit 1
BUILD=$PWD/build/fuzz
export BUILD SECONDS_EACH=${SECONDS_EACH:-20} FUZZ_STORE=$BUILD/store

# As tests/lib.sh: hostile input, and root: nothing but what is built and the temporary directory can be written.
if [ -z "${FUZZ_CONFINED:-}" ]; then
	[ "$(id -u)" = 0 ] || { echo "$0: root rights are needed" >&2; exit 1; }
	mkdir -p "$BUILD"/{corpus,finds,log}
	FUZZ_CONFINED=1 exec unshare --mount --propagation private bash "$0" "$@"
fi
for dir in "$BUILD" "${TMPDIR:-/tmp}"; do
	mount --bind "$dir" "$dir" || exit 1
done
mount -o remount,bind,ro / || exit 1

names=()
for source in tests/fuzz/*.c; do
	name=$(basename "$source" .c)
	[[ " ${FUZZERS:-$name} " != *" $name "* ]] || names+=("$name")
done
[ ${#names[@]} -gt 0 ] || { echo "$0: there is no fuzzer '$FUZZERS'" >&2; exit 1; }

# A store with two images and a container, closed, and its WAL merged into the database.
make_store() {
	local place
	place=$(mktemp -d)
	# shellcheck disable=SC2064 # now
	trap "rm -rf '$place'" RETURN
	PYTHONPATH=tests/tools python3 - "$place" <<-'PYTHON' || return
		import sys
		from mklayout import *
		Layout([small_image(names="x/y:1"), small_image("other", names="z:2")]).write_dir(sys.argv[1] + "/images")
	PYTHON
	mount -t tmpfs tmpfs /mnt &&
		build/snapdrv --root /mnt/store --driver overlay -q load "$place/images" >/dev/null &&
		build/snapdrv --root /mnt/store create --no-mount --name box x/y:1 >/dev/null &&
		python3 -c 'import sqlite3; sqlite3.connect("/mnt/store/snapdrv.db").execute("PRAGMA wal_checkpoint(TRUNCATE)")' &&
		mkdir -p "$FUZZ_STORE" && cp /mnt/store/snapdrv.db "$FUZZ_STORE/" || return
	umount /mnt
}

make_seeds() {
	if [ "$BUILD/seeds" -nt tests/fuzz/seeds.py ] && [ "$BUILD/seeds" -nt build/snapdrv ]; then
		return
	fi
	make_store && rm -rf "$BUILD/seeds" && mkdir "$BUILD/seeds" && python3 tests/fuzz/seeds.py "$BUILD/seeds" "$FUZZ_STORE" &&
		touch "$BUILD/seeds"
}

# options NAME: fill OPTIONS. Memory: a program must not take more than what a hostile input is worth.
options() {
	OPTIONS=(-rss_limit_mb=1500 -malloc_limit_mb=256 -timeout=20 -print_final_stats=1 -reload=0
		"-artifact_prefix=$BUILD/finds/$1/")
	# There what a change broke is to decide, not chance.
	[ "${CI:-}" != true ] || OPTIONS+=(-seed=1)
	[ ! -e "$BUILD/seeds/$1.dict" ] || OPTIONS+=("-dict=$BUILD/seeds/$1.dict")
	case $1 in
	layer | archive) OPTIONS+=(-max_len=20000) ;;
	*) OPTIONS+=(-max_len=8192) ;;
	esac
}

fuzz() {
	local name=$1 program=$BUILD/tests/fuzz/$1 log=$BUILD/log/$1 finds
	mkdir -p "$BUILD/finds/$name" "$BUILD/corpus/$name"
	options "$name"
	mapfile -t finds < <(find "$PWD/tests/fuzz/finds/$name" -type f 2>/dev/null | sort)
	if [ ${#finds[@]} -gt 0 ]; then
		if ! "$program" "${OPTIONS[@]}" "${finds[@]}" >"$log" 2>&1; then
			echo "not ok fuzz $name: one of its ${#finds[@]} old finds breaks it again"
			tail -n 40 "$log" >&2
			return 1
		fi
		echo "ok fuzz $name: its ${#finds[@]} old finds break nothing"
	fi
	if "$program" "${OPTIONS[@]}" "-max_total_time=$SECONDS_EACH" "$BUILD/corpus/$name" "$BUILD/seeds/$name" >"$log" 2>&1; then
		echo "ok fuzz $name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") inputs in $SECONDS_EACH s"
		return
	fi
	echo "not ok fuzz $name: an input breaks it, kept in build/fuzz/finds/$name"
	tail -n 60 "$log" >&2
	return 1
}

# What the parsers are: the files that read what comes from outside, each to be covered by the fuzzers.
PARSERS="base/digest base/json base/text build/glob build/ignore build/pattern build/recipe build/recipe_from
	build/recipe_lines build/recipe_mount build/recipe_step build/recipe_values build/recipe_words build/words image/annotations image/bundle image/changes image/docker image/layout
	image/plan image/platform image/reference image/source image/stream image/user layer/acl layer/apply layer/bind
	layer/finish layer/finish_lane layer/inflate layer/link layer/marks layer/members layer/node layer/tar layer/tree
	layer/unpack store/db wire/challenge wire/retry wire/url"
coverage() {
	local name objects=() files=()
	export LLVM_PROFILE_FILE
	rm -f "$BUILD"/*.profraw
	for name in "${names[@]}"; do
		local program=$PWD/build/fuzz-coverage/tests/fuzz/$name
		LLVM_PROFILE_FILE=$BUILD/$name.profraw
		"$program" -runs=0 -rss_limit_mb=1500 "$BUILD/seeds/$name" $(for dir in "$BUILD/corpus/$name" "$PWD/tests/fuzz/finds/$name"; do
			[ ! -d "$dir" ] || echo "$dir"
		done) >"$BUILD/log/$name" 2>&1 || { tail -n 20 "$BUILD/log/$name" >&2; return 1; }
		objects+=(-object "$program")
	done
	llvm-profdata merge -o "$BUILD/coverage.profdata" "$BUILD"/*.profraw || return
	for name in $PARSERS; do
		files+=("driver/$name.c")
	done
	files+=(cli/snapdrvd_filter.c cli/snapdrvd_service.c cli/snapdrvd_snapshots.c)
	llvm-cov report "${objects[@]:1}" -instr-profile="$BUILD/coverage.profdata" "${files[@]}"
}

make_seeds || { echo "$0: the seeds could not be made" >&2; exit 1; }
if [ "${1:-}" = --coverage ]; then
	coverage
	exit
fi
status=0
running=0
for name in "${names[@]}"; do
	if [ $running = 2 ]; then
		wait -n || status=1
		running=1
	fi
	fuzz "$name" &
	running=$((running + 1))
done
while [ $running -gt 0 ]; do
	wait -n || status=1
	running=$((running - 1))
done
exit $status
