#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# COPY, and what of ADD is the same: what of a context goes where in a tree, as buildah has it.
. "$(dirname "$0")/copying.bash"

# ---- what goes where --------------------------------------------------------------------------

directories() {
	begin
	mkdir -p ctx/dir/sub root/there
	echo 1 >ctx/dir/a
	echo 2 >ctx/dir/sub/b
	copy /new dir
	same "a sub sub/b" "$(names root/new)"
	copy /slash/ dir/
	same "a sub sub/b" "$(names root/slash)"
	copy /there dir
	same "a sub sub/b" "$(names root/there)"
	copy /all .
	same "dir dir/a dir/sub dir/sub/b" "$(names root/all)"
	copy /far/below/it /dir/sub
	same "b" "$(names root/far/below/it)"
}
case_ "of a directory what is in it goes into the target, which is made" directories

files() {
	begin
	mkdir -p ctx/dir root/there
	echo 1 >ctx/dir/a
	copy /name dir/a
	same 1 "$(<root/name)"
	copy /new/ dir/a
	same 1 "$(<root/new/a)"
	copy /there dir/a
	same 1 "$(<root/there/a)"
	copy /deep/er/name dir/a
	same 1 "$(<root/deep/er/name)"
	echo old >root/over
	chmod 600 root/over
	copy /over dir/a
	same "1 644" "$(<root/over) $(stat -c %a root/over)"
	copy /there/. dir/a
	copy / dir/a
	same 1 "$(<root/a)"
}
case_ "a file goes into a directory, or under a name" files

several() {
	begin
	echo 1 >ctx/a
	echo 2 >ctx/b
	mkdir root/there
	refuses "slash" copy /name a b
	refuses "slash" copy /there a b
	same "there" "$(names root)"
	copy /new/ a b
	same "a b" "$(names root/new)"
	refuses "slash" copy /pattern '?'
	copy /there '?'
	same "a b" "$(names root/there)"
	copy /one '[a]'
	same 1 "$(<root/one)"
}
case_ "several sources want a target with a slash; a pattern, one that is there" several

patterns() {
	begin
	mkdir -p ctx/one/sub ctx/two/sub ctx/odd ctx/three
	echo 1 >ctx/one/a
	echo 1 >ctx/one/sub/x
	echo 2 >ctx/two/b
	echo 2 >ctx/two/sub/y
	echo 3 >ctx/file.txt
	echo 4 >ctx/.hidden
	echo 5 >ctx/odd/arr[0].txt
	echo 6 >ctx/odd/arr0.txt
	ln -s one ctx/three/link
	copy /dirs/ '[ot][nw][eo]'
	same "a b sub sub/x sub/y" "$(names root/dirs)"
	copy /all/ '*'
	same ".hidden a arr0.txt arr[0].txt b file.txt link sub sub/x sub/y" "$(names root/all)"
	copy /below/ '*/sub/?'
	same "x y" "$(names root/below)"
	copy /behind/ '*/*/x' 'file.txt'
	same "file.txt x" "$(names root/behind)"
	copy /odd/ 'odd/arr[[]0].txt'
	same "arr[0].txt" "$(names root/odd)"
	copy /none/ file.txt 'yarn.lock*'
	same "file.txt" "$(names root/none)"
	refuses "'none*'" copy /x/ 'none*'
	refuses "'gone/none*'" copy /x/ 'gone/none*'
	refuses "cannot be read" copy /x/ 'a[' 'file.txt'
	refuses "'none'" copy /x/ none file.txt
	same "all behind below dirs none odd" "$(ls root | tr '\n' ' ' | sed 's/ $//')"
}
case_ "patterns: directories merge, hidden names fit, escapes, none fits" patterns

parents() {
	begin
	echo 1 >ctx/a
	mkdir ctx/d
	copy /one ../../a
	copy /two d/../a
	copy /three /../d/.././a/
	same "1 1 1" "$(echo $(cat root/one root/two root/three))"
	refuses "no such file" copy /x ../../../../../../etc/passwd
}
case_ "what climbs stays at the root of the context" parents

# ---- attributes -------------------------------------------------------------------------------

owners() {
	begin
	mkdir -p ctx/d/sub root/old
	touch ctx/d/f ctx/d/sub/g
	ln -s f ctx/d/l
	chown -hR 1000:1001 ctx root/old
	copy /plain d
	same "0:0" "$(find root/plain -printf '%U:%G\n' | sort -u)"
	with --chown 70000:70001 -- copy /made/it d
	same "70000:70001" "$(find root/made -printf '%U:%G\n' | sort -u)"
	with --chown 7:8 -- copy /old d/f
	same "1000:1001 7:8" "$(stat -c %u:%g root/old) $(stat -c %u:%g root/old/f)"
	with --image -- copy /image/it d
	same "0:0 0:0" "$(stat -c %u:%g root/image) $(stat -c %u:%g root/image/it)"
	same "1000:1001" "$(find root/image/it -mindepth 1 -printf '%U:%G\n' | sort -u)"
}
case_ "owners: nobody's but root's, those of --chown, or a stage's own" owners

modes() {
	begin
	umask 077
	mkdir -p ctx/d/sub ctx/d/new
	touch ctx/d/f ctx/d/sub/g ctx/d/suid
	chmod 751 ctx/d/sub
	chmod 6755 ctx/d/suid
	chmod 1777 ctx/d/new
	chmod 640 ctx/d/f ctx/d/sub/g
	copy /made/it d
	same "755 755" "$(stat -c %a root/made) $(stat -c %a root/made/it)"
	same "640 1777 751 640 6755" "$(cd root/made/it && echo $(stat -c %a f new sub sub/g suid))"
	with --chown 5:5 -- copy /owned d
	same "6755 5" "$(stat -c '%a %u' root/owned/suid)"
	with --chmod 4710 -- copy /given d
	same "755 4710 4710 4710" "$(cd root/given && echo $(stat -c %a . f new sub/g))"
	mkdir -p root/there/sub
	chmod 700 root/there
	chmod 2775 root/there/sub
	chown 3:4 root/there root/there/sub
	copy /there d
	same "700 3:4 751 0:0" "$(cd root/there && echo $(stat -c '%a %u:%g' . sub))"
}
case_ "modes, whatever the umask: setuid too, of --chmod, and of directories that are there" modes

times() {
	begin
	mkdir -p ctx/d/sub root/old
	touch -d '2001-02-03 04:05:06.789' ctx/d/f ctx/d/sub
	touch -d '2030-01-01' ctx/d/sub/late
	touch -d '2001-02-03 04:05:06.789' ctx/d/sub
	copy /d d
	same "981173106.7890000000 981173106.7890000000" "$(find root/d/f root/d/sub -maxdepth 0 -printf '%T@ ' | sed 's/ $//')"
	same 1893456000 "$(stat -c %Y root/d/sub/late)"
	with --clamp 1000000000 --inline EOF=text -- copy /old/new/er/ d
	same "981173106 981173106 1000000000 1000000000 1000000000 1000000000 1000000000" \
		"$(cd root/old/new/er && echo $(stat -c %Y f sub sub/late EOF . .. ../..))"
	tar -C ctx/d -cf ctx/t.tar f sub/late
	with --clamp 1000000000 --add -- copy /old/tar t.tar
	same "981173106 1000000000 1000000000 1000000000" "$(cd root/old/tar && echo $(stat -c %Y f sub/late . ..))"
}
case_ "times are kept, or none is later than SOURCE_DATE_EPOCH" times

xattrs() {
	begin
	touch ctx/f ctx/plain
	mkdir ctx/d
	setfattr -n user.x -v 1 ctx/f
	setfattr -n user.overlay.origin -v 1 ctx/f
	setfattr -n trusted.x -v 1 ctx/f
	setcap cap_net_raw+ep ctx/f
	setfattr -n system.posix_acl_default -v 0x0200000001000700ffffffff04000500ffffffff20000500ffffffff ctx/d
	copy /c/ .
	same "security.capability user.x" "$(getfattr -dm- root/c/f 2>/dev/null | sed -n 's/=.*//p' | sort | tr '\n' ' ' | sed 's/ $//')"
	same "" "$(getfattr -dm- root/c/d)"
	with --image -- copy /i/ .
	same "security.capability trusted.x user.x" "$(getfattr -dm- root/i/f 2>/dev/null | sed -n 's/=.*//p' | sort | tr '\n' ' ' | sed 's/ $//')"
	same "$(getfattr -dm- ctx/d)" "$(getfattr -dm- root/i/d | sed 's/root.i/ctx/')"
	with --chown 1:1 -- copy /o/ f
	getcap root/o/f | has cap_net_raw
	# A default ACL of the target gives nothing to what comes into it.
	mkdir root/acl
	setfattr -n system.posix_acl_default root/acl \
		-v 0x0200000001000700ffffffff020007000500000004000700ffffffff10000700ffffffff20000700ffffffff
	touch root/acl/inherits
	[ -n "$(getfattr -dm- root/acl/inherits)" ]
	copy /acl plain
	same "644 " "$(stat -c %a root/acl/plain) $(getfattr -dm- root/acl/plain)"
}
case_ "xattrs: capabilities and user.*, of a stage all, but never overlay's" xattrs

links() {
	begin
	mkdir -p ctx/d/sub root/d
	echo 1 >ctx/d/a
	ln ctx/d/a ctx/d/sub/b
	ln ctx/d/a ctx/outside
	echo 2 >root/d/a
	copy /d d
	[ root/d/a -ef root/d/sub/b ]
	same "1 2" "$(<root/d/a) $(stat -c %h root/d/a)"
	same "a sub sub/b" "$(names root/d)"
	copy /e d/a
	same 1 "$(stat -c %h root/e)"
	ln -s x ctx/d/l
	ln ctx/d/l ctx/d/sub/l
	mkfifo ctx/d/p
	ln ctx/d/p ctx/d/q
	copy /f d
	same "2 2" "$(stat -c %h root/f/l) $(stat -c %h root/f/p)"
}
case_ "hard links within a source stay, and nothing else is linked" links

sparse() {
	begin
	mkdir ctx/d
	truncate -s 5G ctx/d/big
	printf end | dd of=ctx/d/big bs=1 seek=4500000000 conv=notrunc status=none
	printf mid | dd of=ctx/d/big bs=1 seek=2500000000 conv=notrunc status=none
	copy /d d
	same 5368709120 "$(stat -c %s root/d/big)"
	[ "$(stat -c %b root/d/big)" -lt 1000 ] || fail_ "$(stat -c %b root/d/big) blocks"
	same "mid end" "$(dd if=root/d/big bs=1 skip=2500000000 count=3 status=none) $(dd if=root/d/big bs=1 skip=4500000000 count=3 status=none)"
	first=$(digest /d d)
	printf End | dd of=ctx/d/big bs=1 seek=4500000000 conv=notrunc status=none
	[ "$first" != "$(digest /d d)" ]
}
case_ "holes stay holes, and sizes have 64 bits" sparse

# ---- symlinks ---------------------------------------------------------------------------------

source_links() {
	begin
	mkdir -p ctx/real/sub ctx/in
	echo 1 >ctx/real/f
	ln -s ../real/f ctx/in/file
	ln -s /real ctx/in/dir
	ln -s f ctx/real/below
	ln -s /etc/passwd ctx/real/sub/host
	ln -s nowhere ctx/dangling
	copy /name in/file
	copy /into/ in/file
	same "1 1" "$(<root/name) $(<root/into/file)"
	copy /dir in/dir
	same "below f sub sub/host" "$(names root/dir)"
	same "f /etc/passwd" "$(readlink root/dir/below) $(readlink root/dir/sub/host)"
	copy /through in/dir/f
	same 1 "$(<root/through)"
	copy /fitted/ 'in/fi*'
	same "file" "$(names root/fitted)"
	[ ! -L root/fitted/file ]
	refuses "no such file" copy /x dangling
}
case_ "a source that is a symlink is followed inside the context; those below it are copied" source_links

target_links() {
	begin
	mkdir -p root/usr/bin root/data "$CASE/outside"
	echo 1 >ctx/f
	mkdir -p ctx/d/bin
	echo 2 >ctx/d/bin/tool
	mkdir ctx/d/{a,b,y,z}{1,2,3} ctx/d/bin/{a,e,f,z}{1,2,3}
	touch ctx/d/{a,b,y,z}{1,2,3}/x ctx/d/bin/{a,e,f,z}{1,2,3}/x
	ln -s usr/bin root/bin
	ln -s /data root/abs
	ln -s "../../../../../../../..$CASE/outside" root/out
	ln -s /mnt/made root/later
	ln -s ../data/file root/usr/name
	ln -s loop root/loop
	copy /bin/ f
	copy /abs f
	copy /out/ f
	copy /later/on/ f
	copy /usr/name f
	same "1 1 1 1 1" "$(echo $(cat root/usr/bin/f root/data/f "root$CASE/outside/f" root/mnt/made/on/f root/data/file))"
	same "" "$(ls "$CASE/outside")"
	copy / d
	same 2 "$(<root/usr/bin/tool)"
	[ -L root/bin ] && [ -L root/usr/name ]
	same "12 12" "$(echo $(ls -d root/[a-z][1-3]/x | wc -l) $(ls -d root/usr/bin/[a-z][1-3]/x | wc -l))"
	refuses "target" copy /loop/ f
	refuses "target" copy /loop f
	mkdir elsewhere
	ln -s "$CASE/elsewhere" root/usr/bin/esc
	mkdir -p ctx/d/bin/esc/under
	echo 3 >ctx/d/bin/esc/under/g
	refuses "leads to no directory" copy / d
	mkdir -p "root$CASE/elsewhere"
	copy / d
	same 3 "$(<"root$CASE/elsewhere/under/g")"
	same "elsewhere elsewhere/under elsewhere/under/g outside outside/f" "$(names "root$CASE")"
	same "" "$(ls elsewhere)"
	echo 4 >ctx/d/bin/after
	copy / d
	same 4 "$(<root/usr/bin/after)"
	# What is there under the name of a file is replaced, not followed.
	ln -s "$CASE/outside/file" root/data/g
	echo 5 >ctx/g
	copy /data/ g
	same 5 "$(<root/data/g)"
	[ ! -L root/data/g ]
}
case_ "symlinks of the tree are followed inside it, also where a directory merges with one" target_links

in_the_way() {
	begin
	mkdir -p ctx/d ctx/e/name root/dir/name
	echo 1 >ctx/d/name
	echo 2 >root/file
	refuses "in the way" copy /dir d
	refuses "in the way" copy /dir/ d/name
	[ -d root/dir/name ]
	refuses "target" copy /file/ d/name
	refuses "target" copy /file d
	refuses "target" copy /file/below d/name
	mkdir root/other
	echo 3 >root/other/name
	refuses "no directory" copy /other e
	same "2 3" "$(<root/file) $(<root/other/name)"
}
case_ "a file does not replace a directory, nor a directory a file" in_the_way

# ---- what is left out -------------------------------------------------------------------------

ignored() {
	begin
	mkdir -p ctx/node/deep ctx/src ctx/empty/only
	touch ctx/node/x ctx/node/deep/keep ctx/src/a.o ctx/src/a.c ctx/secret ctx/empty/only/x
	ln -s secret ctx/link
	ln -s /node/x ctx/src/below
	printf '%s\n' '# a comment' node 'empty' '!node/deep/keep' '**/*.o' secret '!empty/none' .dockerignore >ctx/.dockerignore
	copy /all/ .
	same "link node node/deep node/deep/keep src src/a.c src/below" "$(names root/all)"
	refuses "'secret'" copy /x secret
	refuses "ignore file" copy /x link
	refuses "ignore file" copy /x src/a.o
	refuses "ignore file" copy /x node/x
	copy /keep node/deep/keep
	copy /node/ node
	same "deep deep/keep" "$(names root/node)"
	copy /fit/ '*'
	same "a.c below deep deep/keep" "$(names root/fit)"
	refuses "nothing fits" copy /x/ 'sec*'
	with --exclude '*.c' -- copy /src/ src
	same "below" "$(names root/src)"
	with --exclude '*.c' --exclude link -- copy /hom/ 's*' 'l*' src/a.c node
	same "below deep deep/keep" "$(names root/hom)"
}
case_ ".dockerignore and --exclude" ignored

kinds() {
	begin
	mkdir ctx/d ctx/stage
	mkfifo ctx/d/fifo
	python -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind("ctx/d/socket")'
	timeout 10 "$COPY" put ctx root /d d
	same "fifo" "$(names root/d)"
	refuses "socket" copy /x d/socket
	timeout 10 "$COPY" put ctx root /p d/fifo
	[ -p root/p ]
	mknod ctx/stage/null c 1 3
	refuses "device" copy /x stage
	refuses "device" copy /x stage/null
	refuses "device" digest /x stage
	with --image -- copy /stage stage
	same "1 3" "$(stat -c '%t %T' root/stage/null)"
	rm ctx/stage/null
	touch ctx/stage/.wh.x
	refuses ".wh." copy /x stage
	refuses ".wh." copy /x/ 'stage/.w*'
}
case_ "FIFOs come, sockets stay, devices of a context and names of whiteouts are refused" kinds

own_store() {
	begin
	snap images >/dev/null
	mkdir ctx/sub
	mv "$ROOT" ctx/sub/store
	echo FROM scratch >ctx/Dockerfile
	with --store ctx/sub/store -- copy /all .
	same "Dockerfile sub" "$(names root/all)"
}
case_ "a store within the context is left out" own_store

# ---- buildah ----------------------------------------------------------------------------------

# What buildah makes of the same instructions: one context, one Dockerfile of COPYs, the trees compared. On
# purpose not the same: a directory over a symlink to one merges here; buildah (1.28) puts it in the place of
# the symlink, which breaks /bin and /lib of most images, and docker refuses it.
with_buildah() {
	command -v buildah >/dev/null || skip_ "no buildah"
	begin
	mkdir -p ctx/d/sub ctx/e/sub ctx/abs
	echo 1 >ctx/d/a
	echo 2 >ctx/d/sub/b
	echo 3 >ctx/e/c
	echo 4 >ctx/e/sub/d
	echo 5 >ctx/file
	chmod 750 ctx/d/sub
	chmod 4711 ctx/d/a
	ln -s a ctx/d/link
	ln ctx/d/a ctx/d/hard
	setfattr -n user.x -v 1 ctx/e/c
	ln -s ../file ctx/abs/link
	chown -hR 7:7 ctx/d
	tar -C ctx -czf ctx/t.tgz e file
	printf '%s\n' '*.o' 'e/sub' >ctx/.dockerignore
	touch ctx/x.o
	mkdir -p ctx/over/sub
	chmod 700 ctx/over/sub
	touch ctx/over/sub/new
	cat >ctx/Dockerfile <<'END'
FROM scratch
COPY d /d
COPY d/ /slash/
COPY file /under-name
COPY file /dir/
COPY d e /both/
COPY d/*  /fit/
COPY --chown=9:10 d /owned
COPY --chmod=640 file /mode
COPY abs/link /followed
ADD t.tgz /unpacked
ADD t.tgz file /mixed/
COPY d/sub /both
COPY e /d
COPY over /d
END
	# shellcheck disable=SC2016 # for the inner shell
	TMPDIR=$CASE/tmp unshare --mount --net --propagation private bash -e -c '
		for place in /run /var/tmp /var/lib/containers; do
			[ ! -d $place ] || mount -t tmpfs none $place
		done
		buildah() {
			command buildah --root "$0/b" --runroot "$0/r" --storage-driver vfs "$@"
		}
		buildah build --isolation chroot -q -t localhost/t ctx >/dev/null
		cp -a "$(buildah mount "$(buildah from --pull-never localhost/t)")" theirs
		buildah umount -a' "$CASE" || fail_ "buildah fails"
	copy /d d
	copy /slash/ d/
	copy /under-name file
	copy /dir/ file
	copy /both/ d e
	copy /fit/ 'd/*'
	with --chown 9:10 -- copy /owned d
	with --chmod 640 -- copy /mode file
	copy /followed abs/link
	with --add -- copy /unpacked t.tgz
	with --add -- copy /mixed/ t.tgz file
	copy /both d/sub
	copy /d e
	copy /d over
	chmod --reference=theirs root
	same_tree theirs root --no-mtime
}
case_ "the same trees as buildah's" with_buildah

exit $FILE_STATUS
