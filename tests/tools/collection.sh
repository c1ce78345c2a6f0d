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
#				cannot, or it takes what we refuse
COLLECTION=$TESTS/build
CHECK="$PYTHON $TOOLS/buildcheck"

$CHECK base "$WORK/base.tar" || exit 1

# prepare NAME: a copy of it is where the case stands.
prepare() {
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

# collection KIND: the names of those that are `good`, or `bad`.
collection() {
	local dir kind
	for dir in "$COLLECTION"/*/; do
		kind=good
		! grep -q '^exit ' "$dir/expect" || kind=bad
		[ "$kind" != "$1" ] || basename "$dir"
	done
}
