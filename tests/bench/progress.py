# SPDX-License-Identifier: Apache-2.0
"""What a progress bar costs: the same load with a terminal for its stderr, and without."""
import os
import pty
import subprocess
import threading
import time
from statistics import median

import images
from machine import Filesystem, run, warm

IMAGE = "debian"
LIMIT = 1.03  # of noise; the bar itself is a write(2) of some bytes every 0.1 s


def drain(fd, shown):
    """Read what comes to the terminal until nobody can write to it any more."""
    while True:
        try:
            data = os.read(fd, 1 << 16)
        except OSError:
            return
        if not data:
            return
        shown.append(len(data))


def time_load(command, with_terminal):
    """Seconds, and bytes shown."""
    shown = []
    master, slave = pty.openpty()
    reader = threading.Thread(target=drain, args=(master, shown))
    reader.start()
    errors = slave if with_terminal else subprocess.DEVNULL
    start = time.monotonic()
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=errors, check=False)
    took = time.monotonic() - start
    os.close(slave)
    reader.join()
    os.close(master)
    if done.returncode:
        raise RuntimeError(f"load: exit {done.returncode}")
    if bool(shown) != with_terminal:
        raise RuntimeError(f"a bar of {sum(shown)} bytes where {'some' if with_terminal else 'none'} was wanted")
    return took, sum(shown)


def measure(workshop, options, say):
    """Medians: {"bar": seconds, "none": seconds, "shown": bytes}."""
    layout = images.image(IMAGE)
    runs = {True: [], False: []}
    for number in range(options.runs):
        for with_terminal in (True, False) if number % 2 else (False, True):
            with Filesystem(workshop, "ext4") as fs:
                run("cp", "-r", layout, fs.path + "/layout")
                warm(fs.path + "/layout")
                fs.settle()
                command = [options.snapdrv, "--root", fs.path + "/store", "--driver", "overlay", "load",
                           "--no-sync", fs.path + "/layout"]
                runs[with_terminal].append(time_load(command, with_terminal))
        say(f"progress {number + 1}/{options.runs}: {runs[True][-1][0]:.2f} s with a bar, "
            f"{runs[False][-1][0]:.2f} s without")
    return {"bar": median(one[0] for one in runs[True]), "none": median(one[0] for one in runs[False]),
            "shown": max(one[1] for one in runs[True])}


def rows(found):
    yield ("load with a progress bar", "nothing (3 % of noise)",
           f"{found['bar']:.2f} s : {found['none']:.2f} s", found["bar"] / found["none"], LIMIT)
