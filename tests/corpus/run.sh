#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The corpus of layers: refused/ must be refused and change nothing, inside the store and outside of
# it; good/ must give the tree that each file says (see case.py). `run.sh NAME...` runs those alone.
. "$(dirname "$0")/../lib.sh"
CORPUS=$TESTS/corpus

# A directory of the host that hostile layers aim at, and what it looks like.
CANARY=$WORK/canary
mkdir -p "$CANARY/dir"
echo "the host's own" >"$CANARY/file"
chmod 600 "$CANARY/file"
chmod 700 "$CANARY/dir" "$CANARY"
touch -d 2001-01-01 "$CANARY/file" "$CANARY/dir" "$CANARY"
treedump "$CANARY" >"$WORK/canary.before"
canary_unchanged() {
	treedump "$CANARY" >"$WORK/canary.after"
	diff "$WORK/canary.before" "$WORK/canary.after" || fail_ "the host was changed"
}

STORE=$STAGE/corpus-store
layout "$WORK" <<'END'
import sys
Layout(small_image("good", names="good:1")).write_dir(sys.argv[1] + "/good")
END

build() {
	"$PYTHON" "$CORPUS/case.py" build "$1" "$2" "$CANARY" || fail_ "the case could not be built"
	mapfile -t FACTS <"$2/facts"
}

refused_case() {
	local file=$1 built=$2
	ROOT=$STORE
	[ -e "$ROOT/snapdrv.db" ] || expect_exit 0 snap load "$WORK/good"
	SNAP_TIMEOUT=${FACTS[2]}
	WORDS=("${FACTS[@]:4}")
	if [ "${FACTS[1]}" = either ]; then
		expect_exit "0 5" snap load "$built/layout"
		canary_unchanged
		if [ -z "$ERR" ]; then
			expect_exit 0 snap create "${OUT##* }"
			"$PYTHON" "$CORPUS/case.py" check "$file" "$OUT" "$CANARY" || fail_ "the tree is not harmless"
			canary_unchanged
			snap rm --all
			snap rmi --force "$(snap --json images | pick '[i["references"][0] for i in d["images"] if "corpus" in i["references"][0]][0]')"
			return
		fi
		one_line_error "${WORDS[@]:0:2}"
		return
	fi
	refused 5 snap load "$built/layout"
	canary_unchanged
	refused 5 snap load - < <(cat "$built/archive.tar")
	canary_unchanged
}

good_case() {
	local file=$1 built=$2
	SNAP_TIMEOUT=${FACTS[2]}
	expect_exit 0 snap load "$built/layout"
	expect_exit 0 snap create "${OUT##* }"
	local rootfs=$OUT
	"$PYTHON" "$CORPUS/case.py" check "$file" "$rootfs" "$CANARY" || fail_ "the tree is not what it should be"
	if [ "${FACTS[3]}" = umoci ]; then
		skopeo --insecure-policy copy -q "oci:$built/layout" oci:copy:latest
		umoci_tree copy:latest want
		same_tree want "$rootfs" --no-root-mtime
	fi
	canary_unchanged
}

for room in refused good; do
	for file in "$CORPUS/$room"/*.py; do
		name=$(basename "$file" .py)
		[ $# = 0 ] || [[ " $* " == *" $name "* ]] || continue
		mkdir -p "$WORK/built/$name"
		build "$file" "$WORK/built/$name"
		case_ "$room/$name: ${FACTS[0]}" ${room}_case "$file" "$WORK/built/$name"
		rm -rf "$WORK/built/$name"
	done
done
