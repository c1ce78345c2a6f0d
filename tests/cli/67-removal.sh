#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Removal: gone for everybody at once, on disk before the files go, finished by others if need be.
. "$(dirname "$0")/../lib.sh"
# The leak checker cannot work beside strace.
export ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0"

two_containers() {
	layout <<-'END'
		Layout(Image([[file("a", "a")], [file("b", "b")]], names="two:1")).write_dir("image")
	END
	expect_exit 0 snap load image
	expect_exit 0 snap create --no-mount --name c two:1
	expect_exit 0 snap create --no-mount --name d two:1
	expect_exit 0 snap umount c
}

# A removal that is killed where it would wait for the disk: rows are marked or gone, files are all there.
killed() {
	local status=0
	strace -f -qq -o .killed -e trace=fdatasync -e inject=fdatasync:signal=KILL "$SNAPDRV" --root "$ROOT" "$@" || status=$?
	[ $status = 137 ] || fail_ "$*: not killed: $(<.killed)"
}

disk_before_files() {
	strace -f -qq -y -o .trace -e trace=fdatasync,unlinkat,rename,renameat,ioctl \
		"$SNAPDRV" --root "$ROOT" "$@" >.out || fail_ "$* under strace"
	python - .trace <<-'END' || fail_ "$(<.trace)"
		import re, sys
		lines = open(sys.argv[1], errors="replace").read().splitlines()
		at = lambda what: [n for n, line in enumerate(lines) if re.search(what, line)]
		wal = at(r"fdatasync\(\d+<[^>]*snapdrv.db-wal>")
		files = at(r"(unlinkat|rename\w*|SNAP_DESTROY\w*).*/(active|layers|content)\b")
		assert wal and files, "nothing was synced, or nothing removed"
		assert wal[0] < files[0], "the removal is on disk before its files go"
	END
}
rm_order() {
	two_containers
	disk_before_files rm c
}
case_ "rm: the row is off the disk before the files go" rm_order
rmi_order() {
	two_containers
	expect_exit 0 snap rm c d
	strace -f -qq -y -o .trace -e trace=fdatasync,unlinkat,renameat,ioctl "$SNAPDRV" --root "$ROOT" rmi two:1 >.out ||
		fail_ "rmi under strace"
	first=$(grep -m 1 -nE 'unlinkat.*(layers|content)|renameat.*(layers|content)|SNAP_DESTROY' .trace | cut -d : -f 1)
	wal=$(grep -m 1 -nE 'fdatasync\([0-9]+<[^>]*db-wal>' .trace | cut -d : -f 1)
	[ "${wal:-999999}" -lt "${first:-0}" ] || fail_ "$(<.trace)"
	same "" "$(ls -A "$ROOT/layers" "$ROOT/content/sha256" | grep -v : || :)"
}
case_ "rmi: likewise" rmi_order

# What others removed may be in the database's log alone.
sweep_order() {
	two_containers
	mkdir -p "$ROOT/layers/99/fs" "$ROOT/staging/0123456789abcdef"
	disk_before_files "$@"
	[ ! -e "$ROOT/layers/99" ] && [ ! -e "$ROOT/staging/0123456789abcdef" ]
}
case_ "what a dead process left: what others removed is on disk before anything is moved away" sweep_order images

name_alone() {
	two_containers
	expect_exit 0 snap tag two:1 two:2
	strace -f -qq -y -o .trace -e trace=fdatasync "$SNAPDRV" --root "$ROOT" rmi two:2 >.out || fail_ "rmi under strace"
	grep -qE 'fdatasync\([0-9]+<[^>]*db-wal>' .trace || fail_ "nothing was synced: $(<.trace)"
}
case_ "a name that is taken from an image is off the disk too, though no file goes with it" name_alone

killed_rm() {
	two_containers
	killed rm c
	[ "$(ls -A "$ROOT/active" | wc -l)" = 2 ] || fail_ "files went before the disk had the removal"
	expect_exit 0 snap ls -q
	same d "$OUT"
	same 1 "$(ls -A "$ROOT/active" | wc -l)"
	same "" "$(ls -A "$ROOT/staging")"
	expect_exit 3 snap rm c
	expect_exit 0 snap create --no-mount --name c two:1
}
case_ "a removal that was killed is finished by the next command" killed_rm

killed_rmi() {
	two_containers
	expect_exit 0 snap rm c d
	killed rmi two:1
	expect_exit 0 snap --json images
	holds 'd == {"images": []}'
	same "" "$(ls -A "$ROOT/layers" "$ROOT/content/sha256" "$ROOT/staging" | grep -v : || :)"
}
case_ "so is that of an image" killed_rmi

rm_while_marked() {
	two_containers
	# Marked and not flushed: the process that did it stands still before it waits for the disk.
	strace -f -qq -o .stopped -e trace=fdatasync -e inject=fdatasync:delay_enter=3000000 \
		"$SNAPDRV" --root "$ROOT" rm c >/dev/null &
	until grep -q fdatasync .stopped 2>/dev/null; do sleep 0.05; done
	expect_exit 0 snap ls -q
	same d "$OUT"
	expect_exit 0 snap create --no-mount --name c two:1
	expect_exit 0 snap rm c d
	expect_exit 0 snap rmi two:1
	wait $! || fail_ "the one that was slow failed"
	same "" "$(ls -A "$ROOT/active" "$ROOT/layers" "$ROOT/staging" "$ROOT/containers" | grep -v : || :)"
	expect_exit 0 snap --json info
	holds 'd["info"]["containers"] == 0 and d["info"]["layers"] == 0'
}
case_ "while a removal waits for the disk, its name and its image are free for others" rm_while_marked

after_boot() {
	two_containers
	mkdir "$ROOT/active/777" "$ROOT/layers/778"
	touch "$ROOT/content/sha256/stray"
	expect_exit 0 snap ls -q
	[ -d "$ROOT/active/777" ] || fail_ "it was looked for without need"
	echo 00000000-0000-0000-0000-000000000000 >"$ROOT/locks/boot"
	expect_exit 0 snap ls -q
	for stray in active/777 layers/778 content/sha256/stray; do
		[ ! -e "$ROOT/$stray" ] || fail_ "$stray is still there"
	done
	same "$(head -c 36 /proc/sys/kernel/random/boot_id)" "$(head -c 36 "$ROOT/locks/boot")"
}
case_ "the first opening in a boot removes what has no row, wherever a power cut left it" after_boot

big() {
	two_containers
	expect_exit 0 snap mount c
	python - "$OUT" <<-'END'
		import os, sys
		os.chdir(sys.argv[1])
		for a in range(6):
		    for b in range(6):
		        for c in range(6):
		            os.makedirs(f"a{a}/b{b}/c{c}/d")
		            for n in range(12):
		                open(f"a{a}/b{b}/c{c}/f{n}", "w").close()
		                os.symlink("/etc", f"a{a}/b{b}/c{c}/d/l{n}")
		        open(f"a{a}/b{b}/file", "w").close()
		for a in range(2):
		    os.chdir(sys.argv[1] + f"/a{a}/b0/c0/d")
		    for n in range(100):
		        os.mkdir("deep")
		        os.chdir("deep")
	END
	expect_exit 0 snap rm c
	same 1 "$(ls -A "$ROOT/active" | wc -l)"
	same "" "$(ls -A "$ROOT/staging")"
	[ -d /etc ] || fail_ "a symlink was followed"
}
case_ "a big tree goes whole, however wide and deep" big

swept_and_removed() {
	two_containers
	mkdir "$ROOT/active/777"
	echo 00000000-0000-0000-0000-000000000000 >"$ROOT/locks/boot"
	# Whoever sweeps has seen it, and stands still before moving it away, while its owner removes it.
	strace -f -qq -o .slow -e trace=renameat -e inject=renameat:delay_enter=1500000 \
		"$SNAPDRV" --root "$ROOT" ls -q >.out 2>.err &
	until grep -q '"777"' .slow 2>/dev/null; do sleep 0.05; done
	rmdir "$ROOT/active/777"
	wait $! || fail_ "the other one failed: $(<.err)"
	same "c d" "$(sort .out | xargs)"
	same "" "$(ls -A "$ROOT/staging")"
}
case_ "what its owner removes while another command is about to sweep it is no error" swept_and_removed

mount_of_removed() {
	local turn
	two_containers
	# The last lock but one that `mount` takes is the one that it mounts under; it has found the container by then.
	strace -qq -o .calls -e trace=fcntl "$SNAPDRV" --root "$ROOT" mount c >.out
	expect_exit 0 snap umount c
	turn=$(grep -n F_OFD_SETLKW .calls | tail -n 2 | sed -n 1p | cut -d : -f 1)
	strace -qq -o .slow -e trace=fcntl -e "inject=fcntl:delay_enter=2000000:when=$turn" \
		"$SNAPDRV" --root "$ROOT" mount c >.out 2>.err &
	until [ "$(wc -l <.slow)" -ge $((turn - 1)) ] 2>/dev/null; do sleep 0.05; done
	expect_exit 0 snap rm c
	[ ! -e "$ROOT/containers/c" ] || fail_ "rm left a directory"
	if wait $!; then fail_ "mounted what is gone: $(<.out)"; fi
	grep -q removed .err || fail_ "$(<.err)"
	[ ! -e "$ROOT/containers/c" ] || fail_ "mount left a directory"
	same 1 "$(ls -A "$ROOT/active" | wc -l)"
	same "" "$(mounts_under "$ROOT/containers/c")"
}
case_ "a container that is removed while another command is about to mount it is not mounted, and leaves nothing" mount_of_removed

# 3,000 directories in each other, each with others beside the next one, which all wait; and names that are taken.
deep() {
	two_containers
	"$PYTHON" - "$(echo "$ROOT"/active/*/fs | sed 's/ .*//')" <<-'END'
		import os, sys
		os.chdir(sys.argv[1])
		os.mkdir("work")
		os.chdir("work")
		os.makedirs(".deep.0/x/y")
		os.makedirs(".deep.1/x/y")
		for n in range(3000):
		    for name in "abcdef":
		        os.mkdir(name)
		    os.mkdir(".deep.0" if n % 40 == 39 else "next")
		    os.chdir(".deep.0" if n % 40 == 39 else "next")
		open("bottom", "w").close()
	END
	expect_exit 0 prlimit --nofile=256:256 -- timeout 100 "$SNAPDRV" --root "$ROOT" rm c d
	same "" "$(ls -A "$ROOT/active" "$ROOT/staging" | grep -v :)"
}
case_ "a container of 3,000 directories in each other is removed by a process that may open 256 files" deep
