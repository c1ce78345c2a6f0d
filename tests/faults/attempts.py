# SPDX-License-Identifier: Apache-2.0
"""One run of a command that is disturbed, and what has to hold after it."""
import contextlib
import errno
import json
import os
import re
import subprocess

from stores import Broken, ended

KINDS = {
    "kill-before": "change", "kill-after": "change", "kill-joined": "change", "ENOSPC": "space", "EDQUOT": "space",
    "EIO": "input", "EMFILE": "open", "ENOMEM": "memory", "EINTR": "wait"}


class Try:
    """One run of the command that is disturbed, and what has to hold after it."""

    def __init__(self, campaign, how, number):
        self.options, self.store, self.command = campaign.options, campaign.store, campaign.command
        self.how, self.number = how, number
        self.is_onward = how.endswith("+")
        self.error = None if how.startswith("kill") else getattr(errno, how.rstrip("+"))
        self.report = os.path.join(self.store.work, "report")
        self.calls = {}
        self.hit = None
        self.end = []
        self.result = ""

    def start(self, extra=(), descriptors=()):
        words = [self.store.inject, "--calls", KINDS[self.how.rstrip("+")], "--limit", "40"]
        if self.number:
            words += ["--at", str(self.number)]
        if self.error:
            words += ["--error", str(self.error)] + (["--onward"] if self.is_onward else [])
        else:
            words += ["--kill", "after" if self.how == "kill-after" else "before"]
        if self.command.is_whole:
            words.append("--whole")
        argv = self.command.whole_argv()
        with open(self.command.stdin or os.devnull, "rb") as stdin:
            return subprocess.Popen(words + list(extra) + [self.report, *argv], stdin=stdin, env=self.store.env,
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=descriptors)

    def read_report(self):
        with open(self.report, errors="replace") as file:
            for line in file:
                word, *rest = line.rstrip("\n").split(" ")
                if word == "seen":
                    self.calls[rest[0]] = int(rest[1])
                elif word == "hit":
                    self.hit = " ".join(rest)
                elif word == "end":
                    self.end = rest
        os.unlink(self.report)
        if self.end[0] == "limit":
            raise Broken("it does not end")
        if self.end[0] == "left":
            raise Broken("a process that it has started does not end")

    def go(self):
        """Return: False when the command ended before its Nth call."""
        self.command.error = self.error
        self.command.is_given_up = not self.error or self.is_onward
        self.command.before()
        if self.how == "kill-joined":
            return self.joined()
        process = self.start()
        stdout, stderr = process.communicate()
        self.read_report()
        if self.hit is None:
            self.command.undo()
            return False
        if self.error:
            self.judge_error(stdout, stderr)
        else:
            self.judge_kill()
        self.settle()
        return True

    # ---- errno values --------------------------------------------------------------------------

    def reasons(self, text):
        """What may stand in the line for the error."""
        found = [os.strerror(self.error)]
        if "database: " in text:
            found += ["out of memory", "disk is full", "disk I/O error", "unable to open database file"]
            # So SQLite has it: EIO of a read; and a -shm that cannot be opened to write is opened to read.
            found += ["disk image is malformed"] if self.error == errno.EIO else []
            found += ["readonly database", "No such file"] if self.hit.endswith("-shm") or self.is_onward else []
        if "standard output" in text:
            found += ["not all of it could be written"]
        if self.error == errno.ENOMEM:
            # What clone(2) lacks memory for is told so by pthread_create(3); the rest is what dlopen(3) says.
            found += ["out of memory", os.strerror(errno.EAGAIN), "failed to map", "cannot map zero-fill pages",
                      "cannot change memory protections"]
        return found

    def check_message(self, stdout, text, code):
        if "--json" in self.command.argv() and text.startswith('{"error":'):
            error = json.loads(text)["error"]
            code, text = error["code"], f"snapdrv: {error['message']}\n"
        if code != 1:
            raise Broken(f"exit {code}, not 1, with: {text.strip()}")
        if text.count("\n") != 1 or not re.fullmatch(r"snapdrv: .+: .+\n", text):
            raise Broken(f"not one line 'snapdrv: WHAT: WHY': {text!r}")
        reasons = self.reasons(text) + self.command.reasons(stdout.decode(errors="replace"))
        if not any(reason.lower() in text.lower() for reason in reasons):
            raise Broken(f"the error does not give the reason '{os.strerror(self.error)}': {text.strip()}")
        if stdout and "standard output" not in text and not self.command.is_reading:
            raise Broken(f"an error ({text.strip()}), and on stdout: {stdout!r}")

    def judge_error(self, stdout, stderr):
        text = stderr.decode(errors="replace")
        if self.error == errno.ENOMEM:
            # libgnutls, which libcurl brings along, says so when it is loaded.
            text = re.sub(r"^Error in GnuTLS initialization: .*\n", "", text)
        if self.error == errno.ENOMEM and self.end == ["signal", "6"]:
            # libcrypto lacks memory to set itself up: base/digest.c ends the program then.
            self.result = "ended"
            self.command.check()
            return
        if self.end[0] != "exit":
            raise Broken(f"it crashed: signal {self.end[1]}: {text.strip()}")
        code = int(self.end[1])
        if code:
            self.result = "failed"
            self.check_message(stdout, text, code)
            self.command.check()
            # With all later calls failing it may not get rid again of what is whole already.
            may_be_done = self.is_onward or "standard output" in text or self.command.may_be_done(text)
            if self.command.is_done() and not may_be_done:
                raise Broken(f"it said {text.strip()!r}, and it is done")
            return
        self.result = "succeeded"
        if text:
            raise Broken(f"exit 0, and on stderr: {text}")
        self.command.check()
        self.command.output(stdout.decode())
        if self.command.leaves_something and not self.command.is_done():
            raise Broken("it said that it is done, and it is not")
        self.command.verify_told()

    # ---- kills ---------------------------------------------------------------------------------

    def judge_kill(self):
        # The last call of all may be over before the signal comes.
        if self.end not in (["signal", "9"], ["exit", "0"]):
            raise Broken(f"not killed, but: {self.end}")
        self.result = "killed"
        # Who comes next finds what is left: one that looks, one that sweeps, the same command, another one.
        following = self.number % 4
        if following == 1:
            self.store.run("gc")
        elif following == 2:
            self.retry()
        elif following == 3:
            self.store.run("create", "--name", "other", "witness:1")
            self.store.run("rm", "other")
        self.command.check()

    def joined(self):
        to_us, from_inject = os.pipe()
        to_inject, from_us = os.pipe()
        process = self.start(("--hold", f"{to_inject},{from_inject}"), (to_inject, from_inject))
        os.close(from_inject)
        os.close(to_inject)
        second = None
        if os.read(to_us, 1):
            with open(self.command.stdin or os.devnull, "rb") as stdin:
                second = subprocess.Popen(self.command.whole_argv(), stdin=stdin, env=self.store.env,
                                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            # One that waits for nothing of the first one's ends here; another goes on when that is killed.
            with contextlib.suppress(subprocess.TimeoutExpired):
                second.wait(0.03)
            os.write(from_us, b"!")
        process.communicate()
        os.close(to_us)
        os.close(from_us)
        self.read_report()
        if not second:
            self.command.undo()
            return False
        _, stderr = ended(second)
        if second.returncode not in self.command.joined:
            raise Broken(f"the second process: exit {second.returncode}: {stderr.decode(errors='replace').strip()}")
        self.result = "killed"
        self.command.check()
        if self.command.leaves_something and not self.command.is_done():
            raise Broken(f"the second process ended with {second.returncode}, and it is not done")
        self.settle()
        return True

    # ---- after it ------------------------------------------------------------------------------

    def retry(self):
        done = self.command.again_now()
        if done.returncode not in self.command.again:
            raise Broken(f"the next try: exit {done.returncode}: {done.stderr.decode(errors='replace').strip()}")
        if self.command.leaves_something and not self.command.is_done():
            raise Broken("the next try succeeded, and it is not done")

    def settle(self):
        """It is whole or not there at all; the next try succeeds."""
        if self.command.is_done():
            self.result += ", was done"
            self.command.verify()
        else:
            self.command.verify_undone()
        self.retry()
        self.command.verify()
        self.command.undo()
