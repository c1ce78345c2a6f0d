# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the tests of COPY and ADD share: lib.sh, and the helper that does them without a build.
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

COPY=$WORK/copyfiles

case_ "the helper compiles" compile_helper "$TESTS/cli/copyfiles.c" "$COPY"
[ -x "$COPY" ] || exit 1

# A case has a context ctx and a tree root.
copy() {
	"$COPY" "${OPTIONS[@]}" put ctx root "$@"
}
OPTIONS=()
# with OPTION... -- COMMAND...
with() {
	local OPTIONS=()
	while [ "$1" != -- ]; do
		OPTIONS+=("$1")
		shift
	done
	shift
	"$@"
}
digest() {
	"$COPY" "${OPTIONS[@]}" digest ctx "$@"
}
# refuses WORD COMMAND...: exit status 5, and the word in the message.
refuses() {
	local word=$1
	shift
	expect_exit 5 "$@"
	[[ $ERR == *"$word"* ]] || fail_ "the error does not say '$word': $ERR"
}
# names DIR: all that is in it, sorted, on one line.
names() {
	(cd "$1" && find . -mindepth 1 -printf '%P ' | tr ' ' '\n' | sort | tr '\n' ' ' | sed 's/^ //; s/ $//')
}
begin() {
	mkdir ctx root
}
