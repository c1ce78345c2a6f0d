#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Break one command of snapdrv at each of its system calls, and look at what is there afterwards.

usage: campaign.py --inject PROG --snapdrv PROG --driver D --work DIR --sources DIR --command NAME
                   --how HOW[,HOW]... [--sample K | --seconds S] [--seed S] [--at N]

@HOW:     kill-before, kill-after   SIGKILL to it all before the Nth call, or right after it
          kill-joined               a second process is started while the first one stands before its Nth call
          ENOSPC, EDQUOT, EIO, EMFILE, ENOMEM, EINTR    the Nth call gives this, once
          ENOSPC+, ...                                  the Nth and all that follow
@sample:  only so many values of N for each HOW, chosen by the seed; without it 1, 2, 3... until the command
          ends by itself.
@seconds: values of HOW and N chosen by the seed, until the time is over.

One store is used throughout: after each try the command is undone, and the store has to be what it was.
After a failure it is made anew. Exit 1 when something failed; `figure: ...` lines say what was done.
"""
import argparse
import contextlib
import copy
import errno
import glob
import importlib.machinery
import importlib.util
import json
import os
import random
import re
import shutil
import sqlite3
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOOLS = os.path.join(os.path.dirname(HERE), "tools")
FAILURES_MAX = 8  # told of one command and kind of fault
KINDS = {
    "kill-before": "change", "kill-after": "change", "kill-joined": "change", "ENOSPC": "space", "EDQUOT": "space",
    "EIO": "input", "EMFILE": "open", "ENOMEM": "memory", "EINTR": "wait"}


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


# ---- the commands -----------------------------------------------------------------------------


class Command:
    """One command: how to bring the store where it can be run, how to see what it did, how to undo it."""

    words = ()
    stdin = None
    again = (0,)       # what it may answer when it is run although it is done
    joined = (0,)      # what a second one may answer that runs beside it
    is_reading = False
    leaves_something = True  # after success is_done() holds
    is_whole = False  # its main() does not begin as inject.c would know

    def __init__(self, store):
        self.store = store
        self.target = store  # where it is run
        self.want = self.image_tree = self.changed_tree = None

    def prepare(self):
        """Once, in a new store."""

    def before(self):
        """Before each try."""

    def is_done(self):
        """Whether what it makes is there."""
        raise NotImplementedError

    def verify(self):
        """That it is right."""

    def verify_undone(self):
        """That nothing of it is there."""

    def may_be_done(self, text):
        """Whether an error of this text may come after all is done."""
        return False

    def check(self):
        """What must hold of the store after whatever happened."""
        self.store.check()

    def reasons(self, stdout):
        """What may stand for the reason in the line for an error, beside the reason."""
        return []

    def verify_told(self):
        """What holds in addition when it said that it is done."""

    def learn(self):
        """What is right, from a run that nothing disturbed."""

    def undo(self):
        pass

    def output(self, text):
        """That what it printed is right."""

    def argv(self):
        return list(self.words)

    def whole_argv(self):
        return self.target.argv(*self.argv())

    def again_now(self):
        """The same once more, over whatever is there. Return: the completed process."""
        return self.target.raw(*self.argv(), stdin=self.stdin)

    def source(self, name):
        return os.path.join(self.store.sources, name)


class MakesImage(Command):
    reference = "app:1"

    def is_done(self):
        return self.reference in self.store.references()

    def learn(self):
        self.want = self.store.image_tree(self.reference)

    def verify(self):
        same_tree(f"image {self.reference}", self.want, self.store.image_tree(self.reference))

    def undo(self):
        self.store.run("rmi", self.reference, codes=(0, 3))
        self.store.run("gc")


class Load(MakesImage):
    def argv(self):
        return ["load", self.source("app")]


class First(MakesImage):
    """A load that makes the store, too."""

    def __init__(self, store):
        super().__init__(store)
        self.target = copy.copy(store)
        self.target.root = os.path.join(store.work, "first")

    def argv(self):
        return ["load", self.source("app")]

    def is_done(self):
        try:
            return self.reference in self.target.references()
        except sqlite3.OperationalError:
            return False  # not all of the database is there

    def learn(self):
        self.want = self.target.image_tree(self.reference)

    def verify(self):
        same_tree(f"image {self.reference}", self.want, self.target.image_tree(self.reference))
        self.target.check_files()
        self.target.check_deep()

    def undo(self):
        if os.path.exists(self.target.root):
            self.target.run("rmi", self.reference, codes=(0, 3))
            self.target.run("gc")
            shutil.rmtree(self.target.root)


class LoadStream(MakesImage):
    def argv(self):
        self.stdin = self.source("app.tar")
        return ["load", "-"]


class LoadDocker(MakesImage):
    reference = "old:1"

    def argv(self):
        return ["load", self.source("old.tar")]


class LoadDiscard(MakesImage):
    def argv(self):
        return ["load", "--discard-blobs", self.source("app")]


class Import(MakesImage):
    reference = "flat:1"

    def argv(self):
        return ["import", self.source("flat.tar"), "flat:1"]


class Pull(MakesImage):
    def __init__(self, store):
        super().__init__(store)
        self.reference = os.environ.get("REGISTRY", "") + "/app:1"

    def argv(self):
        return ["pull", "--plain-http", self.reference]


class WithImage(Command):
    def prepare(self):
        self.store.run("load", self.source("app"))
        self.image_tree = self.store.image_tree("app:1")


class Tag(WithImage):
    words = ("tag", "app:1", "other:2")

    def is_done(self):
        return "other:2" in self.store.references()

    def verify(self):
        references = self.store.references()
        if references.get("other:2") != references["app:1"]:
            raise Broken("tag: it is another image's")

    def undo(self):
        self.store.run("rmi", "other:2", codes=(0, 3))


class Rmi(WithImage):
    words = ("rmi", "app:1")
    again = (0, 3)
    joined = (0, 3)

    def before(self):
        self.store.run("load", self.source("app"))

    def is_done(self):
        return "app:1" not in self.store.references()

    def verify_undone(self):
        same_tree("image app:1", self.image_tree, self.store.image_tree("app:1"))

    def undo(self):
        self.store.run("load", self.source("app"))


class MakesContainer(WithImage):
    again = (0, 4)
    joined = (0, 4)
    is_mounting = True

    def argv(self):
        return ["create", "--name", "made", "app:1"]

    def is_done(self):
        return "made" in self.store.containers()

    def output(self, text):
        if text != self.store.rootfs("made") + "\n":
            raise Broken(f"create printed {text!r}")

    def verify(self):
        same_tree("container made", self.image_tree, self.store.container_tree("made"))
        path = os.path.join(self.store.run("mount", "made").strip(), "written")
        with open(path, "w") as file:
            file.write("in it\n")
        os.unlink(path)

    def verify_told(self):
        if self.is_mounting and not self.store.is_mounted("made"):
            raise Broken("create said that it is done, and it is not mounted")

    def undo(self):
        self.store.run("rm", "made", codes=(0, 3))


class CreateNoMount(MakesContainer):
    is_mounting = False

    def argv(self):
        return ["create", "--no-mount", "--name", "made", "app:1"]


class CreateReadOnly(MakesContainer):
    def argv(self):
        return ["create", "--read-only", "--name", "made", "app:1"]

    def verify(self):
        same_tree("container made", self.image_tree, self.store.container_tree("made"))


class CreateUserns(MakesContainer):
    def argv(self):
        return ["create", "--userns", "100000:200000:65536", "--name", "made", "app:1"]

    def learn(self):
        self.want = self.store.container_tree("made")

    def verify(self):
        same_tree("container made", self.want, self.store.container_tree("made"))


class CreateBundle(MakesContainer):
    again = (0, 4)

    def argv(self):
        return ["create", "--bundle", os.path.join(self.store.out, "bundle"), "--name", "made", "app:1"]

    def config(self):
        return os.path.join(self.store.out, "bundle", "config.json")

    def verify_told(self):
        super().verify_told()
        if not os.path.exists(self.config()):
            raise Broken("create said that it is done, and there is no config.json")

    def verify(self):
        super().verify()
        self.verify_config()

    def verify_config(self):
        # A kill may come between the container and its bundle; what is there is whole.
        if os.path.exists(self.config()):
            with open(self.config()) as file:
                json.load(file)

    def verify_undone(self):
        if os.path.exists(os.path.join(self.store.out, "bundle")):
            raise Broken(f"a bundle without a container: {os.listdir(os.path.join(self.store.out, 'bundle'))}")

    def undo(self):
        super().undo()
        shutil.rmtree(os.path.join(self.store.out, "bundle"), ignore_errors=True)


class WithContainer(WithImage):
    """A container in which files were added, changed and removed."""

    def prepare(self):
        super().prepare()
        self.make_container()
        self.changed_tree = self.store.container_tree("box")

    def make_container(self):
        path = self.store.run("create", "--name", "box", "app:1").strip()
        with open(os.path.join(path, "etc", "added"), "w") as file:
            file.write("added\n" * 3000)
        os.unlink(os.path.join(path, "etc", "word"))
        shutil.rmtree(os.path.join(path, "share"))
        os.mkdir(os.path.join(path, "share"))
        os.chmod(os.path.join(path, "bin", "tool"), 0o4755)
        os.setxattr(os.path.join(path, "bin", "tool"), "user.mark", b"\0\1")
        os.link(os.path.join(path, "etc", "added"), os.path.join(path, "share", "linked"))
        os.symlink("added", os.path.join(path, "etc", "symlink"))
        for folder, folders, names in os.walk(path, topdown=False):
            for name in folders + names:
                if name in ("added", "share", "linked", "symlink", "etc", "bin"):
                    os.utime(os.path.join(folder, name), ns=(10 ** 18, 10 ** 18 + 5), follow_symlinks=False)


class Mount(WithContainer):
    words = ("mount", "box")

    def before(self):
        self.store.run("umount", "box")

    def is_done(self):
        return self.store.is_mounted("box")

    def output(self, text):
        if text != self.store.rootfs("box") + "\n":
            raise Broken(f"mount printed {text!r}")

    def verify(self):
        same_tree("container box", self.changed_tree, tree(self.store.rootfs("box")))

    def undo(self):
        self.store.run("umount", "box")


class Umount(WithContainer):
    words = ("umount", "box")

    def before(self):
        self.store.run("mount", "box")

    def is_done(self):
        return not self.store.is_mounted("box")

    def verify_undone(self):
        same_tree("container box", self.changed_tree, tree(self.store.rootfs("box")))

    def verify(self):
        same_tree("container box", self.changed_tree, self.store.container_tree("box"))

    def undo(self):
        self.store.run("umount", "box")


class Rm(WithContainer):
    words = ("rm", "box")
    again = (0, 3)
    joined = (0, 3)

    def before(self):
        if "box" not in self.store.containers():
            self.make_container()
        self.store.run("mount", "box")

    def is_done(self):
        return "box" not in self.store.containers()

    def verify_undone(self):
        same_tree("container box", self.changed_tree, self.store.container_tree("box"))

    def undo(self):
        if "box" not in self.store.containers():
            self.make_container()
        self.store.run("mount", "box")


class Commit(WithContainer):
    words = ("commit", "box", "changed:1")

    def is_done(self):
        return "changed:1" in self.store.references()

    def verify(self):
        same_tree("image changed:1", self.changed_tree, self.store.image_tree("changed:1"))

    def undo(self):
        self.store.run("rmi", "changed:1", codes=(0, 3))
        self.store.run("gc")


class Build(MakesImage, WithImage):
    """Two stages side by side, the second takes files of the first; no step runs a program."""

    reference = "built:1"

    def argv(self):
        return ["build", "-q", "-t", self.reference, self.source("context")]


class CheckRepair(WithContainer):
    """A layer and a config that are damaged; nothing else may be found, and a broken-off repair makes nothing worse."""

    words = ("check", "--deep", "--repair")
    is_reading = True  # what it found is told also where not all could be repaired
    leaves_something = False
    reference = "app:1"

    def prepare(self):
        super().prepare()
        self.store.run("umount", "box")
        self.is_repaired = False

    def before(self):
        digest = self.store.references()[self.reference].removeprefix("sha256:")
        os.unlink(os.path.join(self.store.root, "content/sha256", digest))
        path = min(glob.glob(os.path.join(self.store.root, "layers/*/fs/etc/new")), key=lambda path: (len(path), path))
        top = path.removesuffix("/etc/new")
        self.set_read_only(top, "false")
        times = os.stat(path)
        with open(path, "r+") as file:
            file.write("damaged")
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        self.set_read_only(top, "true")

    def set_read_only(self, path, value):
        if self.store.driver == "btrfs":
            subprocess.run(["btrfs", "property", "set", "-ts", path, "ro", value], check=True)

    def check(self):
        """What is damaged may still be so; the next repair makes it whole."""
        self.store.run("images")
        done = self.store.raw("check", "--deep")
        found = [line for line in done.stdout.decode().splitlines()[:-1] if not line.startswith(" ")]
        more = [line for line in found if not line.startswith(("layer ", "blob "))]
        if done.returncode not in (0, 1) or more:
            raise Broken(f"check --deep: exit {done.returncode}: {more} {done.stderr.decode().strip()}")
        self.is_repaired = done.returncode == 0
        if not self.is_repaired:
            self.store.run(*self.words)
        self.store.check()

    def reasons(self, stdout):
        # Of what could not be repaired, the reason is told with it.
        return ["damaged"] if re.search("^(  not repaired|database .*): ", stdout, re.M) else []

    def verify_told(self):
        if not self.is_repaired:
            raise Broken("it said that all is repaired, and it is not")

    def is_done(self):
        return False

    def verify_undone(self):
        self.verify()

    def verify(self):
        same_tree("container box", self.changed_tree, self.store.container_tree("box"))
        same_tree(f"image {self.reference}", self.image_tree, self.store.image_tree(self.reference))

    def undo(self):
        self.store.run("gc")


class WritesFile(Command):
    name = "file"

    def path(self):
        return os.path.join(self.store.out, self.name)

    def is_done(self):
        return os.path.exists(self.path())

    def learn(self):
        self.want = contents(self.path())

    def verify(self):
        if contents(self.path()) != self.want:
            raise Broken(f"{self.name}: not what it is when nothing disturbs")
        self.verify_alone([self.name])

    def verify_undone(self):
        self.verify_alone([])

    def verify_alone(self, wanted):
        # A killed one may leave a directory under a temporary name: it has no other way to make one at once.
        got = [name for name in os.listdir(self.store.out) if not self.may_be_left(name)]
        if got != wanted:
            raise Broken(f"beside what it writes: {os.listdir(self.store.out)}")

    def may_be_left(self, name):
        return False

    def may_be_done(self, text):
        # Under its name, which may not be on disk.
        return "sync a directory" in text

    def undo(self):
        for name in os.listdir(self.store.out):
            path = os.path.join(self.store.out, name)
            if os.path.isdir(path):
                shutil.rmtree(path)
            else:
                os.unlink(path)


class Save(WritesFile, WithImage):
    def argv(self):
        return ["save", "app:1", "-o", self.path()]


class SaveDocker(WritesFile, WithImage):
    def argv(self):
        return ["save", "--format", "docker-archive", "app:1", "-o", self.path()]


class SaveDir(WritesFile, WithImage):
    is_given_up = False  # by a kill, or by calls that all fail: what it has begun stays
    again = (0, 4)
    joined = (0, 4)

    def argv(self):
        return ["save", "--format", "oci-dir", "app:1", "-o", self.path()]

    def may_be_left(self, name):
        return self.is_given_up and name != self.name


class Export(WritesFile, WithContainer):
    def argv(self):
        return ["export", "box", "-o", self.path()]


class Reading(Command):
    """It changes nothing: what it says is right, or it says why not."""

    is_reading = True
    leaves_something = False

    def is_done(self):
        return False

    def learn(self):
        self.want = self.store.run(*self.argv())

    def output(self, text):
        if text != self.want:
            raise Broken(f"{self.argv()[0]} printed {text[:300]!r}, where it is {self.want[:300]!r}")


class Diff(Reading, WithContainer):
    words = ("diff", "box")


class Images(Reading, WithContainer):
    words = ("--json", "images")


class Ls(Reading, WithContainer):
    words = ("--json", "ls")


class Inspect(Reading, WithContainer):
    words = ("inspect", "box")

    def learn(self):
        self.want = self.without_options(self.store.run(*self.words))

    def output(self, text):
        super().output(self.without_options(text))

    @staticmethod
    def without_options(text):
        # What /proc says of the mount is left out where /proc cannot be read.
        return re.sub(r',\s*"MountOptions": "[^"]*"', "", text)


class History(Reading, WithImage):
    words = ("history", "app:1")


class Df(Reading, WithContainer):
    words = ("--json", "df")


class Runtime(Command):
    """What a container runtime asks of the library for a layer: prepare, apply, commit (tests/cli/runtime.c)."""

    is_whole = True

    def run(self, *words):
        return completed([os.environ["RUNTIME"], self.store.root, *words], self.store.env)

    def argv(self):
        return ["prepare", "key", "-", ",", "apply", "key", self.source("layer"), ",", "commit", "one", "key"]

    def whole_argv(self):
        return [os.environ["RUNTIME"], self.store.root, *self.argv()]

    def names(self):
        (found,) = self.store.rows("SELECT name FROM runtime_name")
        return [name for name, in found]

    def is_done(self):
        return "one" in self.names()

    def learn(self):
        self.want = self.run("usage", "one").stdout

    def verify(self):
        got = self.run("usage", "one").stdout
        if got != self.want:
            raise Broken(f"the snapshot holds {got}, not {self.want}")

    def again_now(self):
        self.undo()
        return self.run(*self.argv())

    def undo(self):
        for name in self.names():
            self.run("remove", name)
        self.run("cleanup")


class Gc(WithImage):
    """After a load that was killed in the middle, and one whose image was taken away."""

    words = ("gc",)
    leaves_something = False

    def before(self):
        subprocess.run([self.store.inject, "--at", "120", "--kill", "before", os.path.join(self.store.work, "report"),
                        *self.store.argv("load", self.source("old.tar"))], env=self.store.env, check=False,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def is_done(self):
        return False

    def verify_undone(self):
        same_tree("image app:1", self.image_tree, self.store.image_tree("app:1"))

    def undo(self):
        self.store.run("gc")


COMMANDS = {
    "first": First, "load": Load, "load-stream": LoadStream, "load-docker": LoadDocker, "load-discard": LoadDiscard, "import": Import,
    "pull": Pull, "tag": Tag, "rmi": Rmi, "create": MakesContainer, "create-no-mount": CreateNoMount,
    "create-read-only": CreateReadOnly, "create-userns": CreateUserns, "create-bundle": CreateBundle, "mount": Mount,
    "umount": Umount, "rm": Rm, "commit": Commit, "build": Build, "check-repair": CheckRepair, "save": Save, "save-docker": SaveDocker, "save-dir": SaveDir,
    "export": Export, "diff": Diff, "images": Images, "ls": Ls, "inspect": Inspect, "history": History, "df": Df,
    "gc": Gc, "runtime": Runtime}


# ---- a campaign -------------------------------------------------------------------------------


class Try:
    """One run of the command that is disturbed, and what has to hold after it."""

    def __init__(self, campaign, how, number):
        self.options, self.store, self.command = campaign.options, campaign.store, campaign.command
        self.how, self.number = how, number
        self.is_onward = how.endswith("+")
        self.error = None if how.startswith("kill") else getattr(errno, how.rstrip("+"))
        self.report = os.path.join(self.store.work, "report")
        self.calls = {}
        self.hit = None
        self.end = []
        self.result = ""

    def start(self, extra=(), descriptors=()):
        words = [self.store.inject, "--calls", KINDS[self.how.rstrip("+")], "--limit", "40"]
        if self.number:
            words += ["--at", str(self.number)]
        if self.error:
            words += ["--error", str(self.error)] + (["--onward"] if self.is_onward else [])
        else:
            words += ["--kill", "after" if self.how == "kill-after" else "before"]
        if self.command.is_whole:
            words.append("--whole")
        argv = self.command.whole_argv()
        with open(self.command.stdin or os.devnull, "rb") as stdin:
            return subprocess.Popen(words + list(extra) + [self.report, *argv], stdin=stdin, env=self.store.env,
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=descriptors)

    def read_report(self):
        with open(self.report, errors="replace") as file:
            for line in file:
                word, *rest = line.rstrip("\n").split(" ")
                if word == "seen":
                    self.calls[rest[0]] = int(rest[1])
                elif word == "hit":
                    self.hit = " ".join(rest)
                elif word == "end":
                    self.end = rest
        os.unlink(self.report)
        if self.end[0] == "limit":
            raise Broken("it does not end")
        if self.end[0] == "left":
            raise Broken("a process that it has started does not end")

    def go(self):
        """Return: False when the command ended before its Nth call."""
        if isinstance(self.command, SaveDir):
            self.command.is_given_up = not self.error or self.is_onward
        self.command.before()
        if self.how == "kill-joined":
            return self.joined()
        process = self.start()
        stdout, stderr = process.communicate()
        self.read_report()
        if self.hit is None:
            self.command.undo()
            return False
        if self.error:
            self.judge_error(stdout, stderr)
        else:
            self.judge_kill()
        self.settle()
        return True

    # ---- errno values --------------------------------------------------------------------------

    def reasons(self, text):
        """What may stand in the line for the error."""
        found = [os.strerror(self.error)]
        if "database: " in text:
            found += ["out of memory", "disk is full", "disk I/O error", "unable to open database file"]
            # So SQLite has it: EIO of a read; and a -shm that cannot be opened to write is opened to read.
            found += ["disk image is malformed"] if self.error == errno.EIO else []
            found += ["readonly database", "No such file"] if self.hit.endswith("-shm") or self.is_onward else []
        if "standard output" in text:
            found += ["not all of it could be written"]
        if self.error == errno.ENOMEM:
            # What clone(2) lacks memory for is told so by pthread_create(3).
            found += ["out of memory", os.strerror(errno.EAGAIN), "failed to map"]
        return found

    def check_message(self, stdout, text, code):
        if "--json" in self.command.argv() and text.startswith('{"error":'):
            error = json.loads(text)["error"]
            code, text = error["code"], f"snapdrv: {error['message']}\n"
        if code != 1:
            raise Broken(f"exit {code}, not 1, with: {text.strip()}")
        if text.count("\n") != 1 or not re.fullmatch(r"snapdrv: .+: .+\n", text):
            raise Broken(f"not one line 'snapdrv: WHAT: WHY': {text!r}")
        reasons = self.reasons(text) + self.command.reasons(stdout.decode(errors="replace"))
        if not any(reason.lower() in text.lower() for reason in reasons):
            raise Broken(f"the error does not give the reason '{os.strerror(self.error)}': {text.strip()}")
        if stdout and "standard output" not in text and not self.command.is_reading:
            raise Broken(f"an error ({text.strip()}), and on stdout: {stdout!r}")

    def judge_error(self, stdout, stderr):
        text = stderr.decode(errors="replace")
        if self.error == errno.ENOMEM and self.end == ["signal", "6"]:
            # libcrypto lacks memory to set itself up: base/digest.c ends the program then.
            self.result = "ended"
            self.command.check()
            return
        if self.end[0] != "exit":
            raise Broken(f"it crashed: signal {self.end[1]}: {text.strip()}")
        code = int(self.end[1])
        if code:
            self.result = "failed"
            self.check_message(stdout, text, code)
            self.command.check()
            # With all later calls failing it may not get rid again of what is whole already.
            may_be_done = self.is_onward or "standard output" in text or self.command.may_be_done(text)
            if self.command.is_done() and not may_be_done:
                raise Broken(f"it said {text.strip()!r}, and it is done")
            return
        self.result = "succeeded"
        if text:
            raise Broken(f"exit 0, and on stderr: {text}")
        self.command.check()
        self.command.output(stdout.decode())
        if self.command.leaves_something and not self.command.is_done():
            raise Broken("it said that it is done, and it is not")
        self.command.verify_told()

    # ---- kills ---------------------------------------------------------------------------------

    def judge_kill(self):
        # The last call of all may be over before the signal comes.
        if self.end not in (["signal", "9"], ["exit", "0"]):
            raise Broken(f"not killed, but: {self.end}")
        self.result = "killed"
        # Who comes next finds what is left: one that looks, one that sweeps, the same command, another one.
        following = self.number % 4
        if following == 1:
            self.store.run("gc")
        elif following == 2:
            self.retry()
        elif following == 3:
            self.store.run("create", "--name", "other", "witness:1")
            self.store.run("rm", "other")
        self.command.check()

    def joined(self):
        to_us, from_inject = os.pipe()
        to_inject, from_us = os.pipe()
        process = self.start(("--hold", f"{to_inject},{from_inject}"), (to_inject, from_inject))
        os.close(from_inject)
        os.close(to_inject)
        second = None
        if os.read(to_us, 1):
            with open(self.command.stdin or os.devnull, "rb") as stdin:
                second = subprocess.Popen(self.command.whole_argv(), stdin=stdin, env=self.store.env,
                                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            # One that waits for nothing of the first one's ends here; another goes on when that is killed.
            with contextlib.suppress(subprocess.TimeoutExpired):
                second.wait(0.03)
            os.write(from_us, b"!")
        process.communicate()
        os.close(to_us)
        os.close(from_us)
        self.read_report()
        if not second:
            self.command.undo()
            return False
        _, stderr = ended(second)
        if second.returncode not in self.command.joined:
            raise Broken(f"the second process: exit {second.returncode}: {stderr.decode(errors='replace').strip()}")
        self.result = "killed"
        self.command.check()
        if self.command.leaves_something and not self.command.is_done():
            raise Broken(f"the second process ended with {second.returncode}, and it is not done")
        self.settle()
        return True

    # ---- after it ------------------------------------------------------------------------------

    def retry(self):
        done = self.command.again_now()
        if done.returncode not in self.command.again:
            raise Broken(f"the next try: exit {done.returncode}: {done.stderr.decode(errors='replace').strip()}")
        if self.command.leaves_something and not self.command.is_done():
            raise Broken("the next try succeeded, and it is not done")

    def settle(self):
        """It is whole or not there at all; the next try succeeds."""
        if self.command.is_done():
            self.result += ", was done"
            self.command.verify()
        else:
            self.command.verify_undone()
        self.retry()
        self.command.verify()
        self.command.undo()


class Campaign:
    def __init__(self, options):
        self.options = options
        self.store = Store(options)
        self.command = COMMANDS[options.command](self.store)
        self.witness = self.baseline = None
        self.failures = 0
        self.pass_over = False
        self.random = random.Random(f"{options.seed} {options.command} {options.driver}")

    def set_up(self):
        self.store.make()
        self.store.run("load", self.command.source("witness"))
        path = self.store.run("create", "--name", "witness", "witness:1").strip()
        with open(os.path.join(path, "mark"), "w") as file:
            file.write("still there\n")
        self.witness = tree(path)
        self.command.prepare()
        self.undisturbed()
        self.command.learn()
        self.command.undo()
        self.undisturbed()
        self.command.undo()
        self.baseline = self.store.state()

    def undisturbed(self):
        self.command.before()
        done = self.command.again_now()
        if done.returncode:
            raise Broken(f"the command fails undisturbed: {done.stderr.decode().strip()}")

    def count_calls(self):
        """Of each kind, in a run that nothing disturbs."""
        one = Try(self, "kill-before", 0)
        self.command.before()
        one.start().communicate()
        one.read_report()
        if one.end != ["exit", "0"]:
            raise Broken(f"the command fails undisturbed: {one.end}")
        self.command.undo()
        return one.calls

    def check_undone(self):
        """Undone, the store is what it was, and what has nothing to do with it all is still there."""
        state = self.store.state()
        for key, value in self.baseline.items():
            if state[key] != value:
                more = [one for one in state[key] if one not in value]
                less = [one for one in value if one not in state[key]]
                raise Broken(f"undone, the store is another one: {key} has {more or state[key]}, lacks {less}")
        same_tree("container witness", self.witness, tree(self.store.rootfs("witness")))

    def one(self, how, number, results):
        """Return: False when the command ended before its Nth call."""
        one = Try(self, how, number)
        try:
            if not one.go():
                return False
            self.check_undone()
        except (Broken, subprocess.SubprocessError, OSError, sqlite3.Error) as error:
            self.failures += 1
            one.result = ""
            print(f"{self.options.command} on {self.options.driver}, {how} at {number} ({one.hit}): {error}",
                  file=sys.stderr, flush=True)
            if self.failures < FAILURES_MAX and not self.options.stop:
                self.set_up()
        results[one.result] = results.get(one.result, 0) + 1
        return True

    def tell(self, how, results):
        what = ", ".join(f"{results[key]} {key or 'broken'}" for key in sorted(results))
        print(f"figure: {self.options.command} on {self.options.driver}, {how}: {sum(results.values())} ({what})",
              flush=True)

    def go(self):
        self.set_up()
        hows = self.options.how.split(",")
        calls = self.count_calls()
        total = {how: {} for how in hows}
        for how, number in self.pairs(hows, calls):
            # With threads a number may be too high by a few.
            is_over = not self.one(how, number, total[how])
            if is_over and not self.options.sample and not self.options.seconds:
                self.pass_over = True
            if self.failures >= FAILURES_MAX or (self.failures and self.options.stop):
                break
        for how in hows:
            if total[how]:
                self.tell(how, total[how])
        if not self.options.stop:
            self.store.clear()
        if not any(total.values()):
            print("nothing was tried", file=sys.stderr)
            return 1
        return 1 if self.failures else 0

    def pairs(self, hows, calls):
        """How and N, one after the other."""
        if self.options.at:
            yield from ((how, number) for how in hows for number in self.options.at)
            return
        if self.options.seconds:
            end = time.monotonic() + self.options.seconds
            while time.monotonic() < end:
                how = self.random.choice([how for how in hows if calls[KINDS[how.rstrip("+")]]])
                yield how, self.random.randint(1, calls[KINDS[how.rstrip("+")]])
            return
        for how in hows:
            seen = calls[KINDS[how.rstrip("+")]]
            if self.options.sample:
                for number in sorted(self.random.sample(range(1, seen + 1), min(seen, self.options.sample))):
                    yield how, number
                continue
            self.pass_over = False
            number = 1
            while not self.pass_over:
                yield how, number
                number += 1


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    for name in ("inject", "snapdrv", "driver", "work", "sources", "how"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--command", required=True, choices=sorted(COMMANDS))
    parser.add_argument("--sample", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=0)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--at", type=int, action="append")
    parser.add_argument("--stop", action="store_true", help="at the first failure, and leave everything as it is")
    return Campaign(parser.parse_args()).go()


if __name__ == "__main__":
    sys.exit(main())
