# SPDX-License-Identifier: Apache-2.0
"""The commands that are broken: how each is prepared, what it leaves, and how it is undone."""
import copy
import errno
import glob
import json
import os
import re
import shutil
import sqlite3
import subprocess

from stores import Broken, completed, contents, same_tree, tree


class Command:
    """One command: how to bring the store where it can be run, how to see what it did, how to undo it."""

    words = ()
    stdin = None
    again = (0,)       # what it may answer when it is run although it is done
    joined = (0,)      # what a second one may answer that runs beside it
    is_reading = False
    leaves_something = True  # after success is_done() holds
    error = None  # the errno value that a call of it gives
    is_given_up = False  # by a kill, or by calls that all fail: what it has begun stays
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
    """A layer, a blob and a config that are damaged; nothing else may be found, and a broken-off repair makes nothing
    worse: each can be had again, so none is put away."""

    words = ("check", "--deep", "--repair")
    is_reading = True  # what it found is told also where not all could be repaired
    leaves_something = False
    reference = "app:1"

    def prepare(self):
        super().prepare()
        self.store.run("umount", "box")
        self.config = self.store.references()[self.reference]
        self.is_repaired = False
        # The blob of a commit can be written again from its layer.
        self.store.run("commit", "box", "mine:1")
        self.committed = json.loads(self.store.run("inspect", "mine:1"))[0]["RootFS"]["Layers"][-1]
        self.saved = os.path.join(self.store.work, "mine.tar")
        self.store.run("save", "mine:1", "-o", self.saved)

    def blob(self, digest):
        return os.path.join(self.store.root, "content/sha256", digest.removeprefix("sha256:"))

    def before(self):
        os.unlink(self.blob(self.config))
        with open(self.blob(self.committed), "r+") as file:
            file.write("damaged")
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
        if self.error == errno.EIO:
            # A blob whose layer cannot be read either is put away.
            self.store.run("load", self.saved)
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
