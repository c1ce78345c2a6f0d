#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# COPY and ADD: what of a context goes where in a tree, digests of it, and contexts that lead out of themselves.
. "$(dirname "$0")/../lib.sh"

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
	same 1 "$(cat root/name)"
	copy /new/ dir/a
	same 1 "$(cat root/new/a)"
	copy /there dir/a
	same 1 "$(cat root/there/a)"
	copy /deep/er/name dir/a
	same 1 "$(cat root/deep/er/name)"
	echo old >root/over
	chmod 600 root/over
	copy /over dir/a
	same "1 644" "$(cat root/over) $(stat -c %a root/over)"
	copy /there/. dir/a
	copy / dir/a
	same 1 "$(cat root/a)"
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
	same 1 "$(cat root/one)"
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
	getcap root/o/f | grep -q cap_net_raw
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
	same "1 2" "$(cat root/d/a) $(stat -c %h root/d/a)"
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
	same "1 1" "$(cat root/name) $(cat root/into/file)"
	copy /dir in/dir
	same "below f sub sub/host" "$(names root/dir)"
	same "f /etc/passwd" "$(readlink root/dir/below) $(readlink root/dir/sub/host)"
	copy /through in/dir/f
	same 1 "$(cat root/through)"
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
	same 2 "$(cat root/usr/bin/tool)"
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
	same 3 "$(cat "root$CASE/elsewhere/under/g")"
	same "elsewhere elsewhere/under elsewhere/under/g outside outside/f" "$(names "root$CASE")"
	same "" "$(ls elsewhere)"
	echo 4 >ctx/d/bin/after
	copy / d
	same 4 "$(cat root/usr/bin/after)"
	# What is there under the name of a file is replaced, not followed.
	ln -s "$CASE/outside/file" root/data/g
	echo 5 >ctx/g
	copy /data/ g
	same 5 "$(cat root/data/g)"
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
	same "2 3" "$(cat root/file) $(cat root/other/name)"
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
	"$PYTHON" -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind("ctx/d/socket")'
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

# ---- ADD --------------------------------------------------------------------------------------

archives() {
	begin
	mkdir -p src/d root/there
	echo 1 >src/d/f
	ln -s f src/d/l
	ln src/d/f src/d/h
	chown -h 12:13 src/d/f src/d/l
	chmod 4755 src/d/f
	find src -exec touch -h -d @1600000000 {} +
	tar -C src -cf ctx/a.tar d
	gzip -k ctx/a.tar
	bzip2 -k ctx/a.tar
	xz -k ctx/a.tar
	zstd -q ctx/a.tar
	mv ctx/a.tar.gz ctx/no-suffix
	echo "no archive" >ctx/text.tar
	echo "no archive" | gzip >ctx/text.tar.gz
	head -c 20 ctx/no-suffix >ctx/cut.tar.gz
	: >ctx/empty.tar
	truncate -s 10240 ctx/zeros.tar
	for file in a.tar no-suffix a.tar.bz2 a.tar.xz a.tar.zst; do
		with --add -- copy "/to/$file" $file
		same_tree src/d "root/to/$file/d"
	done
	with --add -- copy /there/ a.tar text.tar text.tar.gz cut.tar.gz empty.tar zeros.tar
	same "cut.tar.gz d d/f d/h d/l empty.tar text.tar text.tar.gz zeros.tar" "$(names root/there)"
	with --add --chown 5:6 --chmod 0600 -- copy /o/ a.tar text.tar
	same "12:13 4755 5:6 600 5:6 755" "$(stat -c '%u:%g %a' root/o/d/f root/o/text.tar root/o | tr '\n' ' ' | sed 's/ $//')"
	copy /copied a.tar
	cmp ctx/a.tar root/copied
	ln -s a.tar ctx/link
	with --add -- copy /linked/ link
	same "d d/f d/h d/l" "$(names root/linked)"
	echo over >root/file
	refuses target with --add -- copy /file a.tar
	# What the archive says of its own root is not for the target.
	mkdir root/kept
	chmod 700 src root/kept
	chown 5:5 src
	tar -C src -cf ctx/root.tar .
	with --add -- copy /kept root.tar
	with --add -- copy /made root.tar
	same "700 0:0 755 0:0 d d/f d/h d/l" "$(stat -c '%a %u:%g' root/kept root/made | tr '\n' ' ')$(names root/kept)"
}
case_ "ADD unpacks archives, found by content, and copies everything else" archives

hostile_archives() {
	begin
	mkdir outside
	echo safe >outside/victim
	ln -s "$CASE/outside" root/link
	"$PYTHON" - "$CASE/outside" <<'END'
import io, sys, tarfile
out = sys.argv[1]
def tar(name, *entries):
    with tarfile.open(f"ctx/{name}", "w") as archive:
        for path, kind, target, data in entries:
            info = tarfile.TarInfo(path)
            info.type, info.linkname, info.size = kind, target, len(data)
            archive.addfile(info, io.BytesIO(data))
F, S, L, C = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE
tar("climb.tar", ("../../outside/victim", F, "", b"bad"))
tar("link.tar", ("l", S, out, b""), ("l/victim", F, "", b"bad"))
tar("hard.tar", ("h", L, "../../outside/victim", b""), ("h", F, "", b"bad"))
tar("up.tar", ("u", S, "../../..", b""), ("u" + out + "/victim", F, "", b"bad"))
tar("white.tar", ("a/.wh.b", F, "", b""))
tar("opaque.tar", ("a/.wh..wh..opq", F, "", b""))
tar("device.tar", ("d", C, "", b""))
END
	for file in climb hard white opaque device; do
		refuses "" with --add -- copy /to $file.tar
	done
	for file in link up; do
		with --add -- copy /to $file.tar
	done
	with --add -- copy /link link.tar
	same "safe" "$(cat outside/victim)"
	same "victim" "$(names outside)"
}
case_ "an archive of an ADD leads nowhere out of its target, and deletes nothing" hostile_archives

here_documents() {
	begin
	mkdir root/there
	with --inline $'EOF=one\ntwo\n' -- copy /name
	same $'one\ntwo' "$(cat root/name)"
	same "644 0:0" "$(stat -c '%a %u:%g' root/name)"
	with --inline a=1 --inline b=2 --chmod 750 --chown 3:4 -- copy /d/
	same "1 2 750 3:4" "$(cat root/d/a root/d/b | sed 's/./& /g')$(stat -c '%a %u:%g' root/d/b)"
	with --inline a=1 -- copy /there
	same 1 "$(cat root/there/a)"
	refuses "slash" with --inline a=1 --inline b=2 -- copy /there
	refuses "no name" with --inline ../a=1 -- copy /there
	echo 5 >ctx/f
	with --inline a=1 -- copy /both/ f
	same "a f" "$(names root/both)"
	OPTIONS=(--inline a=1)
	"$COPY" "${OPTIONS[@]}" put none root /alone
	same 1 "$(cat root/alone)"
	expect_exit 5 "$COPY" put none root /x f
	[[ $ERR == *"no context"* ]]
}
case_ "here-documents are files" here_documents

# ---- hostile contexts -------------------------------------------------------------------------

escapes() {
	begin
	mkdir -p outside/dir ctx/d
	echo secret >outside/victim
	echo secret >outside/dir/f
	ln -s "$CASE/outside/victim" ctx/abs
	ln -s ../outside/victim ctx/rel
	ln -s ../outside ctx/dir
	ln -s ../../../../../../../../../../../../../../etc/passwd ctx/far
	ln -s /proc/self/root/etc ctx/magic
	ln -s "$CASE/outside" ctx/d/in
	for source in abs rel dir dir/victim far magic magic/passwd 'd/in/victim' 'dir/../outside/victim'; do
		expect_exit 5 copy /x "$source"
		expect_exit 5 digest /x "$source"
	done
	expect_exit 5 copy /x/ 'd*/vic*'
	expect_exit 5 copy /x/ 'd/i*/*'
	copy /x/ d
	[ -L root/x/in ]
	! grep -rqs secret root || fail_ "the secret came in"
}
case_ "nothing leads out of a context: absolute and relative symlinks, through .., magic ones" escapes

# swap DIR NAME DIR NAME...: exchange the names of each two for ever.
swap() {
	"$PYTHON" - "$@" <<'END' &
import ctypes, os, random, sys, time
libc, args = ctypes.CDLL(None), sys.argv[1:]
names = [(os.open(args[i], os.O_PATH), os.fsencode(args[i + 1])) for i in range(0, len(args), 2)]
open("started", "w").close()
while True:
    for (a, b), (c, d) in zip(names[::2], names[1::2]):
        libc.renameat2(a, b, c, d, 2)
    time.sleep(random.random() / 500)
END
	wait_for 5 test -e started
}

# slowly 0|1 ARGUMENT...: many copies, or fewer in which each open waits a moment first.
slowly() {
	local is_slow=$1
	shift
	if [ "$is_slow" = 0 ]; then
		timeout 60 "$COPY" --rounds 100 "$@"
	else
		# The leak checker cannot work beside strace.
		ASAN_OPTIONS=${ASAN_OPTIONS:-}:detect_leaks=0 timeout 60 strace -qq -o /dev/null -e trace=openat,openat2 \
			-e inject=openat,openat2:delay_enter=700 "$COPY" --rounds 40 "$@"
	fi
}

swapped() {
	local i sources pid pids=()
	begin
	mkdir -p outside/sub ctx/top/dir/sub ctx/other
	for dir in outside/sub outside; do
		echo secret >$dir/f
	done
	echo fine >ctx/top/dir/sub/f
	echo fine >ctx/top/dir/f
	echo fine >ctx/file
	echo fine >ctx/other/f
	ln -s "$CASE/outside" ctx/top/link
	ln -s "$CASE/outside/sub" ctx/other/link
	ln -s "$CASE/outside/f" ctx/flink
	mkfifo ctx/fifo
	swap ctx/top dir ctx/top link ctx/top/dir sub ctx/other link ctx file ctx flink ctx/other f ctx fifo
	# Rounds fail where a name is a symlink that leads nowhere: so until each was copied once, and more. Each
	# open waits for a swap, but for every second time, when all is to be copied at last.
	for ((i = 0; i < 20; i++)); do
		for sources in "a ." "b top/dir" "c file top/*/f" "d other/f" "e top/dir/sub" "g top"; do
			set -f
			# shellcheck disable=SC2086 # words are meant
			slowly $((i % 2)) put ctx root /${sources%% *}/$i. ${sources#* } &
			set +f
			pids+=($!)
		done
		slowly $((i % 2)) digest ctx /c/ file 'top/*/f' other/f . &
		pids+=($!)
		for pid in "${pids[@]}"; do
			wait "$pid"
		done
		pids=()
		[ $i -lt 4 ] || ! ls root/a/*/top root/b/*/f root/c/*/file root/d/*/f root/e/*/f >/dev/null || break
	done
	kill %1
	[ $i -lt 20 ] || fail_ "something was never copied: $(ls root)"
	! grep -rIqs --devices=skip secret root || fail_ "the secret came in: $(grep -rIls --devices=skip secret root)"
}
case_ "nothing leads out of a context while its names are swapped" swapped

moved() {
	begin
	mkdir -p ctx/top/a outside
	# A directory that is moved out while it is copied, so that its `..` is another one.
	"$PYTHON" - <<'END' &
import os
for i in range(200):
    os.makedirs(f"ctx/top/a/b/c/{i}")
for i in range(50):
    os.makedirs(f"ctx/top/a/{i}")
    os.makedirs(f"outside/{i}")
    with open(f"outside/{i}/f", "w") as file:
        file.write("secret")
open("started", "w").close()
while True:
    os.rename("ctx/top/a/b", "outside/b")
    os.rename("outside/b", "ctx/top/a/b")
END
	wait_for 5 test -e started
	timeout 60 "$COPY" --rounds 30 put ctx root /a/ top
	kill %1
	[ -n "$(find root -name 199)" ] || fail_ "it was never copied"
	! grep -rqs secret root || fail_ "the secret came in"
}
case_ "nor while a directory is moved out of it" moved

odd_names() {
	begin
	"$PYTHON" - <<'END'
import os
os.makedirs(b"ctx/d/new\nline")
open(b"ctx/d/new\nline/\xff\xfe \\ '\"*?[x", "w").close()
open(b"ctx/d/" + b"n" * 255, "w").close()
# A path of 4095 bytes from the context's root.
fd = os.open("ctx", os.O_RDONLY)
path, left = [], 4095
while left:
    name = "l" * min(255, left)
    path.append(name)
    left -= len(name) + 1
    if left <= 0:
        break
    os.mkdir(name, dir_fd=fd)
    new = os.open(name, os.O_RDONLY, dir_fd=fd)
    os.close(fd)
    fd = new
os.close(os.open(name, os.O_WRONLY | os.O_CREAT, dir_fd=fd))
open("long", "w").write("/".join(path))
END
	copy /d d
	same_tree ctx/d root/d --no-root-mtime
	same 4095 "$(wc -c <long)"
	copy /file "$(cat long)"
	[ -f root/file ]
	digest /file "$(cat long)" >/dev/null
	refuses "long" copy /file "$(cat long)x"
	copy /all .
	same "$(cd ctx && find . | wc -l)" "$(cd root/all && find . | wc -l)"
}
case_ "names are bytes, of 255 each and 4095 in a path" odd_names

deep() {
	begin
	"$PYTHON" - <<'END'
import os
fd = os.open("ctx", os.O_RDONLY)
for i in range(2000):
    os.mkdir("deep-directory", dir_fd=fd)
    new = os.open("deep-directory", os.O_RDONLY, dir_fd=fd)
    os.close(fd)
    fd = new
with os.fdopen(os.open("f", os.O_WRONLY | os.O_CREAT, dir_fd=fd), "w") as file:
    file.write("down here")
END
	ulimit -n 200
	echo '**/*.o' >ctx/.dockerignore
	copy /d/ .
	first=$(digest /d/ .)
	"$PYTHON" - <<'END'
import os
for top in "root/d", "ctx":
    fd = os.open(top, os.O_RDONLY)
    for i in range(2000):
        new = os.open("deep-directory", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = new
    with os.fdopen(os.open("f", os.O_RDWR, dir_fd=fd), "r+") as file:
        assert file.read() == "down here"
        file.write("!")
END
	[ "$first" != "$(digest /d/ .)" ]
}
case_ "2000 levels, with 200 descriptors" deep

many() {
	begin
	mkdir ctx/many
	(cd ctx/many && seq 100000 | xargs touch)
	copy /many many
	same 100000 "$(ls -U root/many | wc -l)"
	digest /many many >/dev/null
}
case_ "100,000 files in a directory" many

# ---- digests ----------------------------------------------------------------------------------

digests() {
	local first what
	begin
	mkdir -p ctx/d/sub ctx/ignored
	echo 1 >ctx/d/a
	echo 2 >ctx/d/sub/b
	echo 2 >ctx/d/c
	ln -s a ctx/d/l
	printf '%s\n' ignored d/waits '!d/waits/for/it' >ctx/.dockerignore
	first=$(digest /x d)
	mkdir -p ctx/d/waits/for
	touch ctx/d/waits/nobody
	same "$first" "$(digest /x d)"
	touch ctx/d/waits/for/it
	[ "$first" != "$(digest /x d)" ]
	rm -r ctx/d/waits
	cp -a ctx again
	[[ $first == sha256:* ]]
	same "$first" "$(digest /x d)"
	# shellcheck disable=SC2016 # for eval
	for what in ':' 'touch ctx/d/a ctx/d/sub' 'touch ctx/ignored/x' 'touch ctx/new' 'cp ctx/d/a ctx/x; mv ctx/x ctx/d/a' \
		'chown 5 ctx/d/a' 'chmod 700 ctx/d' 'setfattr -n trusted.x -v 1 ctx/d/a'; do
		eval "$what"
		same "$what $first" "$what $(digest /x d)"
	done
	for what in 'echo 3 >ctx/d/a' 'chmod 600 ctx/d/a' 'chmod 700 ctx/d/sub' 'mv ctx/d/a ctx/d/b' 'ln -sf b ctx/d/l' \
		'setfattr -n user.x -v 1 ctx/d/a' 'setfattr -n user.x -v 1 ctx/d/sub' 'mkdir ctx/d/e' 'touch ctx/d/e' 'rm ctx/d/l' \
		'ln -f ctx/d/c ctx/d/sub/b' 'mv ctx/d/sub/b ctx/d/b' 'printf "" >>ctx/d/a; truncate -s 3 ctx/d/a'; do
		rm -rf ctx
		cp -a again ctx
		same "$first" "$(digest /x d)"
		eval "$what"
		[ "$first" != "$(digest /x d)" ] || fail_ "the same digest after $what"
	done
	rm -rf ctx
	cp -a again ctx
	for what in "--chown 1:1" "--chmod 755" "--add" "--inline a=1" "--exclude a"; do
		# shellcheck disable=SC2086 # words are meant
		[ "$first" != "$(with $what -- digest /x d)" ] || fail_ "the same digest with $what"
	done
	[ "$first" != "$(digest /y d)" ]
	[ "$(digest /x/ d/a)" != "$(digest /x/ d/c)" ]
	[ "$(digest /x/ d/a d/c)" != "$(digest /x/ d/c d/a)" ]
	OPTIONS=(--image)
	first=$(digest /x d)
	for what in 'chown 5 ctx/d/a' 'setfattr -n trusted.x -v 1 ctx/d/a'; do
		eval "$what"
		[ "$first" != "$(digest /x d)" ] || fail_ "the same digest after $what"
		first=$(digest /x d)
	done
	OPTIONS=(--image --chown 1:1)
	first=$(digest /x d)
	chown 6 ctx/d/a
	same "$first" "$(digest /x d)"
}
case_ "a digest changes with all that is copied, and with nothing else" digests

zeros() {
	begin
	mkdir ctx/d
	truncate -s 300000 ctx/d/f
	printf x | dd of=ctx/d/f bs=1 seek=200000 conv=notrunc status=none
	first=$(digest /x d)
	dd if=ctx/d/f of=ctx/g bs=64k status=none
	sync ctx/g ctx/d/f
	[ "$(stat -c %b ctx/g)" -gt "$(stat -c %b ctx/d/f)" ]
	mv ctx/g ctx/d/f
	same "$first" "$(digest /x d)"
	truncate -s 300001 ctx/d/f
	[ "$first" != "$(digest /x d)" ]
}
case_ "zeros and holes are the same to a digest" zeros

changing() {
	begin
	mkdir ctx/d
	echo 1 >ctx/d/f
	sleep 0.1
	first=$(digest /x d)
	same "$first" "$(with --between 'touch ctx/d/f' -- digest /x d)"
	# The same size, and the same mtime: only the ctime tells.
	touch -r ctx/d/f stamp
	[ "$first" != "$(with --between 'echo 2 >ctx/d/f; touch -r stamp ctx/d/f' -- digest /x d)" ]
	same "$first" "$(echo 1 >ctx/d/f; sleep 0.1; digest /x d)"
	[ "$first" != "$(with --between 'chmod 600 ctx/d/f' -- digest /x d)" ]
	[ "$first" != "$(with --between 'chmod 644 ctx/d/f; setfattr -n user.x -v 1 ctx/d/f' -- digest /x d)" ]
}
case_ "what was read once is read again when it has changed" changing

speed() {
	local us
	begin
	"$PYTHON" - <<'END'
import os
for i in range(1000):
    os.makedirs(f"ctx/d{i % 40}", exist_ok=True)
    with open(f"ctx/d{i % 40}/{i}", "wb") as file:
        file.write(os.urandom(20000))
END
	printf '%s\n' node_modules '**/*.o' '.git' >ctx/.dockerignore
	sleep 0.1
	us=$(with --times 21 -- digest /x . | sed -n 's/ us$//p')
	figure "20 more digests of 1000 files (20 MB): $((us / 1000)) ms of processor time"
	[ "$us" -lt $((400000 * ${SLOW:-1})) ] || fail_ "$us us"
}
case_ "a second look at a context reads nothing" speed

# ---- contexts ---------------------------------------------------------------------------------

open_() {
	"$COPY" --store store "${OPTIONS[@]}" open "$@"
}

dockerfiles() {
	begin
	printf 'FROM a\n' >ctx/Containerfile
	same "Containerfile FROM a" "$(echo $(open_ ctx))"
	printf 'FROM b\n' >ctx/Dockerfile
	same "Dockerfile FROM b" "$(echo $(open_ ctx))"
	printf 'FROM c\n' >other
	same "other FROM c" "$(echo $(with --file other -- open_ ctx))"
	mkdir ctx/sub
	printf 'FROM d\n' >ctx/sub/file
	same "sub/file FROM d" "$(echo $(with --file sub/file -- open_ ctx))"
	same "Dockerfile FROM e" "$(echo $(echo FROM e | with --file - -- open_ ctx))"
	same "Dockerfile FROM f" "$(echo $(echo FROM f | open_ -))"
	expect_exit 3 open_ nowhere
	expect_exit 3 open_ ctx/sub
	expect_exit 3 with --file none -- open_ ctx
	refuses "no directory" open_ other
	refuses "regular" with --file sub -- open_ "$CASE/ctx"
	expect_exit 2 with --file - -- open_ - <other
	truncate -s 1048577 big
	refuses "1048576" with --file big -- open_ ctx
	printf '#' >big
	head -c 1048576 /dev/zero | tr '\0' '#' >>big
	refuses "1048576" open_ - <big
	mkfifo fifo
	refuses "regular" with --file fifo -- open_ ctx
	rm ctx/Containerfile
	ln -sf "$CASE/other" ctx/Dockerfile
	expect_exit 3 open_ ctx
	ln -sf sub/file ctx/Dockerfile
	same "Dockerfile FROM d" "$(echo $(open_ ctx))"
}
case_ "a Dockerfile is found in the context, by -f, in the input, and nowhere else" dockerfiles

ignore_files() {
	begin
	touch ctx/a ctx/b ctx/c
	echo FROM a >ctx/Dockerfile
	echo a >ctx/.containerignore
	OPTIONS=(--store store)
	copy /1/ .
	same ".containerignore Dockerfile b c" "$(names root/1)"
	echo b >ctx/.dockerignore
	copy /2/ .
	same ".containerignore .dockerignore Dockerfile a c" "$(names root/2)"
	printf '%s\n' c '.*' '*.dockerignore' >ctx/Dockerfile.dockerignore
	copy /3/ .
	same "Dockerfile a b" "$(names root/3)"
	echo FROM b >other
	printf '%s\n' '*' '!a' >other.dockerignore
	OPTIONS=(--store store --file other)
	copy /4/ .
	same "a" "$(names root/4)"
	rm other.dockerignore ctx/.dockerignore
	ln -s "$CASE/secret" ctx/.dockerignore
	echo c >secret
	copy /5/ .
	same ".containerignore .dockerignore Dockerfile Dockerfile.dockerignore b c" "$(names root/5)"
}
case_ "the ignore file is the Dockerfile's own, or the context's" ignore_files

tars() {
	local kind
	begin
	mkdir -p src/d outside
	echo FROM x >src/Dockerfile
	echo 1 >src/d/f
	chown 5:6 src/d/f
	ln -s d src/l
	echo secret >outside/f
	ln -s "$CASE/outside" src/out
	tar -C src -cf src.tar .
	snap images >/dev/null
	for kind in cat gzip bzip2 xz zstd; do
		$kind <src.tar >src.$kind
		same "Dockerfile FROM x" "$(echo $("$COPY" --store "$ROOT" open - <src.$kind))"
		"$COPY" --store "$ROOT" put - root "/$kind/" d l/f <src.$kind
		same "f 0:0" "$(names "root/$kind") $(stat -c %u:%g "root/$kind/f")"
		expect_exit 5 "$COPY" --store "$ROOT" put - root /x out/f <src.$kind
	done
	# A few bytes at a time.
	dd if=src.gzip bs=7 status=none | "$COPY" --store "$ROOT" open - | grep -q "FROM x"
	head -c 100 src.gzip >cut
	expect_exit 5 "$COPY" --store "$ROOT" open - <cut
	echo text | gzip >text.gz
	expect_exit 5 "$COPY" --store "$ROOT" open - <text.gz
	printf '' >src/.wh.x
	tar -C src -cf white.tar .
	expect_exit 5 "$COPY" --store "$ROOT" open - <white.tar
	[[ $ERR == *"mark of deletion"* ]]
	same "" "$(ls "$ROOT/staging")"
}
case_ "a context that is a tar, however it is compressed" tars

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

without_openat2() {
	begin
	mkdir -p ctx/d ctx/real outside
	echo 1 >ctx/d/f
	echo secret >outside/f
	ln -s "$CASE/outside" ctx/out
	ln -s ../../../../../.. ctx/d/up
	ln -s d ctx/in
	local ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0"
	export ASAN_OPTIONS
	strace -qq -o /dev/null -e inject=openat2:error=ENOSYS "$COPY" put ctx root /n/ in d/f 'd/f*' ||
		fail_ "put fails without openat2"
	same "f up" "$(names root/n)"
	expect_exit 5 strace -qq -o /dev/null -e inject=openat2:error=ENOSYS "$COPY" put ctx root /n/ out/f
	! grep -rqs secret root
}
case_ "the same without openat2" without_openat2

exit $FILE_STATUS
