# SPDX-License-Identifier: Apache-2.0
"""Drawing stacks of layers from seeds, those that the model calls legal, and writing them as images."""
import os
import random
import struct

import mklayout
from stackmodel import SPARSE_SIZE, Apply, Illegal, apply_layer, clone, new_root, nodes_of

TYPES = {"file": mklayout.FILE, "dir": mklayout.DIR, "symlink": mklayout.SYMLINK, "fifo": mklayout.FIFO,
         "char": mklayout.CHAR, "block": mklayout.BLOCK, "link": mklayout.LINK}
SECOND = 10**9
NAMES = ["a", "b", "c", "d", "lib", "usr"]
TARGETS = ["a", "b", "../b", "/usr/lib", "usr/lib", "../../../../usr/lib", "/a/b", "c/d", "../c", ".", "/", "lib",
           "/nowhere", "no/where", "../../d", "./a/../b", "usr/../a"]
PLACES = ["", "", "", "./", "/", ".//"]
TIMES = [0, 1, 1700000000 * SECOND, 1000000000 * SECOND + 1, 1234567890999999999, 2147483648 * SECOND + 5 * 10**8,
         5000000000123456789, 4294967296 * SECOND, -SECOND, -1250000000, -315619200250000000,
         -2000000000 * SECOND - 1, 999999999]
WHOLE_TIMES = [0, 1, 1700000000, 1000000000, 2147483648, 5000000000, 4294967296]
IDS = [0, 0, 0, 1, 50, 1000, 65534, 65536, 2097151, 2097152, 2147483648, 3000000000, 4294967294]
MODES = [0o644, 0o755, 0o600, 0o700, 0o777, 0, 0o4755, 0o2755, 0o1777, 0o6711, 0o7777, 0o2070, 0o1000, 0o444]
CAPABILITY = bytes.fromhex("0100000200200000") + bytes(12)
DEVICES = [(1, 3), (5, 0), (0, 5), (259, 1048575), (4095, 200000), (8, 1)]


def acl(mode, group, extra):
    """A POSIX ACL as the kernel has it; the mode's group bits are its mask."""
    entries = [(1, mode >> 6 & 7, 0xFFFFFFFF), (2, extra, 1000), (4, group, 0xFFFFFFFF), (8, extra, 3000000000),
               (16, mode >> 3 & 7, 0xFFFFFFFF), (32, mode & 7, 0xFFFFFFFF)]
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


class Draw:
    def __init__(self, seed):
        self.rng = random.Random(seed)

    def chance(self, one_in):
        return self.rng.randrange(one_in) == 0

    def some_path(self, root):
        """A name of the tree, one below such a name, or any."""
        rng = self.rng
        if rng.randrange(100) < 60:
            found = nodes_of(root)
            path = os.fsdecode(rng.choice(found)[0])
            if path != "." and not (path.count("/") < 3 and self.chance(3)):
                return path
            return rng.choice(NAMES) if path == "." else path + "/" + rng.choice(NAMES)
        if self.chance(6):
            return "usr/lib"
        return "/".join(rng.choice(NAMES) for _ in range(rng.choice([1, 1, 2, 2, 3, 4])))

    def attributes(self, kind, form):
        rng = self.rng
        mode = 0o777 if kind == "symlink" else rng.choice(MODES) if self.chance(2) else 0o755 if kind == "dir" else 0o644
        ids = [number for number in IDS if number < 2097152] if form == "ustar" else IDS
        found = {"mode": mode, "uid": rng.choice(ids), "gid": rng.choice(ids), "xattrs": {}}
        if form == "pax":
            found["mtime"] = rng.choice(TIMES)
            if self.chance(3):
                found["xattrs"] = self.xattrs(kind, mode)
        else:
            found["mtime"] = rng.choice(WHOLE_TIMES + ([-1, -315619200] if form == "gnu" else [])) * SECOND
        return found

    def xattrs(self, kind, mode):
        rng, found = self.rng, {}
        if self.chance(2):
            found["trusted.t"] = rng.choice([b"1", b"=\n\0", b"two"])
        if kind in ("file", "dir"):
            if self.chance(2):
                found["user.a"] = rng.choice([b"1", b"\0", bytes(range(256))])
            if self.chance(3):
                found["user.name with spaces"] = b"2"
            if self.chance(3):
                found["system.posix_acl_access"] = acl(mode, rng.randrange(8), rng.randrange(8))
        if kind == "file" and self.chance(3):
            found["security.capability"] = CAPABILITY
        if kind == "dir" and self.chance(8):
            found["system.posix_acl_default"] = acl(rng.randrange(512), rng.randrange(8), rng.randrange(8))
        return found

    def entry(self, root, form, number):
        rng = self.rng
        kind = rng.choices(["dir", "file", "symlink", "link", "fifo", "char", "block", "whiteout", "opaque", "skipped",
                            "root"], [24, 24, 12, 12, 2, 2, 2, 14, 4, 1, 1])[0]
        entry = {"op": kind, "name": self.some_path(root), "place": rng.choice(PLACES), "data": b"", "target": "",
                 "dev": (0, 0), "sparse": False}
        if kind == "root":
            entry.update(op="dir", name="", place=rng.choice([".", "./"]))
            kind = "dir"
        elif kind == "skipped":
            folder = entry["name"].rpartition("/")[0]
            entry["name"] = (folder + "/" if folder else "") + rng.choice(
                [".wh..wh.plnk", ".wh..wh.aufs", ".wh..wh.plnk/123.456", ".wh..wh.orph"])
        elif kind == "opaque" and self.chance(12):
            entry["name"] = ""
        elif kind == "file":
            entry["data"] = b"" if self.chance(6) else b"%d of %d" % (rng.randrange(5), number)
            if form == "pax" and self.chance(12):
                entry["data"] = b"sparse".ljust(SPARSE_SIZE - 4096, b"\0") + b"d" * 4096
                entry["sparse"] = True
        elif kind == "symlink":
            entry["target"] = rng.choice(TARGETS) if not self.chance(4) else "/" + self.some_path(root)
        elif kind in ("char", "block"):
            entry["dev"] = rng.choice(DEVICES)
        entry.update(self.attributes("file" if kind in ("whiteout", "opaque", "skipped") else kind, form))
        if kind == "link":
            targets = [(path, node) for path, node in nodes_of(root) if node.kind != "dir"]
            if not targets:
                return None
            path, node = rng.choice(targets)
            entry["target"] = rng.choice(["", "", "/", "./"]) + os.fsdecode(path)
            # As writers of tar have it: the attributes of the file that it is.
            entry.update(mode=node.mode, uid=node.uid, gid=node.gid, mtime=node.mtime, xattrs=dict(node.xattrs))
        return entry

    def layer(self, lower, number):
        rng = self.rng
        form = rng.choice(["pax", "pax", "pax", "gnu", "ustar"])
        tree, drawn = clone(lower), []
        apply = Apply(tree, number)
        for _ in range(rng.randint(5, 40)):
            entry = self.entry(tree, form, number)
            if entry is None:
                continue
            try:
                apply.entry(entry)
            except Illegal:
                continue
            drawn.append(entry)
        return {"format": form, "how": rng.choice(["gzip", "gzip", "gzip", "none", "none", "gzip-members"]) if
                not self.chance(24) else "zstd", "global": self.chance(20), "entries": settle(lower, drawn, number)}


def settle(lower, drawn, number):
    """The drawn entries, without those that make the layer illegal."""
    try:
        apply_layer(lower, drawn, number)
        return drawn
    except Illegal:
        kept = []
    for entry in drawn:
        try:
            apply_layer(lower, kept + [entry], number)
            kept.append(entry)
        except Illegal:
            pass
    return kept


def draw(seed):
    drawing, root, stack = Draw(seed), new_root(), []
    for number in range(drawing.rng.randint(2, 5)):
        stack.append(drawing.layer(root, number))
        root = apply_layer(root, stack[-1]["entries"], number)
    return stack


# ---- writing -----------------------------------------------------------------------------------


def pax_time(ns):
    sign, ns = ("-", -ns) if ns < 0 else ("", ns)
    return f"{sign}{ns // SECOND}.{ns % SECOND:09d}".rstrip("0").rstrip(".")


def tar_entry(entry, form):
    kind, name = entry["op"], entry["name"]
    if kind == "whiteout":
        folder, _, last = name.rpartition("/")
        name = (folder + "/" if folder else "") + ".wh." + last
    elif kind == "opaque":
        name = (name + "/" if name else "") + ".wh..wh..opq"
    elif kind == "dir" and name:
        name += "/"
    more = {"mode": entry["mode"], "uid": entry["uid"], "gid": entry["gid"], "link": entry["target"],
            "dev": entry["dev"], "data": entry["data"], "format": form, "mtime": entry["mtime"] // SECOND}
    name = entry["place"] + name
    if form == "ustar":  # of a hard link: what does not fit is not there
        more.update({key: min(more[key], 0o7777777) for key in ("uid", "gid")}, mtime=max(0, more["mtime"]))
    if form == "pax":
        more["xattrs"] = entry["xattrs"]
        if entry["mtime"] % SECOND or entry["mtime"] < 0:
            more["mtime"] = pax_time(entry["mtime"])
        if entry["sparse"]:
            data = entry["data"]
            chunks = [(0, data[:512]), (SPARSE_SIZE - 4096, data[SPARSE_SIZE - 4096:])]
            numbers = [len(chunks)] + [number for at, chunk in chunks for number in (at, len(chunk))]
            table = "".join(f"{number}\n" for number in numbers).encode()
            more["data"] = mklayout.padded(table) + b"".join(chunk for _, chunk in chunks)
            more["records"] = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": name,
                               "GNU.sparse.realsize": str(SPARSE_SIZE)}
            name = "GNUSparseFile.0/x"
    return mklayout.entry(name, TYPES.get(kind, mklayout.FILE), **more)


def image_of(stack, name):
    layers = []
    for layer in stack:
        entries = [tar_entry(entry, layer["format"]) for entry in layer["entries"]]
        if layer["global"]:
            entries.insert(0, mklayout.pax({"comment": "for all that follow"}, b"g"))
        layers.append(mklayout.Layer(entries, layer["how"]))
    return mklayout.Image(layers, config={"Cmd": ["/x"]}, names=name)


def write_stack(stack, path, name="random:1"):
    mklayout.Layout(image_of(stack, name)).write_dir(path)


def shown(stack):
    lines = []
    for number, layer in enumerate(stack, 1):
        lines.append(f"layer {number} ({layer['format']}, {layer['how']}{', global header' if layer['global'] else ''}):")
        for entry in layer["entries"]:
            words = [f"  {entry['op']} {entry['place']}{entry['name']}"]
            if entry["op"] in ("symlink", "link"):
                words.append("-> " + entry["target"])
            if entry["op"] in ("char", "block"):
                words.append("%d:%d" % entry["dev"])
            if entry["op"] == "file":
                words.append("sparse" if entry["sparse"] else repr(entry["data"])[1:])
            if entry["op"] not in ("whiteout", "opaque", "skipped"):
                words.append(f"{entry['mode']:04o} {entry['uid']}:{entry['gid']} {pax_time(entry['mtime'])}")
                words += [f"{key}={value.hex()}" for key, value in sorted(entry["xattrs"].items())]
            lines.append(" ".join(words))
    return "\n".join(lines)
