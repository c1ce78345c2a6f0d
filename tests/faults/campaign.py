#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Break one command of snapdrv at each of its system calls, and look at what is there afterwards.

usage: campaign.py --inject PROG --snapdrv PROG --driver D --work DIR --sources DIR --command NAME
                   --how HOW[,HOW]... [--sample K | --seconds S] [--seed S] [--at N]

@HOW:     kill-before, kill-after   SIGKILL to it all before the Nth call, or right after it
          kill-joined               a second process is started while the first one stands before its Nth call
          ENOSPC, EDQUOT, EIO, EMFILE, ENOMEM, EINTR    the Nth call gives this, once
          ENOSPC+, ...                                  the Nth and all that follow
@sample:  only so many values of N for each HOW, chosen by the seed; without it 1, 2, 3... until the command
          ends by itself.
@seconds: values of HOW and N chosen by the seed, until the time is over.

One store is used throughout: after each try the command is undone, and the store has to be what it was.
After a failure it is made anew. Exit 1 when something failed; `figure: ...` lines say what was done.
"""
import argparse
import os
import random
import sqlite3
import subprocess
import sys
import time

from attempts import KINDS, Try
from commands import COMMANDS
from stores import Broken, Store, same_tree, tree

FAILURES_MAX = 8  # told of one command and kind of fault


class Campaign:
    def __init__(self, options):
        self.options = options
        self.store = Store(options)
        self.command = COMMANDS[options.command](self.store)
        self.witness = self.baseline = None
        self.failures = 0
        self.pass_over = False
        self.random = random.Random(f"{options.seed} {options.command} {options.driver}")

    def set_up(self):
        self.store.make()
        self.store.run("load", self.command.source("witness"))
        path = self.store.run("create", "--name", "witness", "witness:1").strip()
        with open(os.path.join(path, "mark"), "w") as file:
            file.write("still there\n")
        self.witness = tree(path)
        self.command.prepare()
        self.undisturbed()
        self.command.learn()
        self.command.undo()
        self.undisturbed()
        self.command.undo()
        self.baseline = self.store.state()

    def undisturbed(self):
        self.command.before()
        done = self.command.again_now()
        if done.returncode:
            raise Broken(f"the command fails undisturbed: {(done.stdout + done.stderr).decode().strip()}")

    def count_calls(self):
        """Of each kind, in a run that nothing disturbs."""
        one = Try(self, "kill-before", 0)
        self.command.before()
        one.start().communicate()
        one.read_report()
        if one.end != ["exit", "0"]:
            raise Broken(f"the command fails undisturbed: {one.end}")
        self.command.undo()
        return one.calls

    def check_undone(self):
        """Undone, the store is what it was, and what has nothing to do with it all is still there."""
        state = self.store.state()
        for key, value in self.baseline.items():
            if state[key] != value:
                more = [one for one in state[key] if one not in value]
                less = [one for one in value if one not in state[key]]
                raise Broken(f"undone, the store is another one: {key} has {more or state[key]}, lacks {less}")
        same_tree("container witness", self.witness, tree(self.store.rootfs("witness")))

    def one(self, how, number, results):
        """Return: False when the command ended before its Nth call."""
        one = Try(self, how, number)
        try:
            if not one.go():
                return False
            self.check_undone()
        except (Broken, subprocess.SubprocessError, OSError, sqlite3.Error) as error:
            self.failures += 1
            one.result = ""
            print(f"{self.options.command} on {self.options.driver}, {how} at {number} ({one.hit}): {error}",
                  file=sys.stderr, flush=True)
            if self.failures < FAILURES_MAX and not self.options.stop:
                self.set_up()
        results[one.result] = results.get(one.result, 0) + 1
        return True

    def tell(self, how, results):
        what = ", ".join(f"{results[key]} {key or 'broken'}" for key in sorted(results))
        print(f"figure: {self.options.command} on {self.options.driver}, {how}: {sum(results.values())} ({what})",
              flush=True)

    def go(self):
        self.set_up()
        hows = self.options.how.split(",")
        calls = self.count_calls()
        total = {how: {} for how in hows}
        for how, number in self.pairs(hows, calls):
            # With threads a number may be too high by a few.
            is_over = not self.one(how, number, total[how])
            if is_over and not self.options.sample and not self.options.seconds:
                self.pass_over = True
            if self.failures >= FAILURES_MAX or (self.failures and self.options.stop):
                break
        for how in hows:
            if total[how]:
                self.tell(how, total[how])
        if not self.options.stop:
            self.store.clear()
        if not any(total.values()):
            print("nothing was tried", file=sys.stderr)
            return 1
        return 1 if self.failures else 0

    def pairs(self, hows, calls):
        """How and N, one after the other."""
        if self.options.at:
            yield from ((how, number) for how in hows for number in self.options.at)
            return
        if self.options.seconds:
            end = time.monotonic() + self.options.seconds
            while time.monotonic() < end:
                how = self.random.choice([how for how in hows if calls[KINDS[how.rstrip("+")]]])
                yield how, self.random.randint(1, calls[KINDS[how.rstrip("+")]])
            return
        for how in hows:
            seen = calls[KINDS[how.rstrip("+")]]
            if self.options.sample:
                for number in sorted(self.random.sample(range(1, seen + 1), min(seen, self.options.sample))):
                    yield how, number
                continue
            self.pass_over = False
            number = 1
            while not self.pass_over:
                yield how, number
                number += 1


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    for name in ("inject", "snapdrv", "driver", "work", "sources", "how"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--command", required=True, choices=sorted(COMMANDS))
    parser.add_argument("--sample", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=0)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--at", type=int, action="append")
    parser.add_argument("--stop", action="store_true", help="at the first failure, and leave everything as it is")
    return Campaign(parser.parse_args()).go()


if __name__ == "__main__":
    sys.exit(main())
