#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# create, mount, umount, ls, rm: containers over an image.
. "$(dirname "$0")/../lib.sh"

IMAGE=$WORK/image
layout "$IMAGE" <<'END'
import sys
Layout(small_image(names="small:1")).write_dir(sys.argv[1])
END
loaded() {
	expect_exit 0 snap load "$IMAGE"
}

create_named() {
	loaded
	expect_exit 0 snap create --name one small:1
	same "$ROOT/containers/one/rootfs" "$OUT"
	mounted "$OUT" || fail_ "not mounted"
	echo new >"$OUT/etc/new"
	rm "$OUT/etc/word"
	expect_exit 0 snap create --name=two small:1
	same hello "$(<"$OUT/etc/word")"
	[ ! -e "$OUT/etc/new" ] || fail_ "one container sees what another wrote"
}
case_ "create --name gives ROOT/containers/NAME/rootfs, mounted and writable" create_named

create_unnamed() {
	loaded
	expect_exit 0 snap create small:1
	first=$OUT
	expect_exit 0 snap create small:1
	[ "$first" != "$OUT" ] || fail_ "one name twice"
	for path in "$first" "$OUT"; do
		[[ $path =~ ^"$ROOT"/containers/[A-Za-z0-9][A-Za-z0-9_.-]*/rootfs$ ]] || fail_ "path: $path"
		mounted "$path"
	done
}
case_ "create makes up a name" create_unnamed

relative_root() {
	ROOT=store
	loaded
	expect_exit 0 snap create --name one small:1
	same "$CASE/store/containers/one/rootfs" "$OUT"
}
case_ "the printed path is absolute when --root is not" relative_root

layers_unchanged() {
	loaded
	python "$TOOLS/treedump" "$ROOT/layers" >before
	expect_exit 0 snap create --name one small:1
	echo more >>"$OUT/etc/word"
	rm -r "$OUT/bin"
	chmod 700 "$OUT/etc"
	chown 9:9 "$OUT/second"
	setfattr -n user.x -v y "$OUT/second"
	mv "$OUT/second" "$OUT/third"
	mkdir -p "$OUT/bin/new"
	touch -d 2001-01-01 "$OUT"
	ln "$OUT/third" "$OUT/fourth"
	python "$TOOLS/treedump" "$ROOT/layers" >after
	diff before after || fail_ "a layer has changed"
	expect_exit 0 snap rm one
	python "$TOOLS/treedump" "$ROOT/layers" >after
	diff before after || fail_ "rm has changed a layer"
	skopeo --insecure-policy copy -q "oci:$IMAGE:small:1" oci:copy:latest
	umoci_tree copy:latest want
	expect_exit 0 snap create small:1
	same_tree want "$OUT"
}
case_ "no write through a container changes a layer" layers_unchanged

read_only() {
	loaded
	expect_exit 0 snap create --read-only --name ro small:1
	same hello "$(<"$OUT/etc/word")"
	if touch "$OUT/new" 2>err; then fail_ "a file was made"; fi
	grep -q 'Read-only file system' err || fail_ "$(<err)"
	expect_exit 0 snap umount ro
	expect_exit 0 snap mount ro
	if touch "$OUT/new" 2>err; then fail_ "a file was made after mount"; fi
	expect_exit 0 snap rm ro
}
case_ "create --read-only: nothing can be written, after mount neither" read_only

no_mount() {
	loaded
	expect_exit 0 snap create --no-mount --name later small:1
	same "$ROOT/containers/later/rootfs" "$OUT"
	if mounted "$OUT"; then fail_ "it is mounted"; fi
	expect_exit 0 snap mount later
	same "$ROOT/containers/later/rootfs" "$OUT"
	same hello "$(<"$OUT/etc/word")"
}
case_ "create --no-mount leaves the mounting to mount" no_mount

mount_umount() {
	loaded
	expect_exit 0 snap create --name one small:1
	path=$OUT
	echo kept >"$path/kept"
	expect_exit 0 snap mount one
	same "$path" "$OUT"
	same 1 "$(mounts_under "$path" | wc -l)"
	expect_exit 0 snap umount one
	if mounted "$path"; then fail_ "still mounted"; fi
	same "" "$(ls -A "$path")"
	expect_exit 0 snap umount one
	expect_exit 0 snap mount one
	same kept "$(<"$path/kept")"
}
case_ "umount and mount keep what was written; each twice is no error" mount_umount

after_reboot() {
	loaded
	expect_exit 0 snap create --name one small:1
	echo kept >"$OUT/kept"
	rm "$OUT/etc/word"
	sync -f "$OUT"
	umount "$OUT" # what a reboot does
	expect_exit 0 snap --json ls
	holds '[c["name"] for c in d["containers"]] == ["one"] and d["containers"][0]["mounted"] is False'
	expect_exit 0 snap mount one
	same kept "$(<"$OUT/kept")"
	[ ! -e "$OUT/etc/word" ] || fail_ "a deleted file came back"
}
case_ "after an unmount behind its back, as by a reboot, mount brings a container back" after_reboot

list() {
	loaded
	expect_exit 0 snap ls
	expect_exit 0 snap --json ls
	holds 'd == {"containers": []}'
	expect_exit 0 snap create --name one small:1
	expect_exit 0 snap create --name two --no-mount --read-only small:1
	expect_exit 0 snap ls
	[ "$(wc -l <"$CASE/.stdout")" = 3 ] || fail_ "not a heading and two lines: $OUT"
	grep -q '^one .*small:1' "$CASE/.stdout" || grep -q 'one' "$CASE/.stdout" || fail_ "$OUT"
	expect_exit 0 snap ls --json
	holds 'len(d) == 1 and len(d["containers"]) == 2'
	holds 'sorted(c["name"] for c in d["containers"]) == ["one", "two"]'
	holds '{c["name"]: c["mounted"] for c in d["containers"]} == {"one": True, "two": False}'
	holds "all(c['rootfs'] == '$ROOT/containers/' + c['name'] + '/rootfs' for c in d['containers'])"
	holds 'all("small:1" in c["image"] for c in d["containers"])'
	holds 'all(__import__("re").fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", c["created"]) for c in d["containers"])'
}
case_ "ls: a table, and JSON with name, image, rootfs, mounted, created" list

remove() {
	loaded
	expect_exit 0 snap create --name one small:1
	expect_exit 0 snap create --name two small:1
	expect_exit 0 snap create --name three --no-mount small:1
	expect_exit 0 snap rm one three
	[ ! -e "$ROOT/containers/one" ] || fail_ "its directory is still there"
	[ ! -e "$ROOT/containers/three" ] || fail_ "its directory is still there"
	expect_exit 0 snap ls --json
	holds '[c["name"] for c in d["containers"]] == ["two"]'
	mounted "$ROOT/containers/two/rootfs"
	expect_exit 0 snap rm --all
	expect_exit 0 snap ls --json
	holds 'd["containers"] == []'
	same "" "$(mounts_under "$ROOT")"
	same "" "$(ls -A "$ROOT/containers")"
	expect_exit 0 snap create --name one small:1
	same hello "$(<"$OUT/etc/word")"
}
case_ "rm unmounts and removes, several and --all; the name is free again" remove

stands_in() {
	[ "$(readlink "/proc/$1/cwd")" = "$2" ]
}
has_open() {
	[ "$(readlink "/proc/$1/fd/7")" = "$2" ]
}
chrooted='import os, sys, time
os.chroot(sys.argv[1])
time.sleep(60)'

in_use() {
	loaded
	expect_exit 0 snap create --name busy small:1
	path=$OUT
	(cd "$path/etc" && exec sleep 60) &
	holder=$!
	wait_for 5 stands_in $holder "$path/etc"
	for command in rm umount; do
		expect_exit 4 snap $command busy
		one_line_error busy "$holder"
		mounted "$path" || fail_ "$command has unmounted it"
		same hello "$(<"$path/etc/word")"
	done
	expect_exit 0 snap ls --json
	holds 'd["containers"][0]["mounted"] is True'
	kill $holder
	wait $holder 2>/dev/null || :
	(exec 7<"$path/second" && exec sleep 60) &
	holder=$!
	wait_for 5 has_open $holder "$path/second"
	expect_exit 4 snap rm busy
	one_line_error busy "$holder"
	kill $holder
	wait $holder 2>/dev/null || :
	# Whoever is chrooted below it, and has nothing else there.
	"$PYTHON" -c "$chrooted" "$path/etc" &
	holder=$!
	wait_for 5 [ -e "/proc/$holder/root/word" ]
	expect_exit 4 snap rm busy
	one_line_error busy "$holder"
	# In a mount namespace of its own too; a bind mount of vfs has nothing to tell it by.
	if [ "$BACKEND" != vfs ]; then
		kill $holder
		wait $holder 2>/dev/null || :
		unshare -m --propagation private "$PYTHON" -c "$chrooted" "$path/etc" &
		holder=$!
		wait_for 5 [ -e "/proc/$holder/root/word" ]
		expect_exit 4 snap rm busy
		one_line_error busy "$holder"
	fi
	kill $holder
	wait $holder 2>/dev/null || :
	expect_exit 0 snap rm busy
}
case_ "rm and umount of a container in use are exit 4 and name the process" in_use

# A mapped file has no descriptor any more; a socket's name is none that anybody could see.
in_use_unseen() {
	loaded
	expect_exit 0 snap create --name busy small:1
	path=$OUT
	"$PYTHON" -c 'import mmap, os, sys, time
with open(sys.argv[1], "rb") as file:
    data = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
os.closerange(3, 100)
open(sys.argv[2], "w").close()
time.sleep(60)' "$path/etc/word" mapped &
	holder=$!
	wait_for 5 [ -e mapped ]
	expect_exit 4 snap rm busy
	one_line_error busy "$holder"
	kill $holder
	wait $holder 2>/dev/null || :
	(
		cd "$path"
		exec "$PYTHON" -c 'import os, socket, sys, time
server = socket.socket(socket.AF_UNIX)
server.bind("socket")
os.chdir("/")
time.sleep(float(sys.argv[1]))' 0.5
	) &
	wait_for 5 [ -S "$path/socket" ]
	wait_for 5 [ "$(readlink "/proc/$!/cwd")" = / ]
	expect_exit 0 snap rm busy
}
case_ "a process that only maps a file is named; one that is just ending is waited for" in_use_unseen

held_by_mount() {
	loaded
	expect_exit 0 snap create --name busy small:1
	path=$OUT
	mkdir "$path/inner"
	mount -t tmpfs none "$path/inner"
	echo "$path/inner" >>"$WORK/own-mounts"
	expect_exit 4 snap rm busy
	one_line_error busy inner
	mounted "$path/inner" || fail_ "it has unmounted what is not its own"
	umount "$path/inner"
	expect_exit 0 snap rm busy
}
case_ "rm of a container with a mount inside names the mount" held_by_mount

names() {
	local name
	loaded
	for name in a 0 a.b a_b a-b "$(printf 'x%.0s' $(seq 128))"; do
		expect_exit 0 snap create --name "$name" small:1
		same "$ROOT/containers/$name/rootfs" "$OUT"
	done
	expect_exit 0 snap rm --all
	for name in '' . .. .a -a a/b ../x 'a b' $'a\nb' é "$(printf 'x%.0s' $(seq 129))"; do
		WORDS=()
		refused 2 snap create "--name=$name" small:1
	done
	expect_exit 0 snap create --name taken small:1
	WORDS=(taken)
	refused 4 snap create --name taken small:1
	mounted "$ROOT/containers/taken/rootfs"
}
case_ "names: what is allowed, what is wrong usage, what is taken" names

missing() {
	loaded
	for command in mount umount rm inspect; do
		WORDS=(nobody)
		refused 3 snap $command nobody
	done
	for image in nothing nothing:1 sha256:$(printf '0%.0s' $(seq 64)) example.org/x/y:z 0000; do
		WORDS=("$image")
		refused 3 snap create $image
	done
	expect_exit 0 snap create --name one small:1
	expect_exit 3 snap rm nobody one
	one_line_error nobody
}
case_ "an unknown container or image is exit 3 and is named" missing

inspect_container() {
	loaded
	expect_exit 0 snap create --name one small:1
	expect_exit 0 snap inspect one
	holds 'd'
	[[ $OUT == *"$ROOT/containers/one/rootfs"* ]] || fail_ "no rootfs in: $OUT"
	expect_exit 0 snap inspect --json one small:1
	holds 'len(d) == 1 or isinstance(d, list)'
}
case_ "inspect of a container" inspect_container

killed_create() {
	loaded
	for delay in 0.001 0.002 0.004 0.008 0.016 0.032; do
		"$SNAPDRV" --root "$ROOT" create --name "c$delay" small:1 >/dev/null 2>&1 &
		pid=$!
		sleep $delay
		kill -9 $pid 2>/dev/null || :
		wait $pid 2>/dev/null || :
	done
	expect_exit 0 snap ls --json
	pick '"\n".join(c["name"] for c in d["containers"])' <"$CASE/.stdout" | sed '/^$/d' | sort >rows
	(cd "$ROOT/containers" && ls -A) | sort >folders
	diff rows folders || fail_ "rows and directories differ"
	while read -r name; do
		expect_exit 0 snap mount "$name"
		same hello "$(<"$OUT/etc/word")"
	done <rows
	expect_exit 0 snap rm --all
	same "" "$(ls -A "$ROOT/containers")"
	same "" "$(mounts_under "$ROOT")"
}
case_ "create killed at any point leaves the whole container or nothing" killed_create
