# SPDX-License-Identifier: Apache-2.0
"""The programs that load an image, ours and the peers, all behind one class."""
import os
import re
import shutil
import signal
import subprocess
import time

from images import archive
from machine import die_with_parent, run

CONTAINERD_CONFIG = """\
version = 2
root = "{place}/root"
state = "{place}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt",
                    "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper",
                    "io.containerd.snapshotter.v1.zfs"]
[grpc]
  address = "{place}/socket"
"""


class Tool:
    """A way to load an image into a fresh store.

    @name:    in the tables. @peer: what --peers calls it, None for ours.
    @durable: the image is on disk when the program returns.
    @copies:  what it reads lies on another disk, so that what it keeps of that is copied, where
              otherwise it may be linked.
    """

    name = peer = ""
    durable = copies = False

    def can(self, filesystem, case):
        """None, or why it cannot load @case on @filesystem."""
        raise NotImplementedError

    def input_of(self, case, layout):
        """What it reads: @layout, unless it wants another form."""
        return layout

    def start(self, place, source, filesystem):
        """What is to be there before the clock starts; the command. @place: an empty directory."""
        raise NotImplementedError

    def stop(self):
        """CPU seconds and peak memory of what ran beside the command."""
        return 0.0, 0

    def version(self):
        raise NotImplementedError


class Snapdrv(Tool):
    def __init__(self, program, name="snapdrv", options=(), durable=True, copies=False):
        self.program = program
        self.name = name
        self.options = list(options)
        self.durable = durable
        self.copies = copies

    def can(self, filesystem, case):
        return None

    def start(self, place, source, filesystem):
        driver = "btrfs" if filesystem == "btrfs" else "overlay"
        return [self.program, "--root", place + "/store", "--driver", driver, "load",
                "--ref", "bench:1", *self.options, source]

    def version(self):
        return run(self.program, "--version").split()[-1]


def forget_blobs():
    """Empty skopeo's cache of what it knows of blobs: this namespace's, not the machine's."""
    place = "/var/lib/containers"
    if not os.path.ismount(place):
        raise RuntimeError(f"{place} is the machine's own")
    for name in os.listdir(place):
        shutil.rmtree(os.path.join(place, name))


class Skopeo(Tool):
    """skopeo into containers-storage."""

    name = peer = "skopeo"

    def can(self, filesystem, case):
        return None

    def start(self, place, source, filesystem):
        driver = "btrfs" if filesystem == "btrfs" else "overlay"
        forget_blobs()
        os.mkdir(place + "/tmp")
        return ["skopeo", "--insecure-policy", "--tmpdir", place + "/tmp", "copy", "--quiet",
                f"oci:{source}:latest",
                f"containers-storage:[{driver}@{place}/storage+{place}/run]localhost/bench:1"]

    def version(self):
        return run("skopeo", "--version").split()[-1]


class Umoci(Tool):
    """umoci unpack: one tree, no layers."""

    name = peer = "umoci"

    def can(self, filesystem, case):
        if case == "debian-zstd":
            return "umoci 0.4 has no zstd"
        if filesystem == "btrfs":
            return "umoci has no btrfs store"
        return None

    def start(self, place, source, filesystem):
        return ["umoci", "unpack", "--image", source + ":latest", place + "/bundle"]

    def version(self):
        return run("umoci", "--version").split()[-1]


class Containerd(Tool):
    """`ctr image import` into a containerd of its own; the daemon counts in CPU and memory."""

    name = peer = "containerd"

    def __init__(self):
        self.daemon = None

    def can(self, filesystem, case):
        return None

    def input_of(self, case, layout):
        return archive(case)

    def start(self, place, source, filesystem):
        snapshotter = "btrfs" if filesystem == "btrfs" else "overlayfs"
        with open(place + "/config.toml", "w", encoding="ascii") as config:
            config.write(CONTAINERD_CONFIG.format(place=place))
        with open(place + "/log", "wb") as log:
            self.daemon = subprocess.Popen(["containerd", "--config", place + "/config.toml"],
                                           stdout=log, stderr=log, preexec_fn=die_with_parent)
        ctr = ["ctr", "--address", place + "/socket"]
        until = time.monotonic() + 20
        while subprocess.run([*ctr, "version"], stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL, check=False).returncode:
            if self.daemon.poll() is not None or time.monotonic() > until:
                with open(place + "/log", encoding="utf-8", errors="replace") as log:
                    raise RuntimeError("containerd does not start: " + log.read()[-2000:])
            time.sleep(0.05)
        return [*ctr, "image", "import", "--snapshotter", snapshotter, "--base-name",
                "localhost/bench", source]

    def stop(self):
        if not self.daemon:
            return 0.0, 0
        with open(f"/proc/{self.daemon.pid}/status", encoding="ascii") as status:
            peak = int(re.search(r"VmHWM:\s*(\d+)", status.read()).group(1)) * 1024
        self.daemon.send_signal(signal.SIGTERM)
        _, _, usage = os.wait4(self.daemon.pid, 0)
        self.daemon.returncode = 0
        self.daemon = None
        return usage.ru_utime + usage.ru_stime, peak

    def version(self):
        return run("containerd", "--version").split()[2].split("~")[0]


PEERS = {"skopeo": Skopeo, "umoci": Umoci, "containerd": Containerd}


def missing_peers(names):
    """Those of @names whose program is not there."""
    program = {"containerd": "ctr"}
    return [name for name in names if not shutil.which(program.get(name, name))]
