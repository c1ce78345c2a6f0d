# SPDX-License-Identifier: Apache-2.0
"""What cleans up and repairs."""
import errno
import glob
import json
import os
import re
import subprocess

from command import WithContainer, WithImage
from stores import Broken, same_tree


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
