#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Many processes at one store, some of them killed; afterwards vm-tests/check.py finds each promise kept.

    many.py run --snapdrv PROGRAM --root STORE --driver D --directory DIR [--seconds S] [--workers N] [--seed N]
    many.py check ...same options, after it

Each of N workers runs commands of every kind, one after the other, in an order of its own, on names of its own;
what the images are made of is everybody's, and some names of images are too. Of one command in eight the process
is killed at some moment, and so are workers themselves, with what they have started; another takes the place.

A worker writes down in DIR/log.N what a command changes, before it starts, and how it ended: 0 is a promise. What
was killed has happened or has not. A command that does not end within HANG_SECONDS is a failure, for which the
locks and the stacks of all are shown; so is a worker that has not had a turn of each kind when the time is up, and
LAST_SECONDS more. Prints what was run; exit 1 when anything went wrong.
"""
import argparse
import collections
import ctypes
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import vmtests  # noqa: F401
from manyimages import from_json, full, make_images, read_images
from manyworker import DECK, Worker
import check
import workload

LAST_SECONDS = 240 * int(os.environ.get("SLOW", "1"))  # see lib.sh


# ---- all of them --------------------------------------------------------------------------------


class Crowd:
    def __init__(self, options):
        self.options = options
        self.rng = random.Random(options.seed)
        self.until = time.monotonic() + options.seconds
        self.workers = {}  # {process: number}
        self.started = self.killed = 0

    def start(self):
        number = self.started
        self.started += 1
        process = os.fork()
        if not process:
            status = 2
            try:
                os.setpgid(0, 0)
                status = Worker(self.options, number).main(self.until)
            finally:
                os._exit(status)
        self.workers[process] = number

    def kill_one(self):
        process = self.rng.choice(sorted(self.workers))
        try:
            os.killpg(process, signal.SIGKILL)
        except ProcessLookupError:
            return  # it is about to end, or has just begun
        del self.workers[process]
        self.killed += 1
        self.start()

    def run(self):
        # What a killed worker has started becomes a child of this process.
        ctypes.CDLL(None, use_errno=True).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
        for _ in range(self.options.workers):
            self.start()
        kills = sorted(self.until - self.options.seconds * (0.2 + 0.6 * self.rng.random())
                       for _ in range(self.options.workers // 6))
        status = 0
        while self.workers:
            process, how = os.waitpid(-1, os.WNOHANG)
            if not process:
                time.sleep(0.02)
            elif self.workers.pop(process, None) is not None and how:
                status = 1
            if kills and time.monotonic() > kills[0]:
                kills.pop(0)
                self.kill_one()
            if time.monotonic() > self.until + LAST_SECONDS:
                for process, number in self.workers.items():
                    print(f"worker {number} starves: not through all kinds {LAST_SECONDS} s after the others")
                    os.killpg(process, signal.SIGKILL)
                status = 1
                self.workers = {}
        self.wait_for_all()
        return status

    @staticmethod
    def wait_for_all():
        try:
            while True:
                os.waitpid(-1, 0)
        except ChildProcessError:
            pass


def tell(options, crowd):
    status, least, most, counts, killed, slowest = 0, [], [], collections.Counter(), 0, (0, "")
    for number in range(crowd.started):
        failed = f"{options.directory}/failed.{number}"
        if os.path.exists(failed):
            status = 1
            with open(failed, encoding="utf-8") as file:
                print(f"worker {number}: {file.read()}")
        try:
            with open(f"{options.directory}/sum.{number}", encoding="utf-8") as file:
                document = json.load(file)
        except FileNotFoundError:
            continue
        total = sum(document["counts"].values())
        least.append(total)
        most.append(total)
        counts.update(document["counts"])
        killed += document["killed"]
        slowest = max(slowest, tuple(document["slowest"]))
        if not status and set(document["counts"]) != set(DECK):
            print(f"worker {number} had no turn of {sorted(set(DECK) - set(document['counts']))}")
            status = 1
    print(f"figure: {sum(counts.values())} turns of {options.workers} workers in {options.seconds} s, {min(least, default=0)} to "
          f"{max(most, default=0)} each; {killed} commands and {crowd.killed} workers killed; the slowest command: "
          f"{slowest[1]}, {slowest[0]:.1f} s")
    return status


def run(options):
    os.environ["SNAPDRV_DRIVER"] = options.driver
    os.environ.pop("SNAPDRV_ROOT", None)
    make_images(options.directory)
    subprocess.run([options.snapdrv, "--root", options.root, "images"], check=True, stdout=subprocess.DEVNULL)
    crowd = Crowd(options)
    status = crowd.run()
    return tell(options, crowd) or status


# ---- afterwards ---------------------------------------------------------------------------------


class Promises:
    """@before and @after, as Checker.check() wants them: of what is in doubt, either."""

    def __init__(self):
        self.before, self.after = workload.State(), workload.State()

    @staticmethod
    def set(state, kind, name, tree):
        if kind == "container":
            if tree is None:
                state.containers.pop(name, None)
            elif name in state.containers:
                state.containers[name].tree = tree
            else:
                state.containers[name] = workload.Container(workload.Image(name, tree), False)
        elif tree is None:
            state.images.pop(name, None)
        else:
            state.images[name] = workload.Image(name, tree)

    def settle(self, step, how):
        for kind, name, tree in step["begin"]:
            tree = from_json(tree) if tree is not None else None
            if kind == "shared":  # there or not, as the last one of all workers had it
                if tree is not None:
                    self.set(self.after, "image", name, tree)
                continue
            if how == "done":
                self.set(self.before, kind, name, tree)
            if how != "refused":
                self.set(self.after, kind, name, tree)
            if how == "doubt" and step["touched"] and name in self.before.containers:
                self.before.containers[name].unknown |= set(step["touched"])
                self.after.containers[name].unknown |= set(step["touched"])

    def read(self, path):
        step = None
        with open(path, encoding="utf-8") as file:
            for line in file:
                if not line.endswith("\n"):
                    break  # killed while it wrote this: the command has not begun, or what it did is in doubt
                what = json.loads(line)
                if "begin" in what:
                    step = what
                else:
                    self.settle(step, "doubt" if what["end"] == "killed" else what["end"])
                    step = None
        if step:
            self.settle(step, "doubt")


def check_all(options):
    os.environ.pop("SNAPDRV_ROOT", None)
    promises = Promises()
    for name in os.listdir(options.directory):
        if name.startswith("log."):
            promises.read(f"{options.directory}/{name}")
    checker = check.Checker(options.snapdrv, options.root, options.driver)
    try:
        checker.check(promises.before, promises.after)
        checker.accounts()
        if options.still_works:
            trees = read_images(options.directory)
            checker.still_works(f"{options.directory}/one", {full("one:1"): workload.Image("one", trees["one"])})
    except check.Broken as broken:
        print(broken)
        return 1
    sure = len(promises.before.images) + len(promises.before.containers)
    print(f"figure: {sure} images and containers promised at the end, each as it should be")
    return 0 if sure >= 5 else 1


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("run", "check"))
    for name in ("snapdrv", "root", "driver", "directory"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--workers", type=int, default=32)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--still-works", action="store_true")
    options = parser.parse_args()
    if options.what == "check":
        return check_all(options)
    shutil.rmtree(options.directory, ignore_errors=True)
    os.makedirs(options.directory)
    return run(options)


sys.exit(main())
