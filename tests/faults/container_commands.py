# SPDX-License-Identifier: Apache-2.0
"""What makes containers, mounts them, commits them and removes them."""
import json
import os
import shutil

from command import WithContainer, WithImage
from stores import Broken, same_tree, tree


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
