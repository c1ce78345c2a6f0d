# SPDX-License-Identifier: Apache-2.0
"""One of the many processes of many.py: runs commands of every kind, and writes down what they promised."""
import collections
import io
import json
import os
import random
import signal
import subprocess
import tarfile
import time

import vmtests  # noqa: F401
import check
import workload
from manyimages import full, read_images, to_json

HANG_SECONDS = 120 * int(os.environ.get("SLOW", "1"))
KILL = 1 / 8
SHARED = ("one", "two", "three", "alone")
# How often in each round through them; a name is a method of Worker.
DECK = {"load": 2, "load_shared": 2, "create": 3, "create_shared": 1, "create_read_only": 1, "write": 4, "verify": 2,
        "remount": 1, "diff": 1, "export": 1, "commit": 2, "save": 1, "import_": 1, "tag": 1, "rmi": 2, "rmi_shared": 1,
        "rm": 2, "gc": 1, "check": 1, "list_": 2}


class Failed(Exception):
    pass


class Worker:
    def __init__(self, options, number):
        self.options, self.number = options, number
        self.rng = random.Random(options.seed * 1000 + number)
        self.trees = read_images(options.directory)
        self.log = open(f"{options.directory}/log.{number}", "a", encoding="utf-8")
        self.names = 0
        self.images = {}        # of this worker: {reference: tree}
        self.containers = {}    # {name: {"tree", "base", "read_only"}}
        self.counts = collections.Counter()
        self.killed = 0
        self.slowest = (0, "")
        self.ended = ""         # how the last command did: done, refused, killed

    # ---- the log

    def write_down(self, **what):
        self.log.write(json.dumps(what) + "\n")
        self.log.flush()

    def end(self, how):
        self.ended = how
        self.write_down(end=how)

    def begin(self, effects, touched=None):
        """@effects: [kind, name, tree or None]. @touched: of a container, the paths that are about to change."""
        self.write_down(begin=[[kind, name, to_json(tree) if tree is not None else None] for kind, name, tree in effects],
                        touched=touched)

    # ---- commands

    def name(self, kind):
        self.names += 1
        return f"{kind}{self.number}x{self.names}"

    def run(self, *words, effects=(), allowed=(), may_be_killed=True):
        """The command's output, or None when it was refused as @allowed, or killed."""
        self.begin(effects)
        start = time.monotonic()
        delay = self.rng.expovariate(1 / 0.08) if may_be_killed and self.rng.random() < KILL else None
        with subprocess.Popen([self.options.snapdrv, "--root", self.options.root, *words], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            try:
                out, err = process.communicate(timeout=HANG_SECONDS if delay is None else delay)
            except subprocess.TimeoutExpired:
                if delay is None:
                    hung = self.describe_hang(process.pid, words)
                    process.kill()
                    process.communicate()
                    raise Failed(hung) from None
                process.kill()
                out, err = process.communicate()
            status = process.returncode
        self.slowest = max(self.slowest, (time.monotonic() - start, words[0]))
        if status == -signal.SIGKILL and delay is not None:
            self.killed += 1
            self.end("killed")
            return self.after_kill(words, effects, allowed)
        if status == 0 and not err:
            self.end("done")
            self.apply(effects)
            return out
        if status in allowed:
            self.end("refused")
            return None
        raise Failed(f"snapdrv {' '.join(words)}: exit {status}: {err.decode(errors='replace').strip()}"
                     f"{chr(10) if out else ''}{out[:2000].decode(errors='replace').strip()}")

    def apply(self, effects):
        for kind, name, tree in effects:
            known = self.images if kind == "image" else self.containers
            if tree is None:
                known.pop(name, None)
            elif kind == "image":
                known[name] = tree

    def after_kill(self, words, effects, allowed):
        """Whatever it left, the same command must do; or what it was about is left alone from now on."""
        if not effects or self.rng.random() < 0.5:
            for kind, name, _ in effects:
                (self.images if kind == "image" else self.containers).pop(name, None)
            return None
        done_before = {"create": (4,), "rm": (3,), "rmi": (3,)}.get(words[0], ())
        self.begin(effects)
        done = self.again(words)
        if done.returncode and done.returncode in done_before or done.returncode == 0:
            if words[0] == "create" and done.returncode:
                self.again(["mount", effects[0][1]]).check_returncode()
            self.end("done")
            self.apply(effects)
            return done.stdout
        if done.returncode in allowed:
            self.end("refused")
            return None
        raise Failed(f"killed before: snapdrv {' '.join(words)}: exit {done.returncode}: "
                     f"{done.stderr.decode(errors='replace').strip()}")

    def again(self, words):
        return subprocess.run([self.options.snapdrv, "--root", self.options.root, *words], stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=HANG_SECONDS, check=False)

    def describe_hang(self, pid, words):
        """Who waits where, and who holds what."""
        lines = [f"snapdrv {' '.join(words)} (process {pid}) did not end within {HANG_SECONDS} s"]
        with open("/proc/locks", encoding="ascii") as file:
            lines.append(file.read())
        for other in sorted(filter(str.isdigit, os.listdir("/proc")), key=int):
            try:
                with open(f"/proc/{other}/cmdline", "rb") as file:
                    command = file.read().replace(b"\0", b" ").decode(errors="replace")
                if self.options.root not in command or "many.py" in command:
                    continue
                for task in os.listdir(f"/proc/{other}/task"):
                    with open(f"/proc/{other}/task/{task}/wchan", encoding="ascii") as file:
                        lines.append(f"{other}/{task} {command}: {file.read()}")
            except OSError:
                continue
        return "\n".join(lines)

    # ---- what there is to work with

    def own_image(self):
        while not self.images:
            self.load()
        return self.rng.choice(sorted(self.images))

    def own_container(self, writable=True):
        for _ in range(100):
            names = sorted(name for name, one in self.containers.items() if not (writable and one["read_only"]))
            if names:
                return self.rng.choice(names)
            self.create()
        raise Failed("every container that is made is killed")

    def rootfs(self, name):
        return f"{self.options.root}/containers/{name}/rootfs"

    # ---- kinds of commands

    def load(self, shared=False):
        if len(self.images) > 4:
            self.rmi()
        kind = self.rng.choice(SHARED)
        source = f"{self.options.directory}/{kind}{self.rng.choice(('', '.tar'))}"
        options = self.rng.choice(([], ["--no-sync"]))
        if shared:
            self.run("load", *options, source, effects=[("shared", full(f"{kind}:1"), self.trees[kind])])
            return
        reference = full(f"{self.name('own')}:1")
        self.run("load", *options, "--ref", reference, source, effects=[("image", reference, self.trees[kind])])

    def load_shared(self):
        self.load(shared=True)

    def make(self, image, tree, options=(), allowed=()):
        while len(self.containers) > 3:
            self.rm()
        name = self.name("c")
        self.run("create", *options, "--name", name, image, effects=[("container", name, tree)], allowed=allowed)
        if self.ended == "done":
            self.containers[name] = {"tree": dict(tree), "base": tree, "read_only": "--read-only" in options}

    def create(self):
        image = self.own_image()
        self.make(image, self.images[image])

    def create_read_only(self):
        image = self.own_image()
        self.make(image, self.images[image], ["--read-only"])

    def create_shared(self):
        kind = self.rng.choice(SHARED)
        self.make(f"{kind}:1", self.trees[kind], allowed=(3,))

    def write(self):
        """Some files are made, written over, renamed and deleted, in one go."""
        name = self.own_container()
        one = self.containers[name]
        tree, root = dict(one["tree"]), self.rootfs(name)
        folder = f"made{self.names}"
        files = sorted(path for path in tree if tree[path][0] == "f" and "hard" not in path and "/f1" not in path)
        doomed = self.rng.sample(files, min(2, len(files)))
        data = [self.rng.randbytes(self.rng.choice((0, 10, 5000, 40000))) for _ in range(3)]
        new = f"{folder}/sub/file"
        touched = [folder, *doomed]
        tree[folder] = tree[f"{folder}/sub"] = ("d",)
        tree[new] = ("f", workload.sha(data[0]), 0o640, None)
        if doomed:
            del tree[doomed[0]]
        if len(doomed) > 1:
            tree[doomed[1]] = ("f", workload.sha(data[1]), 0o640, None)
        self.names += 1
        self.begin([("container", name, tree)], touched)
        os.makedirs(f"{root}/{folder}/sub", exist_ok=True)
        self.put(f"{root}/{new}", data[0])
        if doomed:
            os.unlink(f"{root}/{doomed[0]}")
        if len(doomed) > 1:
            self.put(f"{root}/{doomed[1]}.new", data[1])
            os.rename(f"{root}/{doomed[1]}.new", f"{root}/{doomed[1]}")
        self.end("done")
        one["tree"] = tree

    @staticmethod
    def put(path, data):
        with open(path, "wb") as file:
            file.write(data)
        os.chmod(path, 0o640)

    def compare(self, what, want, got):
        found = check.difference(want, got)
        if found:
            raise Failed(f"{what}: {found}")

    def verify(self):
        name = self.own_container(writable=False)
        self.compare(f"container {name}, while others work", self.containers[name]["tree"], check.look(self.rootfs(name)))

    def remount(self):
        name = self.own_container()
        self.run("umount", name, may_be_killed=False)
        path = self.run("mount", name, may_be_killed=False).decode().strip()
        self.compare(f"container {name}, mounted again", self.containers[name]["tree"], check.look(path))

    def diff(self):
        name = self.own_container()
        one = self.containers[name]
        out = self.run("--json", "diff", name)
        if out is None:
            return
        said = {change["path"].lstrip("/") for change in json.loads(out)["diff"]}
        gone = {path for path in one["base"] if path not in one["tree"]}
        new = {path for path in one["tree"] if path not in one["base"]}
        if not gone | new <= said:
            raise Failed(f"diff {name} does not say {sorted((gone | new) - said)}")

    def export(self):
        name = self.own_container(writable=False)
        out = self.run("export", name)
        if out is None:
            return
        got = {}
        with tarfile.open(fileobj=io.BytesIO(out)) as archive:
            for member in archive:
                path = member.name.strip("/").removeprefix("./")
                if member.isfile():
                    got[path] = workload.sha(archive.extractfile(member).read())
                elif member.islnk():
                    got[path] = got[member.linkname.removeprefix("./")]
        want = {path: what[1] for path, what in self.containers[name]["tree"].items() if what[0] == "f"}
        if got != want:
            wrong = sorted(path for path in want.keys() | got.keys() if want.get(path) != got.get(path))
            raise Failed(f"export {name}: {wrong} are not what they should be")

    def commit(self):
        if len(self.images) > 4:
            self.rmi()
        name, reference = self.own_container(), full(f"{self.name('commit')}:latest")
        one = self.containers[name]
        tree = {path: what if one["base"].get(path) == what or what[0] != "f" else (*what[:3], None)
                for path, what in one["tree"].items()}
        self.run("commit", *self.rng.choice(([], ["--no-sync"])), name, reference, effects=[("image", reference, tree)])

    def save(self):
        """What is saved comes in again elsewhere: under another name here."""
        image, path = self.own_image(), f"{self.options.directory}/saved.{self.number}"
        tree = self.images[image]
        self.run("save", image, "-o", path)
        if self.ended == "done":
            reference = full(f"{self.name('again')}:1")
            self.run("load", "--ref", reference, path, effects=[("image", reference, tree)])
        for leftover in [path, *(f"{self.options.directory}/{name}" for name in os.listdir(self.options.directory)
                                 if name.startswith((f"saved.{self.number}.", f".saved.{self.number}.")))]:
            if os.path.exists(leftover):
                os.unlink(leftover)

    def import_(self):
        if len(self.images) > 4:
            self.rmi()
        reference = full(f"{self.name('import')}:1")
        self.run("import", f"{self.options.directory}/root", reference, effects=[("image", reference, self.trees["root"])])

    def tag(self):
        image, reference = self.own_image(), full(f"{self.name('tag')}:1")
        self.run("tag", image, reference, effects=[("image", reference, self.images[image])])

    def rmi(self):
        image = self.own_image()
        # The last name of an image stays while a container of whomever needs it.
        self.run("rmi", image, effects=[("image", image, None)], allowed=(4,))
        self.images.pop(image, None)

    def rmi_shared(self):
        reference = full(f"{self.rng.choice(SHARED)}:1")
        self.run("rmi", reference, effects=[("shared", reference, None)], allowed=(3, 4))

    def rm(self):
        name = self.own_container(writable=False)
        self.run("rm", name, effects=[("container", name, None)])
        self.containers.pop(name, None)

    def gc(self):
        self.run("gc")

    def check(self):
        self.run("check", *self.rng.choice(([], ["--deep"])))

    def list_(self):
        for words in (["images"], ["ls"], ["df"], ["info"]):
            out = self.run("--json", *words)
            if out is not None and words == ["ls"]:
                there = {one["name"] for one in json.loads(out)["containers"]}
                if not self.containers.keys() <= there:
                    raise Failed(f"ls does not say {sorted(self.containers.keys() - there)}")

    # ---- all of it

    def work(self, until):
        rounds = 0
        while not rounds or time.monotonic() < until:
            deck = [kind for kind, times in DECK.items() for _ in range(times)]
            self.rng.shuffle(deck)
            for kind in deck:
                if os.path.exists(f"{self.options.directory}/stop"):
                    return
                if rounds and time.monotonic() >= until:
                    break
                getattr(self, kind)()
                self.counts[kind] += 1
            rounds += 1

    def main(self, until):
        status = 0
        try:
            self.work(until)
        except Exception as failure:  # whatever it is, the others need not go on
            with open(f"{self.options.directory}/stop", "w", encoding="ascii"):
                pass
            with open(f"{self.options.directory}/failed.{self.number}", "w", encoding="utf-8") as out:
                out.write(str(failure) if isinstance(failure, (Failed, check.Broken)) else repr(failure))
            status = 1
        with open(f"{self.options.directory}/sum.{self.number}", "w", encoding="utf-8") as out:
            json.dump({"counts": self.counts, "killed": self.killed, "slowest": self.slowest}, out)
        return status
