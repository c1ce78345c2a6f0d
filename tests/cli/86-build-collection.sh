#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# build: every Dockerfile of tests/build gives what stands beside it, and what buildah makes of it.
#
#	NAME/Dockerfile		what is built; with a NAME/Dockerfile.dockerignore of its own
#	NAME/context/		the context
#	NAME/make-context	makes what git cannot hold; run in a copy of NAME
#	NAME/args		more arguments of build, a line each
#	NAME/expect		what it must give: config, files (tools/buildcheck); or `exit N` and `error TEXT`, the end of
#				what stands behind the Dockerfile's path
#	NAME/differs		what buildah gives otherwise, and in comments why; `buildah fails`: it cannot
. "$(dirname "$0")/../lib.sh"
COLLECTION=$TESTS/build
CHECK="$PYTHON $TOOLS/buildcheck"
[ -x /bin/busybox ] || { echo "not ok the collection has its busybox"; exit 1; }

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

# Nothing is left where things are made, and the store is sound, where there is a command that looks.
sound() {
	same "" "$(ls "$ROOT/staging")"
	! snap help check >/dev/null 2>&1 || expect_exit 0 snap check
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
	buildah_ bud -q --format docker --isolation chroot --layers=false --pull-never --identity-label=false \
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

with_buildah=false
if [ "$BACKEND" = overlay ] && buildah_ pull -q "docker-archive:$WORK/base.tar:localhost/base:1" >"$WORK/buildah.log" 2>&1 &&
	buildah_ pull -q "docker-archive:$WORK/base.tar:localhost/onbuild:1" >>"$WORK/buildah.log" 2>&1; then
	with_buildah=true
fi
by_buildah() {
	[ $with_buildah = true ] || skip_ "buildah does not work: $(tail -n 1 "$WORK/buildah.log")"
	"$@"
}

good=0 bad=0
for dir in "$COLLECTION"/*/; do
	name=$(basename "$dir")
	if grep -q '^exit ' "$dir/expect"; then
		bad=$((bad + 1))
		case_ "$name: is refused, with the line, and leaves nothing" is_refused "$name"
		[ "$BACKEND" != overlay ] || case_ "$name: buildah builds it as little" by_buildah refused_by_both "$name"
	else
		good=$((good + 1))
		case_ "$name: gives what is expected" gives "$name"
		[ "$BACKEND" != overlay ] || case_ "$name: buildah gives the same" by_buildah agrees "$name"
	fi
done
figure "$good Dockerfiles that build, $bad that are refused"
