# SPDX-License-Identifier: Apache-2.0
"""What the guest does with a store until its power is cut, and what has to be there after each step.

    plan = Plan(seed, steps, directory)     # makes images in the directory
    plan.script(...)                        # for the guest
    plan.steps[n].before, .after            # State: what is there if the step never began, or has returned

The trees of the images are known from how they are made, not from the program under test. A tree is
{path: ("d",) or ("f", SHA-256, mode, mtime or None) or ("l", target)}; the root is not in it.
"""
import copy
import hashlib
import os
import random
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "tests/tools"))
import mklayout  # noqa: E402

STORE = "/mnt/store"


def sha(data):
    return hashlib.sha256(data).hexdigest()


class Image:
    """@key: what commands that make the same image have in common."""

    def __init__(self, key, tree):
        self.key, self.tree = key, tree


class Container:
    """@tree: as a process in it sees it. @unknown: paths that were not synced since they were changed."""

    def __init__(self, image, read_only):
        self.image, self.tree, self.unknown, self.read_only = image, dict(image.tree), set(), read_only
        self.is_mounted = True

    def copy(self):
        other = copy.copy(self)
        other.tree, other.unknown = dict(self.tree), set(self.unknown)
        return other


class State:
    def __init__(self):
        self.images, self.containers = {}, {}

    def copy(self):
        other = State()
        other.images = dict(self.images)
        other.containers = {name: one.copy() for name, one in self.containers.items()}
        return other


class Step:
    def __init__(self, command, before, after):
        self.command, self.before, self.after = command, before, after


def make_layer(rng, tree, below, number, size):
    """Entries of one layer; @tree is what was below it, and then what is there."""
    top = f"d{rng.randrange(3)}"
    entries = [mklayout.directory(top), mklayout.directory(f"{top}/layer{number}")]
    tree[top] = tree[f"{top}/layer{number}"] = ("d",)
    for count in range(rng.randrange(8, 25)):
        path = f"{top}/layer{number}/f{count}"
        data = rng.randbytes(rng.choice((0, 1, 100, 3000, 5000, 20000, size)))
        mode = rng.choice((0o644, 0o600, 0o755, 0o4755))
        entries.append(mklayout.file(path, data, mode=mode))
        tree[path] = ("f", sha(data), mode, mklayout.MTIME)
    entries += [mklayout.symlink(f"{top}/layer{number}/link", "f0"),
                mklayout.hardlink(f"{top}/layer{number}/hard", f"{top}/layer{number}/f1")]
    tree[f"{top}/layer{number}/link"] = ("l", "f0")
    tree[f"{top}/layer{number}/hard"] = tree[f"{top}/layer{number}/f1"]
    for path in sorted(path for path in below if below[path][0] == "f" and not path.startswith(f"{top}/layer{number}/")):
        if rng.random() < 0.15:
            entries.append(mklayout.whiteout(path))
            del tree[path]
    return entries


class Plan:
    def __init__(self, seed, count, directory, no_sync=False):
        self.rng = random.Random(seed)
        self.directory, self.no_sync = directory, " --no-sync" if no_sync else ""
        self.state, self.steps = State(), []
        self.numbers = iter(range(10000))
        self.make_images()
        self.make_data()
        self.step(f"snapdrv images >{STORE}.images; rm {STORE}.images", lambda state: None)
        self.load("one")
        ways = [self.do_load] * 4 + [self.do_create] * 5 + [self.do_write] * 6 + [self.do_dirty] * 3 + \
            [self.do_replace] * 2 + [self.do_delete] * 2 + [self.do_commit] * 4 + [self.do_remove] * 4 + \
            [self.do_rmi] * 3 + [self.do_tag, self.do_import, self.do_gc, self.do_gc, self.do_remount] + [self.do_both] * 3
        while len(self.steps) < count:
            self.rng.choice(ways)()

    def step(self, command, change):
        before = self.state
        self.state = before.copy()
        change(self.state)
        self.steps.append(Step(command, before, self.state))

    # ---- what it works with ---------------------------------------------------------------------

    def make_images(self):
        """Layouts under .layouts: {name: {reference: Image}}; some layers stand in several of them."""
        rng = random.Random(77)
        layers, trees = [], [{}]
        for number in range(4):
            tree = dict(trees[-1])
            layers.append(mklayout.Layer(make_layer(rng, tree, trees[-1], number, 200000), rng.choice(("gzip", "none", "zstd"))))
            trees.append(tree)
        alone = {}
        other = mklayout.Layer(make_layer(rng, alone, {}, 9, 900000), "gzip")
        made = {"one": (layers[:2], trees[2]), "two": (layers[:3], trees[3]), "three": (layers, trees[4]),
                "alone": ([other], alone)}
        self.layouts = {}
        for name, (stack, tree) in made.items():
            image = mklayout.Image(stack, names=f"{name}:1")
            mklayout.Layout(image).write_dir(os.path.join(self.directory, name))
            self.layouts[name] = {f"docker.io/library/{name}:1": Image(name, tree)}
        both = [mklayout.Image(made[name][0], names=f"{name}:both") for name in ("two", "alone")]
        mklayout.Layout(both).write_archive(os.path.join(self.directory, "both"))
        self.layouts["both"] = {f"docker.io/library/{name}:both": self.layouts[name][f"docker.io/library/{name}:1"]
                                for name in ("two", "alone")}
        tree = {}
        entries = make_layer(rng, tree, {}, 5, 100000)
        mklayout.write(os.path.join(self.directory, "root.tar"), mklayout.tar(entries))
        self.imported = tree

    def make_data(self):
        self.data = []
        rng = random.Random(78)
        for number, size in enumerate((0, 10, 4096, 5000, 70000, 300000)):
            data = rng.randbytes(size)
            mklayout.write(os.path.join(self.directory, f"data{number}"), data)
            self.data.append(sha(data))

    def files(self):
        return {name: os.path.join(self.directory, name) for name in os.listdir(self.directory)}

    # ---- commands -------------------------------------------------------------------------------

    def load(self, name):
        # From the store's own filesystem blobs are linked, and their source goes.
        if self.rng.random() < 0.3:
            self.step(f"cp -r /job/{name} /mnt/in; snapdrv load /mnt/in{self.no_sync}; rm -r /mnt/in",
                      lambda state: state.images.update(self.layouts[name]))
            return
        self.step(f"snapdrv load /job/{name}{self.no_sync}", lambda state: state.images.update(self.layouts[name]))

    def do_load(self):
        self.load(self.rng.choice(sorted(self.layouts)))

    def do_import(self):
        number = next(self.numbers)
        reference, image = f"docker.io/library/imported{number}:latest", Image(f"import{number}", self.imported)
        self.step(f"snapdrv import --message {number} /job/root.tar imported{number}{self.no_sync}",
                  lambda state: state.images.update({reference: image}))

    def new_container(self):
        if not self.state.images or len(self.state.containers) > 6:
            return None
        reference = self.rng.choice(sorted(self.state.images))
        read_only = self.rng.random() < 0.15
        name = self.rng.choice(("c", "box", "x")) + str(next(self.numbers))
        container = Container(self.state.images[reference], read_only)
        return (f"snapdrv create --name {name} {'--read-only ' if read_only else ''}{reference}",
                lambda state: state.containers.update({name: container.copy()}))

    def do_create(self):
        made = self.new_container()
        if made:
            self.step(*made)

    def writable(self):
        names = sorted(name for name, one in self.state.containers.items() if not one.read_only and one.is_mounted)
        return self.rng.choice(names) if names else None

    def some_file(self, name):
        """A path in a container: one that is there, or a new one in a directory that is there or new."""
        tree = self.state.containers[name].tree
        files = sorted(path for path in tree if tree[path][0] == "f" and "hard" not in path and "/f1" not in path)
        folders = sorted(path for path in tree if tree[path][0] == "d")
        kind = self.rng.random()
        if kind < 0.4 and files:
            return self.rng.choice(files)
        number = next(self.numbers)
        if kind < 0.7 and folders:
            return f"{self.rng.choice(folders)}/new{number}"
        return f"made{number}/below/file"

    def write(self, name, path, is_synced, by_rename=False):
        number = self.rng.randrange(len(self.data))
        root = f"{STORE}/containers/{name}/rootfs"
        folder = os.path.dirname(path)
        above = [folder]
        while os.path.dirname(above[-1]):
            above.append(os.path.dirname(above[-1]))
        if by_rename:
            command = (f"cd {root}; cp /job/data{number} {folder}/.new; chmod 640 {folder}/.new; sync {folder}/.new; "
                       f"mv {folder}/.new {path}; sync {' '.join(above)} .")
        else:
            command = f"cd {root}; mkdir -p {folder}; cat /job/data{number} >{path}; chmod 640 {path}"
            if is_synced:
                command += f"; sync {path} {' '.join(above)} ."

        touched = {path} | {one for one in above if one not in self.state.containers[name].tree}
        if by_rename:
            touched.add(f"{folder}/.new")
            touched.discard(folder)

        def change(state):
            container = state.containers[name]
            for one in above:
                container.tree[one] = ("d",)
            container.tree[path] = ("f", self.data[number], 0o640, None)
            container.unknown = container.unknown - touched - set(above) if is_synced else container.unknown | touched

        self.step(command, change)
        self.steps[-1].touched = (name, touched)

    def do_write(self):
        name = self.writable()
        if name:
            self.write(name, self.some_file(name), True)

    def do_dirty(self):
        name = self.writable()
        if name:
            self.write(name, self.some_file(name), False)

    def do_replace(self):
        name = self.writable()
        if name:
            path = self.some_file(name)
            if os.path.dirname(path) in self.state.containers[name].tree:
                self.write(name, path, True, by_rename=True)

    def do_delete(self):
        name = self.writable()
        files = sorted(path for path, one in self.state.containers[name].tree.items() if one[0] == "f") if name else ()
        if not files:
            return
        path = self.rng.choice(files)

        def change(state):
            del state.containers[name].tree[path]
            state.containers[name].unknown.discard(path)

        self.step(f"cd {STORE}/containers/{name}/rootfs; rm {path}; sync {os.path.dirname(path)}", change)
        self.steps[-1].touched = (name, {path})

    def commit(self, name):
        number = next(self.numbers)
        tree = {}
        base = self.state.containers[name].image.tree
        for path, what in self.state.containers[name].tree.items():
            tree[path] = what if base.get(path) == what or what[0] != "f" else (*what[:3], None)
        reference, image = f"docker.io/library/committed{number}:latest", Image(f"commit{number}", tree)
        return (f"snapdrv commit --message {number} {name} committed{number}{self.no_sync}",
                lambda state: state.images.update({reference: image}))

    def do_commit(self):
        name = self.writable()
        if name and len(self.state.images) < 12:
            self.step(*self.commit(name))

    def do_remove(self):
        names = sorted(self.state.containers)
        if len(names) < 3:
            return
        names = self.rng.sample(names, self.rng.choice((1, 1, 2)))
        self.step(f"snapdrv rm {' '.join(names)}", lambda state: [state.containers.pop(name) for name in names])

    def do_rmi(self):
        used = {one.image.key for one in self.state.containers.values()}
        keys = [one.key for one in self.state.images.values()]
        free = sorted(reference for reference, one in self.state.images.items()
                      if one.key not in used or keys.count(one.key) > 1)
        # What stands on another image is refused no less, by its layers it is not.
        if len(free) > 2:
            reference = self.rng.choice(free)
            self.step(f"snapdrv rmi {reference}", lambda state: state.images.pop(reference))

    def do_tag(self):
        if self.state.images:
            reference, number = self.rng.choice(sorted(self.state.images)), next(self.numbers)
            self.step(f"snapdrv tag {reference} tagged{number}", lambda state: state.images.update(
                {f"docker.io/library/tagged{number}:latest": state.images[reference]}))

    def do_gc(self):
        self.step("snapdrv gc", lambda state: None)

    def do_remount(self):
        name = self.writable()
        if name:
            self.step(f"snapdrv umount {name}; snapdrv mount {name}", lambda state: None)

    def do_both(self):
        """Two or three at once."""
        name = self.writable()
        jobs = [self.new_container(), self.commit(name) if name and len(self.state.images) < 12 else None]
        layout = self.rng.choice(sorted(self.layouts))
        jobs = [job for job in jobs if job] + [(f"snapdrv load /job/{layout}{self.no_sync}",
                                                lambda state: state.images.update(self.layouts[layout]))]
        commands = "".join(f"{command} & p{number}=$!; " for number, (command, _) in enumerate(jobs))
        self.step(commands + "; ".join(f"wait $p{number}" for number in range(len(jobs))),
                  lambda state: [change(state) for _, change in jobs])

    # ---- for the guest --------------------------------------------------------------------------

    def script(self, driver, marks_at, options="", preload=""):
        lines = [
            f"export SNAPDRV_ROOT={STORE} SNAPDRV_DRIVER={driver}",
            "mark() {",
            f"	printf 'mark %s\\n' \"$*\" | dd of=/dev/vda bs=4096 seek={marks_at // 4096} count=1 iflag=fullblock \\",
            "		oflag=direct conv=sync,notrunc status=none || exit 9",
            "}",
            "step() {",
            "	mark begin $1",
            "	if ! sh -ec \"$2\"; then echo \"step $1 failed: $2\"; exit 8; fi",
            "	mark end $1",
            "}",
            f"mount {options} /dev/vda /mnt || exit 7",
        ]
        if preload:
            lines.append(f"export LD_PRELOAD=/job/{preload}")
        for number, step in enumerate(self.steps):
            if number == len(self.steps) // 2:
                # From here on the kernel writes back soon, and so in another order than it was asked to.
                lines.append("echo 20 >/proc/sys/vm/dirty_writeback_centisecs; echo 50 >/proc/sys/vm/dirty_expire_centisecs")
            command = step.command.replace("'", "'\\''")
            lines.append(f"step {number} '{command}'")
        return "\n".join(lines + ["sync /mnt", "exit 0", ""])
