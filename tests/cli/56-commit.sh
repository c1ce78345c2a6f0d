#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# commit: a container becomes an image of one layer more.
. "$(dirname "$0")/../lib.sh"

TREE=$WORK/tree
mkdir -p "$TREE"/{etc,dir,gone/below,old}
for name in etc/passwd dir/file gone/below/file old/1 old/2; do
	echo "$name" >"$TREE/$name"
done
find "$TREE" -exec touch -h -d '2019-01-01 00:00:00.123456789' {} +
tar --format=pax --xattrs -C "$TREE" -cf "$WORK/base.tar" .

# container [OPTION...]: a new one, c; R is its rootfs.
container() {
	expect_exit 0 snap import -c 'ENV PATH=/bin' -c 'CMD ["sh"]' "$WORK/base.tar" base:1
	expect_exit 0 snap create --name c "$@" base:1
	R=$OUT
}
# All kinds of changes, times included.
change() {
	echo more >>"$R/etc/passwd"
	rm -r "$R/gone" "$R/old"
	mkdir "$R/old" "$R/new"
	echo 3 >"$R/old/3"
	echo x >"$R/new/file"
	ln "$R/new/file" "$R/new/link"
	ln -s /nowhere "$R/new/symlink"
	mkfifo "$R/new/fifo"
	mknod "$R/new/device" b 7 300
	truncate -s 3M "$R/new/sparse"
	echo end >>"$R/new/sparse"
	setfattr -n user.binary -v 0x000a3d00 "$R/new/file"
	setfattr -n security.capability -v 0x0100000200040000000000000000000000000000 "$R/new/file"
	setfattr -n system.posix_acl_access -v 0x0200000001000600ffffffff02000400d204000004000400ffffffff10000600ffffffff20000400ffffffff "$R/new/link"
	: >"$R/new/"$'l\xe4tin'
	chown 3000000:70000 "$R/new/sparse"
	find "$R" -newermt 2020-01-01 -exec touch -h -d '2018-01-01 00:00:00.5' {} +
}
# document IMAGE: its config is what holds() looks at; manifest is its digest, layer the file of its top layer.
document() {
	expect_exit 0 snap --json inspect "$1"
	manifest=$(pick 'list(d.values())[0][0]["Digest"]' <"$CASE/.stdout")
	cp "$ROOT/content/sha256/${manifest#*:}" "$CASE/.stdout"
	blob=$(pick 'd["config"]["digest"]' <"$CASE/.stdout")
	layer=$ROOT/content/sha256/$(pick 'd["layers"][-1]["digest"]' <"$CASE/.stdout" | cut -d: -f2)
	holds 'd["mediaType"] == "application/vnd.oci.image.manifest.v1+json"'
	cp "$ROOT/content/sha256/${blob#*:}" "$CASE/.stdout"
}

tree() {
	container
	change
	expect_exit 0 snap commit c new:1
	[[ $OUT =~ ^sha256:[0-9a-f]{64}$ ]] || fail_ "not an image ID: $OUT"
	same "" "$(ls "$ROOT"/staging)"
	expect_exit 0 snap create --name n new:1
	same_tree "$R" "$OUT"
	expect_exit 0 snap diff n
	same "" "$OUT"
	# It goes on from there, and the base needs nothing but to be under it.
	rm "$ROOT/containers/n/rootfs/new/link"
	expect_exit 0 snap commit n newer:1
	expect_exit 0 snap create newer:1
	same_tree "$ROOT/containers/n/rootfs" "$OUT"
}
case_ "the image's tree is the container's; what is committed can be changed and committed again" tree

tar_of_it() {
	container
	change
	(cd "$R/new" && python -c 'import socket; socket.socket(socket.AF_UNIX).bind("socket")')
	expect_exit 0 snap commit c new:1
	document new:1
	same "./ etc/ etc/passwd .wh.gone new/ new/device new/fifo new/file new/link "$'new/l\xe4tin'" new/sparse new/symlink old/ old/.wh..wh..opq old/3" \
		"$(python -c '
import sys, tarfile
names = [m.name + ("/" if m.isdir() else "") for m in tarfile.open(sys.argv[1], errors="surrogateescape")]
sys.stdout.buffer.write(b" ".join(("./" if n == "./" else n).encode("utf-8", "surrogateescape") for n in names))' "$layer")"
	[ "$(stat -c %s "$layer")" -lt 100000 ] || fail_ "the hole is in the archive"
	same "sha256:$(sha256sum <"$layer" | cut -d' ' -f1)" "$(pick 'd["rootfs"]["diff_ids"][-1]' <"$CASE/.stdout")"
	! grep -qaE 'atime|ctime|trusted.overlay|trusted.SGI|security.selinux|uname' "$layer" || fail_ "more in the headers than there should be"
}
case_ "the layer: parents first, whiteouts, opaque marks, links, holes; no socket" tar_of_it

others_read() {
	container
	change
	rm "$R/new/"$'l\xe4tin' # umoci has it as UTF-8
	touch -d '2018-01-01 00:00:00.5' "$R/new"
	expect_exit 0 snap commit c new:1
	document new:1
	python "$TOOLS/randomchanges.py" layout "$ROOT" "$manifest" "$CASE/layout"
	umoci_tree "$CASE/layout:committed:1" "$CASE/umoci"
	same_tree "$R" "$CASE/umoci"
}
case_ "umoci unpacks it to the same tree" others_read

config() {
	container
	echo x >"$R/x"
	expect_exit 0 snap commit --author 'A <a@b>' -m 'why not' --change 'ENV A=b' --change='WORKDIR /dir' c new:1
	document new:1
	holds 'd["author"] == "A <a@b>" and d["history"][-1]["author"] == "A <a@b>"'
	holds 'd["history"][-1]["comment"] == "why not" and len(d["history"]) == 2 == len(d["rootfs"]["diff_ids"])'
	holds 'sorted(d["config"]["Env"]) == ["A=b", "PATH=/bin"] and d["config"]["Cmd"] == ["sh"]'
	holds 'd["config"]["WorkingDir"] == "/dir"'
	expect_exit 0 snap --json commit c third:1
	holds 'd["committed"][0]["id"].startswith("sha256:")'
	expect_exit 0 snap --json images
	holds 'len(d["images"]) == 3'
}
case_ "author, message and changes come on top of the config that was there" config

epoch() {
	local first
	export SOURCE_DATE_EPOCH=1000000000
	container
	change
	expect_exit 0 snap commit c new:1
	first=$OUT
	document new:1
	holds 'd["created"] == "2001-09-09T01:46:40Z" and d["history"][-1]["created"] == d["created"]'
	expect_exit 0 snap umount c
	expect_exit 0 snap commit c new:2
	same "$first" "$OUT"
	# Another container, the same change, another store.
	ROOT=$CASE/other
	container
	change
	expect_exit 0 snap commit c new:1
	same "$first" "$OUT"
}
case_ "SOURCE_DATE_EPOCH: the same change is the same image" epoch

nothing() {
	container --read-only
	expect_exit 0 snap commit c same:1
	document same:1
	same 5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef "${layer##*/}"
	expect_exit 0 snap create same:1
	same_tree "$R" "$OUT"
}
case_ "no change is an empty layer" nothing

discarded() {
	expect_exit 0 snap import --discard-blobs "$WORK/base.tar" base:1
	expect_exit 0 snap create --name c base:1
	R=$OUT
	change
	expect_exit 0 snap commit --discard-blobs c new:1
	same "" "$(ls "$ROOT/content/sha256")"
	expect_exit 0 snap create new:1
	same_tree "$R" "$OUT"
	expect_exit 0 snap commit c new:2
	expect_exit 0 snap create new:2
	same_tree "$R" "$OUT"
}
case_ "over an image whose blobs were discarded" discarded

refusals() {
	container
	echo x >"$R/x"
	WORDS=(nothing)
	refused 3 snap commit nothing new:1
	WORDS=()
	refused 2 snap commit c 'Not/A Name'
	refused 2 snap commit c
	refused 2 snap commit --change 'RUN rm' c new:1
	refused 2 snap commit -m $'\xff' c new:1
	: >"$R/etc/.wh.passwd"
	WORDS=(.wh.passwd)
	refused 5 snap commit c new:1
	same "" "$(ls "$ROOT"/staging)"
}
case_ "what is refused changes nothing: no container, no name, a file that would be a whiteout" refusals

shifted() {
	needs_calls mount_setattr
	container --userns 100000:100000:65536
	(cd "$R" && setpriv --reuid 100000 --regid 100000 --clear-groups sh -c 'echo x >file')
	same 100000 "$(stat -c %u "$R/file")"
	expect_exit 0 snap commit c new:1
	expect_exit 0 snap create new:1
	same 0:0 "$(stat -c %u:%g "$OUT/file")"
	same 0:0 "$(stat -c %u:%g "$OUT/etc/passwd")"
}
case_ "owners that are shifted for a user namespace are in the image as they are in its base" shifted

times() {
	container
	touch -d @-1000000.25 "$R/etc/passwd"
	touch -d @-5 "$R/dir/file"
	touch -d @-1.5 "$R/old/1"
	touch -d @9999999999.000000001 "$R/old/2"
	expect_exit 0 snap commit c new:1
	expect_exit 0 snap create new:1
	same_tree "$R" "$OUT"
}
case_ "times before 1970 and far from now" times

busy() {
	container
	mkdir "$R/busy"
	(
		while :; do
			head -c $((RANDOM * 20)) /dev/zero | tr '\0' x >"$R/busy/file" 2>/dev/null
			: >"$R/busy/file"
			ln -f "$R/busy/file" "$R/busy/link"
			mkdir -p "$R/busy/dir" && rmdir "$R/busy/dir"
			ln -s /etc "$R/busy/dir" && rm "$R/busy/dir"
			mkfifo "$R/busy/fifo" && rm "$R/busy/fifo"
		done
	) 2>/dev/null &
	for number in $(seq 25); do
		expect_exit 0 snap commit c "busy:$number"
		document "busy:$number"
		tar tf "$layer" >list || fail_ "a corrupt archive"
		! grep -q 'dir/.' list || fail_ "it went through a symlink: $(<list)"
	done
	kill -9 $!
	wait || :
}
case_ "a container that is busy writing: each image is a whole one" busy

killed() {
	local delay
	container
	head -c 30M /dev/urandom >"$R/big"
	for delay in 0.01 0.03 0.06 0.1; do
		"$SNAPDRV" --root "$ROOT" commit c "killed:1" >/dev/null 2>&1 &
		sleep "$delay"
		kill -9 $! 2>/dev/null || :
		wait $! || :
	done
	expect_exit 0 snap commit c new:1
	same "" "$(ls "$ROOT/staging")"
	expect_exit 0 snap create new:1
	same_tree "$R" "$OUT"
}
case_ "killed in the middle: nothing stays, and the next one succeeds" killed
exit $FILE_STATUS
