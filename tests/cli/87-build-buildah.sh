#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# build beside buildah: the Dockerfiles of tests/build give the same configs and trees, but for what stands there.
. "$(dirname "$0")/../lib.sh"
. "$TOOLS/collection.sh"

# Places of its own, as the machine is read-only; no network. Its images stay for all cases.
mkdir -p "$WORK/buildah"/{root,run,tmp}
buildah_() {
	# shellcheck disable=SC2016 # for the inner shell
	TMPDIR=$WORK/buildah/tmp timeout -k 5 120 unshare --mount --net --propagation private sh -c '
		for place in /run /var/tmp /var/lib/containers; do
			[ ! -d $place ] || mount -t tmpfs none $place || exit
		done
		exec buildah --root "$0/root" --runroot "$0/run" --storage-driver vfs "$@"' "$WORK/buildah" "$@"
}

# theirs: the same by buildah; THEIR_CONFIG and THEIR_TREE are what it gave.
theirs() {
	local archive=$CASE/theirs.tar args=("${ARGS[@]}")
	buildah_ bud -q --format docker --isolation chroot --layers=false --pull=never --identity-label=false \
		"${args[@]}" "${FILE[@]}" -t "localhost/$NAME:theirs" context || return
	buildah_ push -q --disable-compression "localhost/$NAME:theirs" "docker-archive:$archive:localhost/theirs:1" ||
		fail_ "buildah cannot push"
	expect_exit 0 snap load "$archive"
	THEIR_CONFIG=$CASE/theirs.json
	config_of localhost/theirs:1 "$THEIR_CONFIG"
	expect_exit 0 snap create --name theirs localhost/theirs:1
	THEIR_TREE=$OUT
}

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

for name in base onbuild; do
	buildah_ pull -q "docker-archive:$WORK/base.tar:localhost/$name:1" >"$WORK/buildah.log" 2>&1 ||
		{ echo "not ok buildah takes the base images"; tail -n 3 "$WORK/buildah.log" >&2; exit 1; }
done
for name in $(collection good); do
	case_ "$name: buildah gives the same" agrees "$name"
done
for name in $(collection bad); do
	case_ "$name: buildah builds it as little" refused_by_both "$name"
done
