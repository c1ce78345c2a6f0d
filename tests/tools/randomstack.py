#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Random stacks of layers, and a model that says what tree each of them is.

usage: randomstack.py make SEED DIR		write the OCI layout DIR with the image random:1
       randomstack.py model SEED		print its tree as the model has it, in treedump's form
       randomstack.py show SEED			print the stack itself
       randomstack.py shrink SEED COMMAND...	make the stack smaller while COMMAND fails; print the smallest
       randomstack.py check FIRST COUNT DIR DRIVER	compare snapdrv with the model, working in DIR
       randomstack.py check-umoci FIRST COUNT DIR	compare umoci with it where umoci can

COMMAND gets a directory as its last argument, with `layout` (the image random:1) and `model` in it.

The model is section 5 of the design. What that leaves open is not drawn: a stack is legal when it is the
same tree whether the marks of a layer (whiteouts, opaque marks) count at their place in the tar or before
all of its entries, and when no name that was followed as a lower layer's symlink is replaced later in the
layer. (The OCI image spec, layer.md, on the marks: "Whiteout files MUST only apply to resources in lower/parent
layers"; an opaque one counts "regardless of the ordering in which the whiteout file was encountered".) Free in
a comparison, as the design leaves it open, is whether a hard link to a lower layer's file shares its inode (the
spec: filesystems "may have limited or no support for hardlinks"); the time of a directory that nobody describes
is 0 here.
"""
import difflib
import hashlib
import os
import random
import re
import shutil
import stat
import struct
import subprocess
import sys

TOOLS = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, TOOLS)
import mklayout  # noqa: E402

KIND_BITS = {"file": stat.S_IFREG, "dir": stat.S_IFDIR, "symlink": stat.S_IFLNK, "fifo": stat.S_IFIFO,
             "char": stat.S_IFCHR, "block": stat.S_IFBLK}
TYPES = {"file": mklayout.FILE, "dir": mklayout.DIR, "symlink": mklayout.SYMLINK, "fifo": mklayout.FIFO,
         "char": mklayout.CHAR, "block": mklayout.BLOCK, "link": mklayout.LINK}
SECOND = 10**9
SPARSE_SIZE = 1 << 20


def treedump():
    """The functions of tools/treedump, which is a program when it is called."""
    path = os.path.join(TOOLS, "treedump")
    with open(path, encoding="utf-8") as opened:
        source = opened.read()
    names = {"__name__": "treedump", "__doc__": ""}
    exec(compile(source, path, "exec"), names)
    return names


DUMP = treedump()


# ---- the model ---------------------------------------------------------------------------------


class Illegal(Exception):
    """To be refused, or nothing that the design decides."""


class Node:
    """What a name stands for. Names of one hard-link group share it."""

    def __init__(self, kind, mode, layer, uid=0, gid=0, mtime=0, xattrs=None, data=b"", target="", dev=(0, 0)):
        self.kind, self.mode, self.layer = kind, mode, layer
        self.uid, self.gid, self.mtime, self.xattrs = uid, gid, mtime, dict(xattrs or {})
        self.data, self.target, self.dev = data, target, dev
        self.children = {}
        self.parent = None
        self.made = False  # a directory that no entry describes
        self.family = self  # over layers: the node that this one is a copy of

    def describe(self, entry, layer):
        self.mode, self.uid, self.gid, self.mtime = entry["mode"], entry["uid"], entry["gid"], entry["mtime"]
        self.xattrs = dict(entry["xattrs"])
        self.layer, self.made = layer, False

    def undescribe(self, layer):
        self.mode, self.uid, self.gid, self.mtime, self.xattrs = 0o755, 0, 0, 0, {}
        self.layer, self.made = layer, True


def clone(node, memo=None, parent=None):
    memo = {} if memo is None else memo
    if id(node) in memo:
        return memo[id(node)]
    copy = Node.__new__(Node)
    copy.__dict__.update(node.__dict__)
    memo[id(node)] = copy
    copy.parent = parent
    if node.kind == "dir":
        copy.children = {name: clone(child, memo, copy) for name, child in node.children.items()}
    return copy


def new_root():
    root = Node("dir", 0o755, -1)
    root.made = True
    return root


def parts_of(path):
    return [part for part in path.split("/") if part not in ("", ".")]


class Apply:
    """One layer over the merged tree of those below it."""

    def __init__(self, root, layer, in_order=True):
        self.root, self.layer, self.in_order = root, layer, in_order
        self.followed = set()  # names of lower symlinks that were followed

    def walk(self, parts, make):
        """The directory; None where it is missing (and not made), or its parent is no directory."""
        at, rest, links = self.root, list(parts), 0
        while rest:
            name = rest.pop(0)
            if name == "..":
                at = at.parent or at
                continue
            child = at.children.get(name)
            if child is None:
                if not make:
                    return None
                child = Node("dir", 0o755, self.layer)
                child.made, child.parent = True, at
                at.children[name] = child
            if child.kind == "symlink":
                links += 1
                if links > 40:
                    raise Illegal("a loop")
                if child.layer != self.layer:
                    self.followed.add((id(at), name))
                if child.target.startswith("/"):
                    at = self.root
                rest = parts_of(child.target) + rest
            elif child.kind == "dir":
                at = child
            elif make:
                raise Illegal("a parent is no directory")
            else:
                return None
        return at

    def put(self, path, node):
        parts = parts_of(path)
        if not parts:
            raise Illegal("the root")
        at = self.walk(parts[:-1], True)
        if (id(at), parts[-1]) in self.followed:
            raise Illegal("followed before")
        at.children[parts[-1]] = node
        if node.kind == "dir":
            node.parent = at

    def directory(self, entry):
        parts = parts_of(entry["name"])
        if not parts:
            self.root.describe(entry, self.layer)
            return
        at = self.walk(parts[:-1], True)
        child = at.children.get(parts[-1])
        if child is None or child.kind != "dir":
            child = Node("dir", 0, self.layer)
            self.put(entry["name"], child)
        child.describe(entry, self.layer)

    def link(self, entry):
        parts = parts_of(entry["target"])
        at = self.walk(parts[:-1], False) if parts else None
        target = at.children.get(parts[-1]) if at else None
        if target is None or target.kind == "dir":
            raise Illegal("a hard link to nothing, or to a directory")
        into = self.walk(parts_of(entry["name"])[:-1], True)
        old = into.children.get(parts_of(entry["name"])[-1])
        if old is target or old is not None and contains(old, target):
            raise Illegal("it replaces its target")
        if target.layer != self.layer:
            copy = Node(target.kind, target.mode, self.layer, target.uid, target.gid, target.mtime, target.xattrs,
                        target.data, target.target, target.dev)
            copy.family = target.family
            target = copy
        self.put(entry["name"], target)

    def hide(self, at, name):
        """Take away what lower layers gave under a name."""
        child = at.children[name]
        if child.kind != "dir":
            if child.layer != self.layer:
                if (id(at), name) in self.followed:
                    raise Illegal("followed before")
                del at.children[name]
            return
        for below in list(child.children):
            self.hide(child, below)
        if child.layer != self.layer:
            if child.children:
                child.undescribe(self.layer)
            else:
                del at.children[name]

    def mark(self, entry):
        parts = parts_of(entry["name"])
        if entry["op"] == "opaque":
            at = self.walk(parts, False)
            for name in list(at.children) if at else ():
                self.hide(at, name)
            return
        at = self.walk(parts[:-1], False)
        if at and parts[-1] in at.children:
            self.hide(at, parts[-1])

    def entry(self, entry):
        kind = entry["op"]
        if kind in ("whiteout", "opaque"):
            self.mark(entry)
        elif kind == "dir":
            self.directory(entry)
        elif kind == "link":
            self.link(entry)
        elif kind != "skipped":
            self.put(entry["name"], Node(kind, entry["mode"], self.layer, entry["uid"], entry["gid"], entry["mtime"],
                                         entry["xattrs"], entry["data"], entry["target"], entry["dev"]))


def contains(node, other):
    return node.kind == "dir" and any(child is other or contains(child, other) for child in node.children.values())


def apply_layer(lower, entries, layer):
    """The merged tree; Illegal when it depends on where the marks stand."""
    marks = [entry for entry in entries if entry["op"] in ("whiteout", "opaque")]
    others = [entry for entry in entries if entry["op"] not in ("whiteout", "opaque")]
    found = []
    for order in [entries] + ([marks + others, marks[::-1] + others] if marks else []):
        root = clone(lower)
        apply = Apply(root, layer)
        for entry in order:
            apply.entry(entry)
        found.append(root)
    want = model_lines(found[0])
    if any(model_lines(other) != want for other in found[1:]):
        raise Illegal("the order of marks")
    return found[0]


def model_of(stack):
    root = new_root()
    for number, layer in enumerate(stack):
        root = apply_layer(root, layer["entries"], number)
    return root


def nodes_of(root):
    """[(path, node)] in treedump's order."""
    found = [(b".", root)]

    def below(node, prefix):
        for name, child in node.children.items():
            path = prefix + os.fsencode(name)
            found.append((path, child))
            if child.kind == "dir":
                below(child, path + b"/")

    below(root, b"")
    return sorted(found, key=lambda one: b"" if one[0] == b"." else one[0])


def model_lines(root):
    lines, first = [], {}
    for path, node in nodes_of(root):
        line = [DUMP["escaped"](path), node.kind, f"{node.mode:04o}", f"{node.uid}:{node.gid}", f"mtime={node.mtime}"]
        if node.kind == "file":
            line += [f"size={len(node.data)}", hashlib.sha256(node.data).hexdigest()]
        elif node.kind in ("char", "block"):
            line.append(f"rdev={node.dev[0]}:{node.dev[1]}")
        elif node.kind == "symlink":
            line.append("-> " + DUMP["escaped"](os.fsencode(node.target)))
        if node.kind != "dir" and first.setdefault(id(node), path) != path:
            line.append("= " + DUMP["escaped"](first[id(node)]))
        line += [f"{DUMP['escaped'](os.fsencode(name))}={value.hex()}" for name, value in sorted(node.xattrs.items())]
        lines.append(" ".join(line))
    return lines


# ---- comparing ---------------------------------------------------------------------------------


class Groups:
    """treedump's table of hard links, for which a link to a lower layer's file may share its inode or not."""

    def __init__(self, root):
        self.nodes = dict(nodes_of(root))
        self.seen = {}

    def setdefault(self, inode, path):
        node = self.nodes.get(path)
        for other in self.seen.setdefault(inode, []):
            one = self.nodes.get(other)
            if one is node or one is None or node is None or one.family is not node.family:
                return other
        self.seen[inode].append(path)
        return path


class Options:
    no_mtime = no_links = no_root_mtime = False


def tree_lines(top, root, holes=True):
    """A tree on disk in treedump's form."""
    top, groups, lines = os.fsencode(top), Groups(root), []
    for path in DUMP["walk"](top):
        line = DUMP["describe"](top, path, groups, Options)
        node = groups.nodes.get(path)
        if holes and node and node.kind == "file" and len(node.data) == SPARSE_SIZE:
            if os.lstat(os.path.join(top, path)).st_blocks * 512 > SPARSE_SIZE // 2:
                line += " (its holes are filled)"
        lines.append(line)
    return lines


def for_umoci(lines, root):
    """Without the times of directories, and of those that no entry describes without anything: see umoci_cannot()."""
    kinds = {DUMP["escaped"](path): node.made for path, node in nodes_of(root) if node.kind == "dir"}
    for line in lines:
        path, _, rest = line.partition(" ")
        if path in kinds and rest.startswith("dir "):
            line = path + " dir" if kinds[path] else re.sub(r" mtime=\S+", " mtime=*", line)
        yield line


def difference(want, got):
    return "\n".join(line[:600] for line in difflib.unified_diff(want, got, "model", "tree", n=0, lineterm=""))


# ---- drawing -----------------------------------------------------------------------------------

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


# ---- shrinking ---------------------------------------------------------------------------------

PLAIN = {"xattrs": {}, "mtime": 1700000000 * SECOND, "uid": 0, "gid": 0, "place": ""}


def smaller(stack):
    """Stacks that are a little smaller, the boldest first."""
    for at in range(len(stack)):
        yield stack[:at] + stack[at + 1:]
    for at, layer in enumerate(stack):
        count = len(layer["entries"])
        size = count // 2
        while size:
            for start in range(0, count, size):
                entries = layer["entries"][:start] + layer["entries"][start + size:]
                yield stack[:at] + [{**layer, "entries": entries}] + stack[at + 1:]
            size //= 2
    for at, layer in enumerate(stack):
        for key, value in (("how", "none"), ("global", False)):
            if layer[key] != value:
                yield stack[:at] + [{**layer, key: value}] + stack[at + 1:]
        for number, entry in enumerate(layer["entries"]):
            plain = {**PLAIN, "mode": {"dir": 0o755, "symlink": 0o777}.get(entry["op"], 0o644)}
            for key, value in plain.items():
                if entry[key] == value or entry["op"] == "link" or key == "place" and not entry["name"]:
                    continue
                if key == "mode" and "system.posix_acl_access" in entry["xattrs"]:
                    continue
                entries = list(layer["entries"])
                entries[number] = {**entry, key: value}
                yield stack[:at] + [{**layer, "entries": entries}] + stack[at + 1:]


def shrink(stack, fails, tries=400):
    """The smallest stack found for which fails(stack) is still true."""
    shrunken = True
    while shrunken and tries > 0:
        shrunken = False
        for candidate in smaller(stack):
            try:
                model_of(candidate)
            except Illegal:
                continue
            tries -= 1
            if tries <= 0:
                break
            if fails(candidate):
                stack, shrunken = candidate, True
                break
    return stack


# ---- the programs to compare -------------------------------------------------------------------


def run(*words):
    return subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, errors="replace", timeout=120 * int(os.environ.get("SLOW", "1")))


class Snapdrv:
    def __init__(self, root, driver):
        self.program = [os.environ["SNAPDRV"], "--root", root, "--driver", driver]

    def load(self, layout):
        """None, or what it said."""
        done = run(*self.program, "load", layout)
        return None if done.returncode == 0 else f"load: exit {done.returncode}: {done.stderr.strip()}"

    def compare(self, image, root):
        """The difference between the model and a container's tree, "" where there is none."""
        done = run(*self.program, "create", "--name", "one", image)
        if done.returncode:
            return f"create: exit {done.returncode}: {done.stderr.strip()}"
        rootfs = done.stdout.strip()
        try:
            if not os.path.ismount(rootfs) and not os.listdir(rootfs) and root.children:
                return f"create: nothing at {rootfs}"
            return difference(model_lines(root), tree_lines(rootfs, root))
        finally:
            done = run(*self.program, "rm", "one")
            if done.returncode:
                raise RuntimeError(f"rm: exit {done.returncode}: {done.stderr.strip()}")


def check_one(stack, work, driver):
    """Load it alone into a new store, compare."""
    shutil.rmtree(work, ignore_errors=True)
    os.makedirs(work)
    write_stack(stack, work + "/layout")
    snapdrv = Snapdrv(work + "/store", driver)
    found = snapdrv.load(work + "/layout") or snapdrv.compare("random:1", model_of(stack))
    run(*snapdrv.program, "rmi", "random:1")
    return found


def kind_of(what):
    """What sort of failure it is: an error without its names, or a difference of trees."""
    if what.startswith("---"):
        return "tree"
    return re.sub(r"'[^']*'|[0-9a-f]{64}|random:\d+", "", what) if what else ""


class Report:
    """The failures of a run: a line for each seed, and one shrunken stack for each kind, the first few."""

    def __init__(self, fails):
        self.fails = fails
        self.first = {}
        self.seeds = []

    def add(self, seed, what, stack):
        self.seeds.append(seed)
        self.first.setdefault(kind_of(what), (seed, what, stack))

    def print(self):
        for kind, (seed, what, stack) in list(self.first.items())[:int(os.environ.get("SHRINK", "3"))]:
            small = shrink(stack, lambda stack: kind_of(self.fails(stack)) == kind)
            print(f"seed {seed}:\n{cut(what)}\nshrunk to:\n{shown(small)}\nwhich gives:\n{cut(self.fails(small))}\n")
        if self.seeds:
            print("seeds that fail: " + " ".join(map(str, self.seeds)))


def cut(text, count=8):
    lines = text.split("\n")
    return "\n".join(lines[:count] + ([f"and {len(lines) - count} lines more"] if len(lines) > count else []))


def check(first, count, work, driver):
    report = Report(lambda stack: check_one(stack, work + "/one", driver))
    snapdrv = Snapdrv(work + "/store", driver)
    for start in range(first, first + count, 25):
        seeds = range(start, min(start + 25, first + count))
        stacks = {seed: draw(seed) for seed in seeds}
        layout = f"{work}/layout-{start}"
        mklayout.Layout([image_of(stack, f"random:{seed}") for seed, stack in stacks.items()]).write_dir(layout)
        refused = snapdrv.load(layout)
        for seed, stack in stacks.items():
            found = check_one(stack, work + "/one", driver) if refused else snapdrv.compare(f"random:{seed}", model_of(stack))
            if found:
                report.add(seed, found, stack)
        if refused and not report.seeds:
            report.seeds.append(seeds.start)
            print(f"seeds {seeds.start}-{seeds.stop - 1} together, not alone: {refused}")
        shutil.rmtree(layout)
    report.print()
    print(f"{count - len(report.seeds)} of {count} stacks are the model's tree on {driver}")
    return 1 if report.seeds else 0


def umoci_tree(stack, work):
    shutil.rmtree(work, ignore_errors=True)
    os.makedirs(work)
    write_stack(stack, work + "/layout", "random")
    done = run("umoci", "raw", "unpack", "--image", work + "/layout:random", work + "/rootfs")
    # On the way of a mark (.wh.) umoci follows symlinks, and gives up where they lead in a circle. The spec has a
    # whiteout "apply to resources in lower/parent layers": where the way leads nowhere it hides nothing.
    if re.search(r"entry: \S*\.wh\.\S*: sanitise symlinks in root: .*: too many levels", done.stderr):
        return ""
    if done.returncode:
        return f"exit {done.returncode}: {done.stderr.strip()}"
    root = model_of(stack)
    return difference(list(for_umoci(model_lines(root), root)),
                      list(for_umoci(tree_lines(work + "/rootfs", root, holes=False), root)))


# Where umoci (0.4.7) is left out, and what the OCI image spec (layer.md) has to say there. What it does not say,
# section 5 of the design decides.
def umoci_cannot(stack):
    """Why umoci cannot unpack it as it is meant, or None."""
    # The spec asks for a "tar archive" and has no word on PAX global headers, which POSIX allows in one; umoci:
    # "unknown typeflag".
    if any(layer["global"] for layer in stack):
        return "global headers"
    # The spec has the media type "application/vnd.oci.image.layer.v1.tar+zstd".
    if any(layer["how"] == "zstd" for layer in stack):
        return "zstd"
    # It makes missing parents with mkdir: they inherit default ACLs and setgid, and the directories above get
    # new times (so for_umoci() leaves those out). The spec says nothing of parents without an entry; attributes
    # are "replaced by those of the entry in the changeset", so without an entry nothing replaces them. The
    # design: made 0755, 0:0, and parents keep theirs.
    if any("system.posix_acl_default" in entry["xattrs"] for layer in stack for entry in layer["entries"]):
        return "default ACLs"
    # Of aufs's .wh..wh.* umoci takes a directory for a whiteout, and a file in it for a file. The spec: "it is
    # not possible to create a filesystem which has a file or directory with a name beginning with `.wh.`". The
    # design: skipped.
    if any(entry["name"].endswith(".wh..wh.plnk/123.456") for layer in stack for entry in layer["entries"]):
        return "aufs's links"
    return None


def check_umoci(first, count, work):
    compared = 0
    report = Report(lambda stack: "" if umoci_cannot(stack) else umoci_tree(stack, work + "/one"))
    for seed in range(first, first + count):
        stack = draw(seed)
        if umoci_cannot(stack):
            continue
        compared += 1
        found = umoci_tree(stack, work + "/one")
        if found:
            report.add(seed, found, stack)
    report.print()
    shutil.rmtree(work + "/one", ignore_errors=True)
    print(f"figure: umoci was compared on {compared} of {count} stacks, and differs on {len(report.seeds)}")
    if compared * 3 < count:
        print("fewer than a third of the stacks were compared with umoci")
        return 1
    return 1 if report.seeds else 0


def shrink_command(seed, command):
    work = os.path.join(os.environ.get("TMPDIR", "/tmp"), f"randomstack.{os.getpid()}")

    def fails(stack):
        shutil.rmtree(work, ignore_errors=True)
        os.makedirs(work)
        write_stack(stack, work + "/layout")
        with open(work + "/model", "w", encoding="utf-8") as out:
            out.write("\n".join(model_lines(model_of(stack))) + "\n")
        return subprocess.run([*command, work], stdin=subprocess.DEVNULL).returncode != 0

    try:
        stack = draw(seed)
        if not fails(stack):
            print(f"seed {seed}: the command does not fail")
            return 1
        print(f"seed {seed}:\n{shown(shrink(stack, fails))}")
        return 0
    finally:
        shutil.rmtree(work, ignore_errors=True)


def main(words):
    command, number = words[0], int(words[1])
    if command == "make":
        write_stack(draw(number), words[2])
    elif command == "model":
        print("\n".join(model_lines(model_of(draw(number)))))
    elif command == "show":
        print(shown(draw(number)))
    elif command == "shrink":
        return shrink_command(number, words[2:])
    elif command == "check":
        return check(number, int(words[2]), words[3], words[4])
    elif command == "check-umoci":
        return check_umoci(number, int(words[2]), words[3])
    else:
        print(__doc__, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
