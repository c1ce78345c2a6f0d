# SPDX-License-Identifier: Apache-2.0
"""What the benchmark does to the machine: filesystems on loop devices, measured processes, programs
that are built for it; and that nothing of it stays.

Mounts are made in a mount namespace of this process, files in one temporary directory. The file of
a filesystem has no name once it is mounted, and its loop device goes with its last mount: a
benchmark that is interrupted leaves nothing, and one that is killed that directory without them.
"""
import ctypes
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
MKFS = {
    "ext4": ["mkfs.ext4", "-q", "-F"],
    "xfs": ["mkfs.xfs", "-q", "-f"],
    "btrfs": ["mkfs.btrfs", "-q", "-f"],
}
# No thread of ext4's own that fills inode tables beside what is measured.
OPTIONS = {"ext4": "loop,noinit_itable", "xfs": "loop", "btrfs": "loop"}
LIBRARIES = "jansson libarchive libcrypto libisal liblzma libxxhash libzstd mount sqlite3 zlib"
PR_SET_PDEATHSIG = 1


def enter_private_namespace():
    """Run this program again in a mount namespace of its own, where mounts go with it."""
    if os.geteuid() != 0:
        sys.exit("bench: root rights are needed")
    if "SNAPDRV_BENCH_PRIVATE" not in os.environ:
        os.environ["SNAPDRV_BENCH_PRIVATE"] = "1"
        os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", sys.executable,
                              *sys.argv])
    # The peers' own places: skopeo's cache of blobs, locks, sockets.
    for path in ("/run", "/var/lib/containers"):
        os.makedirs(path, exist_ok=True)
        run("mount", "-t", "tmpfs", "none", path)


def run(*argv):
    """Run a program that must succeed; what it printed. Interrupted, it takes it along."""
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          start_new_session=True) as started:
        try:
            out, err = started.communicate()
        except BaseException:
            os.killpg(started.pid, signal.SIGKILL)
            raise
    if started.returncode:
        raise RuntimeError(f"{' '.join(argv)[:1000]}: exit {started.returncode}: "
                           f"{(err or out)[-2000:].strip()}")
    return out


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def unmount_below(path):
    """Unmount what is at and below @path, the latest first."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as table:
        found = [line.split()[4] for line in table]
    for point in reversed(found):
        if point == path or point.startswith(path + "/"):
            if subprocess.run(["umount", point], stderr=subprocess.DEVNULL, check=False).returncode:
                subprocess.run(["umount", "-l", point], stderr=subprocess.DEVNULL, check=False)


class Workshop:
    """The temporary directory, and the programs of this directory built in it."""

    def __init__(self, folder, library):
        self.path = tempfile.mkdtemp(prefix="snapdrv-bench.", dir=folder)
        self.library = library

    def __enter__(self):
        return self

    def __exit__(self, *_):
        unmount_below(self.path)
        shutil.rmtree(self.path)

    def program(self, name):
        """The path of NAME.c, compiled; against the library where it uses it."""
        path = os.path.join(self.path, name)
        if not os.path.exists(path):
            flags = run("pkg-config", "--libs", *LIBRARIES.split()).split()
            run("gcc", "-std=gnu17", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-Wl,--as-needed",
                f"-I{TOP}/driver", "-o", path, os.path.join(HERE, name + ".c"), self.library,
                *flags, "-lbtrfsutil", "-pthread")
        return path

    def measure(self, commands, rounds=1):
        """Run @commands, one after the other, @rounds times; `%d` in a word is the round.

        A list of runs for each command: {"seconds", "cpu", "peak"} (peak: bytes).
        """
        argv = [self.program("spawn-bench"), str(rounds)]
        for number, command in enumerate(commands):
            argv += (["--"] if number else []) + list(command)
        found = [[] for _ in commands]
        for line in run(*argv).splitlines():
            number, elapsed, cpu, peak = map(int, line.split())
            found[number].append({"seconds": elapsed / 1e6, "cpu": cpu / 1e6, "peak": peak * 1024})
        return found


class Filesystem:
    """A new filesystem on a loop device, mounted at .path for as long as it is entered."""

    def __init__(self, workshop, kind, size="14G"):
        self.kind = kind
        self.workshop = workshop
        self.size = size
        self.path = None
        self.device = None

    def __enter__(self):
        self.path = tempfile.mkdtemp(prefix=self.kind + ".", dir=self.workshop.path)
        image = self.path + ".img"
        try:
            run("truncate", "-s", self.size, image)
            run(*MKFS[self.kind], image)
            run("mount", "-o", OPTIONS[self.kind], image, self.path)
        finally:
            os.unlink(image)
        self.device = os.path.basename(run("findmnt", "-n", "-o", "SOURCE", self.path).strip())
        return self

    def __exit__(self, *_):
        unmount_below(self.path)
        os.rmdir(self.path)

    def used(self):
        """Bytes in use."""
        found = os.statvfs(self.path)
        return (found.f_blocks - found.f_bfree) * found.f_frsize

    def written(self):
        """Bytes that went to the loop device so far."""
        with open(f"/sys/block/{self.device}/stat", encoding="ascii") as stat:
            return int(stat.read().split()[6]) * 512

    def settle(self):
        """Let nothing be left for write-back, of this filesystem and of the one that carries it."""
        run("sync", "-f", self.path)
        run("sync", "-f", self.workshop.path)


def warm(path):
    """Read all files below @path, or @path itself, into the page cache."""
    paths = [path]
    if os.path.isdir(path):
        paths = [os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names]
    for one in paths:
        with open(one, "rb", buffering=0) as file:
            while file.read(1 << 20):
                pass


def describe():
    """What the figures depend on."""
    with open("/proc/cpuinfo", encoding="utf-8") as info:
        model = [line.split(":", 1)[1].strip() for line in info if line.startswith("model name")]
    with open("/proc/meminfo", encoding="ascii") as info:
        memory = int(info.readline().split()[1]) * 1024
    return {"kernel": platform.release(), "processor": model[0] if model else platform.machine(),
            "cores": len(os.sched_getaffinity(0)), "memory": memory}
