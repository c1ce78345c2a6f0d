#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# build beside buildah: what we refuse of tests/build buildah refuses too, or the reason why not stands there.
. "$(dirname "$0")/../lib.sh"
. "$TOOLS/collection.sh"
buildah_takes_bases

# What we refuse, buildah refuses too, or the file says why not.
refused_by_both() {
	NAME=$1
	prepare "$1"
	if grep -qx 'buildah builds' differs 2>/dev/null; then
		theirs || fail_ "buildah does not build it any more"
		return
	fi
	if theirs; then fail_ "buildah builds it"; fi
}

for name in $(collection bad); do
	! grep -qx 'buildah is not asked' "$COLLECTION/$name/differs" 2>/dev/null || continue
	case_ "$name: buildah refuses it too, but for what stands there" refused_by_both "$name"
done
