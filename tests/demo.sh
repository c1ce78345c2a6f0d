#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What `make demo` shows after the build: a real image, a container of it, a process in it, step by
# step with the times. Without IMAGE, the image is Debian's minbase, made by debootstrap (its tar is
# kept in $SNAPDRV_CACHE, /var/cache/snapdrv-test); IMAGE=PATH takes an archive or an OCI layout.
set -u -o pipefail
TOP=$(cd "$(dirname "$0")/.." && pwd)
SNAPDRV=${SNAPDRV:-$TOP/build/snapdrv}
IMAGE=${IMAGE:-}
[ "$(id -u)" = 0 ] || { echo "demo: root rights are needed (mounts, owners of files)" >&2; exit 1; }
[ -x "$SNAPDRV" ] || { echo "demo: there is no $SNAPDRV: run make first" >&2; exit 1; }

work=$(mktemp -d "${TMPDIR:-/tmp}/snapdrv-demo.XXXXXX")
export SNAPDRV_ROOT=$work/store
cleanup() {
	"$SNAPDRV" rm --all >/dev/null 2>&1
	if grep -qF " $work/" /proc/self/mountinfo; then
		echo "demo: a mount was left below $work" >&2
		exit 1
	fi
	rm -rf --one-file-system "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# shown WORDS: what is done, as a person would type it. step COMMAND...: do it, and show its time.
total=0
shown() {
	printf '\n$ %s\n' "$*"
}
step() {
	local start end
	start=$(date +%s%N)
	"$@" || { echo "demo: failed: $*" >&2; exit 1; }
	end=$(date +%s%N)
	total=$((total + end - start))
	printf '  [%d.%03d s]\n' $(((end - start) / 1000000000)) $(((end - start) / 1000000 % 1000))
}
run_in_bundle() {
	runc --root "$work/runc" run --bundle "$work/bundle" "snapdrv-demo-$$"
}

if [ -n "$IMAGE" ]; then
	[ -e "$IMAGE" ] || { echo "demo: IMAGE=$IMAGE: no such file" >&2; exit 1; }
	name=demo
	shown "snapdrv load $IMAGE --ref $name"
	step "$SNAPDRV" load "$IMAGE" --ref "$name"
else
	name=debian:12
	shown "debootstrap --variant=minbase bookworm tree && tar -C tree -cf debian.tar .   # kept for the next time"
	start=$(date +%s)
	tar=$("$TOP/tests/tools/realimage" debian) || exit 1
	printf '  %s, %s [%d s]\n' "$tar" "$(du -h "$tar" | cut -f 1)" $(($(date +%s) - start))
	shown "snapdrv import debian.tar $name"
	step "$SNAPDRV" import "$tar" "$name"
fi

shown "snapdrv images"
step "$SNAPDRV" images
shown "snapdrv create --name demo --bundle bundle $name -- /bin/cat /etc/os-release"
step "$SNAPDRV" create --name demo --bundle "$work/bundle" "$name" -- /bin/cat /etc/os-release
shown "runc run --bundle bundle demo"
step run_in_bundle
shown "snapdrv ls"
step "$SNAPDRV" ls
shown "snapdrv rm demo"
step "$SNAPDRV" rm demo
shown "snapdrv rmi $name"
step "$SNAPDRV" rmi "$name"
printf '\nAll steps of snapdrv and runc: %d.%03d s. The store was %s and is removed.\n' \
	$((total / 1000000000)) $((total / 1000000 % 1000)) "$SNAPDRV_ROOT"
