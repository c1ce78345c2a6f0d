#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Make a case of the corpus into an image, and check the tree that came of it.

usage: case.py build FILE OUT CANARY	write OUT/layout, OUT/archive.tar, OUT/facts
       case.py check FILE ROOTFS CANARY

A case is a Python file; its docstring is its sentence. It has the names of mklayout.py, and CANARY, a
directory outside of the store that nothing may touch. It sets:

    LAYERS	lists of entries, or Layers; the lowest first
    ENTRY	(refused) words that the error must have besides image and layer: the entry's name
    BAD		(refused) index of the layer that is at fault; the last one unless given
    EITHER	(refused) True where the design leaves open whether it is refused or harmless:
		then exit 0 is well when check() is content
    UMOCI	(good) True where the tree must also be the one that umoci unpacks
    SECONDS	the time that it may take, 20 unless given
    check	a function that gets a Tree and asserts
"""
import os
import stat
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tools"))
import mklayout  # noqa: E402


class Tree:
    """A tree to be looked at; every look is at the entry itself, never through a symlink."""

    def __init__(self, top):
        self.top = os.fsencode(top)

    def path(self, name):
        return os.path.join(self.top, mklayout.raw(name))

    def stat(self, name):
        return os.lstat(self.path(name))

    def has(self, name):
        return os.path.lexists(self.path(name))

    def names(self, name="."):
        return sorted(os.listdir(self.path(name)))

    def text(self, name):
        assert stat.S_ISREG(self.stat(name).st_mode), f"{name} is no file"
        with open(self.path(name), "rb") as opened:
            return opened.read()

    def target(self, name):
        return os.readlink(self.path(name))

    def xattrs(self, name):
        path = self.path(name)
        return {key: os.getxattr(path, key, follow_symlinks=False)
                for key in os.listxattr(path, follow_symlinks=False)
                if not key.startswith("trusted.overlay.") and key != "security.selinux"}

    def overlay_xattrs(self, name):
        path = self.path(name)
        return [key for key in os.listxattr(path, follow_symlinks=False) if ".overlay." in key]

    def looks(self, name, kind=None, mode=None, owner=None, mtime=None, dev=None):
        st = self.stat(name)
        if kind:
            assert stat.S_IFMT(st.st_mode) == kind, f"{name}: kind {stat.S_IFMT(st.st_mode):o}"
        if mode is not None:
            assert stat.S_IMODE(st.st_mode) == mode, f"{name}: mode {stat.S_IMODE(st.st_mode):o}"
        if owner is not None:
            assert (st.st_uid, st.st_gid) == owner, f"{name}: owner {st.st_uid}:{st.st_gid}"
        if mtime is not None:
            assert st.st_mtime_ns == mtime, f"{name}: mtime {st.st_mtime_ns}"
        if dev is not None:
            found = (os.major(st.st_rdev), os.minor(st.st_rdev))
            assert found == dev, f"{name}: device {found}"


def read_case(path, canary):
    names = dict(vars(mklayout))
    names.update(CANARY=canary, stat=stat, os=os)
    with open(path, encoding="utf-8") as opened:
        exec(compile(opened.read(), path, "exec"), names)
    return names


def build(path, out, canary):
    case = read_case(path, canary)
    name = os.path.basename(path)[:-len(".py")].lower() + ":1"
    image = mklayout.Image(case["LAYERS"], config={"Cmd": ["/x"]}, names="corpus/" + name)
    layout = mklayout.Layout(image)
    layout.write_dir(out + "/layout")
    layout.write_archive(out + "/archive.tar")
    bad = image.layers[case.get("BAD", -1)]
    with open(out + "/facts", "w", encoding="utf-8") as facts:
        sentence = " ".join((case["__doc__"] or name).split()).rstrip(".")
        print(sentence, file=facts)
        print("either" if case.get("EITHER") else "refused", file=facts)
        print(case.get("SECONDS", 20), file=facts)
        print("umoci" if case.get("UMOCI") else "-", file=facts)
        entry = case.get("ENTRY", [])
        for word in [name, bad.digest[7:19], *([entry] if isinstance(entry, str) else entry)]:
            print(word, file=facts)


def check(path, rootfs, canary):
    case = read_case(path, canary)
    if "check" in case:
        case["check"](Tree(rootfs))


if __name__ == "__main__":
    {"build": build, "check": check}[sys.argv[1]](*sys.argv[2:])
