#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# build: every Dockerfile of tests/build that must be refused is, with its line; and buildah refuses it too, but for what
# the file `differs` says. And what is refused, or not, of what comes from elsewhere.
. "$(dirname "$0")/../lib.sh"
. "$TOOLS/collection.sh"
buildah_takes_bases

refused_by_both() {
	if grep -qx 'buildah is not asked' differs 2>/dev/null; then
		return
	elif grep -qx 'buildah builds' differs 2>/dev/null; then
		theirs || fail_ "buildah does not build it any more"
	elif theirs; then
		fail_ "buildah builds it"
	fi
}

# What is refused leaves no image, no container, no mount and a sound store; lib.sh looks for mounts.
is_refused() {
	local exits error
	prepare "$1"
	exits=$(sed -n 's/^exit //p' expect) error=$(sed -n 's/^error //p' expect)
	expect_exit 0 snap load "$WORK/base.tar"
	snap images >"$CASE/.before"
	expect_exit "$exits" snap build -q "${ARGS[@]}" "${FILE[@]}" -t localhost/built:1 context
	grep -E '^snapdrv: ' <<<"$ERR" | tail -n 1 | has -F -- "$error" || fail_ "want '$error', not: $ERR"
	[ "$exits" != 5 ] || one_line_error
	snap images | diff "$CASE/.before" - || fail_ "there is an image"
	same "" "$(snap ls -q)"
	sound
	refused_by_both
}

for name in $(collection bad); do
	case_ "$name: is refused, with the line, and leaves nothing; buildah refuses it too" is_refused "$name"
done

# doubled KEYWORD COUNT: a variable A of 8 << COUNT bytes.
doubled() {
	echo "$1 A=12345678"
	printf "$1 A=\$A\$A%.0s\n" $(seq "$2")
}
# enormous TEXT: the Dockerfile on stdin is refused.
enormous() {
	cat >context/Dockerfile
	WORDS=("$1")
	refused 5 snap build -q context
}
small_but_enormous() {
	expect_exit 0 snap load "$WORK/base.tar"
	mkdir context
	enormous "Dockerfile:19: LABEL" <<<"FROM localhost/base:1
		$(doubled ENV 16)
		LABEL$(printf ' %s=$A' $(seq 3000))"
	enormous "the texts of the stage come to more than" <<<"FROM localhost/base:1
		$(doubled ARG 16)
		$(printf 'ARG X%s=$A\n' $(seq 3000))"
	enormous "the texts of all stages come to more than" <<<"$(doubled ARG 17)
		$(printf 'ARG X%s=$A\n' $(seq 3000))
		FROM localhost/base:1"
	enormous "the texts of all stages come to more than" <<<"FROM localhost/base:1 AS s0
		$(doubled ENV 16)
		$(for i in $(seq 1500); do echo "FROM s$((i - 1)) AS s$i"; done)"
	enormous "the texts of the stage come to more than" <<<"FROM localhost/base:1
		SHELL [\"$(printf %0500000d 1)\"]
		$(printf 'CMD %s\n' $(seq 3000))"
}
case_ "a small Dockerfile whose variables come to gigabytes is refused before they do" small_but_enormous

# What the user names himself may be a FIFO; a device may do something when it is opened.
named() {
	local way
	expect_exit 0 snap load "$WORK/base.tar"
	mkdir context
	printf 'FROM localhost/base:1\n%s\n%s\n' \
		'RUN --mount=type=secret,id=x [ "$(cat /run/secrets/x)" = said ]' \
		'RUN --mount=type=secret,id=x [ "$(cat /run/secrets/x)" = said ] || false' >context/Dockerfile
	expect_exit 0 snap build -q --secret id=x,src=<(echo said) context
	expect_exit 0 snap build -q --secret id=x,src=<(echo said) --no-cache -f <(sleep 0.2 && cat context/Dockerfile) context
	WORDS=("longer than")
	refused 5 snap build -q -f <(head -c 2000000 /dev/zero) context
	refused 5 snap build -q --no-cache --secret id=x,src=<(head -c 2000000 /dev/zero) context
	# Nobody ever writes to this one.
	mkfifo fifo
	mknod device c 1 5
	for way in "-f " "--no-cache --secret id=x,src="; do
		expect_exit 124 timeout -k 20 2 "$SNAPDRV" --root "$ROOT" build -q ${way}fifo context
		one_line_error cancelled
		WORDS=("not a regular file")
		refused 5 snap build -q ${way}context context
		ASAN_OPTIONS=${ASAN_OPTIONS:-}:detect_leaks=0 refused 5 strace -f -qq -o trace -e trace=open,openat "$SNAPDRV" --root "$ROOT" build -q ${way}device context
		! grep '"device"' trace | grep -v O_PATH || fail_ "it was opened"
	done
}
case_ "a FIFO that is named as a secret or the Dockerfile is read; a device or a directory is refused, unopened" named

exit $FILE_STATUS
