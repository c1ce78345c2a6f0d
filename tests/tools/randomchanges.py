#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Random changes of a container, drawn from a seed, and what must be found of them.

	randomchanges.py base SEED TAR		the tar of a tree to start from
	randomchanges.py change SEED ROOTFS	change a container of it
	randomchanges.py expect BASE NEW	the lines of `diff`, from two trees, by another way
	randomchanges.py layout STORE DIGEST DIR	an OCI layout of an image in a store, from its blobs

The same seed makes the same tree, times included, on each driver. So what drivers cannot have alike is left
out: overlay breaks hard links of the image when one of the names is written to.
"""
import json
import os
import random
import shutil
import socket
import stat
import struct
import subprocess
import sys
import tarfile

OLD = 1_500_000_000_000_000_000  # times of the base; what is younger than NEW was made by the test
NEW = 1_700_000_000_000_000_000
NAMES = [b"a", b"b", b"c.conf", b"d-e", b"f", b"g\xe9", b"h\nline", b"i space", b"j" * 120, b"k.d", b"l=m", b"n%o"]


def acl(rng, uid):
    entries = [(1, 7, 0xFFFFFFFF), (2, rng.randrange(8), uid), (4, 5, 0xFFFFFFFF), (16, 7, 0xFFFFFFFF),
               (32, rng.randrange(8), 0xFFFFFFFF)]
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


def make_base(seed, path):
    """Two to three levels, some hard links, times in the past with nanoseconds."""
    rng = random.Random(f"base {seed}")
    import io
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT, encoding="utf-8", errors="surrogateescape") as tar:
        def add(name, kind, data=b"", link="", xattrs=()):
            info = tarfile.TarInfo(os.fsdecode(name))
            info.type = kind
            info.size = len(data)
            info.linkname = link
            info.mode = rng.choice([0o644, 0o600, 0o755, 0o4755]) if kind != tarfile.DIRTYPE else rng.choice([0o755, 0o1777])
            info.uid, info.gid = rng.choice([(0, 0), (5, 6), (3000000, 70000)])
            ns = OLD + rng.randrange(10**15)
            info.devmajor, info.devminor = 1, rng.randrange(1, 10)
            info.mtime = ns // 10**9
            info.pax_headers = {"mtime": f"{ns // 10**9}.{ns % 10**9:09d}"}
            info.pax_headers.update({f"SCHILY.xattr.{k}": v for k, v in xattrs})
            tar.addfile(info, io.BytesIO(data) if data else None)

        def fill(dir_name, depth):
            for name in rng.sample(NAMES, rng.randrange(3, 9)):
                full = dir_name + name
                kind = rng.choice(["file"] * 5 + ["dir"] * (4 if depth < 3 else 0) + ["link", "fifo", "hard", "dev"])
                xattrs = [("user.base", "1")] if rng.random() < 0.2 and kind in ("file", "dir") else []
                if kind == "dir":
                    add(full, tarfile.DIRTYPE, xattrs=xattrs)
                    fill(full + b"/", depth + 1)
                elif kind == "link":
                    add(full, tarfile.SYMTYPE, link=rng.choice(["a", "../b", "/nowhere"]))
                elif kind == "fifo":
                    add(full, tarfile.FIFOTYPE)
                elif kind == "dev":
                    add(full, tarfile.CHRTYPE)
                else:
                    add(full, tarfile.REGTYPE, rng.randbytes(rng.choice([0, 1, 100, 5000, 70000])), xattrs=xattrs)
                    if kind == "hard":
                        add(full + b"2", tarfile.LNKTYPE, link=os.fsdecode(full))
        add(b".", tarfile.DIRTYPE)
        fill(b"", 1)


class Changes:
    def __init__(self, seed, root):
        self.rng = random.Random(f"change {seed}")
        self.root = os.fsencode(root)
        self.count = 0
        # Overlay's count of links does not go down with the names.
        self.linked = {path for path, st in self.all("file", "link", "other") if st.st_nlink > 1}

    def all(self, *kinds):
        """Paths of these kinds, in an order that does not depend on the filesystem."""
        found = []
        for top, dirs, files in os.walk(self.root):
            dirs.sort()
            for name in sorted(dirs + files):
                path = os.path.join(top, name)
                st = os.lstat(path)
                kind = {stat.S_IFDIR: "dir", stat.S_IFREG: "file", stat.S_IFLNK: "link"}.get(stat.S_IFMT(st.st_mode), "other")
                if kind in kinds:
                    found.append((path, st))
        return sorted(found)

    def pick(self, *kinds, single=True):
        found = [path for path, st in self.all(*kinds) if stat.S_ISDIR(st.st_mode) or not single or (st.st_nlink == 1 and path not in self.linked)]
        return self.rng.choice(found) if found else None

    def place(self):
        """A new name in some directory."""
        dirs = [self.root] + [path for path, _ in self.all("dir")]
        self.count += 1
        return os.path.join(self.rng.choice(dirs), self.rng.choice(NAMES)[:100] + b".%d" % self.count)

    def data(self):
        return self.rng.randbytes(self.rng.choice([0, 10, 3000, 50000]))

    def write(self, path, data):
        with open(path, "wb") as file:
            file.write(data)

    def new_file(self):
        self.write(self.place(), self.data())

    def new_sparse(self):
        with open(self.place(), "wb") as file:
            for _ in range(self.rng.randrange(3)):
                file.seek(self.rng.randrange(1 << 20))
                file.write(self.rng.randbytes(self.rng.randrange(1, 9000)))
            file.truncate(self.rng.randrange(1 << 20))

    def new_zeros(self):
        self.write(self.place(), bytes(200000) + self.data())

    def new_tree(self):
        path = self.place()
        os.makedirs(os.path.join(path, b"x", b"y"))
        self.write(os.path.join(path, b"x", b"file"), self.data())
        os.symlink(b"file", os.path.join(path, b"x", b"s"))

    def new_special(self):
        path = self.place()
        kind = self.rng.randrange(4)
        if kind == 0:
            os.mkfifo(path)
        elif kind == 1:
            os.mknod(path, stat.S_IFBLK | 0o640, os.makedev(7, self.rng.randrange(300)))
        elif kind == 2:
            os.symlink(self.rng.choice([b"a", b"/etc/\xfcml", b"x" * 300]), path)
        else:
            os.mkdir(path)

    def new_socket(self):
        path = os.path.join(self.root, b"sock-%d" % self.count)
        self.count += 1
        with socket.socket(socket.AF_UNIX) as made:
            os.chdir(self.root)
            made.bind(os.path.basename(path))
            os.chdir("/")

    def hard_link(self):
        path = self.pick("file", "link", "other")
        if path:
            os.link(path, self.place(), follow_symlinks=False)

    def attributes(self):
        path = self.pick("file", "dir")
        if not path:
            return
        kind = self.rng.randrange(6)
        if kind == 0:
            os.chmod(path, self.rng.choice([0o700, 0o2755, 0o444]))
        elif kind == 1:
            os.lchown(path, self.rng.randrange(5000000), 7)
        elif kind == 2:
            os.setxattr(path, self.rng.choice(["user.n", "trusted.t", "user.eq=l"]), self.rng.randbytes(self.rng.randrange(300)))
        elif kind == 3:
            os.setxattr(path, "system.posix_acl_access", acl(self.rng, 1234))
        elif kind == 4 and os.path.isdir(path):
            os.setxattr(path, "system.posix_acl_default", acl(self.rng, 99))
        elif os.path.isfile(path):
            os.setxattr(path, "security.capability", struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0))

    def link_attributes(self):
        path = self.pick("link", "other")
        if path:
            os.setxattr(path, "trusted.l", b"\x00\n=", follow_symlinks=False)

    def rewrite(self):
        path = self.pick("file")
        if path:
            self.write(path, self.data())

    def same_size(self):
        """Other content under the same size and mtime."""
        path = self.pick("file")
        if path:
            st = os.stat(path)
            self.write(path, self.rng.randbytes(st.st_size))
            os.utime(path, ns=(st.st_atime_ns, st.st_mtime_ns))

    def undone(self):
        path = self.pick("file")
        if not path:
            return
        st = os.stat(path)
        with open(path, "rb") as file:
            data = file.read()
        self.write(path, b"something else")
        os.chmod(path, 0o777)
        os.setxattr(path, "user.undone", b"1")
        os.removexattr(path, "user.undone")
        self.write(path, data)
        os.chmod(path, stat.S_IMODE(st.st_mode))
        os.utime(path, ns=(st.st_atime_ns, st.st_mtime_ns))

    def replaced_alike(self):
        """Another inode that is as the old one."""
        path = self.pick("file")
        if path:
            subprocess.run(["cp", "-a", path, path + b".tmp"], check=True)
            os.rename(path + b".tmp", path)

    def temporary(self):
        path = self.place()
        self.write(path, b"x")
        os.unlink(path)

    def delete(self):
        path = self.pick("file", "link", "other", single=False)
        if path:
            os.unlink(path)

    def delete_tree(self):
        path = self.pick("dir")
        if path:
            shutil.rmtree(path)

    def empty(self):
        path = self.pick("dir")
        if path:
            for name in sorted(os.listdir(path)):
                full = os.path.join(path, name)
                shutil.rmtree(full) if os.path.isdir(full) and not os.path.islink(full) else os.unlink(full)
            if self.rng.random() < 0.5:
                self.write(os.path.join(path, b"only"), b"1")

    def made_again(self):
        path = self.pick("dir")
        if path:
            names = sorted(os.listdir(path))
            shutil.rmtree(path)
            os.mkdir(path)
            if names and self.rng.random() < 0.5:
                self.write(os.path.join(path, names[0]), b"again")

    def replace(self):
        path = self.pick("dir", "file", "link", "other", single=False)
        if not path:
            return
        is_dir = os.path.isdir(path) and not os.path.islink(path)
        shutil.rmtree(path) if is_dir else os.unlink(path)
        kind = self.rng.randrange(4)
        if kind == 0:
            self.write(path, self.data())
        elif kind == 1:
            os.mkdir(path)
            self.write(os.path.join(path, b"in"), b"x")
        elif kind == 2:
            os.symlink(b"replaced", path)
        else:
            os.mkfifo(path)

    def move(self):
        path = self.pick("file", "link", "other")
        if path:
            os.rename(path, self.place())

    def move_tree(self):
        path = self.pick("dir")
        to = self.place()
        # Names that are linked to others outside would not be linked any more where mv has to copy.
        if path and not to.startswith(path + b"/") and not self.has_links(path):
            subprocess.run(["mv", "-T", path, to], check=True)

    def has_links(self, path):
        return any(os.path.join(top, name) in self.linked or os.lstat(os.path.join(top, name)).st_nlink > 1 for top, _, files in os.walk(path) for name in files)

    def run(self):
        kinds = [getattr(self, name) for name in (
            "new_file new_file new_sparse new_zeros new_tree new_special new_special new_socket hard_link hard_link attributes"
            " attributes attributes link_attributes rewrite rewrite same_size undone undone replaced_alike temporary delete"
            " delete delete_tree empty made_again replace replace move move_tree").split()]
        for _ in range(self.rng.randrange(3, 25)):
            self.rng.choice(kinds)()
        self.settle()

    def settle(self):
        """Times of the moment become times of the path."""
        paths = [path for path, _ in self.all("dir", "file", "link", "other")] + [self.root]
        for path in sorted(paths, key=len, reverse=True):
            if os.lstat(path).st_mtime_ns > NEW:
                rng = random.Random(os.path.relpath(path, self.root))
                names = sorted(n for n, st in self.all("file", "link", "other") if st.st_ino == os.lstat(path).st_ino
                               and st.st_nlink > 1) if not os.path.isdir(path) else []
                if names and names[0] != path:
                    continue
                ns = OLD + rng.randrange(10**17)
                os.utime(path, ns=(ns, ns), follow_symlinks=False)


def look(top):
    """Each path's attributes, and which names are one file."""
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    attributes, files = {}, {}
    top = os.fsencode(top)
    for base, dirs, names in os.walk(top):
        for name in dirs + names:
            path = os.path.join(base, name)
            st = os.lstat(path)
            kind = stat.S_IFMT(st.st_mode)
            data = b""
            if stat.S_ISREG(st.st_mode):
                with open(path, "rb") as file:
                    data = file.read()
            elif stat.S_ISLNK(st.st_mode):
                data = os.readlink(path)
            xattrs = tuple(sorted((x, os.getxattr(path, x, follow_symlinks=False))
                                  for x in os.listxattr(path, follow_symlinks=False)
                                  if not x.startswith("trusted.overlay.") and x != "security.selinux"))
            short = path[len(top):]
            attributes[short] = (kind, st.st_mode, st.st_uid, st.st_gid, st.st_mtime_ns, data,
                                 st.st_rdev if kind in (stat.S_IFCHR, stat.S_IFBLK) else 0, xattrs)
            if kind != stat.S_IFDIR:
                files.setdefault((st.st_dev, st.st_ino), set()).add(short)
    return attributes, {path: names for names in files.values() for path in names}


def quoted(path):
    if not any(b < 0x20 or b == 0x7F for b in path):
        return path
    return b'"' + path.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n") + b'"'


def expected(base, new):
    old, old_groups = look(base)
    now, groups = look(new)
    lines = {}
    for path in old.keys() - now.keys():
        if os.path.dirname(path) in now and now[os.path.dirname(path)][0] == stat.S_IFDIR or os.path.dirname(path) == b"/":
            lines[path] = b"D"
    for path, what in now.items():
        if path not in old or any(p in old and old[p][0] != stat.S_IFDIR for p in parents(path)):
            lines[path] = b"A"
        elif what != old[path]:
            lines[path] = b"C"
    for path in now:
        group = groups.get(path, ())
        if len(group) > 1 and path not in lines and (
                any(p in lines for p in group) or any(old_groups.get(p) != old_groups.get(path) for p in group)):
            lines[path] = b"C"
    for path in list(lines):
        for parent in parents(path):
            lines.setdefault(parent, b"C")
    return [lines[path] + b" " + quoted(path) for path in sorted(lines)]


def parents(path):
    while (path := os.path.dirname(path)) != b"/":
        yield path


def make_layout(store, digest, out):
    blobs = os.path.join(out, "blobs", "sha256")
    os.makedirs(blobs)
    manifest = os.path.join(store, "content", "sha256", digest.split(":")[1])
    with open(manifest, encoding="utf-8") as file:
        document = json.load(file)
    for descriptor in [document["config"], *document["layers"]]:
        name = descriptor["digest"].split(":")[1]
        shutil.copy(os.path.join(store, "content", "sha256", name), blobs)
    shutil.copy(manifest, blobs)
    with open(os.path.join(out, "oci-layout"), "w", encoding="utf-8") as file:
        json.dump({"imageLayoutVersion": "1.0.0"}, file)
    with open(os.path.join(out, "index.json"), "w", encoding="utf-8") as file:
        json.dump({"schemaVersion": 2, "manifests": [{
            "mediaType": document["mediaType"], "digest": digest, "size": os.path.getsize(manifest),
            "annotations": {"org.opencontainers.image.ref.name": "committed:1"}}]}, file)


def main(words):
    os.umask(0o022)
    command = words[0]
    if command == "base":
        make_base(int(words[1]), words[2])
    elif command == "change":
        Changes(int(words[1]), words[2]).run()
    elif command == "expect":
        sys.stdout.buffer.write(b"".join(line + b"\n" for line in expected(words[1], words[2])))
    elif command == "layout":
        make_layout(*words[1:])
    else:
        print(__doc__, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
