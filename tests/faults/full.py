#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Run a command where room for it ends at some point, and look at what is there afterwards.

usage: full.py --snapdrv PROG --driver D --work DIR --sources DIR --command NAME [--steps N] [--quota DEVICE]

@work:   a directory on a small filesystem of its own, which is filled so that 0 bytes are left, a little more,
         and so on up to what the command takes.
@quota:  not the filesystem is full, but a project quota on @work of this device used up (ext4).

Each time: the command says so in a line or succeeds, nothing is half made, what reads reads; removing an image and
a container works where nothing is left, and gives enough back for the command to succeed.
"""
import argparse
import contextlib
import ctypes
import errno
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time

import commands
from stores import Broken, Store, tree

PROJECT = 42
Q_SETQUOTA, PRJQUOTA, QIF_BLIMITS, SYS_QUOTACTL = 0x800008, 2, 1, 179
WAIT_MAX = 30  # seconds until btrfs has dropped a subvolume


LIBC = ctypes.CDLL(None, use_errno=True)


def sync(path):
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        LIBC.syncfs(fd)
    finally:
        os.close(fd)


class Ballast:
    """Takes all of a filesystem but so many bytes."""

    error = errno.ENOSPC

    def __init__(self, work):
        self.work, self.path = work, os.path.join(work, "ballast")

    def free(self):
        sync(self.work)
        found = os.statvfs(self.work)
        return found.f_bfree * found.f_frsize

    def limit(self, free):
        taken = 0
        with open(self.path, "wb") as file:
            for step in (1 << 24, 1 << 20, 1 << 16, 1 << 12):
                with contextlib.suppress(OSError):
                    while self.free() - free >= step:
                        os.posix_fallocate(file.fileno(), taken, step)
                        taken += step

    def lift(self):
        if os.path.exists(self.path):
            os.unlink(self.path)
        sync(self.work)


class Dqblk(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("bhardlimit", "bsoftlimit", "curspace", "ihardlimit", "isoftlimit",
                                                      "curinodes", "btime", "itime")] + [("valid", ctypes.c_uint32)]


class Quota:
    """A limit on what lies below a directory. Root is bound by it only without CAP_SYS_RESOURCE."""

    error = errno.EDQUOT

    def __init__(self, work, device):
        self.work, self.device = work, device
        subprocess.run(["chattr", "-p", str(PROJECT), "+P", work], check=True)

    def used(self):
        sync(self.work)
        told = subprocess.run(["du", "-s", "-B1", self.work], stdout=subprocess.PIPE, check=True, text=True)
        return int(told.stdout.split()[0])

    def free(self):
        return -self.used()

    def set(self, size):
        block = Dqblk(bhardlimit=size // 1024, valid=QIF_BLIMITS)
        if LIBC.syscall(SYS_QUOTACTL, Q_SETQUOTA << 8 | PRJQUOTA, self.device.encode(), PROJECT, ctypes.byref(block)):
            raise OSError(ctypes.get_errno(), "quotactl")

    def limit(self, free):
        self.set(max(self.used() + free, 1024))

    def lift(self):
        self.set(0)


class Full(Store):
    def rows(self, *queries):
        """Of a copy: even a reader of the database wants room beside it."""
        with tempfile.TemporaryDirectory(dir=self.sources) as copy:
            for name in ("snapdrv.db", "snapdrv.db-wal"):
                with contextlib.suppress(FileNotFoundError):
                    shutil.copy(os.path.join(self.root, name), copy)
            database = sqlite3.connect(os.path.join(copy, "snapdrv.db"))
            try:
                return [database.execute(query).fetchall() for query in queries]
            finally:
                database.close()


class Bound(Full):
    """A store whose commands run without the right to pass over a quota."""

    def argv(self, *words):
        return ["setpriv", "--bounding-set", "-sys_resource", *super().argv(*words)]


class Sweep:
    def __init__(self, options):
        self.options = options
        options.inject = None
        self.store = (Bound if options.quota else Full)(options)
        self.command = commands.COMMANDS[options.command](self.store)
        self.limiter = Quota(options.work, options.quota) if options.quota else Ballast(options.work)
        self.counts = {}
        self.witness = self.baseline = None

    def give_victim(self):
        self.store.run("load", self.command.source("victim"))
        path = self.store.run("create", "--name", "victim", "victim:1").strip()
        with open(os.path.join(path, "data"), "wb") as file:
            file.write(os.urandom(1 << 20))

    def set_up(self):
        self.limiter.lift()
        self.store.make()
        self.store.run("load", self.command.source("witness"))
        path = self.store.run("create", "--name", "witness", "witness:1").strip()
        self.witness = tree(path)
        self.command.prepare()
        self.give_victim()
        self.command.before()
        before = self.limiter.free()
        self.store.run(*self.command.argv(), stdin=self.command.stdin)
        need = before - self.limiter.free()
        self.command.learn()
        self.command.undo()
        self.baseline = self.store.state()
        return max(need, 1 << 16)

    def check_reading(self):
        for words in (["images"], ["ls"], ["inspect", "witness:1"], ["history", "witness:1"], ["diff", "witness"],
                      ["df"], ["info"]):
            self.store.run(*words)

    def expect_more(self, free):
        end = time.monotonic() + WAIT_MAX
        while self.limiter.free() < free + (1 << 20):
            if time.monotonic() > end:
                raise Broken(f"nothing was given back: {free} bytes were free, now {self.limiter.free()}")
            time.sleep(0.1)

    def make_room(self):
        """Where nothing is left, removing works and gives room back."""
        free = self.limiter.free()
        self.store.run("rm", "victim")
        self.store.run("rmi", "victim:1")
        self.store.run("gc")
        self.store.check()
        self.expect_more(free)

    def check_failure(self, done):
        text = done.stderr.decode(errors="replace")
        if done.returncode != 1 or not re.fullmatch(r"snapdrv: .+: .+\n", text):
            raise Broken(f"exit {done.returncode}, with {text!r}")
        if os.strerror(self.limiter.error) not in text and "disk is full" not in text:
            raise Broken(f"it does not say why: {text.strip()}")
        self.store.check()
        if self.command.is_done():
            raise Broken(f"it said {text.strip()!r}, and it is done")
        self.command.verify_undone()
        self.check_reading()

    def one(self, free):
        self.command.before()
        self.limiter.limit(free)
        done = self.store.raw(*self.command.argv(), stdin=self.command.stdin)
        result = "failed" if done.returncode else "succeeded"
        self.counts[result] = self.counts.get(result, 0) + 1
        if done.returncode:
            self.check_failure(done)
        self.make_room()
        if done.returncode:
            self.store.run(*self.command.argv(), stdin=self.command.stdin)
        self.limiter.lift()
        if not self.command.is_done():
            raise Broken("it said that it is done, and it is not")
        self.command.verify_told()
        self.command.verify()
        self.command.undo()
        self.give_victim()
        if self.store.state() != self.baseline:
            raise Broken(f"undone, the store is another one: {self.store.state()}, it was {self.baseline}")
        if tree(self.store.rootfs("witness")) != self.witness:
            raise Broken("the witness has changed")

    def go(self):
        failures = 0
        need = self.set_up()
        for step in range(self.options.steps):
            free = int(need * 1.15 * step / (self.options.steps - 1)) // 4096 * 4096
            try:
                self.one(free)
            except (Broken, subprocess.SubprocessError, OSError, sqlite3.Error) as error:
                failures += 1
                print(f"{self.options.command} with {free} bytes left of {need}: {error}", file=sys.stderr, flush=True)
                if self.options.stop:
                    return 1
                self.set_up()
        self.limiter.lift()
        self.store.clear()
        what = ", ".join(f"{self.counts[key]} {key}" for key in sorted(self.counts))
        print(f"figure: {self.options.command} on {self.options.driver}: {self.options.steps} fillings ({what})")
        if "failed" not in self.counts:
            print("the disk was never full", file=sys.stderr)
            return 1
        return 1 if failures else 0


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    for name in ("snapdrv", "driver", "work", "sources", "command"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--quota", default="")
    parser.add_argument("--stop", action="store_true", help="at the first failure, and leave everything as it is")
    return Sweep(parser.parse_args()).go()


if __name__ == "__main__":
    sys.exit(main())
