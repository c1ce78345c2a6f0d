#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Kernels and seccomp filters without the new system calls (strace answers in their place), and the order
# in which things come to the disk.
. "$(dirname "$0")/../lib.sh"
# The leak checker cannot work beside strace.
export ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0"

# without CALL ERROR[:WHEN] COMMAND...: as on a kernel where the call answers so.
without() {
	local call=$1 error=$2
	shift 2
	strace -f -qq -A -o "$CASE/.trace" -e trace="$call" -e inject="$call:error=$error" "$@"
}
snap_without() {
	local call=$1 error=$2
	shift 2
	without "$call" "$error" "$SNAPDRV" --root "$ROOT" "$@"
}

# Layers whose parents are only below, links into lower layers, symlinks on the way, deep names.
everything() {
	layout "$1" <<-'END'
		import sys
		base = [directory("usr"), directory("usr/lib", mode=0o711, uid=7), file("usr/lib/a", "a"),
		        symlink("lib", "usr/lib"), symlink("abs", "/usr"), directory("gone"), file("gone/x", "x")]
		over = [file("lib/b", "b"), file("abs/lib/c", "c"), hardlink("hard", "lib/a"), whiteout("gone"),
		        symlink("up", "../../usr"), file("up/lib/d", "d"), file("/".join("n" * 200 for _ in range(9)), "deep")]
		Layout(Image([base, over], names="all:1")).write_dir(sys.argv[1])
	END
}

same_without() {
	local call=$1 error=$2
	[ "$call" = openat2 ] || needs_calls fsopen mount_setattr
	everything image
	expect_exit 0 snap load image
	expect_exit 0 snap create all:1
	treedump --no-root-mtime "$OUT" >want
	expect_exit 0 snap umount "$(basename "$(dirname "$OUT")")"
	grep -q '^usr/lib/d file' want || fail_ "$(<want)"
	grep -q '^hard file' want || fail_ "$(<want)"
	ROOT=$CASE/other
	expect_exit 0 snap_without "$call" "$error" load image
	expect_exit 0 snap_without "$call" "$error" create --name c all:1
	treedump --no-root-mtime "$OUT" >got
	diff -u want got || fail_ "another tree without $call"
	echo written >"$OUT/new"
	expect_exit 0 snap umount c
	expect_exit 0 snap_without "$call" "$error" mount c
	same written "$(<"$OUT/new")"
	# An overlay that is mounted by mount(2) needs none.
	[ "$call" = mount_setattr ] && [ "$(printf '%s\n' 6.8 "$(uname -r)" | sort -V | sed -n 1p)" != 6.8 ] ||
		grep -q INJECTED .trace || fail_ "$call was never called"
	expect_exit 0 snap_without "$call" "$error" create --read-only all:1
}
case_ "the same trees without openat2 (before Linux 5.6, and under seccomp filters)" same_without openat2 ENOSYS
case_ "the same trees where a seccomp filter answers EPERM to openat2" same_without openat2 EPERM
case_ "the same trees without fsopen (before Linux 5.2): mount(2)" same_without fsopen ENOSYS
case_ "the same trees without lowerdir+ (before Linux 6.8): mount(2)" same_without fsconfig EINVAL:when=1..2
case_ "the same trees where overlay has the old interface (before Linux 6.5): mount(2)" \
	same_without fsconfig EOPNOTSUPP:when=1
case_ "the same trees without mount_setattr (before Linux 5.12)" same_without mount_setattr ENOSYS

shifted_without() {
	needs_calls fsopen mount_setattr
	everything image
	expect_exit 0 snap load image
	expect_exit 0 snap_without "$@" create --name c --userns 100000:200000:65536 all:1
	same "100007:200000 100000:200000" "$(echo $(stat -c %u:%g "$OUT/usr/lib" "$OUT/hard"))"
	echo mine >>"$OUT/hard"
	chown 100005:200006 "$OUT/hard"
	expect_exit 0 snap umount c
	expect_exit 0 snap mount c
	same amine "$(<"$OUT/hard")"
	same 100005:200006 "$(stat -c %u:%g "$OUT/hard")"
	expect_exit 0 snap umount c
	expect_exit 0 snap_without "$@" mount c
	same 100005:200006 "$(stat -c %u:%g "$OUT/hard")"
	expect_exit 0 snap_without "$@" create --read-only --userns 300000:300000:65536 all:1
	same "300007:300000" "$(stat -c %u:%g "$OUT/usr/lib")"
	if touch "$OUT/new" 2>/dev/null; then fail_ "a read-only rootfs was written"; fi
	grep -q INJECTED .trace || fail_ "$1 was never called"
}
case_ "create --userns without lowerdir+ (before Linux 6.8): mount(2) in a namespace of its own" \
	shifted_without fsconfig EINVAL:when=1..2
case_ "create --userns where overlay has the old interface (before Linux 6.5)" shifted_without fsconfig EOPNOTSUPP:when=1

many() {
	layout image <<-'END'
		layers = [Layer([directory("d"), file("d/last", str(n)), file(f"d/{n}", str(n))], "none") for n in range(400)]
		Layout(Image(layers, names="many:1")).write_dir("image")
	END
}
option_page() {
	needs_calls fsopen
	many
	expect_exit 0 snap load image
	expect_exit 0 snap_without fsopen ENOSYS create many:1
	same 399 "$(<"$OUT/d/last")"
	same 401 "$(ls "$OUT/d" | wc -l)"
	expect_exit 0 snap rm --all
	expect_exit 0 snap rmi many:1
	# Names of layers grow with their number: in a store of many years the page does not hold them.
	python -c 'import sqlite3, sys
db = sqlite3.connect(sys.argv[1]); db.execute("UPDATE sqlite_sequence SET seq = 1000000000 WHERE name = ?", ("tree",)); db.commit()' "$ROOT/snapdrv.db"
	expect_exit 0 snap load image
	expect_exit 0 snap create --name new many:1
	same 399 "$(<"$OUT/d/last")"
	expect_exit 0 snap umount new
	expect_exit 0 snap_without fsopen ENOSYS mount new
	grep -q 'lowerdir=[0-9:]*,' /proc/self/mountinfo || fail_ "$(grep overlay /proc/self/mountinfo)"
	same 399 "$(<"$OUT/d/last")"
	same 401 "$(ls "$OUT/d" | wc -l)"
	echo written >"$OUT/d/last"
	expect_exit 0 snap umount new
	expect_exit 0 snap mount new
	same written "$(<"$OUT/d/last")"
	expect_exit 0 snap_without fsopen ENOSYS create --read-only --name old many:1
	same 399 "$(<"$OUT/d/last")"
	expect_exit 1 prlimit --nofile=300 strace -f -qq -A -o .trace -e trace=fsopen -e inject=fsopen:error=ENOSYS \
		"$SNAPDRV" --root "$ROOT" create --name few many:1
	one_line_error "open files"
	[ ! -e "$ROOT/containers/few" ]
}
case_ "mount(2) takes layers whose names are too long for its page of options by the numbers of descriptors" option_page

# While an image comes in its layers have long names, in staging/.
new_layers() {
	layout image <<-'END'
		layers = [[directory(f"d{n}"), file(f"d{n}/x", str(n))] for n in range(299)]
		layers.append([file("d0/y", "a parent that only the lowest layer has")])
		Layout(Image([Layer(one, "none") for one in layers], names="many:1")).write_dir("image")
	END
	expect_exit 0 snap_without fsopen ENOSYS load image
	expect_exit 0 snap create many:1
	same 299 "$(ls "$OUT" | wc -l)"
	same "0 a parent that only the lowest layer has" "$(echo "$(<"$OUT/d0/x") $(<"$OUT/d0/y")")"
}
case_ "mount(2): an image of 300 layers comes in at once, the last one over all others" new_layers

on_disk_first() {
	everything image
	expect_exit 0 snap images
	strace -f -qq -y -o .trace -e trace=syncfs,renameat,fsync,fdatasync,openat,write,pwrite64 \
		"$SNAPDRV" --root "$ROOT" load image >.out || fail_ "load under strace"
	python - .trace "$ROOT" <<-'END' || fail_ "$(grep -nE 'syncfs|renameat|sync' .trace)"
		import re, sys
		lines = open(sys.argv[1], errors="replace").read().splitlines()
		at = lambda what: [n for n, line in enumerate(lines) if re.search(what, line)]
		sync = at(r"syncfs\(")
		into_layers = at(r"renameat\([^)]*staging/[^)]*/layers>")
		into_content = at(r"renameat\([^)]*staging/[^)]*/content/sha256>")
		sync_layers = at(r"fsync\(\d+<[^>]*/layers>")
		wal = at(r"fdatasync\(\d+<[^>]*snapdrv.db-wal>")
		# Of a load that takes long, more of them go before, to keep the disk busy.
		assert sync and not at(r"sync\(\d+<[^>]*/staging/."), "one syncfs for the whole image, not an fsync for each file"
		assert into_layers and into_content, "layers and blobs are moved to their places"
		last_write = max(at(r"(write|pwrite64)\(\d+<[^>]*/staging/") + [0])
		assert last_write < sync[-1] < min(into_layers + into_content), "files are on disk before they are moved"
		assert max(into_layers) < min(n for n in sync_layers if n > max(into_layers)) < wal[-1], "names before the rows"
	END
	expect_exit 0 snap create all:1
}
case_ "files and names are on disk before the row that says so, by one syncfs for the image" on_disk_first

not_synced() {
	everything image
	expect_exit 0 without syncfs EIO "$SNAPDRV" --root "$ROOT" load --no-sync image
	refused 1 without syncfs EIO "$SNAPDRV" --root "$CASE/other" load image
	ROOT=$CASE/other
	expect_exit 0 snap --json images
	holds 'd == {"images": []}'
	same "" "$(ls -A "$ROOT/layers" "$ROOT/staging" "$ROOT/content/sha256" | grep -v : || :)"
}
case_ "a disk that fails to sync is exit 1 and nothing is there; --no-sync does not ask it" not_synced
