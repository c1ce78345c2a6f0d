# SPDX-License-Identifier: Apache-2.0
"""What writes a file, or tells of the store."""
import os
import re
import shutil

from command import Command, WithContainer, WithImage
from stores import Broken, contents


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
