# SPDX-License-Identifier: Apache-2.0
"""Loading images: each tool in turn, each time into a new filesystem; and the floor."""
import os
import shutil
from statistics import median

import images
from machine import Filesystem, run, warm
from tools import Snapdrv

# case: filesystem, image, and what of the fastest peer is allowed, with our sync and without.
CASES = {
    "load-ext4": ("ext4", "debian", 1 / 5, 1 / 7),
    "load-xfs": ("xfs", "debian", 1 / 5, 1 / 7),
    "load-btrfs": ("btrfs", "debian", 1 / 5, 1 / 5),
    "load-layers40": ("ext4", "layers40", 1 / 5, None),
    "load-zstd": ("ext4", "debian-zstd", 1 / 4, None),
    "load-incompressible": ("ext4", "incompressible", 1 / 3, None),
    "load-small-files": ("ext4", "small-files", 1 / 5, None),
}
FLOOR_OF = {"load-ext4", "load-xfs"}
DISK_MB = 1024


class Loads:
    """What all loads of a case have in common."""

    def __init__(self, workshop, case, options):
        self.workshop = workshop
        self.case = case
        self.filesystem, self.image, self.target, self.target_no_sync = CASES[case]
        self.layout = images.image(self.image)
        self.options = options
        self.tools = [
            Snapdrv(options.snapdrv),
            Snapdrv(options.snapdrv, "snapdrv --no-sync", ["--no-sync"], durable=False),
            Snapdrv(options.snapdrv, "snapdrv, other disk", copies=True),
            *(peer() for peer in options.peers),
        ]
        self.left_out = {}
        for tool in list(self.tools):
            why = tool.can(self.filesystem, self.image)
            if why:
                self.left_out[tool.name] = why
                self.tools.remove(tool)
        # Made before anything is measured, and on disk.
        self.inputs = {tool: tool.input_of(self.image, self.layout) for tool in self.tools}
        self.tars = images.tars_of_debian() if case in FLOOR_OF else []
        run("sync", "-f", images.CACHE)

    def place_input(self, tool, fs):
        """What it will read, in the page cache; a layout beside the store, unless it copies."""
        source = self.inputs[tool]
        if source == self.layout and not tool.copies:
            shutil.copytree(self.layout, fs.path + "/layout")
            source = fs.path + "/layout"
        warm(source)
        return source

    def load(self, tool):
        """One load; what it took."""
        with Filesystem(self.workshop, self.filesystem) as fs:
            source = self.place_input(tool, fs)
            os.mkdir(fs.path + "/place")
            try:
                command = tool.start(fs.path + "/place", source, self.filesystem)
                fs.settle()
                used, written = fs.used(), fs.written()
                (took,), (sync,) = self.workshop.measure([command, ["sync", "-f", fs.path]])
                used, written = fs.used() - used, fs.written() - written
            finally:
                cpu, peak = tool.stop()
        return {"seconds": took["seconds"], "sync": sync["seconds"], "cpu": took["cpu"] + cpu,
                "peak": max(took["peak"], peak), "used": used, "written": written}

    def floor(self):
        """The three jobs of a load, each alone; and how fast the disk writes."""
        program = self.workshop.program("floor")
        found = {}
        with Filesystem(self.workshop, self.filesystem) as fs:
            os.mkdir(fs.path + "/tree")
            fs.settle()
            jobs = {"inflate": images.layer_blobs(self.layout), "hash": self.tars,
                    "tree": [*self.tars, fs.path + "/tree"]}
            for job, words in jobs.items():
                found[job] = float(run(program, job, *words).split()[0])
        with Filesystem(self.workshop, self.filesystem) as fs:
            fs.settle()
            (took,), = self.workshop.measure([["dd", "if=/dev/zero", f"of={fs.path}/file", "bs=1M",
                                               f"count={DISK_MB}", "conv=fsync", "status=none"]])
            found["disk"] = DISK_MB * 1024 * 1024 / took["seconds"]
        return found


def measure(workshop, case, options, say):
    """{"tools": {name: {figure: median, "runs": [...]}}, "floor": ..., "left_out": ...}."""
    loads = Loads(workshop, case, options)
    runs = {tool.name: [] for tool in loads.tools}
    floors = []
    for number in range(options.runs):
        # Each round begins with another tool, so that none is always the first.
        turn = number % len(loads.tools)
        for tool in loads.tools[turn:] + loads.tools[:turn]:
            runs[tool.name].append(loads.load(tool))
            last = runs[tool.name][-1]
            say(f"{case} {number + 1}/{options.runs} {tool.name}: {last['seconds']:.2f} s"
                f" + {last['sync']:.2f} s sync")
        if case in FLOOR_OF:
            floors.append(loads.floor())
    durable = {tool.name: tool.durable for tool in loads.tools}
    found = {"filesystem": loads.filesystem, "image": loads.image, "left_out": loads.left_out,
             "target": loads.target, "target_no_sync": loads.target_no_sync,
             "tools": {name: summary(all_of, durable[name]) for name, all_of in runs.items()}}
    if floors:
        found["floor"] = {key: median(one[key] for one in floors) for key in floors[0]}
        found["floor"]["runs"] = floors
    return found


def summary(runs, durable):
    """Medians; `whole` is what it takes until the image is on disk."""
    found = {key: median(one[key] for one in runs) for key in runs[0]}
    found["peak"] = max(one["peak"] for one in runs)
    found["whole"] = median(one["seconds"] + (0 if durable else one["sync"]) for one in runs)
    found["runs"] = runs
    return found


# ---- what must be reached ----------------------------------------------------------------------


def rows(case, found):
    """The lines of the result: (what, target, figures, ratio, limit)."""
    ours, free = found["tools"]["snapdrv"], found["tools"]["snapdrv --no-sync"]
    peers = {name: one for name, one in found["tools"].items() if not name.startswith("snapdrv")}
    if found["filesystem"] == "btrfs":
        peers = {name: one for name, one in peers.items() if name == "skopeo"}
    if peers:
        yield against(case + ", synced", ours, peers, "whole", found["target"])
    if peers and found["target_no_sync"]:
        yield against(case + ", no sync", free, peers, "seconds", found["target_no_sync"])
    if "floor" in found:
        floor = found["floor"]
        bound = (floor["inflate"] + floor["hash"] + floor["tree"]) / 2
        disk = ours["used"] / floor["disk"]
        larger, which = max((bound, "processor"), (disk, "disk"))
        yield (case + ", synced", f"1.2 x bound ({which})",
               f"{ours['whole']:.2f} s : {larger:.2f} s", ours["whole"] / larger, 1.2)
        yield (case + ", no sync", "1.25 x processor's bound",
               f"{free['seconds']:.2f} s : {bound:.2f} s", free["seconds"] / bound, 1.25)


def against(what, ours, peers, key, limit):
    fastest = min(peers, key=lambda name: peers[name][key])
    best = peers[fastest][key]
    return (what, f"1/{1 / limit:.0f} of the fastest",
            f"{ours[key]:.2f} s : {best:.2f} s ({fastest})", ours[key] / best, limit)


def peak_row(cases):
    """The one line for all cases."""
    peaks = {case: max(one["peak"] for name, one in found["tools"].items()
                       if name.startswith("snapdrv")) for case, found in cases.items()}
    worst = max(peaks, key=peaks.get)
    return ("peak RSS of a load", "64 MB", f"{peaks[worst] / 1e6:.1f} MB ({worst})",
            peaks[worst] / 64e6, 1.0)


def detail(case, found):
    """Lines of text with everything that was measured."""
    yield (f"{case}: {found['image']} on {found['filesystem']}", "time s", "sync -f", "CPU s",
           "RSS MB", "used MB", "written MB")
    for name, one in sorted(found["tools"].items(), key=lambda item: item[1]["whole"]):
        yield ("  " + name, f"{one['seconds']:.2f}", f"{one['sync']:.2f}", f"{one['cpu']:.2f}",
               *(f"{one[key] / 1e6:.0f}" for key in ("peak", "used", "written")))
    for name, why in found["left_out"].items():
        yield (f"  {name} left out: {why}",)
    if "floor" in found:
        floor = found["floor"]
        yield (f"  floor: inflate {floor['inflate']:.2f} s, SHA-256 {floor['hash']:.2f} s, "
               f"tree {floor['tree']:.2f} s, each alone; disk {floor['disk'] / 1e6:.0f} MB/s",)
