#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# build beside buildah: the Dockerfiles of tests/build give the same configs and trees, but for what stands there.
. "$(dirname "$0")/../lib.sh"
. "$TOOLS/collection.sh"
buildah_takes_bases

agrees() {
	NAME=$1
	prepare "$1"
	if grep -qx 'buildah fails' differs 2>/dev/null; then
		if theirs; then fail_ "buildah does not fail any more"; fi
		return
	fi
	ours
	theirs || fail_ "buildah fails"
	$CHECK same differs "$CONFIG" "$TREE" "$THEIR_CONFIG" "$THEIR_TREE" || fail_ "not the same"
}

for name in $(collection good); do
	case_ "$name: buildah gives the same" agrees "$name"
done
