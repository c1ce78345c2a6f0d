# SPDX-License-Identifier: Apache-2.0
"""The store that commands are broken in, and what it looks like."""
import argparse
import contextlib
import glob
import importlib.machinery
import importlib.util
import os
import re
import shutil
import sqlite3
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
TOOLS = os.path.join(os.path.dirname(HERE), "tools")


class Broken(Exception):
    pass


def load_treedump():
    loader = importlib.machinery.SourceFileLoader("treedump", os.path.join(TOOLS, "treedump"))
    spec = importlib.util.spec_from_loader("treedump", loader)
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


TREEDUMP = load_treedump()


def tree(path):
    """Lines of treedump; the root's time is left out, for what is made in a container touches it."""
    options = argparse.Namespace(no_root_mtime=True, no_mtime=False, no_links=False)
    groups = {}
    return [TREEDUMP.describe(os.fsencode(path), name, groups, options)
            for name in TREEDUMP.walk(os.fsencode(path))]


def same_tree(what, want, got):
    if want == got:
        return
    lost = sorted(set(want) - set(got))[:3]
    more = sorted(set(got) - set(want))[:3]
    raise Broken(f"{what}: not the right tree: lacks {lost}, has {more}")


def ended(process, seconds=60):
    """What it wrote. Seconds in which this program stood still as well count as one."""
    for _ in range(seconds):
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.communicate(timeout=1)
    process.kill()
    process.communicate()
    raise Broken(f"it does not end: {' '.join(process.args)}")


def completed(argv, env, stdin=None):
    with open(stdin or os.devnull, "rb") as file:
        process = subprocess.Popen(argv, stdin=file, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env)
    stdout, stderr = ended(process)
    return subprocess.CompletedProcess(argv, process.returncode, stdout, stderr)


def mount_points(top):
    found = []
    with open("/proc/self/mountinfo") as file:
        for line in file:
            path = line.split()[4].encode().decode("unicode_escape")
            if path.startswith(top + "/"):
                found.append(path)
    return found


def contents(path):
    """Of an archive or a directory that save or export wrote: {path: bytes}."""
    if os.path.isdir(path):
        return {os.path.relpath(os.path.join(folder, name), path): open(os.path.join(folder, name), "rb").read()
                for folder, _, names in os.walk(path) for name in names}
    with open(path, "rb") as file:
        return {"": file.read()}


# ---- the store --------------------------------------------------------------------------------


class Store:
    def __init__(self, options):
        self.snapdrv, self.driver = options.snapdrv, options.driver
        self.inject, self.sources = options.inject, options.sources
        self.work = os.path.join(options.work, "here")
        self.root = os.path.join(self.work, "store")
        self.out = os.path.join(self.work, "out")
        self.tmp = os.path.join(self.work, "tmp")
        # The same input gives the same image: an import that is made again leaves none without a name.
        self.env = {**os.environ, "SNAPDRV_DRIVER": self.driver, "TMPDIR": self.tmp, "SOURCE_DATE_EPOCH": "1700000000"}
        self.has_check = None

    def argv(self, *words):
        return [self.snapdrv, "--root", self.root, *words]

    def raw(self, *words, stdin=None):
        return completed(self.argv(*words), self.env, stdin)

    def run(self, *words, codes=(0,), stdin=None):
        done = self.raw(*words, stdin=stdin)
        if done.returncode not in codes:
            raise Broken(f"snapdrv {' '.join(words)}: exit {done.returncode}: {done.stderr.decode().strip()}")
        return done.stdout.decode()

    def make(self):
        self.clear()
        for path in (self.out, self.tmp):
            os.makedirs(path)

    def clear(self):
        for path in reversed(mount_points(self.work)):
            subprocess.run(["umount", "-l", path], check=True)
        if not os.path.isdir(self.work):
            return
        subprocess.run(["rm", "-rf", "--one-file-system", self.work], check=False, stderr=subprocess.DEVNULL)
        if os.path.isdir(self.work):
            self.drop_subvolumes()
            shutil.rmtree(self.work)

    def drop_subvolumes(self):
        for path in sorted(self.subvolumes(self.work), key=len, reverse=True):
            subprocess.run(["btrfs", "property", "set", "-ts", path, "ro", "false"], check=False)
            subprocess.run(["btrfs", "subvolume", "delete", path], check=True, stdout=subprocess.DEVNULL)

    def subvolumes(self, where=None):
        """Those below a directory; the store's, when none is given."""
        top = self.work
        while not os.path.ismount(top):
            top = os.path.dirname(top)
        told = subprocess.run(["btrfs", "subvolume", "list", top], stdout=subprocess.PIPE, check=False, text=True)
        found = [os.path.join(top, line.split(" path ", 1)[1]) for line in told.stdout.splitlines()]
        return [path for path in found if path.startswith((where or self.root) + "/")]

    def listing(self, path):
        try:
            return sorted(os.listdir(os.path.join(self.root, path)))
        except FileNotFoundError:
            return []

    def rows(self, *queries):
        """A list of rows for each query. Read-only, so that closing does not merge the WAL, as snapdrv does not."""
        database = sqlite3.connect(f"file:{self.root}/snapdrv.db?mode=ro", uri=True)
        try:
            return [database.execute(query).fetchall() for query in queries]
        finally:
            database.close()

    def references(self):
        (found,) = self.rows("SELECT name, config_digest FROM reference JOIN image ON image.id = image")
        return {name.removeprefix("docker.io/library/"): digest for name, digest in found}

    def containers(self):
        (found,) = self.rows("SELECT name FROM live_container")
        return [name for name, in found]

    def rootfs(self, name):
        return os.path.join(self.root, "containers", name, "rootfs")

    def is_mounted(self, name):
        return self.rootfs(name) in mount_points(self.root)

    def image_tree(self, image):
        path = self.run("create", "--read-only", "--name", "probe", image).strip()
        try:
            return tree(path)
        finally:
            self.run("rm", "probe")

    def container_tree(self, name):
        was_mounted = self.is_mounted(name)
        path = self.run("mount", name).strip()
        found = tree(path)
        if not was_mounted:
            self.run("umount", name)
        return found

    # ---- what must hold after whatever happened ------------------------------------------------

    def check_files(self):
        """Each row has its files, each file its row; nothing is in staging."""
        trees, blobs, names, integrity = self.rows("SELECT id, in_active FROM tree", "SELECT digest FROM blob",
                                                   "SELECT name FROM live_container", "PRAGMA integrity_check")
        layers = [str(number) for number, in_active in trees if not in_active]
        active = [str(number) for number, in_active in trees if in_active]
        blobs = [digest.removeprefix("sha256:") for digest, in blobs]
        names = [name for name, in names]
        for path, wanted in (("layers", layers), ("active", active), ("content/sha256", blobs), ("containers", names)):
            got = [name for name in self.listing(path) if not (path == "layers" and not name.isdigit())]
            if set(got) - set(wanted):
                raise Broken(f"{path}: no row for {sorted(set(got) - set(wanted))}")
            # The directory of a container is made again by who mounts it.
            if set(wanted) - set(got) and path != "containers":
                raise Broken(f"{path}: lost: {sorted(set(wanted) - set(got))}")
        if self.listing("staging"):
            raise Broken(f"staging has {self.listing('staging')}")
        if self.driver == "btrfs":
            wanted = sorted(f"{self.root}/{'active' if in_active else 'layers'}/{number}/fs"
                            for number, in_active in trees)
            if wanted != sorted(self.subvolumes()):
                raise Broken(f"subvolumes: {self.subvolumes()}, where the database has {wanted}")
        if integrity != [("ok",)]:
            raise Broken(f"the database is damaged: {integrity}")

    def check_deep(self):
        if self.has_check is None:
            self.has_check = bool(re.search(r"^\s+check\b", self.run("help"), re.M))
        if not self.has_check:
            return
        done = self.raw("check", "--deep")
        if done.returncode:
            raise Broken(f"check --deep: exit {done.returncode}: {(done.stdout + done.stderr).decode().strip()}")

    def check(self):
        """The store opens, and nothing is left of what was broken off."""
        self.run("images")
        self.check_files()
        self.check_deep()
        containers = self.containers()
        for path in mount_points(self.work):
            match = re.fullmatch(re.escape(self.root) + "/containers/([^/]+)/rootfs", path)
            if not match or match[1] not in containers:
                raise Broken(f"mount left behind: {path}")
        if len(mount_points(self.root)) != len(set(mount_points(self.root))):
            raise Broken(f"mounted twice: {mount_points(self.root)}")
        if os.listdir(self.tmp):
            raise Broken(f"temporary files left behind: {os.listdir(self.tmp)}")
        for path in glob.glob("/sys/block/loop*/loop/backing_file"):
            with contextlib.suppress(OSError), open(path) as file:
                if file.read().startswith(self.work + "/"):
                    raise Broken(f"loop device left behind: {path}")

    def state(self):
        """What is the same whenever the same things are there."""
        found = {path: self.listing(path) for path in ("containers", "content/sha256", "content/partial", "staging")}
        found["counts"] = {path: len([name for name in self.listing(path) if name.isdigit()])
                           for path in ("layers", "active")}
        found["references"] = self.references()
        found["mounts"] = sorted(mount_points(self.work))
        found["out"] = sorted(os.listdir(self.out))
        return found
