#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# export: all files of a container as a tar.
. "$(dirname "$0")/../lib.sh"

TREE=$WORK/tree
mkdir -p "$TREE"/{etc,proc,dir}
echo hello >"$TREE/etc/word"
ln "$TREE/etc/word" "$TREE/dir/link"
ln -s ../etc/word "$TREE/dir/symlink"
mkfifo "$TREE/dir/fifo"
truncate -s 2M "$TREE/dir/sparse"
chmod 1777 "$TREE/dir"
chown 5:6 "$TREE/etc"
setfattr -n user.x -v 0x0001 "$TREE/etc/word"
find "$TREE" -exec touch -h -d '2019-01-01 00:00:00.123456789' {} +
tar --format=pax --xattrs -C "$TREE" -cf "$WORK/base.tar" .

container() {
	expect_exit 0 snap import "$WORK/base.tar" base:1
	expect_exit 0 snap create --name c "$@" base:1
	R=$OUT
}
# again FILE: what is exported is the container's tree.
again() {
	expect_exit 0 snap import "$1" "again:1"
	expect_exit 0 snap create again:1
	same_tree "$R" "$OUT"
}

whole() {
	container
	echo changed >"$R/etc/word"
	rm "$R/dir/symlink"
	mkdir "$R/new"
	touch -d '2018-01-01 00:00:00.5' "$R/new" "$R/dir" "$R"
	snap export c >out.tar
	again out.tar
	expect_exit 0 snap export c -o file.tar
	same "" "$OUT"
	cmp out.tar file.tar
	same 600 "$(stat -c %a file.tar)"
	expect_exit 0 snap umount c
	expect_exit 0 snap export --output=other.tar c
	cmp out.tar other.tar
	snap export c | tar tvf - >list
	[ "$(stat -c %s out.tar)" -lt 100000 ] || fail_ "the hole is in the archive"
	mkdir by-tar
	tar --xattrs --xattrs-include='*' -C by-tar -xpf out.tar
	expect_exit 0 snap mount c
	same_tree "$R" by-tar
}
case_ "export to standard output and to a file, mounted and not, is the container's tree" whole

not_touched() {
	container --read-only
	snap export c >out.tar
	again out.tar
}
case_ "export of a container in which nothing has changed, and that is read-only" not_touched

mounts() {
	container
	own_mount mount -t tmpfs none "$R/proc"
	echo secret >"$R/proc/secret"
	snap export c >out.tar
	umount "$R/proc"
	[[ $(tar tf out.tar) == *proc/* && $(tar tf out.tar) != *secret* ]] || fail_ "not without what is mounted: $(tar tf out.tar)"
}
case_ "what is mounted in it is left out" mounts

refusals() {
	container
	WORDS=(nothing)
	refused 3 snap export nothing -o file
	[ ! -e file ] || fail_ "a file was made for nothing"
	WORDS=(no/such)
	expect_exit 3 snap export c -o no/such/file
	WORDS=()
	refused 2 snap export
	expect_exit 1 snap export c -o /dev/full
	[ -c /dev/full ] || fail_ "the device was removed"
	"$PYTHON" - "$SNAPDRV" "$ROOT" <<'END'
import os, pty, sys
code = pty.spawn([sys.argv[1], "--root", sys.argv[2], "export", "c"], lambda fd: os.read(fd, 1024))
sys.exit(os.waitstatus_to_exitcode(code) != 2)
END
}
case_ "a terminal is refused; a container that is not there makes no file" refusals

socket_out() {
	container
	(cd "$R" && python -c 'import socket; socket.socket(socket.AF_UNIX).bind("socket")')
	snap export c >out.tar
	! tar tf out.tar | grep socket || fail_ "a socket"
	: >"$R/.wh.file"
	snap export c >out.tar
	grep -qx '\.wh\.file' <(tar tf out.tar) || fail_ "a file is missing"
}
case_ "sockets are left out, any other name is not" socket_out

# The directories are looked through, then the tar is written: what was in one that is gone by then is in no other.
vanished() {
	container
	OUT=$R
	mkdir -p "$OUT/work/etc/deep" "$OUT/etc/deep"
	head -c 10000000 /dev/urandom >"$OUT/aaa"
	touch "$OUT/work/etc/only-there" "$OUT/etc/both" "$OUT/work/etc/both" "$OUT/work/etc/deep/there" "$OUT/etc/deep/here"
	# The pipe is full before that.
	snap export c | {
		head -c 100000 >begun
		mv "$OUT/work" "$OUT/elsewhere"
		cat
	} >rest
	cat begun rest | tar -t >names
	same "" "$(sort names | uniq -d)"
	# What an overlay is read by has names of its own for a while.
	[ "$BACKEND" = overlay ] || same "" "$(grep -E 'only-there|/there' names || :)"
	grep -q 'etc/both$' names
}
case_ "a directory that goes while it is exported takes along what is in it, and nothing else" vanished
exit $FILE_STATUS
