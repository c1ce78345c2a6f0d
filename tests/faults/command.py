# SPDX-License-Identifier: Apache-2.0
"""What the commands that are broken have in common: what there is to know of each."""
import os
import shutil

from stores import completed, same_tree


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


class WithImage(Command):
    def prepare(self):
        self.store.run("load", self.source("app"))
        self.image_tree = self.store.image_tree("app:1")


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
