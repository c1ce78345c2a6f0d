# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# To be sourced after lib.sh: the Dockerfiles of tests/build.
#
#	NAME/Dockerfile		what is built; with a NAME/Dockerfile.dockerignore of its own
#	NAME/context/		the context
#	NAME/make-context	makes what git cannot hold; run in a copy of NAME
#	NAME/args		more arguments of build, a line each
#	NAME/expect		what it must give: config, files (tools/buildcheck); or `exit N`, one of several, and
#				`error TEXT`, which is in the last line of the error
#	NAME/differs		what buildah gives otherwise, and in comments why; `buildah fails`, `buildah builds`: it
#				cannot, or it takes what we refuse; `buildah is not asked`
COLLECTION=$TESTS/build
CHECK="python $TOOLS/buildcheck"

$CHECK base "$WORK/base.tar" || exit 1

# prepare NAME: a copy of it is where the case stands. For all that follows.
prepare() {
	NAME=$1
	cp -r "$COLLECTION/$1" "$CASE/$1"
	cd "$CASE/$1"
	chmod -R u=rwX,go=rX .
	mkdir -p context
	[ ! -x make-context ] || ./make-context
	FILE=(-f Dockerfile)
	[ -e Dockerfile ] || FILE=()
	ARGS=()
	[ ! -e args ] || mapfile -t ARGS <args
}

# config_of IMAGE FILE: its image config.
config_of() {
	local manifest
	expect_exit 0 snap --json inspect "$1"
	manifest=$(pick 'list(d.values())[0][0]["Digest"]' <"$CASE/.stdout")
	cp "$ROOT/content/sha256/$(pick 'd["config"]["digest"]' <"$ROOT/content/sha256/${manifest#*:}" | cut -d: -f2)" "$2"
}

# ours: build what is prepared; CONFIG and TREE are what it gave.
ours() {
	expect_exit 0 snap load "$WORK/base.tar"
	expect_exit 0 snap build -q "${ARGS[@]}" "${FILE[@]}" -t localhost/built:1 context
	CONFIG=$CASE/config.json
	config_of localhost/built:1 "$CONFIG"
	expect_exit 0 snap create --name built localhost/built:1
	TREE=$OUT
}

# Nothing is left where things are made, and the store is sound.
sound() {
	same "" "$(ls "$ROOT/staging")"
	expect_exit 0 snap check
}

# collection KIND: the names of those that are `good`, or `bad`.
collection() {
	local dir kind
	for dir in "$COLLECTION"/*/; do
		kind=good
		! grep -q '^exit ' "$dir/expect" || kind=bad
		[ "$kind" != "$1" ] || basename "$dir"
	done
}

# ---- buildah ----------------------------------------------------------------------------------------

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

# buildah_takes_bases: in its places, the images that Dockerfiles start from.
buildah_takes_bases() {
	local name
	for name in base onbuild; do
		buildah_ pull -q "docker-archive:$WORK/base.tar:localhost/$name:1" >"$WORK/buildah.log" 2>&1 ||
			{ echo "not ok buildah takes the base images"; tail -n 3 "$WORK/buildah.log" >&2; exit 1; }
	done
}
