#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# build: every Dockerfile of tests/build that can be built gives what stands beside it, and what buildah makes of it:
# the same config and tree, but for what the file `differs` says.
. "$(dirname "$0")/../lib.sh"
. "$TOOLS/collection.sh"
buildah_takes_bases

agrees() {
	if grep -qx 'buildah fails' differs 2>/dev/null; then
		if theirs; then fail_ "buildah does not fail any more"; fi
		return
	fi
	theirs || fail_ "buildah fails"
	$CHECK same differs "$CONFIG" "$TREE" "$THEIR_CONFIG" "$THEIR_TREE" || fail_ "not what buildah gives"
}

gives() {
	prepare "$1"
	ours
	$CHECK expect expect "$CONFIG" "$TREE" || fail_ "not what is expected"
	same "" "$(snap ls -q | grep -vx built || :)"
	sound
	agrees
}

for name in $(collection good); do
	case_ "$name: gives what is expected, and what buildah gives" gives "$name"
done
