#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# build: every Dockerfile of tests/build gives what stands beside it, or is refused with its line.
. "$(dirname "$0")/../lib.sh"
. "$TOOLS/collection.sh"

# Nothing is left where things are made, and the store is sound.
sound() {
	same "" "$(ls "$ROOT/staging")"
	expect_exit 0 snap check
}

gives() {
	prepare "$1"
	ours
	$CHECK expect expect "$CONFIG" "$TREE" || fail_ "not what is expected"
	same "" "$(snap ls -q | grep -vx built || :)"
	sound
}

# What is refused leaves no image, no container, no mount and a sound store; lib.sh looks for mounts.
is_refused() {
	local exits error
	prepare "$1"
	exits=$(sed -n 's/^exit //p' expect) error=$(sed -n 's/^error //p' expect)
	expect_exit 0 snap load "$WORK/base.tar"
	snap images >"$CASE/.before"
	expect_exit "$exits" snap build -q "${ARGS[@]}" "${FILE[@]}" -t localhost/built:1 context
	grep -E '^snapdrv: ' <<<"$ERR" | tail -n 1 | grep -qF -- "$error" || fail_ "want '$error', not: $ERR"
	[ "$exits" != 5 ] || one_line_error
	snap images | diff "$CASE/.before" - || fail_ "there is an image"
	same "" "$(snap ls -q)"
	sound
}

for name in $(collection good); do
	case_ "$name: gives what is expected" gives "$name"
done
for name in $(collection bad); do
	case_ "$name: is refused, with the line, and leaves nothing" is_refused "$name"
done
