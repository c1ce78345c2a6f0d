#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# diff: what has been added, changed and deleted in a container.
. "$(dirname "$0")/../lib.sh"

TREE=$WORK/tree
mkdir -p "$TREE"/{etc,dir/sub,gone/below,old,linked}
for name in etc/passwd etc/group dir/file dir/sub/file gone/below/file old/1 old/2 linked/a; do
	echo "$name" >"$TREE/$name"
done
ln "$TREE/linked/a" "$TREE/linked/b"
ln -s passwd "$TREE/etc/symlink"
setfattr -n user.x -v 1 "$TREE/etc/passwd"
find "$TREE" -exec touch -h -d '2019-01-01 00:00:00.123456789' {} +
tar --format=pax --xattrs -C "$TREE" -cf "$WORK/base.tar" .

# container [OPTION...]: a new one, c; R is its rootfs.
container() {
	expect_exit 0 snap import "$WORK/base.tar" base:1
	expect_exit 0 snap create --name c "$@" base:1
	R=$OUT
}
# diff_is LINE...: so says diff, whether the container is mounted or not.
diff_is() {
	expect_exit 0 snap diff c
	same "$(printf '%s\n' "$@")" "$OUT"
	expect_exit 0 snap umount c
	expect_exit 0 snap diff c
	same "$(printf '%s\n' "$@")" "$OUT"
	expect_exit 0 snap mount c
}

nothing() {
	container
	diff_is ""
	cat "$R/etc/passwd" >/dev/null
	ls -R "$R" >/dev/null
	diff_is ""
	expect_exit 0 snap --json diff c
	holds 'd == {"diff": []}'
}
case_ "a container in which nothing has changed" nothing

kinds() {
	container
	echo more >>"$R/etc/passwd"
	echo new >"$R/etc/passwd-"
	mkdir "$R/etc.d"
	mkfifo "$R/etc.d/fifo"
	rm "$R/dir/sub/file"
	rm -r "$R/gone"
	chmod 700 "$R/old"
	diff_is "C /dir" "C /dir/sub" "D /dir/sub/file" "C /etc" "A /etc.d" "A /etc.d/fifo" "C /etc/passwd" "A /etc/passwd-" \
		"D /gone" "C /old"
	expect_exit 0 snap --json diff c
	holds 'd["diff"][0] == {"kind": "C", "path": "/dir"} and len(d["diff"]) == 10'
	holds '{"kind": "D", "path": "/gone"} in d["diff"]'
}
case_ "A, C and D, in the order of the paths' bytes, with the directories above" kinds

content() {
	container
	echo 'ETC/PASSWD' >"$R/etc/passwd"
	touch -r "$TREE/etc/passwd" "$R/etc/passwd"
	diff_is "C /etc" "C /etc/passwd"
}
case_ "other content under the same size and mtime is a change" content

undone() {
	container
	echo more >>"$R/etc/passwd"
	chmod 600 "$R/etc/passwd"
	setfattr -n user.x -v 2 "$R/etc/passwd"
	chown 5 "$R/dir"
	diff_is "C /dir" "C /etc" "C /etc/passwd"
	echo etc/passwd >"$R/etc/passwd"
	chmod 644 "$R/etc/passwd"
	setfattr -n user.x -v 1 "$R/etc/passwd"
	chown 0 "$R/dir"
	touch -r "$TREE/etc/passwd" "$R/etc/passwd"
	# A file of its own, and a directory in which there was something for a while.
	cp -a "$R/etc/group" "$R/etc/other"
	mv "$R/etc/other" "$R/etc/group"
	rm -r "$R/gone"
	cp -a "$TREE/gone" "$R/gone"
	touch -r "$TREE/etc" "$R/etc"
	touch -r "$TREE" "$R"
	diff_is ""
}
case_ "what is back as it was is no change" undone

directories() {
	container
	mkdir "$R/new" "$R/new/sub"
	echo x >"$R/new/sub/file"
	mv "$R/dir" "$R/moved"
	mv "$R/new" "$R/newer"
	rm -r "$R/old"
	mkdir "$R/old"
	echo x >"$R/old/3"
	diff_is "D /dir" "A /moved" "A /moved/file" "A /moved/sub" "A /moved/sub/file" "A /newer" "A /newer/sub" \
		"A /newer/sub/file" "C /old" "D /old/1" "D /old/2" "A /old/3"
}
case_ "renamed directories come out whole, a new one is an addition, one made again has lost its files" directories

replaced() {
	container
	rm -r "$R/gone" "$R/dir" "$R/etc/group"
	echo x >"$R/gone"
	ln -s "$WORK" "$R/dir"
	mkdir "$R/etc/group"
	echo x >"$R/etc/group/in"
	diff_is "C /dir" "C /etc" "C /etc/group" "A /etc/group/in" "C /gone"
}
case_ "a directory for a file, a file for a directory, a symlink to the outside that is not followed" replaced

links() {
	container
	ln "$R/etc/passwd" "$R/etc/second"
	rm "$R/linked/a"
	diff_is "C /etc" "C /etc/passwd" "A /etc/second" "C /linked" "D /linked/a"
}
case_ "a new name of a file is a change of all of them; one less is a deletion" links

names() {
	container
	: >"$R/etc/"$'line\nbreak "q" \\'
	: >"$R/etc/"$'l\xe4tin'
	: >"$R/etc/x\\x2dy"
	: >"$R/etc/"$'\x01'
	diff_is "C /etc" 'A "/etc/\001"' 'A "/etc/line\nbreak \"q\" \\"' $'A /etc/l\xe4tin' 'A /etc/x\x2dy'
	expect_exit 0 snap --json diff c
	holds '"/etc/line\nbreak \"q\" \\" in [c["path"] for c in d["diff"]]'
	holds 'len(d["diff"]) == 5'
}
case_ "names with newlines are quoted, others are the bytes that they are" names

deep() {
	container
	python - "$R/dir" <<'END'
import os, sys
os.chdir(sys.argv[1])
for depth in range(600):
    os.mkdir("n" * 30)
    os.chdir("n" * 30)
open("bottom", "w").close()
END
	expect_exit 0 snap diff c
	same 602 "$(wc -l <"$CASE/.stdout")"
	[[ $(tail -n 1 "$CASE/.stdout") == "A /dir/nnn"*/bottom ]] || fail_ "the bottom is not there"
}
case_ "600 directories below each other, a path of 18,000 bytes" deep

refusals() {
	container --read-only
	diff_is ""
	WORDS=(nothing)
	refused 3 snap diff nothing
	WORDS=()
	refused 2 snap diff
	refused 2 snap diff c c
}
case_ "a read-only container has no changes; one that is not there is exit 3" refusals

marks() {
	[ "$BACKEND" = overlay ] || skip_optional "marks are overlay's"
	container
	expect_exit 0 snap umount c
	local upper=("$ROOT"/active/*/fs)
	mkdir "$upper/old" "$upper/etc" "$upper/linked"
	touch -r "$TREE" "$upper"
	touch -r "$TREE" "$upper/linked"
	mknod "$upper/old/1" c 0 0
	mknod "$upper/linked/never" c 0 0
	setfattr -n trusted.overlay.opaque -v x "$upper/etc"
	: >"$upper/etc/group"
	setfattr -n trusted.overlay.whiteout -v y "$upper/etc/group"
	touch -r "$TREE" "$upper/linked" "$upper/old" "$upper/etc" "$upper"
	expect_exit 0 snap diff c
	same "C /etc
D /etc/group
C /old
D /old/1" "$OUT"
}
case_ "overlay: whiteouts as devices and as xattrs; one over nothing is no change" marks

controls() {
	container
	touch "$R/"$'\xc2\x9b2J' "$R/caf"$'\xc3\xa9' "$R/a"$'\033c'
	expect_exit 0 snap diff c
	same $'A "/a\\033c"\nA /caf\xc3\xa9\nA "/\\302\\2332J"' "$OUT"
}
case_ "control characters in names, U+009B too, are shown as escapes" controls

moves() {
	container
	mkdir "$R/busy"
	# While directories come and go, none of the answers is an error or names what lies outside.
	(while :; do
		mkdir "$R/busy/d" && : >"$R/busy/d/f" && rm -r "$R/busy/d"
		ln -s "$WORK" "$R/busy/d" && rm "$R/busy/d"
	done) 2>/dev/null &
	for _ in $(seq 60); do
		expect_exit 0 snap diff c
		[[ $OUT != *tree* && $OUT != *base.tar* ]] || fail_ "it looked outside: $OUT"
	done
	kill -9 $!
}
case_ "a container that is busy changing" moves
exit $FILE_STATUS
