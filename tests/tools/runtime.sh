#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# To be sourced after lib.sh: the library's calls for container runtimes from the command line (cli/runtime.c), on
# the store $ROOT, and mounting by what they answer.
LIBRARY=${LIBSNAPDRV:-$(dirname "$SNAPDRV")/libsnapdrv.a}
RUNTIME=$WORK/runtime
compile_helper "$TESTS/cli/runtime.c" "$RUNTIME" || exit 1

runtime() {
	"$RUNTIME" "$ROOT" "$@"
}
# fails CODE ERRNO COMMAND...: with that code and errno value.
fails() {
	local code=$1 errnum=$2 got
	shift 2
	if got=$(runtime "$@"); then fail_ "it works: $*"; fi
	[[ $got == "$code $errnum: "* ]] || fail_ "want $code $errnum from $*: $got"
}
EEXIST=17 EBUSY=16 EINVAL=22 ENOENT=2 EOPNOTSUPP=95

# mount_as_told MOUNTS DIR: by mount(2), as containerd does it: what all lowerdirs start with is left out.
mount_as_told() {
	local type source options
	read -r type source options <<<"$1"
	mkdir -p "$2"
	if [ "$type" = bind ]; then
		own_mount mount --bind "$source" "$2"
		[[ ,$options, != *,ro,* ]] || mount -o remount,bind,ro "$2"
		return
	fi
	own_mount python -IS -c '
import ctypes, os, sys
options, target = sys.argv[1].split(","), os.path.abspath(sys.argv[2])
lower = next(o for o in options if o.startswith("lowerdir="))[9:].split(":")
if len(lower) > 1:
    common = os.path.dirname(os.path.commonprefix(lower))
    os.chdir(common)
    lower = [name[len(common) + 1:] for name in lower]
data = ",".join(o for o in options if not o.startswith("lowerdir=")) + ",lowerdir=" + ":".join(lower)
data = data.encode()
assert len(data) < 4096, len(data)
libc = ctypes.CDLL(None, use_errno=True)
if libc.mount(b"overlay", target.encode(), b"overlay", 0, data):
    sys.exit(f"mount: {os.strerror(ctypes.get_errno())}: {data}")' "$options" "$2"
}
