#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Random stacks of layers, and a model that says what tree each of them is.

usage: randomstack.py make SEED DIR		write the OCI layout DIR with the image random:1
       randomstack.py model SEED		print its tree as the model has it, in treedump's form
       randomstack.py show SEED			print the stack itself
       randomstack.py shrink SEED COMMAND...	make the stack smaller while COMMAND fails; print the smallest
       randomstack.py check FIRST COUNT DIR DRIVER	compare snapdrv with the model, working in DIR
       randomstack.py check-umoci FIRST COUNT DIR	compare umoci with it where umoci can

COMMAND gets a directory as its last argument, with `layout` (the image random:1) and `model` in it.

The model is in stackmodel.py, what is drawn in stackdraw.py.
"""
import os
import re
import shutil
import subprocess
import sys

import mklayout
from stackdraw import SECOND, draw, image_of, shown, write_stack
from stackmodel import Illegal, difference, for_umoci, model_lines, model_of, tree_lines


# ---- shrinking ---------------------------------------------------------------------------------

PLAIN = {"xattrs": {}, "mtime": 1700000000 * SECOND, "uid": 0, "gid": 0, "place": ""}


def smaller(stack):
    """Stacks that are a little smaller, the boldest first."""
    for at in range(len(stack)):
        yield stack[:at] + stack[at + 1:]
    for at, layer in enumerate(stack):
        count = len(layer["entries"])
        size = count // 2
        while size:
            for start in range(0, count, size):
                entries = layer["entries"][:start] + layer["entries"][start + size:]
                yield stack[:at] + [{**layer, "entries": entries}] + stack[at + 1:]
            size //= 2
    for at, layer in enumerate(stack):
        for key, value in (("how", "none"), ("global", False)):
            if layer[key] != value:
                yield stack[:at] + [{**layer, key: value}] + stack[at + 1:]
        for number, entry in enumerate(layer["entries"]):
            plain = {**PLAIN, "mode": {"dir": 0o755, "symlink": 0o777}.get(entry["op"], 0o644)}
            for key, value in plain.items():
                if entry[key] == value or entry["op"] == "link" or key == "place" and not entry["name"]:
                    continue
                if key == "mode" and "system.posix_acl_access" in entry["xattrs"]:
                    continue
                entries = list(layer["entries"])
                entries[number] = {**entry, key: value}
                yield stack[:at] + [{**layer, "entries": entries}] + stack[at + 1:]


def shrink(stack, fails, tries=400):
    """The smallest stack found for which fails(stack) is still true."""
    shrunken = True
    while shrunken and tries > 0:
        shrunken = False
        for candidate in smaller(stack):
            try:
                model_of(candidate)
            except Illegal:
                continue
            tries -= 1
            if tries <= 0:
                break
            if fails(candidate):
                stack, shrunken = candidate, True
                break
    return stack


# ---- the programs to compare -------------------------------------------------------------------


def run(*words):
    return subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, errors="replace", timeout=120 * int(os.environ.get("SLOW", "1")))


class Snapdrv:
    def __init__(self, root, driver):
        self.program = [os.environ["SNAPDRV"], "--root", root, "--driver", driver]

    def load(self, layout):
        """None, or what it said."""
        done = run(*self.program, "load", layout)
        return None if done.returncode == 0 else f"load: exit {done.returncode}: {done.stderr.strip()}"

    def compare(self, image, root):
        """The difference between the model and a container's tree, "" where there is none."""
        done = run(*self.program, "create", "--name", "one", image)
        if done.returncode:
            return f"create: exit {done.returncode}: {done.stderr.strip()}"
        rootfs = done.stdout.strip()
        try:
            if not os.path.ismount(rootfs) and not os.listdir(rootfs) and root.children:
                return f"create: nothing at {rootfs}"
            return difference(model_lines(root), tree_lines(rootfs, root))
        finally:
            done = run(*self.program, "rm", "one")
            if done.returncode:
                raise RuntimeError(f"rm: exit {done.returncode}: {done.stderr.strip()}")


def check_one(stack, work, driver):
    """Load it alone into a new store, compare."""
    shutil.rmtree(work, ignore_errors=True)
    os.makedirs(work)
    write_stack(stack, work + "/layout")
    snapdrv = Snapdrv(work + "/store", driver)
    found = snapdrv.load(work + "/layout") or snapdrv.compare("random:1", model_of(stack))
    run(*snapdrv.program, "rmi", "random:1")
    return found


def kind_of(what):
    """What sort of failure it is: an error without its names, or a difference of trees."""
    if what.startswith("---"):
        return "tree"
    return re.sub(r"'[^']*'|[0-9a-f]{64}|random:\d+", "", what) if what else ""


class Report:
    """The failures of a run: a line for each seed, and one shrunken stack for each kind, the first few."""

    def __init__(self, fails):
        self.fails = fails
        self.first = {}
        self.seeds = []

    def add(self, seed, what, stack):
        self.seeds.append(seed)
        self.first.setdefault(kind_of(what), (seed, what, stack))

    def print(self):
        for kind, (seed, what, stack) in list(self.first.items())[:int(os.environ.get("SHRINK", "3"))]:
            small = shrink(stack, lambda stack: kind_of(self.fails(stack)) == kind)
            print(f"seed {seed}:\n{cut(what)}\nshrunk to:\n{shown(small)}\nwhich gives:\n{cut(self.fails(small))}\n")
        if self.seeds:
            print("seeds that fail: " + " ".join(map(str, self.seeds)))


def cut(text, count=8):
    lines = text.split("\n")
    return "\n".join(lines[:count] + ([f"and {len(lines) - count} lines more"] if len(lines) > count else []))


def check(first, count, work, driver):
    report = Report(lambda stack: check_one(stack, work + "/one", driver))
    snapdrv = Snapdrv(work + "/store", driver)
    for start in range(first, first + count, 25):
        seeds = range(start, min(start + 25, first + count))
        stacks = {seed: draw(seed) for seed in seeds}
        layout = f"{work}/layout-{start}"
        mklayout.Layout([image_of(stack, f"random:{seed}") for seed, stack in stacks.items()]).write_dir(layout)
        refused = snapdrv.load(layout)
        for seed, stack in stacks.items():
            found = check_one(stack, work + "/one", driver) if refused else snapdrv.compare(f"random:{seed}", model_of(stack))
            if found:
                report.add(seed, found, stack)
        if refused and not report.seeds:
            report.seeds.append(seeds.start)
            print(f"seeds {seeds.start}-{seeds.stop - 1} together, not alone: {refused}")
        shutil.rmtree(layout)
    report.print()
    print(f"{count - len(report.seeds)} of {count} stacks are the model's tree on {driver}")
    return 1 if report.seeds else 0


def umoci_tree(stack, work):
    shutil.rmtree(work, ignore_errors=True)
    os.makedirs(work)
    write_stack(stack, work + "/layout", "random")
    done = run("umoci", "raw", "unpack", "--image", work + "/layout:random", work + "/rootfs")
    # On the way of a mark (.wh.) umoci follows symlinks, and gives up where they lead in a circle. The spec has a
    # whiteout "apply to resources in lower/parent layers": where the way leads nowhere it hides nothing.
    if re.search(r"entry: \S*\.wh\.\S*: sanitise symlinks in root: .*: too many levels", done.stderr):
        return ""
    if done.returncode:
        return f"exit {done.returncode}: {done.stderr.strip()}"
    root = model_of(stack)
    return difference(list(for_umoci(model_lines(root), root)),
                      list(for_umoci(tree_lines(work + "/rootfs", root, holes=False), root)))


# Where umoci (0.4.7) is left out, and what the OCI image spec (layer.md) has to say there. What it does not say,
# section 5 of the design decides.
def umoci_cannot(stack):
    """Why umoci cannot unpack it as it is meant, or None."""
    # The spec asks for a "tar archive" and has no word on PAX global headers, which POSIX allows in one; umoci:
    # "unknown typeflag".
    if any(layer["global"] for layer in stack):
        return "global headers"
    # The spec has the media type "application/vnd.oci.image.layer.v1.tar+zstd".
    if any(layer["how"] == "zstd" for layer in stack):
        return "zstd"
    # It makes missing parents with mkdir: they inherit default ACLs and setgid, and the directories above get
    # new times (so for_umoci() leaves those out). The spec says nothing of parents without an entry; attributes
    # are "replaced by those of the entry in the changeset", so without an entry nothing replaces them. The
    # design: made 0755, 0:0, and parents keep theirs.
    if any("system.posix_acl_default" in entry["xattrs"] for layer in stack for entry in layer["entries"]):
        return "default ACLs"
    # Of aufs's .wh..wh.* umoci takes a directory for a whiteout, and a file in it for a file. The spec: "it is
    # not possible to create a filesystem which has a file or directory with a name beginning with `.wh.`". The
    # design: skipped.
    if any(entry["name"].endswith(".wh..wh.plnk/123.456") for layer in stack for entry in layer["entries"]):
        return "aufs's links"
    return None


def check_umoci(first, count, work):
    compared = 0
    report = Report(lambda stack: "" if umoci_cannot(stack) else umoci_tree(stack, work + "/one"))
    for seed in range(first, first + count):
        stack = draw(seed)
        if umoci_cannot(stack):
            continue
        compared += 1
        found = umoci_tree(stack, work + "/one")
        if found:
            report.add(seed, found, stack)
    report.print()
    shutil.rmtree(work + "/one", ignore_errors=True)
    print(f"figure: umoci was compared on {compared} of {count} stacks, and differs on {len(report.seeds)}")
    if compared * 3 < count:
        print("fewer than a third of the stacks were compared with umoci")
        return 1
    return 1 if report.seeds else 0


def shrink_command(seed, command):
    work = os.path.join(os.environ.get("TMPDIR", "/tmp"), f"randomstack.{os.getpid()}")

    def fails(stack):
        shutil.rmtree(work, ignore_errors=True)
        os.makedirs(work)
        write_stack(stack, work + "/layout")
        with open(work + "/model", "w", encoding="utf-8") as out:
            out.write("\n".join(model_lines(model_of(stack))) + "\n")
        return subprocess.run([*command, work], stdin=subprocess.DEVNULL).returncode != 0

    try:
        stack = draw(seed)
        if not fails(stack):
            print(f"seed {seed}: the command does not fail")
            return 1
        print(f"seed {seed}:\n{shown(shrink(stack, fails))}")
        return 0
    finally:
        shutil.rmtree(work, ignore_errors=True)


def main(words):
    command, number = words[0], int(words[1])
    if command == "make":
        write_stack(draw(number), words[2])
    elif command == "model":
        print("\n".join(model_lines(model_of(draw(number)))))
    elif command == "show":
        print(shown(draw(number)))
    elif command == "shrink":
        return shrink_command(number, words[2:])
    elif command == "check":
        return check(number, int(words[2]), words[3], words[4])
    elif command == "check-umoci":
        return check_umoci(number, int(words[2]), words[3])
    else:
        print(__doc__, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
