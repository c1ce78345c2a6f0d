#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Snapshots of container runtimes, through the library: as containerd's snapshots service asks for them.
. "$(dirname "$0")/../lib.sh"
. "$TOOLS/runtime.sh"

# layer KEY PARENT NAME SCRIPT: prepare, mount, run in it, unmount, commit.
layer() {
	local told
	told=$(runtime prepare "$1" "$2") || fail_ "$told"
	mount_as_told "$told" "$CASE/m"
	(cd "$CASE/m" && eval "$4")
	umount "$CASE/m"
	runtime commit "$3" "$1" || fail_ "commit $3"
}
# shows NAME SCRIPT: what a view of it shows, to a script that runs in it.
shows() {
	local told
	told=$(runtime view "view of $1" "$1") || fail_ "$told"
	mount_as_told "$told" "$CASE/v"
	(cd "$CASE/v" && eval "$2")
	if touch "$CASE/v/write" 2>/dev/null; then fail_ "a view can be written to"; fi
	umount "$CASE/v"
	runtime remove "view of $1" || fail_ "remove"
}

stack() {
	layer a - one 'echo 1 >f; mkdir d; echo x >d/gone'
	layer default/2/b one default/2/sha256:two 'rm d/gone; echo 2 >>f; ln -s /etc d/link'
	shows default/2/sha256:two '[ "$(<f)" = "1
2" ]; [ ! -e d/gone ]; [ "$(readlink d/link)" = /etc ]'
	shows one '[ "$(<f)" = 1 ]; [ -e d/gone ]; [ ! -e d/link ]'
	same "default/2/sha256:two committed one
one committed -" "$(runtime list)"
	runtime remove default/2/sha256:two , remove one
	same "" "$(runtime list)"
	same "" "$(ls -A "$ROOT/layers" "$ROOT/active" | grep -v : || :)"
}
case_ "prepare, write, commit, over it again; a view of each shows it" stack

# The options are what mount(2) takes, whatever the store's path is made of.
odd_root() {
	local told options
	[ "$BACKEND" = overlay ] || skip_optional "only an overlay's options have paths"
	ROOT=$ROOT/'a:b,c\d'
	mkdir -p "$ROOT" m
	layer a - one 'echo 1 >f'
	told=$(runtime prepare k one) || fail_ "$told"
	options=${told#overlay overlay }
	own_mount python -IS -c '
import ctypes, os, sys
if ctypes.CDLL(None, use_errno=True).mount(b"overlay", os.fsencode(sys.argv[2]), b"overlay", 0, os.fsencode(sys.argv[1])):
    sys.exit(os.strerror(ctypes.get_errno()))' "$options" "$CASE/m"
	same 1 "$(<m/f)"
	echo 2 >m/g
	umount m
	runtime commit two k
	runtime view v two >.told
	same 2 "$(cat "$ROOT"/layers/*/fs/g "$ROOT"/active/*/fs/g 2>/dev/null)"
}
case_ "a store's path may have colons, commas and backslashes" odd_root

kinds() {
	layer a - one 'echo 1 >f'
	runtime prepare k one >/dev/null
	runtime view v one >/dev/null
	fails 4 $EEXIST prepare k one
	fails 4 $EEXIST view one -
	fails 3 $ENOENT prepare x nothing
	fails 4 $EBUSY prepare x k
	fails 4 $EBUSY view x v
	fails 4 $EBUSY mounts one
	fails 3 $ENOENT mounts x
	fails 4 $EBUSY commit two v
	fails 4 $EBUSY commit two one
	fails 3 $ENOENT commit two x
	fails 4 $EEXIST commit one k
	fails 4 $EBUSY remove one
	fails 3 $ENOENT remove x
	fails 3 $ENOENT stat x
	fails 3 $ENOENT usage x
	fails 2 $EINVAL prepare "" one
	fails 2 $EINVAL prepare x one "$(printf '%4000s' | tr ' ' k)=$(printf '%97s' | tr ' ' v)"
	runtime prepare x one "$(printf '%4000s' | tr ' ' k)=$(printf '%96s' | tr ' ' v)" >/dev/null
	runtime remove x , remove k , remove v , remove one
	same "" "$(runtime list)"
}
case_ "wrong kinds, names and labels, what others stand on: each with its error" kinds

names() {
	local name told
	for name in ../../x /etc a/../b "$(printf 'new\nline')" "$(printf '%4096s' | tr ' ' n)" $'caf\xc3\xa9'; do
		told=$(runtime prepare "$name" -)
		[[ $told == "bind $ROOT/active/"[0-9]*"/fs rw,rbind" ]] || fail_ "$told"
		runtime remove "$name"
	done
	fails 2 $EINVAL prepare "$(printf '%4097s' | tr ' ' n)" -
	fails 2 $EINVAL prepare $'\xff' -
	same "" "$(ls -A "$ROOT/active")"
}
case_ "no key becomes a path" names

labels() {
	runtime prepare a - one=1 two=2 >/dev/null
	same "a active - one=1 two=2" "$(runtime stat a)"
	same "a active - one=1 three=3 two=4" "$(runtime set a two=4 three=3)"
	same "a active - five=5" "$(runtime replace a five=5)"
	runtime commit n a six=6
	same "n committed - six=6" "$(runtime stat n)"
	same "n committed -" "$(runtime replace n)"
}
case_ "labels: given, set, replaced, and new ones at commit" labels

usage() {
	layer a - one 'head -c 100000 /dev/urandom >f; mkdir d; touch d/e'
	runtime prepare b one >/dev/null
	read -r bytes inodes <<<"$(runtime usage one)"
	[ "$bytes" -ge 100000 ] && [ "$bytes" -le 200000 ] || fail_ "$bytes bytes"
	[ "$inodes" -ge 3 ] && [ "$inodes" -le 5 ] || fail_ "$inodes inodes"
	read -r bytes _ <<<"$(runtime usage b)"
	[ "$BACKEND" = vfs ] || [ "$bytes" -le 20000 ] || fail_ "$bytes bytes in an empty one"
	runtime view v one >/dev/null
	same "0 0" "$(runtime usage v)"
}
case_ "usage of committed, active and views" usage

IMAGE=$WORK/image
layout "$IMAGE" <<'PY' || exit 1
import sys
Layout(Image([[file("a", b"a"), directory("d"), file("d/x", b"x")], [file("b", b"b"), whiteout("d/x")]],
	names="shared:1")).write_dir(sys.argv[1])
PY
chains() {
	mapfile -t CHAIN < <(snap --json inspect shared:1 | python -c '
import json, sys
d = json.load(sys.stdin)
def walk(v):
    if isinstance(v, dict):
        if "ChainID" in v: print(v["ChainID"])
        for w in v.values(): walk(w)
    elif isinstance(v, list):
        for w in v: walk(w)
walk(d)')
	same 2 ${#CHAIN[@]}
}
REF=containerd.io/snapshot.ref

offered() {
	expect_exit 0 snap load "$IMAGE"
	chains
	fails 4 $EEXIST prepare extract-1 - $REF="${CHAIN[0]}"
	same "${CHAIN[0]} committed - $REF=${CHAIN[0]}" "$(runtime list)"
	fails 4 $EEXIST prepare extract-2 "${CHAIN[0]}" $REF="${CHAIN[1]}"
	shows "${CHAIN[1]}" '[ "$(<a)" = a ]; [ "$(<b)" = b ]; [ ! -e d/x ]'
	# Asked again it is there already; over something else it is another one.
	fails 4 $EEXIST prepare extract-3 - $REF="${CHAIN[0]}"
	runtime prepare other - $REF="${CHAIN[1]}" >/dev/null
	same 3 "$(runtime list | wc -l)"
	runtime remove other
	# Neither side takes what the other holds.
	expect_exit 0 snap rmi shared:1
	expect_exit 0 snap gc
	shows "${CHAIN[1]}" '[ "$(<b)" = b ]'
	expect_exit 0 snap load "$IMAGE"
	runtime remove "${CHAIN[1]}" , remove "${CHAIN[0]}"
	expect_exit 0 snap gc
	expect_exit 0 snap create shared:1 --name c
	same b "$(<"$OUT/b")"
	expect_exit 0 snap rm c
	expect_exit 0 snap rmi shared:1
	same "" "$(ls -A "$ROOT/layers" "$ROOT/active" | grep -v : || :)"
}
case_ "a layer that was loaded is offered to a runtime, and each side keeps what it has" offered

gc_both() {
	layer a - one 'echo 1 >f'
	runtime prepare k one >/dev/null
	expect_exit 0 snap gc
	shows one '[ "$(<f)" = 1 ]'
	same 2 "$(runtime list | wc -l)"
	same "" "$(runtime cleanup)"
	runtime mounts k >/dev/null
	expect_exit 0 snap --json df
	expect_exit 0 snap ls
	same 1 "$(wc -l <"$CASE/.stdout")"
}
case_ "gc, cleanup, df and ls leave runtimes' snapshots alone" gc_both

rebase() {
	local told
	layer a - one 'echo 1 >f; echo 1 >g'
	told=$(runtime prepare b -)
	mount_as_told "$told" m
	echo 2 >m/f
	umount m
	if [ "$BACKEND" != overlay ]; then
		fails 1 $EOPNOTSUPP rebase two b one
		runtime commit two b
		same "two committed -" "$(runtime stat two)"
		return
	fi
	fails 3 $ENOENT rebase two b nothing
	runtime rebase two b one
	same "two committed one" "$(runtime stat two)"
	shows two '[ "$(<f)" = 2 ]; [ "$(<g)" = 1 ]'
	runtime prepare c one >/dev/null
	fails 4 $EBUSY rebase three c two
	fails 4 $EBUSY remove one
}
case_ "a layer that was prepared without its parent gets it when it is committed" rebase

mapped() {
	local told
	layer a - one 'echo 1 >f'
	told=$(runtime prepare k one containerd.io/snapshot/uidmapping=0:70000:65536 containerd.io/snapshot/gidmapping=0:80000:65536)
	[[ $told == *",uidmap=0:70000:65536,gidmap=0:80000:65536" ]] || fail_ "$told"
	same "$told" "$(runtime mounts k)"
	[ "$BACKEND" != overlay ] || same 70000:80000 "$(stat -c %u:%g "$ROOT"/active/2/fs)"
}
case_ "the mapping labels become options, and the writable layer is the mapped root's" mapped

# A new one without a parent that a power cut took: it was empty.
lost_before_use() {
	local told
	[ "$BACKEND" != vfs ] || skip_optional "vfs syncs the tree itself"
	runtime prepare k - >/dev/null
	[ "$BACKEND" != btrfs ] || btrfs subvolume delete "$ROOT"/active/1/fs >/dev/null
	rm -r "$ROOT/active/1"
	told=$(runtime mounts k) || fail_ "$told"
	mount_as_told "$told" m
	same "" "$(ls -A m)"
	echo new >m/f
	umount m
	runtime commit one k
	same new "$(cat "$ROOT"/{layers,active}/1/fs/f 2>/dev/null)"
}
case_ "an empty snapshot whose tree a power cut took is made again" lost_before_use

many_layers() {
	local names=() i
	[ "$BACKEND" = overlay ] || { runtime list; return; }
	layer a - l1 'echo 1 >f1'
	for ((i = 2; i <= 500; i++)); do
		names+=(, prepare k "l$((i - 1))" , commit "l$i" k)
	done
	timeout 200 "$RUNTIME" "$ROOT" "${names[@]:1}" >/dev/null
	for i in 1 2 60 61 200 300 500; do
		mount_as_told "$(runtime prepare "top $i" "l$i")" m
		same 1 "$(<m/f1)"
		echo new >m/f2
		umount m
	done
	[ -d "$ROOT/l" ] || fail_ "there are no short names"
	expect_exit 0 snap gc
	mount_as_told "$(runtime mounts "top 500")" m
	same new "$(<m/f2)"
	umount m
	runtime prepare over l500 , commit l501 over >/dev/null
	# It would be told that it is there already, the next time.
	fails 1 7 prepare top l501
	fails 3 $ENOENT stat top
	names=()
	for i in 1 2 60 61 200 300 500; do names+=(, remove "top $i"); done
	for ((i = 501; i >= 1; i--)); do names+=(, remove "l$i"); done
	timeout 200 "$RUNTIME" "$ROOT" "${names[@]:1}"
	expect_exit 0 snap gc
	same "" "$(ls -A "$ROOT/active" "$ROOT/l" | grep -v : || :)"
}
case_ "1 to 500 layers are mounted by mount(2), whose options are a page" many_layers

# order WORD...: of the waits for the disk and the answers, as they come when these commands run.
order() {
	# The leak checker cannot work beside strace.
	ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0" timeout 60 strace -f -y -e trace=fdatasync,write -o trace "$RUNTIME" "$ROOT" "$@" >out || fail_ "$(<out)"
	sed -nE 's/.* fdatasync\(.*snapdrv\.db-wal>\).*/disk/p; s/.* write\(1<.*/answer/p' trace | tr '\n' ' '
}
later() {
	layer a - one 'echo 1 >f'
	same "disk answer " "$(order prepare k one)"
	if [ "$BACKEND" = overlay ]; then
		same "answer disk " "$(order later l one , flush)"
		# The end of the handle is as good.
		same "answer disk " "$(order later m one)"
	else
		same "disk answer " "$(order later l one)"
	fi
	# A commit waits for all.
	runtime later n one
	[[ $(order commit two n) == "disk "* ]] || fail_ "no wait for the disk"
}
case_ "a snapshot is on disk when it is answered, or, where that was asked, at the flush" later

killed() {
	local i state
	layer a - one 'echo 1 >f'
	for ((i = 1; i < 400; i += 7)); do
		rm -f trace
		ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0" timeout 20 strace -f -o trace -e inject=pwrite64,renameat,renameat2,mkdirat,fdatasync,ioctl,unlinkat:signal=KILL:when="$i" \
			"$RUNTIME" "$ROOT" prepare "k$i" one , commit "n$i" "k$i" , prepare "m$i" "n$i" >/dev/null 2>&1 && break
		state=$(runtime list) || fail_ "$state"
		while read -r name kind _; do
			case $kind in
			active) runtime mounts "$name" >/dev/null || fail_ "$name" ;;
			committed) shows "$name" '[ "$(<f)" = 1 ]' ;;
			esac
		done <<<"$state"
	done
	[ "$i" -gt 8 ] && [ "$i" -lt 400 ] || fail_ "killed $i times"
	runtime list | sort -r | while read -r name _; do [ "$name" = one ] || echo "$name"; done |
		sort | while read -r name; do
		case $name in m*) runtime remove "$name" ;; esac
	done
	runtime list | while read -r name _; do case $name in [kn]*) runtime remove "$name" ;; esac; done
	runtime remove one , cleanup
	same "" "$(ls -A "$ROOT/layers" "$ROOT/active" "$ROOT/staging" | grep -v : || :)"
}
case_ "killed at any call, each snapshot is whole or gone" killed
