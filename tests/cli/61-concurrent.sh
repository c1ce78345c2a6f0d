#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Sixteen processes at one store.
. "$(dirname "$0")/../lib.sh"
. "$TOOLS/registry.sh"

IMAGES=$WORK/images
mkdir "$IMAGES"
layout "$IMAGES" <<'END'
import random, sys
top = sys.argv[1]
random.seed(2)
base = Layer([directory("base")] + [file(f"base/{n}", random.randbytes(3000)) for n in range(800)])
# All have the base; each pair has one more in common.
for n in range(8):
    own = Layer([directory("own"), file("own/number", str(n)), file("own/data", random.randbytes(100000))])
    Layout(Image([base, own], names=f"image{n}:1")).write_dir(f"{top}/{n}")
    Layout(Image([base, own], names=f"image{n}:2")).write_archive(f"{top}/{n}.tar")
END

# traced N ARGUMENT...: one process of the sixteen; its output goes to out.N.
at_once() {
	local pids=() pid n failed=""
	for n in $(seq 0 15); do
		# Wait for each other at a gate, so that they start as one.
		(until [ -e gate ]; do :; done; "$@" "$n") >"out.$n" 2>"err.$n" &
		pids+=($!)
	done
	sleep 0.2
	touch gate
	n=0
	for pid in "${pids[@]}"; do
		wait "$pid" || failed+=" process $n: status $? $(<"err.$n");"
		n=$((n + 1))
	done
	rm gate
	[ -z "$failed" ] || fail_ "$failed"
}

load_same() {
	snap load "$IMAGES/0"
}
same_image() {
	at_once load_same
	same 1 "$(sort -u out.* | wc -l)"
	same 2 "$(ls "$ROOT/layers" | wc -l)"
	same "" "$(ls -A "$ROOT/staging")"
	expect_exit 0 snap create image0:1
	same 800 "$(ls "$OUT/base" | wc -l)"
	# Nothing was unpacked twice: the store is what one process makes of it.
	first=$(cd "$ROOT" && find layers content | sort)
	ROOT=$CASE/alone
	expect_exit 0 snap load "$IMAGES/0"
	same "$(cd "$ROOT" && find layers content | wc -l)" "$(wc -l <<<"$first")"
}
case_ "16 processes load the same image: each layer is unpacked once" same_image

load_and_create() {
	local n=$1
	if [ $((n % 2)) = 0 ]; then
		snap load "$IMAGES/$((n / 2))" && snap create --name "c$n" "image$((n / 2)):1"
	else
		snap load - <"$IMAGES/$((n / 2)).tar" && snap create --name "c$n" "image$((n / 2)):2"
	fi
}
mixed() {
	local n
	at_once load_and_create
	# One base, eight layers of their own.
	same 9 "$(ls "$ROOT/layers" | wc -l)"
	same "" "$(ls -A "$ROOT/staging")"
	expect_exit 0 snap --json images
	holds 'len(d["images"]) == 8 and all(len(i["references"]) == 2 for i in d["images"])'
	expect_exit 0 snap --json ls
	holds 'len(d["containers"]) == 16 and all(c["mounted"] for c in d["containers"])'
	for n in $(seq 0 15); do
		same $((n / 2)) "$(<"$ROOT/containers/c$n/rootfs/own/number")"
		same 800 "$(ls "$ROOT/containers/c$n/rootfs/base" | wc -l)"
	done
}
case_ "16 processes load eight images and create containers of them at once" mixed

create_remove() {
	local n=$1 round
	for round in 1 2 3 4 5; do
		snap create --name "n$n-$round" image0:1 && snap rm "n$n-$round" || return
		snap images || return
	done
}
churn() {
	expect_exit 0 snap load "$IMAGES/0"
	at_once create_remove
	expect_exit 0 snap --json ls
	holds 'd["containers"] == []'
	same "" "$(ls -A "$ROOT/containers")"
	same "" "$(mounts_under "$ROOT")"
}
case_ "16 processes create and remove containers at once" churn

one_name() {
	snap create --name only image0:1 || [ $? = 4 ]
}
name_race() {
	expect_exit 0 snap load "$IMAGES/0"
	at_once one_name
	same 1 "$(cat out.* | wc -l)"
	same 1 "$(mounts_under "$ROOT" | wc -l)"
}
case_ "of 16 processes that want one name, one gets it" name_race

load_remove() {
	local n=$1 round
	for round in 1 2 3; do
		snap load "$IMAGES/$((n % 2))" || return
		snap rmi "image$((n % 2)):1" || [ $? = 3 ] || return
	done
}
load_against_rmi() {
	at_once load_remove
	expect_exit 0 snap load "$IMAGES/0"
	expect_exit 0 snap create --name last image0:1
	same 800 "$(ls "$OUT/base" | wc -l)"
	expect_exit 0 snap rm last
	snap rmi image0:1 image1:1 >/dev/null 2>&1 || :
	expect_exit 0 snap images
	same "" "$(ls -A "$ROOT/layers")"
	same "" "$(ls -A "$ROOT/staging")"
}
case_ "16 processes load and remove the same layers at once" load_against_rmi

first_open() {
	snap images
}
new_store() {
	at_once first_open
	expect_exit 0 snap load "$IMAGES/0"
	expect_exit 0 snap create image0:1
	same 800 "$(ls "$OUT/base" | wc -l)"
}
case_ "16 processes make a new store at once" new_store

killed_holds_nothing() {
	mkfifo pipe
	"$SNAPDRV" --root "$ROOT" load - <pipe >/dev/null 2>&1 &
	loader=$!
	exec 7>pipe
	head -c 400000 "$IMAGES/0.tar" >&7
	sleep 0.3
	snap load "$IMAGES/0" >waiter.out 2>waiter.err 7>&- &
	waiter=$!
	sleep 0.3
	kill -9 $loader
	exec 7>&-
	wait $loader 2>/dev/null || :
	wait $waiter || fail_ "the one that waited: $(<waiter.err)"
	expect_exit 0 snap create image0:1
	same 800 "$(ls "$OUT/base" | wc -l)"
}
case_ "a process that is killed while it unpacks holds nothing: the one that waits goes on" killed_holds_nothing

# The leak checker cannot work beside strace.
export ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0"

# A layer's parent goes away just when it is looked at: what was seen then, or not seen, must not stay.
lost_below() {
	local call at
	case $BACKEND in
	overlay) call=openat2 at='"d"' ;;
	btrfs) call=ioctl at=SNAP_CREATE ;;
	*) call=mkdirat at='"fs"' ;;
	esac
	if [ "$call" = openat2 ]; then needs_calls openat2; fi
	layout <<-'END'
		base = Layer([directory("d", mode=0o711, uid=7, gid=8)] + [file(f"d/{n}", str(n)) for n in range(50)])
		top = Layer([file("d/new", "new"), whiteout("d/3")])
		Layout(Image([base], names="base:1")).write_dir("base")
		Layout(Image([base, top], names="two:1")).write_dir("two")
	END
	expect_exit 0 snap load base
	strace -f -qq -o .slow -e trace=$call -e inject=$call:delay_enter=1500000 \
		"$SNAPDRV" --root "$ROOT" load two >.out 2>.err &
	wait_for 30 grep -qF "$at" .slow
	expect_exit 0 snap rmi base:1
	same "" "$(ls -A "$ROOT/layers")"
	wait $! || fail_ "the load failed: $(<.err)"
	expect_exit 0 snap create two:1
	same "711 7 8" "$(stat -c '%a %u %g' "$OUT/d")"
	same 50 "$(ls "$OUT/d" | wc -l)"
	same "new 49" "$(<"$OUT/d/new") $(<"$OUT/d/49")"
}
case_ "an image is whole whose base is removed while its next layer is unpacked over it" lost_below

# Two images have a layer in common, each with a blob of its own; one goes while it comes again.
blob_goes() {
	local digest
	layout <<-'END'
		entries = [directory("d"), file("d/a", "a" * 5000)]
		for name, how in (("gzip", "gzip"), ("zstd", "zstd")):
		    Layout(Image([Layer(entries, how)], names=name + ":1")).write_dir(name)
	END
	expect_exit 0 snap load gzip
	expect_exit 0 snap load zstd
	same 1 "$(ls "$ROOT/layers" | wc -l)"
	strace -f -qq -o .slow -e trace=syncfs -e inject=syncfs:delay_enter=1500000 \
		"$SNAPDRV" --root "$ROOT" load --ref again:1 gzip >.out 2>.err &
	wait_for 30 grep -q syncfs .slow
	expect_exit 0 snap rmi gzip:1
	wait $! || fail_ "the load failed: $(<.err)"
	expect_exit 0 snap save again:1 --format oci-dir -o saved
	for digest in gzip/blobs/sha256/*; do
		cmp "$digest" "saved/blobs/sha256/${digest##*/}" || fail_ "$digest is not in the store"
	done
}
case_ "a blob that goes with another image while its own comes again is kept" blob_goes

# A process that was killed between moving a tree to its place and committing the row, while the next one that has the
# store open already waits for the lock: it gets the same number.
taken_number() {
	expect_exit 0 snap images
	mkdir -p "$ROOT"/{layers,active}/{1,2,3,4}/fs
	touch "$ROOT"/{layers,active}/{1,2,3,4}/fs/stray
	expect_exit 0 snap load "$IMAGES/0"
	expect_exit 0 snap create --name c image0:1
	same "800 0" "$(ls "$OUT/base" | wc -l) $(<"$OUT/own/number")"
	[ ! -e "$OUT/stray" ] || fail_ "what was in the place is in the image"
	expect_exit 0 snap gc
	same "1 2" "$(ls "$ROOT/layers" | xargs)"
	same 3 "$(ls "$ROOT/active")"
	same "" "$(ls -A "$ROOT/staging")"
}
case_ "what a killed process left where a layer or container is to be gives way" taken_number

# What is read of a container that is removed meanwhile says nothing: neither that all was deleted, nor that nothing was.
read_while_removed() {
	local how
	layout <<-'END'
		Layout(Image([[directory("etc"), file("etc/passwd", "x"), file("etc/group", "y")]], names="etc:1")).write_dir("etc")
	END
	expect_exit 0 snap load etc
	for how in "commit c new:1" "diff c" "export c -o c.tar"; do
		expect_exit 0 snap create --name c etc:1
		echo changed >"$OUT/etc/passwd"
		expect_exit 0 snap umount c
		rm -f .slow
		# shellcheck disable=SC2086 # words are meant
		# The first two are of staging/.
		strace -f -qq -o .slow -e trace=getdents64 -e inject=getdents64:delay_exit=2000000:when=3 \
			"$SNAPDRV" --root "$ROOT" $how >.out 2>.err &
		wait_for 30 sh -c '[ "$(grep -c getdents64 .slow)" -ge 3 ]'
		expect_exit 0 snap rm c
		status=0
		wait $! || status=$?
		same "3" "$status"
		[[ $(<.err) == *"it has been removed"* ]] || fail_ "$how: $(<.err)"
		[ ! -s .out ] && [ ! -e c.tar ] || fail_ "$how gave something: $(<.out)"
		same "" "$(ls -A "$ROOT/active" "$ROOT/staging" | grep -v :)"
		expect_exit 0 snap --json images
		holds 'len(d["images"]) == 1'
	done
}
case_ "commit, diff and export of a container that is removed meanwhile fail, and say so" read_while_removed

# Its name belongs to another one by then.
create_is_overtaken() {
	expect_exit 0 snap load "$IMAGES/0"
	mkdir bundle
	touch bundle/config.json
	strace -f -qq -o .slow -e trace=mkdir -e inject=mkdir:delay_enter=3000000 \
		"$SNAPDRV" --root "$ROOT" create --name web --bundle bundle image0:1 -- /bin/true >.out 2>.err &
	wait_for 30 mountpoint -q "$ROOT/containers/web/rootfs"
	expect_exit 0 snap rm web
	expect_exit 0 snap create --name web image0:1
	echo mine >"$OUT/mine"
	status=0
	wait $! || status=$?
	same 4 "$status"
	same mine "$(cat "$OUT/mine")"
	expect_exit 0 snap ls
	[[ $OUT == *web* ]] || fail_ "$OUT"
}
case_ "a create that fails at its end takes nothing away from another container of that name" create_is_overtaken

# An image is removed while a pull, which needs one of its layers, waits for another layer.
gone_while_waiting() {
	layout <<-'END'
		import random
		noise = random.Random(7).randbytes
		lower = Layer([directory("lower"), file("lower/data", noise(2_000_000))])
		upper = Layer([directory("upper"), file("upper/data", noise(2_000_000))])
		for name, layers in (("lower", [lower]), ("upper", [upper]), ("both", [lower, upper])):
		    Layout(Image(layers, names="1")).write_dir(name)
	END
	hex_of() {
		basename "$(find "$1/blobs" -size +1M)"
	}
	# A pull of $1 in the background, from a registry that holds blobs back until .go is there.
	start() {
		liar_start "$1" hold=700000
		[ -z "${2-}" ] || touch "$LIAR_LOG.go"
		TMPDIR=$CASE/tmp "$SNAPDRV" --root "$ROOT" pull --plain-http "$LIAR/$1:1" >"out.$1" 2>&1 &
		pids+=($!)
	}
	local pids=()
	expect_exit 0 snap load lower --ref lower:1
	start upper
	upper_go=$LIAR_LOG.go
	wait_for 20 test -s "$ROOT/content/partial/$(hex_of upper)"
	start both now
	wait_for 20 grep -q /blobs/ "$LIAR_LOG"
	sleep 1
	expect_exit 0 snap rmi lower:1
	start lower
	lower_go=$LIAR_LOG.go
	wait_for 20 test -s "$ROOT/content/partial/$(hex_of lower)"
	touch "$upper_go"
	wait "${pids[0]}" || fail_ "$(<out.upper)"
	# The one that waited has to wait once more, and not to write to what somebody else writes.
	sleep 1
	kill -0 "${pids[1]}" || fail_ "it did not wait: $(<out.both)"
	touch "$lower_go"
	for n in 1 2; do
		wait "${pids[$n]}" || fail_ "$(<out.both) $(<out.lower)"
	done
	expect_exit 0 snap check --deep
	[ ! -e "$ROOT/content/partial" ] || fail_ "left: $(ls "$ROOT/content/partial")"
	same "" "$(ls -A "$ROOT/staging")"
}
case_ "a layer that goes while a pull waits for another one is locked before it is fetched" gone_while_waiting
