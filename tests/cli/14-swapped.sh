#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# diff, export, commit and save of a container whose own process puts symlinks to the host, FIFOs and devices in place
# of its files and directories all the while (moby CVE-2018-15664, CVE-2026-41568; podman CVE-2019-10152): nothing of
# the host is read or changed, and each command ends.
. "$(dirname "$0")/../lib.sh"

CANARY="the host's own secret, which nobody may see"

# A process in the rootfs that swaps until the file `done` is there; it counts in the file `swaps`.
swapper() {
	exec "$PYTHON" - "$1" "$CASE" <<-'END'
		import ctypes, os, random, stat, sys, time
		rootfs, case = sys.argv[1:]
		libc = ctypes.CDLL(None, use_errno=True)
		done = os.open(case, os.O_RDONLY | os.O_DIRECTORY)
		host = case + "/host"
		os.chroot(rootfs)
		os.chdir("/")
		up = "../" * 40
		for name in range(8):
		    os.makedirs(f"d{name}/sub/deep")
		    for file in "abc":
		        open(f"d{name}/sub/{file}", "w").write(f"{name}{file}" * 3000)
		    os.makedirs(f"spare{name}")
		    os.symlink((host, up + host, "/proc/self/root" + host, "..")[name % 4], f"spare{name}/dir")
		    os.symlink((host, up + host)[name % 2] + "/file", f"spare{name}/file")
		    os.mkfifo(f"spare{name}/fifo")
		    os.mknod(f"spare{name}/zero", 0o666 | stat.S_IFCHR, os.makedev(1, 5))
		    open(f"spare{name}/regular", "w").write("x" * 5000)
		def exchange(one, other):
		    if libc.renameat2(-100, one.encode(), -100, other.encode(), 2):
		        raise OSError(ctypes.get_errno(), one)
		os.open("made", os.O_CREAT | os.O_WRONLY, dir_fd=done)
		while True:  # until somebody watches
		    try:
		        os.stat("watched", dir_fd=done)
		        break
		    except FileNotFoundError:
		        time.sleep(0.05)
		rng, swaps = random.Random(4), 0
		while True:
		    try:
		        os.stat("done", dir_fd=done)
		        break
		    except FileNotFoundError:
		        pass
		    for _ in range(50):
		        name = rng.randrange(8)
		        try:
		            kind = rng.choice(("dir", "sub", "file", "fifo", "zero", "regular", "climb", "gone"))
		            if kind == "dir":
		                exchange(f"d{name}", f"spare{name}/dir")
		            elif kind == "sub":
		                exchange(f"d{name}/sub", f"spare{name}/dir")
		            elif kind == "climb":
		                os.rename(f"d{name}/sub/deep", f"deep{name}")
		                os.rename(f"deep{name}", f"d{name}/sub/deep")
		            elif kind == "gone":
		                os.unlink(f"d{name}/sub/c")
		                open(f"d{name}/sub/c", "w").write("c")
		            else:
		                exchange(f"d{name}/sub/{rng.choice('ab')}", f"spare{name}/{kind}")
		            swaps += 1
		        except OSError:
		            pass
		os.fchdir(done)
		open("swaps", "w").write(str(swaps))
	END
}

# Opening a device may do something: somebody looks whether anybody opens one, or a FIFO, of the container.
watcher() {
	exec "$PYTHON" - "$ROOT" "$1" <<-'END'
		import ctypes, fcntl, glob, os, sys, time
		libc = ctypes.CDLL(None, use_errno=True)
		notify = libc.inotify_init1(os.O_NONBLOCK)
		watched = 0
		for top in [sys.argv[2], *glob.glob(sys.argv[1] + "/active/*/fs")]:
		    for path in glob.glob(top + "/spare*/fifo") + glob.glob(top + "/spare*/zero"):
		        assert libc.inotify_add_watch(notify, path.encode(), 0x20) >= 0, path  # IN_OPEN
		        watched += 1
		assert watched >= 16, watched
		open("watched", "w").close()
		while not os.path.exists("done"):
		    try:
		        os.read(notify, 65536)
		        sys.exit("a FIFO or a device of the container was opened")
		    except BlockingIOError:
		        time.sleep(0.05)
	END
}

# attempt COMMAND...: it ends, well or with one line.
attempt() {
	SNAP_TIMEOUT=60 expect_exit "0 1 3 5" "$@"
	[ -z "$ERR" ] || [[ " $* " == *" --json "* ]] || one_line_error
	! grep -qF "$CANARY" "$CASE/.stdout" "$CASE/.stderr" || fail_ "the host was read: $*"
}

swapped() {
	local before good=0 round pid watch
	mkdir -p host/dir
	echo "$CANARY" >host/file
	echo "$CANARY" >host/dir/file
	for name in a b c; do echo "$CANARY" >host/$name; done
	before=$(treedump host)
	layout <<-'END'
		base = [directory("etc"), file("etc/passwd", "root:x:0:0::/:\n")]
		for n in range(8):
		    base += [directory(f"old{n}")] + [file(f"old{n}/{name}", "x" * 6000) for name in "abc"]
		Layout(Image([base], names="swap:1")).write_dir("lay")
	END
	expect_exit 0 snap load lay
	expect_exit 0 snap create --name c swap:1
	swapper "$OUT" >swapper.log 2>&1 &
	pid=$!
	wait_for 20 test -e made
	watcher "$OUT" >watcher.log 2>&1 &
	watch=$!
	wait_for 20 test -e watched
	for round in $(seq "${SWAP_ROUNDS:-8}"); do
		attempt snap diff c
		attempt snap export c -o "out.$round.tar"
		if [ -e "out.$round.tar" ]; then
			good=$((good + 1))
			! grep -qF "$CANARY" "out.$round.tar" || fail_ "export has read the host"
		fi
		attempt snap commit c "swapped:$round"
		if [ -z "$ERR" ]; then
			expect_exit 0 snap save "swapped:$round" --format oci-dir -o "saved.$round"
			expect_exit 0 snap create --read-only --name look "swapped:$round"
			! grep -rqF "$CANARY" saved."$round" || fail_ "commit has read the host"
			! find "$OUT" -type f -exec grep -qF "$CANARY" {} + || fail_ "commit has read the host"
			expect_exit 0 snap rm look
			good=$((good + 1))
		fi
		attempt snap df
		attempt snap --json inspect c
		kill -0 $pid 2>/dev/null || fail_ "$(<swapper.log)"
		kill -0 $watch 2>/dev/null || fail_ "$(<watcher.log)"
		same "$before" "$(treedump host)"
	done
	touch done
	wait $pid || fail_ "$(<swapper.log)"
	wait $watch || fail_ "$(<watcher.log)"
	[ "$(<swaps)" -ge 1000 ] || fail_ "swapped only $(<swaps) times"
	[ $good -ge 3 ] || fail_ "only $good of $((2 * round)) came through"
	figure "$(<swaps) swaps; $good of $((2 * round)) exports and commits came through"
	expect_exit 0 snap export c -o last.tar
	expect_exit 0 snap commit c last:1
	expect_exit 0 snap rm c
	same "$before" "$(treedump host)"
}
case_ "a container that swaps its files while diff, export, commit and save run leads nowhere, and nothing hangs" swapped
