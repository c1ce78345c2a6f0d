#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The corpus of layers, on every backend and every filesystem that can carry it: refused/ must be refused and
# change nothing, inside the store and outside of it; good/ must give the tree that each file says (see
# case.py). `run.sh NAME...` runs those alone. At the end stands the table of cases by backend and filesystem.
#
# From outside: BACKENDS (all, or BACKEND alone where that is set), FILESYSTEMS (all; "ext4 tmpfs").
export BACKENDS="${BACKENDS:-${BACKEND:-overlay btrfs vfs}}"
BACKEND=overlay
. "$(dirname "$0")/../lib.sh"
CORPUS=$TESTS/corpus
FILESYSTEMS=${FILESYSTEMS:-ext4 xfs btrfs tmpfs}

# Where each backend is fed twice with what it must refuse: from a directory, and from standard input.
declare -A TWICE=([overlay]=ext4 [btrfs]=btrfs [vfs]=xfs)

# A directory of the host that hostile layers aim at, and what it looks like.
CANARY=$WORK/canary
mkdir -p "$CANARY/dir"
echo "the host's own" >"$CANARY/file"
chmod 600 "$CANARY/file"
chmod 700 "$CANARY/dir" "$CANARY"
touch -d 2001-01-01 "$CANARY/file" "$CANARY/dir" "$CANARY"

# ---- what is loaded: made once for all ----------------------------------------------------------

BUILT=$WORK/built
RESULTS=$WORK/results
mkdir "$BUILT"
: >"$RESULTS"

build() {
	local want at name number=0
	PYTHONPATH=$CORPUS:$TOOLS python - "$CORPUS" "$BUILT" "$CANARY" "$@" <<'END' || fail_ "the corpus could not be built"
import glob
import os
import sys

import case
import mklayout

corpus, built, canary, *names = sys.argv[1:]

# What a filesystem has no room for: {filesystem: {case: (the entry's name, {what the case says: the most that
# there is room for})}}. The case as it is must fail there with one line, and hold whole with the latter.
# XFS: a symlink's target has 1,023 bytes at most; a device's major number 9 bits, its minor one 18.
LIMITS = {"xfs": {
    "good/path-of-4095": ("link", {'"t" * 4095': '"t" * 1023'}),
    "good/special-files": ("block", {"dev=(259, 1048575)": "dev=(259, 262143)",
                                     "dev=(4095, 200000)": "dev=(511, 200000)"}),
}}


def build_within(filesystem, which, path, limit):
    entry, changes = limit
    out = f"{built}/{filesystem}/{which}"
    os.makedirs(out)
    with open(path, encoding="utf-8") as opened:
        source = opened.read()
    for said, room in changes.items():
        assert source.count(said) == 2, f"{path}: {said}"  # in a layer, and in check()
        source = source.replace(said, room)
    within = f"{out}/{os.path.basename(path)}"
    with open(within, "w", encoding="utf-8") as opened:
        opened.write(source)
    case.build(within, out, canary)
    with open(out + "/limit", "w", encoding="utf-8") as opened:
        opened.write(entry)


mklayout.Layout(mklayout.small_image("good", names="good:1")).write_dir(built + "/other")
missing = set(names)
with open(built + "/list", "w", encoding="utf-8") as listed:
    for room in ("refused", "good"):
        for path in sorted(glob.glob(f"{corpus}/{room}/*.py")):
            name = os.path.basename(path)[:-len(".py")]
            missing.discard(name)
            if not names or name in names:
                out = f"{built}/{room}/{name}"
                os.makedirs(out)
                case.build(path, out, canary)
                print(f"{room}/{name}", file=listed)
                for filesystem, limits in LIMITS.items():
                    if f"{room}/{name}" in limits:
                        build_within(filesystem, f"{room}/{name}", path, limits[f"{room}/{name}"])
for name in sorted(missing):
    print(f"there is no case '{name}'", file=sys.stderr)
sys.exit(1 if missing else 0)
END
	CASE=$WORK/umoci
	mkdir "$CASE"
	mapfile -t LIST <"$BUILT/list"
	for name in "${LIST[@]}"; do
		mapfile -t FACTS <"$BUILT/$name/facts"
		SENTENCE[$name]=${FACTS[0]}
	done
	for at in "$BUILT"/good/* "$BUILT"/*/good/*; do
		[ -d "$at" ] || continue
		mapfile -t FACTS <"$at/facts"
		[ "${FACTS[3]}" = umoci ] || continue
		want=$CASE/$((++number))
		skopeo --insecure-policy copy -q "oci:$at/layout" "oci:$want.copy:latest" || fail_ "skopeo: $at"
		umoci_tree "$want.copy:latest" "$want"
		treedump --no-root-mtime "$want" >"$at/umoci"
		[ "$(wc -l <"$at/umoci")" -gt 1 ] || fail_ "nothing to compare in umoci's tree of $at"
	done
}

# ---- one backend on one filesystem ---------------------------------------------------------------

filesystem() {
	case $1 in
	ext4) loop_fs "$2" 4G mkfs.ext4 -q ;;
	xfs) loop_fs "$2" 2G mkfs.xfs -q ;;
	btrfs) loop_fs "$2" 4G mkfs.btrfs -q ;;
	tmpfs)
		mkdir "$2"
		own_mount mount -t tmpfs -o size=2G tmpfs "$2"
		;;
	*) fail_ "no filesystem to make: $1" ;;
	esac
}

corpus_on() {
	local backend=$1 fs=$2 place=$CASE/$2
	[ "$fs" = tmpfs ] || command -v "mkfs.$fs" >/dev/null || skip_ "there is no mkfs.$fs"
	filesystem "$fs" "$place"
	unset SNAPDRV_DRIVER
	PYTHONPATH=$CORPUS:$TOOLS python "$WORK/corpus_on.py" "$backend" "$fs" "$place" "$CORPUS" "$BUILT" "$CANARY" \
		"$RESULTS" "$([ "${TWICE[$backend]:-}" != "$fs" ] || echo twice)" || fail_ "on $backend, $fs"
}

cat >"$WORK/corpus_on.py" <<'END'
"""All cases on one backend and one filesystem: the refused ones against one store, the good ones in another."""
import contextlib
import difflib
import io
import json
import os
import re
import runpy
import subprocess
import sys
import traceback

import case

BACKEND, FILESYSTEM, PLACE, CORPUS, BUILT, CANARY, RESULTS, TWICE = sys.argv[1:]
TEMPORARY = PLACE + "/tmp"
TOOLS = os.environ["TOOLS"]
SLOW = int(os.environ.get("SLOW", "1"))


class Failure(Exception):
    pass


class Tree(case.Tree):
    """On XFS root sees each ACL twice: as system.posix_acl_* and as what is on the disk."""

    def xattrs(self, name):
        found = super().xattrs(name)
        if FILESYSTEM == "xfs":
            for shown, stored in (("system.posix_acl_access", "trusted.SGI_ACL_FILE"),
                                  ("system.posix_acl_default", "trusted.SGI_ACL_DEFAULT")):
                if shown in found:
                    found.pop(stored, None)
        return found


def tool(name, *words):
    """What a program of tools/ prints."""
    kept, sys.argv = sys.argv, [name, *words]
    try:
        with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):
            runpy.run_path(f"{TOOLS}/{name}", run_name="__main__")
        return out.getvalue().splitlines()
    finally:
        sys.argv = kept


def same(want, got, what):
    if want != got:
        lines = list(difflib.unified_diff(want, got, "want", "got", n=0, lineterm=""))
        raise Failure(what + ":\n" + "\n".join(line[:400] for line in lines[:30]))


def canary_unchanged():
    same(CANARY_BEFORE, tool("treedump", CANARY), "the host was changed")


class Case:
    def __init__(self, name):
        self.room = name.partition("/")[0]
        self.file = f"{CORPUS}/{name}.py"
        self.built = f"{BUILT}/{name}"
        with open(self.built + "/facts", encoding="utf-8", newline="\n") as facts:
            _, self.refused, seconds, _, *self.words = facts.read().split("\n")[:-1]
        self.seconds = int(seconds) * SLOW
        self.root = f"{PLACE}/{self.room}-store"
        self.within = f"{BUILT}/{FILESYSTEM}/{name}"

    def snap(self, codes, *words, feed=None):
        """Run it; the exit status is one of @codes."""
        where = {"stdin": subprocess.DEVNULL} if feed is None else {"input": feed}
        program = [os.environ["SNAPDRV"], "--root", self.root, "--driver", BACKEND]
        try:
            done = subprocess.run([*program, *words], **where, capture_output=True, timeout=self.seconds,
                                  env={**os.environ, "TMPDIR": TEMPORARY})
        except subprocess.TimeoutExpired:
            raise Failure(f"{words[0]} took more than {self.seconds} seconds") from None
        done.stdout, done.stderr = (os.fsdecode(text) for text in (done.stdout, done.stderr))
        if done.returncode not in codes:
            raise Failure(f"exit {done.returncode}, not {codes}, from: {' '.join(words)}\n"
                          f"stdout: {done.stdout}\nstderr: {done.stderr}")
        return done

    def rootfs(self, image):
        path = self.snap([0], "create", image).stdout.removesuffix("\n")
        if not re.fullmatch(re.escape(self.root) + r"/containers/[A-Za-z0-9_.-]+/rootfs", path) or not os.path.isdir(path):
            raise Failure(f"'{path}' is not the path of a rootfs")
        return path

    def check(self, rootfs):
        """In a process of its own: what it leaves open goes with it."""
        sys.stdout.flush()
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            why = b"it did not end"
            try:
                case.check(self.file, rootfs, CANARY)
                why = b""
            except BaseException:
                why = os.fsencode(traceback.format_exc(limit=-3))
            finally:
                os.write(writing, why[-4000:])
                os._exit(1 if why else 0)
        os.close(writing)
        with os.fdopen(reading, "rb") as opened:
            why = os.fsdecode(opened.read())
        if os.waitpid(child, 0)[1] or why:
            raise Failure("the tree is not what it should be:\n" + why)

    def loaded(self, done):
        lines = done.stdout.splitlines()
        if len(lines) != 1:
            raise Failure(f"not one line from load: {done.stdout}")
        return lines[0].rpartition(" ")[2]

    def store(self):
        return tool("storedump", self.root)

    def one_line_error(self, done, words):
        if done.stderr.count("\n") != 1 or not done.stderr.endswith("\n"):
            raise Failure(f"not one line on stderr: {done.stderr}")
        if not re.match("snapdrv: .*: ", done.stderr):
            raise Failure(f"not 'snapdrv: WHAT: WHY': {done.stderr}")
        if done.stdout:
            raise Failure(f"an error, and on stdout: {done.stdout}")
        for word in words:
            if word not in done.stderr:
                raise Failure(f"the error does not say '{word}': {done.stderr}")

    def refuse(self, source, feed=None):
        before = self.store()
        if len(before) < 3:
            raise Failure("the store was not there")
        either = self.refused == "either"
        done = self.snap([0, 5] if either else [5], "load", source, feed=feed)
        canary_unchanged()
        if done.returncode == 0:
            if done.stderr:
                raise Failure(f"exit 0, and on stderr: {done.stderr}")
            self.check(self.rootfs(self.loaded(done)))
            canary_unchanged()
            self.snap([0], "rm", "--all")
            listed = json.loads(self.snap([0], "--json", "images").stdout)["images"]
            mine = [image["references"][0] for image in listed if "corpus" in image["references"][0]]
            self.snap([0], "rmi", "--force", mine[0])
            return
        self.one_line_error(done, self.words[:2] if either else self.words)
        same(before, self.store(), "the store has changed")

    def run_refused(self):
        if not os.path.exists(self.root + "/snapdrv.db"):
            self.snap([0], "load", BUILT + "/other")
        self.refuse(self.built + "/layout")
        if TWICE:
            with open(self.built + "/archive.tar", "rb") as opened:
                self.refuse("-", opened.read())

    def run_limit(self):
        """More than the filesystem has room for: one line says so, and nothing is changed."""
        with open(self.within + "/limit", encoding="utf-8") as opened:
            entry = opened.read()
        kept, self.root = self.root, f"{PLACE}/limit-store"
        self.snap([0], "images")
        before = self.store()
        self.one_line_error(self.snap([1], "load", self.built + "/layout"), [*self.words, f"'{entry}'"])
        same(before, self.store(), "the store has changed")
        self.root = kept
        self.built, self.file = self.within, f"{self.within}/{os.path.basename(self.file)}"

    def run_good(self):
        if os.path.exists(self.within + "/limit"):
            self.run_limit()
        rootfs = self.rootfs(self.loaded(self.snap([0], "load", self.built + "/layout")))
        self.check(rootfs)
        if os.path.exists(self.built + "/umoci"):
            with open(self.built + "/umoci", encoding="utf-8", newline="\n") as opened:
                same(opened.read().splitlines(), tool("treedump", "--no-root-mtime", rootfs), "not umoci's tree")
        canary_unchanged()

    def clear(self):
        """Remove its containers; nothing else may be left of it."""
        self.seconds = 60 * SLOW
        self.snap([0], "rm", "--all")
        left = os.listdir(TEMPORARY)
        if left:
            raise Failure(f"temporary files left behind: {left}")
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as mounts:
            left = [line for line in mounts if line.split()[4].startswith(PLACE + "/")]
        if left:
            raise Failure(f"mounts left behind: {''.join(left)}")

    def run(self):
        """What is wrong with it, or ""."""
        found = []
        for step in (getattr(self, "run_" + self.room), self.clear):
            try:
                step()
            except Failure as failure:
                found.append(str(failure))
            except Exception:
                found.append(traceback.format_exc(limit=-3))
        return "\n".join(found)


case.Tree = Tree
os.mkdir(TEMPORARY)
CANARY_BEFORE = tool("treedump", CANARY)
assert len(CANARY_BEFORE) == 3
with open(BUILT + "/list", encoding="utf-8") as opened:
    names = opened.read().split()
failed = 0
with open(RESULTS, "a", encoding="utf-8") as results:
    for name in names:
        why = Case(name).run()
        failed += bool(why)
        print(name, BACKEND, FILESYSTEM, "failed" if why else "ok", file=results)
        if why:
            print(f"{name} on {BACKEND}, {FILESYSTEM}: {why}\n", file=sys.stderr)
            with open(RESULTS + ".why", "a", encoding="utf-8", errors="replace") as opened:
                print(f"{name} on {BACKEND}, {FILESYSTEM}: {why}\n", file=opened)
print(f"{failed} of {len(names)} cases failed")
sys.exit(1 if failed else 0)
END

# ---- results --------------------------------------------------------------------------------------

# A line for each case, and one more for each backend and filesystem on which it fails.
case_lines() {
	local name backend fs result good
	for name in "${LIST[@]}"; do
		good=0
		while read -r _ backend fs result; do
			if [ "$result" = ok ]; then
				good=$((good + 1))
			else
				echo "not ok $name on $backend, $fs: ${SENTENCE[$name]}"
			fi
		done < <(grep "^$name " "$RESULTS")
		[ $good = 0 ] || echo "ok $name: ${SENTENCE[$name]} (on $good)"
	done
}

table() {
	local backend fs all good cell
	printf '%-8s' cases
	printf '%12s' $FILESYSTEMS
	echo
	for backend in $BACKENDS; do
		printf '%-8s' "$backend"
		for fs in $FILESYSTEMS; do
			all=$(grep -c " $backend $fs [a-z]*$" "$RESULTS")
			good=$(grep -c " $backend $fs ok$" "$RESULTS")
			cell=$good
			[ "$all" = "$good" ] || cell="$good of $all"
			[ "$all" != 0 ] || cell=-
			printf '%12s' "$cell"
		done
		echo
	done
}

declare -A SENTENCE
build "$@"
for fs in $FILESYSTEMS; do
	for backend in $BACKENDS; do
		[ "$backend" != btrfs ] || [ "$fs" = btrfs ] || continue
		case_ "the corpus on $backend, $fs" corpus_on "$backend" "$fs"
	done
done
case_lines
if [ -e "$RESULTS.why" ]; then
	cat "$RESULTS.why" >&2
fi
table
