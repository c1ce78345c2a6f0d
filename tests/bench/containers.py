# SPDX-License-Identifier: Apache-2.0
"""Containers and the removal of images, on a store on ext4: overlay."""
import os
import subprocess
import time
from statistics import median

import images
import progress
from machine import Filesystem, run

CREATE_LIMITS = {"five": (5, 4.0), "deep": (120, 6.0)}  # layers, ms above an empty process
FULL_IMAGES, FULL_CONTAINERS = 1000, 10000
MANY = 1000
PROCESS_ROUNDS = 20  # of processes, for each run asked for


def snapdrv(options, store, *words):
    return [options.snapdrv, "--root", store, *words]


def load(options, store, name, ref):
    run(*snapdrv(options, store, "--driver", "overlay", "load", "--ref", ref, images.image(name)))


def ms(runs):
    return median(one["seconds"] for one in runs) * 1e3


# ---- a container, as a whole process -----------------------------------------------------------


def measure_create(workshop, options, say):
    """Medians in ms: {"empty": ..., "five": {"create": ..., "rm": ...}, "deep": ...}."""
    with Filesystem(workshop, "ext4") as fs:
        store = fs.path + "/store"
        commands = [[workshop.program("empty")]]
        for name in CREATE_LIMITS:
            load(options, store, name, name + ":1")
            commands.append(snapdrv(options, store, "create", "--name", name + "%d", name + ":1"))
        commands += [snapdrv(options, store, "rm", name + "%d") for name in CREATE_LIMITS]
        fs.settle()
        say(f"create: {PROCESS_ROUNDS * options.runs} rounds")
        times = [ms(runs) for runs in workshop.measure(commands, PROCESS_ROUNDS * options.runs)]
    found = {"empty": times[0]}
    for at, name in enumerate(CREATE_LIMITS, 1):
        found[name] = {"create": times[at], "rm": times[at + len(CREATE_LIMITS)]}
    return found


def rows_create(found):
    for name, (layers, limit) in CREATE_LIMITS.items():
        above = found[name]["create"] - found["empty"]
        yield (f"create, {layers} layers", f"{limit:.0f} ms above an empty process",
               f"{found[name]['create']:.2f} - {found['empty']:.2f} ms", above / limit, 1.0)


# ---- a store that is full ----------------------------------------------------------------------


def lists_one(options, store):
    """Whether `ls` takes a name, and lists that container alone."""
    done = subprocess.run(snapdrv(options, store, "ls", "--quiet", "fill77"), check=False,
                          capture_output=True, text=True)
    return done.returncode == 0 and done.stdout.split() == ["fill77"]


def measure_full(workshop, options, say):
    """Medians in ms of each command in the empty store and in the full one."""
    with Filesystem(workshop, "ext4") as fs:
        stores = {"empty": fs.path + "/empty", "full": fs.path + "/full"}
        images.tiny_tars(fs.path + "/tars", FULL_IMAGES)
        for store in stores.values():
            load(options, store, "five", "five:1")
        say(f"full-store: making {FULL_IMAGES} images and {FULL_CONTAINERS} containers")
        run(workshop.program("fill"), stores["full"], fs.path + "/tars", str(FULL_IMAGES),
            str(FULL_CONTAINERS))
        run(*snapdrv(options, stores["empty"], "create", "--no-mount", "--name", "fill77",
                     "five:1"))
        fs.settle()
        words = {"create": ["create", "--name", "c%d", "five:1"], "ls NAME": ["ls", "fill77"],
                 "rm": ["rm", "c%d"]}
        if not lists_one(options, stores["full"]):
            del words["ls NAME"]
        keys = [(what, store) for what in words for store in stores]
        commands = [snapdrv(options, stores[store], *words[what]) for what, store in keys]
        say(f"full-store: {PROCESS_ROUNDS * options.runs} rounds")
        times = workshop.measure(commands, PROCESS_ROUNDS * options.runs)
    found = {}
    for (what, store), runs in zip(keys, times):
        found.setdefault(what, {})[store] = ms(runs)
    return found


def rows_full(found):
    for what in ("create", "ls NAME", "rm"):
        target = f"1.2 x an empty store ({FULL_CONTAINERS} containers)"
        if what not in found:
            yield (f"{what}, full store", target, "not there", None, 1.2)
            continue
        one = found[what]
        yield (f"{what}, full store", target, f"{one['full']:.2f} ms : {one['empty']:.2f} ms",
               one["full"] / one["empty"], 1.2)


# ---- a thousand through the library ------------------------------------------------------------


def measure_thousand(workshop, options, say):
    """Medians in seconds: {way: {"make": ..., "remove": ..., "whole": ...}}; see thousand.c."""
    with Filesystem(workshop, "ext4") as fs:
        store = fs.path + "/store"
        load(options, store, "five", "five:1")
        os.mkdir(fs.path + "/scratch")
        fs.settle()
        say(f"thousand: {options.runs} rounds of {MANY} containers")
        runs = {}
        for line in run(workshop.program("thousand"), store, "five:1", fs.path + "/scratch",
                        str(MANY), str(options.runs)).splitlines():
            way, make, remove = line.split()
            runs.setdefault(way, []).append((float(make), float(remove)))
    return {way: {"make": median(make for make, _ in all_of),
                  "remove": median(remove for _, remove in all_of),
                  "whole": median(make + remove for make, remove in all_of)}
            for way, all_of in runs.items()}


def rows_thousand(found):
    ours, bare = found["library"]["whole"], found["bare"]["whole"]
    yield (f"{MANY} containers, library", "1.5 x the bare system calls",
           f"{ours:.2f} s : {bare:.2f} s", ours / bare, 1.5)


def detail_thousand(found):
    yield (f"thousand: {MANY} containers", "make s", "remove s", "both s", "library :")
    for way, one in found.items():
        ours = found["library-no-mount" if way.endswith("no-mount") else "library"]
        yield ("  " + way, f"{one['make']:.3f}", f"{one['remove']:.3f}", f"{one['whole']:.3f}",
               f"{ours['whole'] / one['whole']:.2f}")


# ---- the removal of an image -------------------------------------------------------------------


def halves(tree):
    """The entries of a tree as two lists of paths with about as many files below each."""
    found = []
    for layer in os.scandir(tree):
        for folder, folders, names in os.walk(layer.path):
            depth = folder[len(layer.path):].count("/")
            if depth < 3:
                found += [(1, os.path.join(folder, name)) for name in names]
                found += [(1, os.path.join(folder, name)) for name in folders
                          if os.path.islink(os.path.join(folder, name))]
                continue
            found.append((sum(len(a) + len(b) + 1 for _, a, b in os.walk(folder)), folder))
            folders.clear()
    sizes, lists = [0, 0], [[], []]
    for size, path in sorted(found, reverse=True):
        smaller = sizes.index(min(sizes))
        sizes[smaller] += size
        lists[smaller].append(path)
    return lists


def time_rm(tree):
    """Seconds of two rm side by side, each with half of the tree, and of what they leave."""
    lists = halves(tree)
    start = time.monotonic()
    started = [subprocess.Popen(["rm", "-rf", "--", *paths]) for paths in lists]
    for one in started:
        if one.wait():
            raise RuntimeError("rm failed")
    run("rm", "-rf", "--", tree)
    return time.monotonic() - start


def files_in_use(fs):
    found = os.statvfs(fs.path)
    return found.f_files - found.f_ffree


def time_rmi(options, fs, store, before):
    """Seconds until `snapdrv rmi` says what it deleted (snapdrv_rmi() has returned then), and until it ends.

    @before: how many files there were before the image came: they have to be gone at the end.
    """
    start = time.monotonic()
    with subprocess.Popen(snapdrv(options, store, "rmi", "bench:1"), stdout=subprocess.PIPE) as one:
        said = one.stdout.read1(1 << 16)
        told = time.monotonic() - start
        said += one.stdout.read()
    gone = time.monotonic() - start
    left = files_in_use(fs) - before
    if one.returncode or b"Deleted" not in said or left > 100:
        raise RuntimeError(f"rmi: exit {one.returncode}, {left} files stay: {said}")
    return told, gone


def measure_rmi(workshop, options, say):
    """Medians in seconds: {"return": ..., "gone": ..., "rm": ...}."""
    runs = []
    layout = images.image("debian")
    for number in range(options.runs):
        with Filesystem(workshop, "ext4") as fs:
            run("cp", "-r", layout, fs.path + "/layout")
            ours, other = fs.path + "/ours", fs.path + "/other"
            one = {}
            for store in (ours, other):
                before = files_in_use(fs)
                run(*snapdrv(options, store, "--driver", "overlay", "load", "--ref", "bench:1",
                             fs.path + "/layout"))
            # The two take turns in being first. What the other tree holds is not waited for.
            tree = files_in_use(fs) - before
            fs.settle()
            for what in ("ours", "rm") if number % 2 else ("rm", "ours"):
                now = files_in_use(fs)
                if what == "rm":
                    one["rm"] = time_rm(other + "/layers")
                else:
                    one["return"], one["gone"] = time_rmi(options, fs, ours, now - tree)
                run("sync", "-f", fs.path)
        say(f"rmi {number + 1}/{options.runs}: {one['return']:.3f} s to return, "
            f"{one['gone']:.3f} s until gone, rm -rf {one['rm']:.3f} s")
        runs.append(one)
    return {key: median(one[key] for one in runs) for key in runs[0]} | {"runs": runs}


def rows_rmi(found):
    yield ("rmi, until all is gone", "1.2 x rm -rf by two",
           f"{found['gone']:.3f} s : {found['rm']:.3f} s", found["gone"] / found["rm"], 1.2)
    # "As soon as it is safe to finish later" has no number in it: well before the removal is done.
    yield ("rmi, until it returns", "1/4 of rm -rf",
           f"{found['return']:.3f} s : {found['rm']:.3f} s", found["return"] / found["rm"], 0.25)


CASES = {
    "progress": (progress.measure, progress.rows, None),
    "create": (measure_create, rows_create, None),
    "full-store": (measure_full, rows_full, None),
    "thousand": (measure_thousand, rows_thousand, detail_thousand),
    "rmi": (measure_rmi, rows_rmi, None),
}
