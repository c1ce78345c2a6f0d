# SPDX-License-Identifier: Apache-2.0
"""Boot Debian's kernel in QEMU with an initramfs of the built program, and run a script in it.

    guest = Guest(work_directory)
    result = guest.run(script, files={"name": path}, disks=[Disk(path)])
    result.status, result.output, result.dmesg, result.complaints

The kernel is unpacked from its package into a cache and not installed: no boot loader is touched. The script
is run by busybox's sh in /job, where the files are; it has bash, GNU's coreutils and the built snapdrv too.
There is no KVM in it (`-accel tcg`), so that it runs in any container.

Kernels: "cloud" is small and boots fast; "full" has f2fs and 9p besides. With machine=True the guest has all of this
machine's files, read-only, as its root directory (9p; so it is the full kernel), and the script runs there, by bash, in
/tmp/job; /tmp and /run are empty and writable, /mnt is free.
"""
import fcntl
import glob
import os
import re
import shutil
import subprocess
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
HERE = os.path.dirname(os.path.abspath(__file__))
KERNELS = {"cloud": "linux-image-cloud-amd64", "full": "linux-image-amd64"}
MODULES = ["virtio_pci", "virtio_blk", "loop", "libcrc32c", "crc32_generic", "crc32c_generic", "xxhash_generic",
           "blake2b_generic", "sha256_generic", "ext4", "xfs", "btrfs", "f2fs", "overlay", "erofs", "fuse"]
MACHINE_MODULES = ["9pnet_virtio", "9p", "quota_v2"]
PROGRAMS = ["bash", "dd", "sync", "stat", "stty", "setfattr", "getfattr"]
# What is slow where every instruction is translated: string operations byte by byte, a look at two more levels of page
# tables, and blocks that end where the kernel opens and shuts its access to the user's pages.
PROCESSOR = "max,-erms,-la57,-smap,-smep"
# So is what is done at each call or page for safety; and at addresses that are new in each process all is translated anew.
COMMAND_LINE = "mitigations=off norandmaps init_on_alloc=0 audit=0 apparmor=0"
# Oopses, WARN_ON(), hung tasks, stalls, what lockdep and the sanitizers say, and damage that a filesystem finds in itself.
COMPLAINT = re.compile(r"BUG|WARNING|Oops|Call Trace|general protection fault|Unable to handle|refcount_t:"
                       r"|INFO: task .* blocked|INFO: possible|INFO: rcu|rcu:.*stall|lockup|possible .*deadlock"
                       r"|possible circular locking|suspicious RCU|KASAN|UBSAN|KCSAN|corruption|Corruption"
                       r"|EXT4-fs error|XFS .*(?:Internal error|Metadata.*damage)|BTRFS.*(?:critical|forced readonly)"
                       r"|F2FS-fs .*(?:[Ii]nconsistent|[Cc]orrupt|invalid blkaddr)")


class VmError(Exception):
    pass


def out(*command, **options):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, **options).stdout


def cache():
    path = os.path.join(os.environ.get("SNAPDRV_CACHE", "/var/cache/snapdrv-test"), "vm")
    os.makedirs(path, exist_ok=True)
    return path


def kernel(kind="cloud"):
    """The directory of the unpacked kernel package, and the kernel's version; fetched when it is not there."""
    with open(os.path.join(cache(), "lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        top = os.path.join(cache(), "kernel" if kind == "cloud" else f"kernel-{kind}")
        if not os.path.exists(os.path.join(top, ".done")):
            fetch_kernel(top, KERNELS[kind])
        versions = os.listdir(os.path.join(top, "lib/modules"))
        return top, versions[0]


def download(directory, package):
    names = re.findall(r"Depends: (linux-image-\S+)", out("apt-cache", "depends", package))
    return names and not subprocess.run(["apt-get", "download", "-q", names[0]], cwd=directory, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL).returncode


def fetch_kernel(top, meta):
    fresh = top + ".new"
    shutil.rmtree(fresh, ignore_errors=True)
    os.makedirs(fresh)
    if not download(fresh, meta):
        subprocess.run(["apt-get", "update", "-q"], check=True, stdout=subprocess.DEVNULL)
        if not download(fresh, meta):
            raise VmError(f"the kernel that {meta} depends on cannot be downloaded")
    package = next(name for name in os.listdir(fresh) if name.endswith(".deb"))
    subprocess.run(["dpkg-deb", "-x", package, "."], check=True, cwd=fresh)
    os.unlink(os.path.join(fresh, package))
    version = os.listdir(os.path.join(fresh, "lib/modules"))[0]
    subprocess.run(["busybox", "depmod", "-b", fresh, version], check=True)
    open(os.path.join(fresh, ".done"), "w").close()
    shutil.rmtree(top, ignore_errors=True)
    os.rename(fresh, top)


def libraries(program):
    return re.findall(r"(/\S+) \(0x", subprocess.run(["ldd", program], stdout=subprocess.PIPE, text=True,
                                                     stderr=subprocess.DEVNULL).stdout)


def module_files(top, version, modules):
    """The files of @modules and of all that they need; those that are built in, or nowhere, have none."""
    base = os.path.join(top, "lib/modules", version)
    needs, paths = {}, {}
    for line in open(os.path.join(base, "modules.dep")):
        path, _, rest = line.partition(":")
        name = os.path.basename(path).removesuffix(".ko").replace("-", "_")
        paths[name] = path
        needs[name] = [os.path.basename(p).removesuffix(".ko").replace("-", "_") for p in rest.split()]
    wanted, stack = {}, list(modules)
    while stack:
        name = stack.pop()
        if name in paths and name not in wanted:
            wanted[name] = paths[name]
            stack += needs[name]
    return base, wanted


def put(tree, source, target=None):
    """Copy a program or file, with its libraries, into the initramfs tree."""
    target = os.path.join(tree, (target or source).lstrip("/"))
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if os.path.exists(target) or os.path.islink(target):
        os.unlink(target)
    shutil.copy2(source, target)
    for library in libraries(source):
        place = os.path.join(tree, library.lstrip("/"))
        if not os.path.exists(place):
            os.makedirs(os.path.dirname(place), exist_ok=True)
            shutil.copy2(library, place)


def pack(tree, target):
    """A cpio archive of everything below @tree."""
    with open(target, "wb") as file:
        names = subprocess.run(["find", ".", "-print0"], cwd=tree, check=True, stdout=subprocess.PIPE).stdout
        subprocess.run(["cpio", "-0", "-o", "-H", "newc", "-R", "0:0", "--quiet"], cwd=tree, check=True, input=names,
                       stdout=file)


class Disk:
    """A disk of the guest, /dev/vda and on. @log: every write is also logged there (blklogwrites)."""

    def __init__(self, path, log=None, sector=512):
        self.path, self.log, self.sector = path, log, sector

    def arguments(self, number):
        node = f"disk{number}"
        found = ["-blockdev", f"driver=file,node-name={node}-file,filename={self.path},cache.no-flush=on",
                 "-blockdev", f"driver=raw,node-name={node}-raw,file={node}-file"]
        last = f"{node}-raw"
        if self.log:
            open(self.log, "wb").close()
            found += ["-blockdev", f"driver=file,node-name={node}-logfile,filename={self.log},cache.no-flush=on",
                      "-blockdev", f"driver=blklogwrites,node-name={node}-log,file={last},log={node}-logfile,"
                      "log-sector-size=512"]
            last = f"{node}-log"
        # Zeros come as writes: QEMU 7.2 mixes up the log's entries when they come by a command of their own.
        return found + ["-device", f"virtio-blk-pci,drive={last},write-cache=on,discard=off,write-zeroes=off,"
                        f"num-queues=1,logical_block_size={self.sector},physical_block_size={self.sector}"]


class Result:
    def __init__(self, status, output, dmesg, console):
        self.status, self.output, self.dmesg, self.console = status, output, dmesg, console

    @property
    def complaints(self):
        return [line for line in (self.dmesg + self.console).splitlines() if COMPLAINT.search(line)]


class Guest:
    def __init__(self, work, snapdrv=None, programs=(), trees=(), memory=768, kind="cloud", machine=False):
        self.work, self.memory, self.machine = work, memory, machine
        self.modules = MODULES + (MACHINE_MODULES if machine else [])
        self.snapdrv = snapdrv or os.environ.get("SNAPDRV", os.path.join(TOP, "build/snapdrv"))
        self.programs = list(PROGRAMS) + list(programs)
        self.trees = trees
        self.kernel, self.version = kernel("full" if machine else kind)
        self.base = os.path.join(work, "base.cpio")
        self.make_base()

    def make_base(self):
        tree = os.path.join(self.work, "base")
        for path in ("bin", "etc", "dev", "proc", "sys", "job", "usr/bin", "usr/sbin", "sbin"):
            os.makedirs(os.path.join(tree, path))
        put(tree, shutil.which("busybox"), "/bin/busybox")
        for applet in set(out("busybox", "--list").split()) - {"busybox"}:
            os.symlink("/bin/busybox", os.path.join(tree, "bin", applet))
        for program in self.programs:
            put(tree, os.path.realpath(shutil.which(program)), f"/bin/{os.path.basename(program)}")
        for path in self.trees:
            shutil.copytree(path, os.path.join(tree, path.lstrip("/")), symlinks=True,
                            ignore=shutil.ignore_patterns("__pycache__", "test", ".git"), dirs_exist_ok=True)
            for library in {library for file in glob.glob(f"{path}/**/*.so*", recursive=True) for library in libraries(file)}:
                put(tree, library)
        put(tree, self.snapdrv, "/usr/bin/snapdrv")
        subprocess.run(["strip", os.path.join(tree, "usr/bin/snapdrv")], check=True)
        shutil.copy2(os.path.join(HERE, "init"), os.path.join(tree, "init"))
        source, files = module_files(self.kernel, self.version, self.modules)
        target = os.path.join(tree, "lib/modules", self.version)
        for path in files.values():
            os.makedirs(os.path.dirname(os.path.join(target, path)), exist_ok=True)
            shutil.copy2(os.path.join(source, path), os.path.join(target, path))
        shutil.copy2(os.path.join(source, "modules.dep"), target)
        with open(os.path.join(tree, "etc/modules"), "w") as file:
            file.write(" ".join(name for name in self.modules if name in files) + "\n")
        pack(tree, self.base)
        shutil.rmtree(tree)

    def make_initrd(self, script, files):
        tree = os.path.join(self.work, "job")
        shutil.rmtree(tree, ignore_errors=True)
        os.makedirs(os.path.join(tree, "job"))
        with open(os.path.join(tree, "job/script"), "w") as file:
            file.write(script)
        for name, path in (files or {}).items():
            if os.access(path, os.X_OK) and not os.path.isdir(path):
                put(tree, path, f"/job/{name}")
            elif os.path.isdir(path):
                shutil.copytree(path, os.path.join(tree, "job", name), symlinks=True)
            else:
                shutil.copy2(path, os.path.join(tree, "job", name))
        job = os.path.join(self.work, "job.cpio")
        pack(tree, job)
        initrd = os.path.join(self.work, "initrd")
        with open(initrd, "wb") as target:
            for part in (self.base, job):
                with open(part, "rb") as source:
                    shutil.copyfileobj(source, target)
        return initrd

    def run(self, script, files=None, disks=(), limit=600, processors=1):
        results, console = os.path.join(self.work, "results"), os.path.join(self.work, "console")
        command = ["qemu-system-x86_64", "-accel", "tcg", "-cpu", PROCESSOR, "-m", str(self.memory), "-smp", str(processors),
                   "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
                   "-kernel", os.path.join(self.kernel, "boot", f"vmlinuz-{self.version}"),
                   "-initrd", self.make_initrd(script, files),
                   # The log is looked through at the end: all of it has to be there.
                   "-append", f"console=ttyS0 loglevel=4 panic=-1 random.trust_cpu=on {COMMAND_LINE} log_buf_len=16M printk.devkmsg=on "
                   # On a busy machine an emulated processor may not run for a long time: the timer's check would find none.
                   "no_timer_check rcupdate.rcu_cpu_stall_timeout=200 sysctl.kernel.hung_task_timeout_secs=600 sysctl.kernel.watchdog_thresh=60"
                   + (" machine" if self.machine else ""),
                   "-chardev", f"file,id=console,path={console}", "-serial", "chardev:console",
                   "-chardev", f"file,id=results,path={results}", "-serial", "chardev:results"]
        for number, disk in enumerate(disks):
            command += disk.arguments(number)
        if self.machine:
            command += ["-virtfs", "local,path=/,mount_tag=machine,security_model=none,readonly=on,multidevs=remap"]
        started = time.monotonic()
        with open(os.path.join(self.work, "qemu.log"), "wb") as log:
            try:
                status = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                        timeout=limit).returncode
            except subprocess.TimeoutExpired:
                status = f"nothing after {limit} s"
        self.seconds = time.monotonic() - started
        text, seen = [open(path, errors="replace").read() if os.path.exists(path) else "" for path in (results, console)]
        end = re.search(r"^== status (\d+)\s*$", text, re.M)
        if status or not end:
            said = open(os.path.join(self.work, "qemu.log"), errors="replace").read()
            raise VmError(f"the guest did not end by itself ({status}): {said}\n{seen[-3000:]}\n{text[-3000:]}")
        output, _, dmesg = text[:end.start()].partition("\n== dmesg\n")
        return Result(int(end.group(1)), output.rstrip("\n"), dmesg, seen)
