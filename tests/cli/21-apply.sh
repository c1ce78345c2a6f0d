#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Layers into and out of what a runtime would mount: as containerd's diff service asks for it.
. "$(dirname "$0")/../lib.sh"
. "$TOOLS/runtime.sh"
REF=containerd.io/snapshot.ref

# ---- what is applied: made once for all -----------------------------------------------------------

# layers LAYOUT: a line for each layer of its first image: the file, its media type, DiffID, ChainID.
layers() {
	python -IS - "$1" <<'PY'
import hashlib, json, sys
top = sys.argv[1]
def blob(digest):
    return f"{top}/blobs/{digest.replace(':', '/')}"
def load(digest):
    return json.load(open(blob(digest)))
manifest = load(json.load(open(f"{top}/index.json"))["manifests"][0]["digest"])
chain = None
for layer, diff in zip(manifest["layers"], load(manifest["config"]["digest"])["rootfs"]["diff_ids"]):
    chain = diff if chain is None else "sha256:" + hashlib.sha256(f"{chain} {diff}".encode()).hexdigest()
    print(blob(layer["digest"]), layer["mediaType"], diff, chain)
PY
}
# corpus ROOM: the layouts of tests/corpus/ROOM in $WORK/ROOM/NAME/layout.
corpus() {
	mkdir -p "$WORK/$1" "$WORK/canary"
	PYTHONPATH=$TESTS/corpus:$TOOLS python - "$TESTS/corpus/$1" "$WORK/$1" "$WORK/canary" <<'PY' || exit 1
import glob, os, sys
import case
room, built, canary = sys.argv[1:]
for path in sorted(glob.glob(room + "/*.py")):
    out = built + "/" + os.path.basename(path)[:-len(".py")]
    os.makedirs(out)
    case.build(path, out, canary)
PY
}
corpus good
corpus refused
STACK_DIR=$WORK/stack STACK=$WORK/stack/layout
layout "$STACK" <<'PY' || exit 1
import sys
Layout(Image([
    Layer([directory(".", mode=0o751, xattrs={"user.root": b"1"}), directory("d", mode=0o750, uid=7, gid=8, xattrs={"user.d": b"1"}), file("d/x", b"x", mode=0o4755), file("d/y", b"y"),
        directory("o"), file("o/1", b"1"), directory("usr"), directory("usr/lib"), symlink("lib", "usr/lib")]),
    Layer([whiteout("d/x"), file("d/new", b"new"), opaque("o"), file("o/2", b"2")], "zstd"),
    Layer([hardlink("linked", "d/y"), hardlink("d/again", "linked"), file("lib/so", b"so"), directory(".", mode=0o711)], "none"),
    Layer([whiteout("o"), file("big", b"z" * 3000000), directory("d", mode=0o700), whiteout("nowhere/x")]),
    Layer([whiteout("d"), file("d/fresh", b"fresh"), symlink("o", "d")]),
], names="stack:1")).write_dir(sys.argv[1])
PY

# apply_all LAYOUT: prepare, apply, commit each layer as containerd does; TOP is the last name.
apply_all() {
	local file type diff chain words=() number=0 told stack files
	stack=$(layers "$1")
	TOP_NAME=-
	while read -r file type diff chain; do
		number=$((number + 1))
		words+=(, prepare "extract-$number-$chain" "$TOP_NAME" "$REF=$chain" , apply "extract-$number-$chain" "$file" "$type"
			, commit "$chain" "extract-$number-$chain" "$REF=$chain")
		TOP_NAME=$chain
	done <<<"$stack"
	told=$(runtime "${words[@]:1}") || fail_ "$(tail -n 1 <<<"$told")"
	same "$(cut -d ' ' -f 3 <<<"$stack")" "$(grep ^sha256: <<<"$told" | cut -d ' ' -f 1)"
	mapfile -t files < <(cut -d ' ' -f 1 <<<"$stack")
	same "$(paste -d ' ' <(sha256sum "${files[@]}" | sed 's/^/sha256:/; s/ .*//') <(stat -c %s "${files[@]}"))" \
		"$(grep ^sha256: <<<"$told" | cut -d ' ' -f 3,4)"
}
# view_of NAME DIR: mount what it shows.
view_of() {
	local told
	told=$(runtime view "view-of-$1" "$1") || fail_ "$told"
	mount_as_told "$told" "$2"
}
trees() {
	ls -A "$ROOT/layers" "$ROOT/active"
}
# load_reference LAYOUT: its tree by a load into another store, in $WANT.
load_reference() {
	local own=$ROOT
	ROOT=$own-reference
	rootfs_of "$1"
	WANT=$OUT
	ROOT=$own
}
# forget_names: remove all snapshots of runtimes, the topmost first.
forget_names() {
	local name left words
	while left=$(runtime list) && [ -n "$left" ]; do
		words=()
		while read -r name; do words+=(, remove "$name"); done < <(
			awk -F '[ ]' '{ names[$1]; parents[$3] } END { for (name in names) if (!(name in parents)) print name }' <<<"$left")
		runtime "${words[@]:1}" || fail_ "remove"
	done
}

# ---- applying --------------------------------------------------------------------------------------

# applied LAYOUT: it is what a load gives; then a load of it unpacks nothing.
applied() {
	local before
	load_reference "$1"
	apply_all "$1"
	same "" "$(runtime list | grep -v ' committed ' || :)"
	before=$(trees)
	view_of "$TOP_NAME" "$CASE/view"
	same_tree "$WANT" "$CASE/view"
	umount "$CASE/view"
	runtime remove "view-of-$TOP_NAME" , cleanup
	expect_exit 0 snap load "$1"
	same "$before" "$(trees)"
}
# all_applied DIR...: each in a store of its own.
all_applied() {
	local dir
	for dir; do
		ROOT=$CASE/store-${dir##*/}
		echo "$dir"
		applied "$dir/layout"
	done
}
stack() {
	local rootfs
	applied "$STACK"
	expect_exit 0 snap create stack:1 --name c
	rootfs=$OUT
	# Neither side takes what the other holds.
	forget_names
	expect_exit 0 snap gc
	same_tree "$WANT" "$rootfs"
	expect_exit 0 snap rm c
	expect_exit 0 snap rmi stack:1
	same "" "$(trees | grep -v : || :)"
}
case_ "a stack of layers, each applied and committed, is the tree that a load gives; a load then unpacks nothing" \
	stack

good_corpus() {
	local dirs=("$WORK"/good/*)
	[ ${#dirs[@]} -gt 30 ] || fail_ "${#dirs[@]} layers"
	# One has a path that treedump cannot look at.
	all_applied "${dirs[@]/*path-of-4095*/$STACK_DIR}"
}
case_ "each layer of the corpus, applied, is the tree that a load gives" good_corpus

loaded_before() {
	local before file type diff chain
	expect_exit 0 snap load "$STACK"
	before=$(trees)
	# Without its label nobody is offered what is there: it is applied, and dropped at the commit.
	TOP_NAME=-
	while read -r file type diff chain; do
		runtime prepare k "$TOP_NAME" , apply k "$file" , commit "my-$chain" k >/dev/null
		TOP_NAME="my-$chain"
	done < <(layers "$STACK")
	runtime cleanup
	same "$before" "$(trees)"
	expect_exit 0 snap gc
	view_of "$TOP_NAME" v
	same fresh "$(<v/d/fresh)"
	umount v
}
case_ "what a load brought before is not kept twice" loaded_before

written_after() {
	local file told
	read -r file _ < <(layers "$STACK")
	told=$(runtime prepare k -)
	runtime apply k "$file" >/dev/null
	fails 1 $EOPNOTSUPP apply-to "$file" bind "$ROOT/active/1/fs" ro
	# Applied once more: deletions would be carried out, and it is not this layer any more.
	if [ "$BACKEND" = overlay ]; then
		fails 1 $EOPNOTSUPP apply k "$file"
		runtime commit n k
		expect_exit 0 snap load "$STACK"
		[ "$(ls "$ROOT/layers" "$ROOT/active" | grep -c '^[0-9]')" = 6 ] || fail_ "$(trees)"
	else
		runtime apply k "$file" >/dev/null
		runtime commit n k
	fi
	view_of n v
	same x "$(<v/d/x)"
	umount v
}
case_ "a layer over another one in the same snapshot is not taken for the one alone" written_after

rebased() {
	local file type diff chain parent=- kept
	load_reference "$STACK"
	layers "$STACK" >list
	if [ "$BACKEND" != overlay ]; then
		runtime prepare a - , apply a "$(sed -n '1s/ .*//p' list)" , commit one a >/dev/null
		runtime prepare b - , apply b "$(sed -n '2s/ .*//p' list)" >/dev/null
		fails 1 $EOPNOTSUPP rebase two b one
		return
	fi
	# All of them on nothing, as containerd unpacks side by side; then each gets its parent.
	while read -r file type diff chain; do
		case $chain in
		"$(sed -n 3p list | cut -d ' ' -f 4)")
			runtime prepare "k-$chain" - "$REF=$chain" >/dev/null
			# It links to a file of a lower layer.
			fails 5 74 apply "k-$chain" "$file"
			runtime remove "k-$chain"
			;;
		*)
			runtime prepare "k-$chain" - "$REF=$chain" , apply "k-$chain" "$file" >/dev/null
			;;
		esac
	done <list
	while read -r file type diff chain; do
		if [ "$chain" = "$(sed -n 3p list | cut -d ' ' -f 4)" ]; then
			runtime prepare "k-$chain" "$parent" , apply "k-$chain" "$file" , commit "$chain" "k-$chain" >/dev/null
		elif [ $parent = - ]; then
			runtime commit "$chain" "k-$chain"
		else
			runtime rebase "$chain" "k-$chain" "$parent"
		fi
		parent=$chain
	done <list
	view_of "$parent" v
	same_tree "$WANT" v
	umount v
	kept=$(trees)
	runtime remove "view-of-$parent" , cleanup
	same "" "$(getfattr -R -h -d -m trusted.overlay.snapdrv "$ROOT/active" 2>/dev/null)"
	expect_exit 0 snap load "$STACK"
	same "$(grep -cx '[0-9]*' <<<"$kept")" "$(($(trees | grep -cx '[0-9]*') + 1))"
}
case_ "layers that are applied on nothing keep their marks for the parents that they get" rebased

unlabelled() {
	local file
	layout odd <<'PY'
import sys
Layout(Image([[whiteout("gone"), whiteout("nowhere/deep/x"), file("d/f", b"f"), whiteout("d/g"), opaque("d"), directory("e"), whiteout("e/x")]],
	names="odd:1")).write_dir("odd")
PY
	read -r file _ < <(layers odd)
	load_reference odd
	runtime prepare k - , apply k "$file" , commit n k >/dev/null
	view_of n v
	same_tree "$WANT" v
	same "./d ./d/f ./e" "$(cd v && find . -mindepth 1 | sort | paste -sd ' ')"
	umount v
}
case_ "marks of the lowest layer, of which nobody said that it is, hide nothing and show nothing" unlabelled

through_symlink() {
	local file type diff chain
	layout linked <<'PY'
Layout(Image([[directory("usr"), symlink("lib", "usr")], [file("lib/so", b"so")]], names="linked:1")).write_dir("linked")
PY
	load_reference linked
	apply_all linked
	view_of "$TOP_NAME" v
	same_tree "$WANT" v
	umount v
	[ "$BACKEND" = overlay ] || return 0
	read -r file type diff chain < <(layers linked | tail -n 1)
	runtime prepare k - "$REF=$chain" , apply k "$file" >/dev/null
	fails 1 $EOPNOTSUPP rebase n k "$(layers linked | sed -n 1p | cut -d ' ' -f 4)"
}
case_ "a symlink of a lower layer is followed; a layer that was applied without it is not put over it" through_symlink

random_stacks() {
	local seed
	for ((seed = 1; seed <= 8; seed++)); do
		python "$TOOLS/randomstack.py" make "$seed" "$CASE/seed-$seed/layout"
	done
	all_applied "$CASE"/seed-*
}
case_ "random stacks of layers, applied, are the trees that loads give" random_stacks

# ---- diff --------------------------------------------------------------------------------------------

# changed KEY: change what the stack's top shows, in an active snapshot KEY over it.
changed() {
	mount_as_told "$(runtime prepare "$1" "$TOP_NAME")" m
	(
		cd m
		rm linked
		echo changed >d/fresh
		mkdir -p deep/er
		echo one >deep/er/one
		ln deep/er/one deep/two
		ln -s nowhere deep/link
		mknod deep/null c 1 3
		mkfifo deep/fifo
		setfattr -n user.x -v y deep/er
		rm -r usr
		mkdir usr
		echo usr >usr/new
		chmod 4711 big
		find deep usr d -exec touch -h -d @12345.678 {} +
		touch -d @54321.123 .
	)
	umount m
}

diffed() {
	local how type told n=0
	apply_all "$STACK"
	changed k
	runtime view left "$TOP_NAME" >/dev/null
	for how in plain gzip zstd; do
		told=$(runtime diff left k $how "$how.1") || fail_ "$told"
		same "$told" "$(runtime diff left k $how "$how.2")"
		cmp $how.1 $how.2
		same "sha256:$(sha256sum $how.1 | cut -d ' ' -f 1) $(stat -c %s $how.1)" "$(cut -d ' ' -f 3,4 <<<"$told")"
	done
	gzip -dc gzip.1 | cmp - plain.1
	zstd -dcq zstd.1 | cmp - plain.1
	tar tf plain.1 | sort >names
	grep -qx '.wh.linked' names || fail_ "$(<names)"
	! grep -q '^o$\|nowhere' names || fail_ "$(<names)"
	mount_as_told "$(runtime mounts k)" m
	runtime prepare elsewhere "$TOP_NAME" , apply elsewhere gzip.1 , commit copy elsewhere >/dev/null
	view_of copy v
	same_tree m v
	umount v
	# Everything, over nothing; and what leads from a committed snapshot to a committed one.
	runtime diff - k plain all >/dev/null
	umount m
	runtime prepare whole - , apply whole all , commit all whole >/dev/null
	view_of all v
	mount_as_told "$(runtime mounts k)" m
	same_tree m v
	umount v
	umount m
	runtime commit done k
	runtime view right done , diff left right plain committed >/dev/null
	cmp committed plain.1
	runtime diff right right plain none >/dev/null
	same "" "$(tar tf none)"
	# From the lowest layer to the top, which no driver keeps.
	runtime view lowest "$(layers "$STACK" | sed -n 1p | cut -d ' ' -f 4)" , diff lowest right zstd far >/dev/null
	runtime prepare far "$(layers "$STACK" | sed -n 1p | cut -d ' ' -f 4)" , apply far far , commit far2 far >/dev/null
	view_of far2 v
	view_of done m
	same_tree m v
	umount v
	umount m
}
case_ "the diff of a changed snapshot, applied elsewhere, is the same tree; the same bytes each time" diffed

diff_fails() {
	apply_all "$STACK"
	runtime prepare k "$TOP_NAME" , view left "$TOP_NAME" >/dev/null
	fails 2 $EINVAL diff left k what out
	fails 1 121 diff-broken left k
	mount_as_told "$(runtime mounts k)" m
	echo 1 >m/.wh.x
	umount m
	fails 5 74 diff left k plain out
}
case_ "a diff that fails says why" diff_fails

same_bytes() {
	apply_all "$STACK"
	changed k
	runtime view left "$TOP_NAME" , diff left k plain "$WORK/diff-$BACKEND" >/dev/null
	expect_exit 0 snap load "$STACK"
	expect_exit 0 snap create stack:1 --name c
	rmdir m
	(mount_as_told() { ln -s "$OUT" m; }
	runtime() { :; }
	umount() { rm m; }
	changed c)
	expect_exit 0 snap commit c c:1
	same "sha256:$(sha256sum "$WORK/diff-$BACKEND" | cut -d ' ' -f 1)" \
		"$(snap --json inspect c:1 | python -c '
import json, re, sys
print(re.findall(r"DiffID\W+(sha256:\w+)", sys.stdin.read())[-1])')"
}
case_ "a diff has the bytes of the layer that commit makes of the same changes" same_bytes

# ---- what is not for it --------------------------------------------------------------------------------

refused_corpus() {
	local dir file type chain told status parent words
	for dir in "$WORK"/refused/*; do
		echo "$dir"
		ROOT=$CASE/store-${dir##*/}
		parent=- status=0 words=()
		while read -r file type _ chain; do
			words+=(, prepare "k$chain" "$parent" , apply "k$chain" "$file" "$type" , commit "n-$chain" "k$chain")
			parent=n-$chain
		done < <(layers "$dir/layout")
		told=$(runtime "${words[@]:1}") || status=$?
		case $(sed -n 2p "$dir/facts"):$status in
		refused:5) [[ $(tail -n 1 <<<"$told") == "5 74: apply a layer to '$ROOT/active/"* ]] || fail_ "$told" ;;
		either:0 | either:5) ;;
		*) fail_ "$status $told" ;;
		esac
		same "" "$(ls -A "$WORK/canary")"
		forget_names
		runtime cleanup
		same "" "$(trees | grep -v : || :)"
	done
}
case_ "what a load refuses is refused, and its snapshot can be removed" refused_corpus

corrupt() {
	local file
	read -r file _ < <(layers "$STACK")
	head -c $(($(stat -c %s "$file") / 2)) "$file" >half
	{ head -c 100 "$file"; printf 'XXXX'; tail -c +105 "$file"; } >changed
	runtime prepare k - >/dev/null
	fails 5 74 apply k half
	runtime remove k , prepare k - >/dev/null
	fails 5 74 apply k changed
	runtime remove k , prepare k - >/dev/null
	fails 1 121 apply-broken k
	# It can be committed; it is nobody's layer.
	runtime commit n k
	same "n committed -" "$(runtime list)"
	runtime remove n , cleanup
	same "" "$(trees | grep -v : || :)"
}
case_ "a corrupt layer, a truncated one, and an input that fails" corrupt

unsupported() {
	local file options
	read -r file _ < <(layers "$STACK")
	mkdir a b up work full
	touch full/x
	fails 1 $EOPNOTSUPP apply-to "$file"
	fails 1 $EOPNOTSUPP apply-to "$file" bind "$PWD/a" rbind,rw bind "$PWD/b" rbind,rw
	fails 1 $EOPNOTSUPP apply-to "$file" bind "$PWD/a" rbind,ro
	fails 1 $EOPNOTSUPP apply-to "$file" bind "$PWD/a" rbind,rw,uidmap=0:1000:1000
	fails 1 $EOPNOTSUPP apply-to "$file" ext4 /dev/null rw
	fails 1 $EOPNOTSUPP apply-to "$file" overlay overlay "lowerdir=$PWD/a:$PWD/b"
	fails 1 $EOPNOTSUPP apply-to "$file" overlay overlay "upperdir=$PWD/up,workdir=$PWD/work"
	fails 1 $EOPNOTSUPP apply-to "$file" overlay overlay "lowerdir=$PWD/a,upperdir=$PWD/up,workdir=$PWD/work,userxattr"
	fails 1 $EOPNOTSUPP apply-to "$file" overlay overlay "lowerdir=$PWD/a::$PWD/b,upperdir=$PWD/up,workdir=$PWD/work"
	fails 1 $EOPNOTSUPP apply-to "$file" overlay overlay "lowerdir=$PWD/a,upperdir=$PWD/full,workdir=$PWD/work"
	same "" "$(find a b up -mindepth 1)"
	for options in application/vnd.oci.image.layer.v1.tar+encrypted application/vnd.oci.image.layer.v1.tar+gzip+encrypted text/plain; do
		runtime prepare k - >/dev/null
		fails 1 $EOPNOTSUPP apply k "$file" $options
		runtime remove k
	done
	for options in application/vnd.oci.image.layer.nondistributable.v1.tar+gzip application/vnd.docker.image.rootfs.diff.tar.gzip \
		application/vnd.docker.image.rootfs.foreign.diff.tar; do
		runtime prepare k - , apply k "$file" $options , remove k >/dev/null
	done
}
case_ "other mounts, options and media types are not supported, and nothing is touched" unsupported

foreign() {
	local file
	# Somebody else's directories, with names that an option has to escape.
	mkdir -p 'lo:w,er/1' 'lo:w,er/2/usr/lib' 'lo:w,er/1/d' up work plain
	ln -s usr/lib 'lo:w,er/2/lib'
	echo y >'lo:w,er/1/d/y'
	file=$(layers "$STACK" | sed -n 3p | cut -d ' ' -f 1)
	cat >mount.c <<'C'
#include <stdio.h>
#include "snapdrv.h"
static ssize_t take(void *arg, void *data, size_t size)
{
	return (ssize_t)fread(data, 1, size, arg);
}
int main(int argc, char **argv)
{
	struct snapdrv_mount mount = {"overlay", "overlay", argv + 3, (size_t)argc - 3};
	struct snapdrv_applied applied;
	struct snapdrv_store *store;
	struct snapdrv_error err;

	if (snapdrv_open(argv[1], NULL, &store, &err) ||
	    snapdrv_apply(store, &mount, 1, take, fopen(argv[2], "r"), NULL, 0, &applied, &err))
		return puts(err.message), 1;
	snapdrv_applied_done(&applied);
	snapdrv_close(store);
	return 0;
}
C
	compile_helper mount.c ./mount
	./mount "$ROOT" "$file" "lowerdir=$PWD/lo\\:w\\,er/1:$PWD/lo\\:w\\,er/2" "upperdir=$PWD/up" "workdir=$PWD/work"
	same y "$(<up/linked)"
	same so "$(<up/usr/lib/so)"
	same "" "$(ls -A work)"
	same 711 "$(stat -c %a up)"
	# A directory that is bound holds what is below.
	mkdir plain/d plain/o
	touch plain/d/x plain/d/y plain/o/1
	runtime apply-to "$(layers "$STACK" | sed -n 2p | cut -d ' ' -f 1)" bind "$PWD/plain" rbind,rw >/dev/null
	same "d d/new d/y o o/2" "$(cd plain && find . -mindepth 1 -printf '%P\n' | sort | paste -sd ' ')"
}
case_ "directories that are not this store's: an overlay's with odd names, and one that is bound" foreign
