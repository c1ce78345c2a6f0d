# SPDX-License-Identifier: Apache-2.0
"""What brings images and layers, names them and takes them away."""
import copy
import os
import shutil
import sqlite3

from command import Command, MakesImage, WithImage
from stores import Broken, completed, same_tree


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


class Build(MakesImage, WithImage):
    """Two stages side by side, the second takes files of the first; no step runs a program."""

    reference = "built:1"

    def argv(self):
        return ["build", "-q", "-t", self.reference, self.source("context")]


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
