#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# COPY and ADD: contexts, digests of what is in them, and those that lead out of themselves.
. "$(dirname "$0")/copying.bash"

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
	python - <<'END'
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
	copy /file "$(<long)"
	[ -f root/file ]
	digest /file "$(<long)" >/dev/null
	refuses "long" copy /file "$(<long)x"
	copy /all .
	same "$(cd ctx && find . | wc -l)" "$(cd root/all && find . | wc -l)"
}
case_ "names are bytes, of 255 each and 4095 in a path" odd_names

deep() {
	begin
	python - <<'END'
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
	python - <<'END'
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
	python - <<'END'
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
	mknod device c 1 5
	refuses "regular" with --file device -- open_ ctx
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
	dd if=src.gzip bs=7 status=none | "$COPY" --store "$ROOT" open - | has "FROM x"
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

exit $FILE_STATUS
