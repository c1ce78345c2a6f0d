# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the tests of build share: lib.sh, a base image, and looking at what was built.
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

"$TOOLS/buildcheck" base "$WORK/base.tar" || exit 1

# begin: a store with the base image, and a context.
begin() {
	expect_exit 0 snap load "$WORK/base.tar"
	mkdir -p context
}

# dockerfile: the context's, from stdin.
dockerfile() {
	cat >context/Dockerfile
}

# build [OPTION...]: the context; OUT is the image ID, ERR the steps.
build() {
	expect_exit 0 snap build --progress plain "$@" context
}

# steps STATUS TEXT: how many steps of the last `build` whose text has TEXT are CACHED or DONE.
steps() {
	awk -v status="$1" -v text="$2" '
		/^#[0-9]+ \[/ { title[$1] = $0 }
		$2 == status && index(title[$1], text) { n++ }
		END { print n + 0 }' <<<"$ERR"
}

# rootfs IMAGE: TREE is the tree of a new container of it.
rootfs() {
	expect_exit 0 snap create "$1"
	TREE=$OUT
}

# config IMAGE: CONFIG is its config document.
config() {
	local id
	expect_exit 0 snap --json inspect "$1"
	id=$(pick 'list(d.values())[0][0]["Id"]' <"$CASE/.stdout")
	CONFIG=$ROOT/content/sha256/${id#*:}
}
# says EXPRESSION: it is true of CONFIG.
says() {
	cp "$CONFIG" "$CASE/.stdout"
	OUT=$(<"$CONFIG")
	holds "$1"
}

# clean: nothing is left of builds but what they made.
clean() {
	same "" "$(ls "$ROOT/staging")"
	same "" "$(mounts_under "$ROOT" | grep -v "/containers/[^/]*/rootfs$" || :)"
	# Those of others on this machine go when they are through.
	for group in $(find /sys/fs/cgroup -maxdepth 2 -name 'snapdrv-*' 2>/dev/null); do
		wait_for 60 [ ! -e "$group" ]
	done
}
