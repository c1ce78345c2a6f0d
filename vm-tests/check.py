# SPDX-License-Identifier: Apache-2.0
"""Whether a store that went through a power cut has all that it promised; looks at the files, not at what it says.

    Checker(snapdrv, root, driver).check(before, after, touched)

@before and @after are States of workload.py: of what the one command that was under way touched, either is
right, and of what it wrote in a container anything. Raises Broken.
"""
import hashlib
import json
import os
import sqlite3
import stat
import subprocess


class Broken(Exception):
    pass


def look(top):
    """The tree below @top, as workload.py has it."""
    found, stack = {}, [""]
    while stack:
        below = stack.pop()
        for entry in os.scandir(os.path.join(top, below)):
            path = f"{below}/{entry.name}" if below else entry.name
            st = entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(st.st_mode):
                found[path] = ("d",)
                stack.append(path)
            elif stat.S_ISLNK(st.st_mode):
                found[path] = ("l", os.readlink(entry.path))
            elif stat.S_ISREG(st.st_mode):
                with open(entry.path, "rb") as file:
                    digest = hashlib.sha256(file.read()).hexdigest()
                found[path] = ("f", digest, stat.S_IMODE(st.st_mode), st.st_mtime_ns)
            else:
                found[path] = ("?", stat.S_IFMT(st.st_mode))
    return found


def is_same(want, got):
    if want[0] != "f" or got[0] != "f":
        return want == got
    return want[1:3] == got[1:3] and want[3] in (None, got[3] // 10 ** 9)


def difference(want, got, unknown=()):
    """None when @got is what is wanted, but for @unknown paths and what is below these."""
    for path in sorted(want.keys() | got.keys()):
        if any(path == one or path.startswith(one + "/") for one in unknown):
            continue
        if path not in want:
            return f"{path} was never there"
        if path not in got:
            return f"{path} is lost"
        if not is_same(want[path], got[path]):
            return f"{path} is {got[path]}, not {want[path]}"
    return None


class Checker:
    def __init__(self, snapdrv, root, driver):
        self.snapdrv, self.root, self.driver = snapdrv, root, driver

    def run(self, *words):
        done = subprocess.run([self.snapdrv, "--root", self.root, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, env={**os.environ, "SNAPDRV_DRIVER": self.driver}, timeout=60)
        if done.returncode or done.stderr:
            raise Broken(f"snapdrv {' '.join(words)}: exit {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def check(self, before, after, touched=()):
        images = json.loads(self.run("--json", "images"))["images"]
        there = {reference: image for image in images for reference in image["references"]}
        self.names("image", there, before.images, after.images)
        containers = {one["name"] for one in json.loads(self.run("--json", "ls"))["containers"]}
        self.names("container", containers, before.containers, after.containers)
        for name in sorted(containers):
            self.container(name, [state.containers[name] for state in (before, after) if name in state.containers],
                           touched[1] if touched and touched[0] == name else set())
        seen = {}
        for reference in sorted(there):
            identity = there[reference]["id"]
            wanted = [state.images[reference].tree for state in (before, after) if reference in state.images]
            if identity not in seen:
                seen[identity] = self.image(reference)
            self.compare(f"image {reference}", wanted, seen[identity], set())

    @staticmethod
    def names(kind, got, before, after):
        for name in before.keys() & after.keys():
            if name not in got:
                raise Broken(f"{kind} {name} is lost")
        for name in got:
            if name not in before and name not in after:
                raise Broken(f"{kind} {name} should not be there")

    @staticmethod
    def compare(what, wanted, got, unknown):
        found = [difference(want, got, unknown) for want in wanted]
        if None not in found:
            raise Broken(f"{what}: {found[-1]}")

    def container(self, name, wanted, touched):
        path = self.run("mount", name).strip()
        unknown = set(touched).union(*(one.unknown for one in wanted))
        self.compare(f"container {name}", [one.tree for one in wanted], look(path), unknown)
        self.run("umount", name)

    def image(self, reference):
        path = self.run("create", "--read-only", "--name", "probe", reference).strip()
        try:
            return look(path)
        finally:
            self.run("rm", "probe")

    # ---- files against rows, by what is documented of the database -----------------------------

    def rows(self, query):
        db = sqlite3.connect(os.path.join(self.root, "snapdrv.db"))
        try:
            return [row[0] for row in db.execute(query)]
        finally:
            db.close()

    def listing(self, path):
        return set(os.listdir(os.path.join(self.root, path)))

    def accounts(self):
        """After gc: each row has its files, each file its row, and each blob the content that its name says."""
        self.run("gc")
        layers = {str(number) for number in self.rows("SELECT id FROM tree WHERE NOT in_active")}
        active = {str(number) for number in self.rows("SELECT id FROM tree WHERE in_active")}
        blobs = {digest.removeprefix("sha256:") for digest in self.rows("SELECT digest FROM blob")}
        for path, wanted in (("layers", layers), ("content/sha256", blobs)):
            if self.listing(path) != wanted:
                raise Broken(f"{path} has {sorted(self.listing(path))}, the database {sorted(wanted)}")
        if self.listing("active") - active:
            raise Broken(f"active has {sorted(self.listing('active'))}, the database {sorted(active)}")
        if self.listing("staging"):
            raise Broken(f"staging has {self.listing('staging')}")
        for name in blobs:
            with open(os.path.join(self.root, "content/sha256", name), "rb") as file:
                if hashlib.sha256(file.read()).hexdigest() != name:
                    raise Broken(f"blob {name} is damaged")
        for document in self.rows("SELECT manifest FROM image"):
            manifest = json.loads(document)
            for digest in [manifest["config"]["digest"]] + [one["digest"] for one in manifest["layers"]]:
                if digest.removeprefix("sha256:") not in blobs:
                    raise Broken(f"blob {digest} of an image is lost")

    def still_works(self, layout, tree):
        """What it lost can come again, and what is removed gives its place back."""
        self.run("load", layout)
        reference = next(iter(tree))
        self.compare(f"image {reference}, loaded again", [tree[reference].tree], self.image(reference), set())
        self.run("rm", "--all")
        self.run("rmi", "--all")
        self.run("gc")
        for path in ("layers", "active", "content/sha256", "containers", "staging"):
            if self.listing(path):
                raise Broken(f"all is removed, and {path} has {sorted(self.listing(path))}")
