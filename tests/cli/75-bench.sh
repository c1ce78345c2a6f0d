#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# bench: every step is measured on every filesystem; nothing stays, whatever ends it.
. "$(dirname "$0")/../lib.sh"

IMAGE=$WORK/image
layout "$IMAGE" <<'END'
import random, sys
random.seed(3)
base = [directory("data")] + [file(f"data/{n}", random.randbytes(3000)) for n in range(300)]
Layout(Image([base + [file("big", random.randbytes(3000000))], [file("top", "x"), whiteout("data/7")]],
             names="small:1")).write_dir(sys.argv[1])
END

bench() {
	snap bench "$IMAGE" "$@"
}

# Judge the JSON document of the last expect_exit by a Python program on stdin; `d` is its list.
judge() {
	{
		echo 'import json, sys; d = json.load(open(sys.argv[1]))["bench"]'
		cat
	} >judge.py
	python judge.py "$CASE/.stdout" || fail_ "in: $OUT"
}

steps() {
	expect_exit 0 bench --fs ext4,xfs,btrfs,tmpfs --runs 2 --json --plot plot.svg
	same "" "$ERR"
	judge <<-'END'
		pairs = [(p["filesystem"], p["driver"]) for p in d]
		assert pairs == [("ext4", "overlay"), ("xfs", "overlay"), ("btrfs", "overlay"), ("btrfs", "btrfs"),
		                 ("tmpfs", "overlay")], pairs
		STEPS = {"load", "sync", "create_cold", "create_warm", "first_write_cold", "first_write_warm", "walk_cold",
		         "walk_warm", "remove", "remove_image"}
		def good(spread, what):
		    assert len(spread["samples"]) == 2, what
		    assert spread["min"] == min(spread["samples"]) and spread["max"] == max(spread["samples"]), what
		    assert 0 < spread["min"] <= spread["median"] <= spread["max"], what
		    assert abs(2 * spread["median"] - sum(spread["samples"])) <= 2, what
		for p in d:
		    name = p["filesystem"], p["driver"]
		    assert p["status"] == "measured" and p["reason"] is None and p["runs"] == 2, name
		    assert p["image"] == "docker.io/library/small:1" and p["entries"] == 1 + 1 + 299 + 2, p["entries"]
		    assert p["written_file"] == "big" and p["written_file_size"] == 3000000, p["written_file"]
		    assert set(p["steps"]) == STEPS, p["steps"].keys()
		    for step, of in p["steps"].items():
		        # What is in memory cannot be made cold.
		        if p["filesystem"] == "tmpfs" and step.endswith("_cold"):
		            assert of == {"wall_ns": None, "cpu_ns": None}, (name, step)
		            continue
		        good(of["wall_ns"], (name, step))
		        assert step == "sync" or of["cpu_ns"]["min"] >= 0, (name, step)
		        assert of["wall_ns"]["max"] < 60e9, (name, step)
		    assert p["steps"]["load"]["wall_ns"]["min"] > p["steps"]["sync"]["wall_ns"]["min"], name
		    for figure in "files_per_second", "bytes_per_second", "space":
		        good(p[figure], (name, figure))
		    # The tree, the compressed layers, and what the filesystem adds to them.
		    assert 5e6 < p["space"]["median"] < 60e6, p["space"]
		    assert [layer["entries"] for layer in p["layers"]] == [302, 2], p["layers"]
		    assert [layer["bytes"] for layer in p["layers"]] == [3900000, 1], p["layers"]
		    for layer in p["layers"]:
		        assert layer["diff_id"].startswith("sha256:") and len(layer["diff_id"]) == 71
		        good(layer["unpack_ns"], (name, "unpack"))
		        assert layer["unpack_ns"]["max"] <= p["steps"]["load"]["wall_ns"]["max"], name
	END
	python - plot.svg <<-'END' || fail_ "the picture"
		import re, sys
		from xml.etree import ElementTree
		text = open(sys.argv[1]).read()
		root = ElementTree.fromstring(text)
		SVG = "{http://www.w3.org/2000/svg}"
		assert root.tag == SVG + "svg"
		assert re.search(r"@media \(prefers-color-scheme: dark\)", root.find(SVG + "style").text)
		wide, high = float(root.get("width")), float(root.get("height"))
		bars = [r for r in root.iter(SVG + "rect") if r.get("class") in ("one", "two")]
		# Four panels of two bars and four of one, on five pairs; three steps are not measured on tmpfs.
		assert len(bars) == 4 * 2 * 5 + 4 * 5 - 3, len(bars)
		for bar in bars:
		    x, y, w, h = (float(bar.get(key)) for key in ("x", "y", "width", "height"))
		    assert w >= 0 and 0 < x and x + w < wide and 0 < y and y + h < high
		words = " ".join("".join(t.itertext()) for t in root.iter(SVG + "text"))
		for word in "small:1", "btrfs btrfs", "tmpfs overlay", "Walk the tree", " ms *", "not measured":
		    assert word in words, word
		# Whoever reads no style sheet gets dark text on a white ground.
		assert all(t.get("fill") for t in root.iter(SVG + "text"))
		assert root.find(SVG + "rect").get("fill") == "#ffffff"
	END
}
case_ "bench measures each step on ext4, xfs, btrfs and tmpfs; JSON and SVG have it all" steps

cold() {
	command -v strace >/dev/null || skip_ "strace is not installed"
	expect_exit 0 env TMPDIR="$CASE/tmp" ASAN_OPTIONS=detect_leaks=0 strace -f -qq -o calls -e trace=mount,umount2,ioctl,openat \
		"$SNAPDRV" bench "$IMAGE" --fs ext4 --runs 1 --json
	# Made once, unmounted before the container is made and again before its tree is walked.
	same 3 "$(grep -c 'mount("/dev/loop[0-9]*", "/proc/fs/nfsd", "ext4", .* = 0$' calls)"
	same 2 "$(grep -c ' umount2("/proc/fs/nfsd", UMOUNT_NOFOLLOW) = 0$' calls)"
	same 2 "$(grep -c 'BLKFLSBUF.* = 0$' calls)"
	mkdir there
	expect_exit 0 env ASAN_OPTIONS=detect_leaks=0 strace -f -qq -o calls -e trace=openat "$SNAPDRV" bench "$IMAGE" --dir there --runs 1 -q
	same 2 "$(grep -c '/proc/sys/vm/drop_caches' calls)"
}
case_ "for cold caches the filesystem is unmounted and mounted; with --dir the caches are dropped" cold

tables() {
	expect_exit 0 bench --fs ext4,btrfs,tmpfs --backend overlay,btrfs,vfs --runs 2
	same "" "$ERR"
	python - "$CASE/.stdout" <<-'END' || fail_ "in: $OUT"
		import re, sys
		text = open(sys.argv[1]).read()
		assert not re.search(r" $", text, re.M), "blanks at the end of a line"
		blocks = text.strip().split("\n\n")
		assert "small:1: 2 layers, 303 entries" in blocks[0] and "3MB: big" in blocks[0], blocks[0]
		pairs = [["ext4", "overlay"], ["ext4", "vfs"], ["btrfs", "overlay"], ["btrfs", "btrfs"], ["btrfs", "vfs"],
		         ["tmpfs", "overlay"], ["tmpfs", "vfs"]]
		def number(cell):
		    return float(re.match(r"[0-9.]+", cell)[0])
		columns = 0
		for block in blocks[1:4]:
		    lines = block.split("\n")
		    medians = [line for line in lines[2:] if line[0] != " "]
		    ranges = [line for line in lines[2:] if line[0] == " "]
		    assert [line.split()[:2] for line in medians] == pairs, lines
		    cells = [line.split()[2:] for line in medians]
		    for at, column in enumerate(zip(*cells)):
		        columns += 1
		        shown = [cell for cell in column if cell != "-"]
		        assert len(shown) in (5, 7), column
		        best = [number(cell) for cell in shown if cell.endswith("*")]
		        assert best and len(best) < len(shown), column
		        if "FILES/s" in lines[1] and at == 5:
		            continue  # units differ
		        pick = max if "FILES/s" in lines[1] and at in (3, 4) else min
		        assert set(best) == {pick(map(number, shown))}, column
		    measured = [line for line in cells if set(line) != {"-"}]
		    assert len(ranges) == len(measured), lines
		    for median, between in zip(measured, ranges):
		        assert len(between.split()) == sum(cell != "-" for cell in median), between
		assert columns == 6 + 3 + 5, columns
		layers = blocks[4].split("\n")
		assert layers[0].startswith("Unpacking by layer") and len(layers) == 2 + 2, layers
		assert all("*" in line for line in layers[2:]), layers
	END
}
case_ "the tables have every pair, and the best of each column is marked" tables

skipping() {
	mkdir bin
	ln -s "$(command -v mkfs.ext4)" bin/
	expect_exit 0 env PATH="$CASE/bin" TMPDIR="$CASE/tmp" "$SNAPDRV" bench "$IMAGE" --fs ext4,xfs --runs 1 --json
	[[ $ERR == "snapdrv: bench: xfs skipped: mkfs.xfs is not in PATH"*xfsprogs* ]] || fail_ "on stderr: $ERR"
	judge <<-'END'
		assert [(p["filesystem"], p["status"]) for p in d] == [("ext4", "measured"), ("xfs", "skipped")]
		assert "mkfs.xfs" in d[1]["reason"]
	END
	expect_exit 1 env PATH="$CASE/bin" TMPDIR="$CASE/tmp" "$SNAPDRV" bench "$IMAGE" --fs btrfs --runs 1
	[[ $ERR == *"btrfs skipped"*"nothing could be measured"* ]] || fail_ "on stderr: $ERR"
	# f2fs is in few kernels and has tools of its own.
	expect_exit 0 bench --fs f2fs,tmpfs --runs 1 --json
	judge <<-'END'
		f2fs, tmpfs = d
		assert tmpfs["status"] == "measured"
		assert f2fs["status"] == "measured" or (f2fs["status"] == "skipped" and "f2fs" in f2fs["reason"])
	END
	[[ $OUT == *'"f2fs","driver":"overlay","status":"measured"'* || $ERR == "snapdrv: bench: f2fs skipped: "*f2fs* ]] ||
		fail_ "f2fs is not named: $ERR"
}
case_ "a filesystem without its mkfs or its kernel module is named and skipped" skipping

wrong() {
	local words
	for words in "--fs ext5" "--fs ext4,," "--backend overlay,zfs" "--runs 0" "--size 0" "--fs ext4 --backend btrfs" \
		"--dir . --fs ext4" "--dir . --size 1G" "--mkfs-options ext4" "--fs xfs --mkfs-options ext4=-q"; do
		# shellcheck disable=SC2086 # words are meant
		expect_exit 2 bench $words
		one_line_error
	done
	expect_exit 2 snap bench
	one_line_error
	expect_exit 3 snap bench nothing
	one_line_error nothing
	expect_exit 3 bench --dir nowhere
	one_line_error nowhere
	expect_exit 1 bench --fs tmpfs --plot nowhere/plot.svg
	one_line_error nowhere/plot.svg
	cp -r "$IMAGE" damaged
	find damaged/blobs -size +1000k -exec truncate -s 100k {} +
	expect_exit 5 snap bench damaged --fs tmpfs
	one_line_error layer
}
case_ "what makes no sense is exit 2, what is missing 3, what is refused 5" wrong

mkfs_options() {
	# Too few inodes for the image: what was asked for is what is made.
	expect_exit 1 bench --fs ext4,tmpfs --runs 1 --json --size 64M --mkfs-options "ext4=-N 16"
	[[ $ERR == *"No space left"* ]] || fail_ "on stderr: $ERR"
	judge <<-'END'
		assert [(p["filesystem"], p["status"]) for p in d] == [("ext4", "failed"), ("tmpfs", "measured")]
		assert "No space left" in d[0]["reason"]
	END
	expect_exit 1 bench --fs xfs --runs 1 --size 10M
	one_line_error mkfs.xfs "xfs, overlay"
	expect_exit 1 bench --fs tmpfs --runs 1 --size 2M
	one_line_error "No space left"
}
case_ "--mkfs-options and --size reach mkfs and mount, and what fails is named" mkfs_options

listing() {
	find "$1" -mindepth 1 -printf '%P %y %m %s %T@\n' | sort
}
directory() {
	mkdir there
	echo mine >there/file
	listing there >before
	expect_exit 0 bench --dir there --runs 2 --json --backend overlay,vfs
	judge <<-'END'
		assert [p["driver"] for p in d] == ["overlay", "vfs"] and len({p["filesystem"] for p in d}) == 1
		for p in d:
		    assert p["status"] == "measured" and p["steps"]["walk_warm"]["wall_ns"]["min"] > 0
		    assert p["entries"] == 303
	END
	listing there >after
	diff before after
	expect_exit 0 bench --dir there --runs 1 -q
	[[ $OUT == *"$(findmnt -n -o FSTYPE -T there)"*overlay* ]] || fail_ "not its filesystem: $OUT"
	loop_fs "$CASE/on-btrfs" 1G mkfs.btrfs -q
	expect_exit 0 bench --dir on-btrfs --runs 1 --json
	judge <<-'END'
		assert [(p["filesystem"], p["driver"]) for p in d] == [("btrfs", "overlay"), ("btrfs", "btrfs")]
		assert all(p["steps"]["walk_cold"]["wall_ns"] for p in d), "no cold caches"
	END
	same "" "$(listing on-btrfs)"
}
case_ "--dir measures there, on its filesystem, and leaves it as it was" directory

# Until then it ignores SIGINT, as all that a shell starts in the background.
is_program() {
	[ "$(<"/proc/$PID/comm")" = snapdrv ]
}
# start ARGUMENT...: bench in the background, PID; with signals as on a terminal.
start() {
	TMPDIR=$CASE/tmp env --default-signal=INT,TERM "$SNAPDRV" bench "$IMAGE" --runs 1000 "$@" >out 2>err &
	PID=$!
	wait_for 20 is_program
}
# Once the mount namespace is gone, the path of a device's file starts at its mount, which may be TMPDIR.
has_loop() {
	losetup --noheadings --output BACK-FILE | has -F "${CASE#"$(dirname "$WORK")"}/tmp/"
}
no_loop() {
	! has_loop
}
# In the mount namespace of the process, and in no other.
has_filesystem() {
	grep -q " /proc/fs/nfsd rw" "/proc/$PID/mountinfo"
}
seen_outside() {
	cat /proc/1/mountinfo /proc/self/mountinfo | grep '/proc/fs/nfsd' | grep -v ' - nfsd '
}
has_container() {
	grep -qE "/containers/(cold|warm)/rootfs " "/proc/$PID/mountinfo"
}
nothing_left() {
	wait_for 20 no_loop
	same "" "$(find tmp -mindepth 1)"
	same "" "$(seen_outside)"
}
killed() {
	local moment
	for moment in has_loop has_filesystem has_container; do
		start --fs "$2"
		[ "$2" = tmpfs ] && [ $moment = has_loop ] || wait_for 20 $moment
		same "" "$(seen_outside)"
		kill "-$1" $PID
		status=0
		wait $PID || status=$?
		same "$3" $status
		nothing_left
	done
}
for fs in ext4 xfs btrfs tmpfs; do
	case_ "killed by SIGINT or SIGKILL on $fs, it leaves no mount, no loop device and no file" eval \
		"killed INT $fs 130; killed KILL $fs 137"
done

interrupted_dir() {
	mkdir there
	listing there >before
	for signal in INT TERM; do
		for moment in "test -e there/snapdrv-bench.*/store/snapdrv.db" has_container; do
			start --dir there
			# shellcheck disable=SC2086 # words are meant
			wait_for 20 eval $moment
			kill -$signal $PID
			status=0
			wait $PID || status=$?
			same $((128 + $(kill -l $signal))) $status
			listing there >after
			diff before after
		done
	done
}
case_ "interrupted with --dir, it removes what it made there" interrupted_dir

progress() {
	local TERM=xterm
	TMPDIR=$CASE/tmp script -qec "$SNAPDRV bench $IMAGE --fs tmpfs --runs 1 >out" typescript >/dev/null
	grep -q 'tmpfs overlay, run 1 of 1: load' typescript
	grep -q 'run 1 of 1: walk' typescript
	grep -q FILESYSTEM out
	TMPDIR=$CASE/tmp script -qec "$SNAPDRV -q bench $IMAGE --fs tmpfs --runs 1 >out" quiet >/dev/null
	! grep -q 'run 1' quiet
}
case_ "progress is shown on a terminal, and not with -q" progress
