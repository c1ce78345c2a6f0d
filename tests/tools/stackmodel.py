# SPDX-License-Identifier: Apache-2.0
"""The model of a stack of layers: what tree it is.

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
import re

TOOLS = os.path.dirname(os.path.abspath(__file__))
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
