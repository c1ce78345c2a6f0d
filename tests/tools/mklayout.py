# SPDX-License-Identifier: Apache-2.0
"""Make container images for the tests: legal, odd and broken ones.

The parts, from the inside out (standard library only; the zstd program for zstd):

    entry(name, type, data, ...)     one tar entry as bytes, with control of every header field
    tar(entries, ...)                a layer's tar stream
    compress(data, how)              gzip, zstd, several members or frames, ...
    Layer(tar, how, ...)             the same with the descriptor and DiffID it will be given
    Image(layers, ...)               a config and a manifest over layers
    Layout(images, ...)              blobs and an index: .write_dir(), .write_archive(),
                                     .write_docker_archive()
    docker_archive(images, path)     the form of docker save before docker 25

Everything is in memory: layers of a few megabytes. The same input gives the same bytes.
"""
import gzip
import hashlib
import io
import json
import os
import zlib

OCI = "application/vnd.oci.image."
DOCKER = "application/vnd.docker."
MEDIA = {
    "oci": {
        "index": OCI + "index.v1+json",
        "manifest": OCI + "manifest.v1+json",
        "config": OCI + "config.v1+json",
        "none": OCI + "layer.v1.tar",
        "gzip": OCI + "layer.v1.tar+gzip",
        "zstd": OCI + "layer.v1.tar+zstd",
    },
    "docker": {
        "index": DOCKER + "distribution.manifest.list.v2+json",
        "manifest": DOCKER + "distribution.manifest.v2+json",
        "config": DOCKER + "container.image.v1+json",
        "none": DOCKER + "image.rootfs.diff.tar",
        "gzip": DOCKER + "image.rootfs.diff.tar.gzip",
        "zstd": DOCKER + "image.rootfs.diff.tar.zstd",
    },
}

FILE, LINK, SYMLINK, CHAR, BLOCK, DIR, FIFO = b"0", b"1", b"2", b"3", b"4", b"5", b"6"
MTIME = 1700000000


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def raw(text):
    return text if isinstance(text, bytes) else os.fsencode(text)


# ---- tar ---------------------------------------------------------------------------------------


def octal(value, width):
    """A number field: octal digits and a NUL, or base-256 where they do not fit (or below zero)."""
    if isinstance(value, bytes):
        return value.ljust(width, b"\0")
    if 0 <= value < 8 ** (width - 1):
        return b"%0*o\0" % (width - 1, value)
    return base256(value, width)


def base256(value, width):
    """The GNU binary form of a number, whatever its size."""
    body = bytearray(value.to_bytes(width, "big", signed=True))
    body[0] |= 0x80
    return bytes(body)


def header(name, type=FILE, size=0, mode=0o644, uid=0, gid=0, mtime=MTIME, link=b"", dev=(0, 0),
           format="ustar", prefix=b"", uname=b"", gname=b"", checksum=None):
    """One 512-byte header block. Numbers may be given as the field's bytes. @format: ustar, gnu, v7."""
    magic = {"ustar": b"ustar\x0000", "gnu": b"ustar  \0", "v7": b"\0" * 8}[format]
    block = b"".join((
        raw(name)[:100].ljust(100, b"\0"), octal(mode, 8), octal(uid, 8), octal(gid, 8),
        octal(size, 12), octal(mtime, 12), b" " * 8, type, raw(link)[:100].ljust(100, b"\0"), magic,
        raw(uname).ljust(32, b"\0"), raw(gname).ljust(32, b"\0"),
        octal(dev[0], 8) if format != "v7" else b"\0" * 8,
        octal(dev[1], 8) if format != "v7" else b"\0" * 8,
        raw(prefix).ljust(155, b"\0"),
    )).ljust(512, b"\0")
    total = sum(block) if checksum is None else checksum
    return block[:148] + b"%06o\0 " % total + block[156:]


def padded(data):
    return data + b"\0" * (-len(data) % 512)


def pax_record(key, value):
    """`LENGTH key=value\\n`, where LENGTH counts itself."""
    body = b" " + raw(key) + b"=" + raw(value) + b"\n"
    size = len(body)
    while len(b"%d" % size) + len(body) != size:
        size = len(b"%d" % size) + len(body)
    return b"%d" % size + body


def pax(records, type=b"x"):
    """A PAX extended header (type g: a global one)."""
    body = b"".join(pax_record(key, value) for key, value in records.items())
    return header("PaxHeaders/x", type, len(body)) + padded(body)


def gnu_long(text, type=b"L"):
    """A GNU long name (L) or long link target (K)."""
    body = raw(text) + b"\0"
    return header("././@LongLink", type, len(body), format="gnu", mtime=0) + padded(body)


def entry(name, type=FILE, data=b"", mode=None, uid=0, gid=0, mtime=MTIME, link=b"", dev=(0, 0),
          xattrs=None, records=None, format="pax", size=None, **fields):
    """One entry with what it needs before it.

    @mtime:   whole seconds, or text ("1700000000.123456789"), which goes into a PAX record.
    @xattrs:  {name: bytes}, as SCHILY.xattr records. @records: more PAX records.
    @format:  pax (records where ustar has no room), gnu (long names as L/K entries), ustar, v7.
    @size:    what the header says, when it is to be wrong.
    @fields:  of header(), as they are.
    """
    name, link, data = raw(name), raw(link), raw(data)
    if mode is None:
        mode = 0o755 if type == DIR else 0o777 if type == SYMLINK else 0o644
    size = len(data) if size is None else size
    before = b""
    if format == "pax":
        extra = {}
        if len(name) > 100 or any(byte > 127 for byte in name):
            extra["path"] = name
        if len(link) > 100 or any(byte > 127 for byte in link):
            extra["linkpath"] = link
        if uid > 0o7777777:
            extra["uid"], uid = str(uid), 0
        if gid > 0o7777777:
            extra["gid"], gid = str(gid), 0
        if isinstance(mtime, str):
            extra["mtime"], mtime = mtime, max(0, int(float(mtime)))
        for key, value in (xattrs or {}).items():
            extra["SCHILY.xattr." + key] = value
        extra.update(records or {})
        if extra:
            before = pax(extra)
    elif format == "gnu":
        if len(name) > 100:
            before += gnu_long(name, b"L")
        if len(link) > 100:
            before += gnu_long(link, b"K")
    block = header(name, type, size, mode, uid, gid, mtime, link, dev,
                   "ustar" if format == "pax" else format, **fields)
    return before + block + padded(data)


def directory(name, **more):
    return entry(name if raw(name).endswith(b"/") else raw(name) + b"/", DIR, **more)


def file(name, data=b"", **more):
    return entry(name, FILE, data, **more)


def symlink(name, target, **more):
    return entry(name, SYMLINK, link=target, **more)


def hardlink(name, target, data=b"", **more):
    return entry(name, LINK, data, link=target, **more)


def whiteout(name, **more):
    folder, _, last = raw(name).rpartition(b"/")
    return entry((folder + b"/" if folder else b"") + b".wh." + last, **more)


def opaque(folder, **more):
    return entry(raw(folder).rstrip(b"/") + b"/.wh..wh..opq", **more)


def tar(entries, end=2, trailing=b""):
    """A tar stream. @end: how many zero blocks end it. @trailing: bytes after them."""
    return b"".join(entries) + b"\0" * 512 * end + trailing


# ---- compression -------------------------------------------------------------------------------


def zstd(data, level=3):
    import subprocess  # long to import, and seldom wanted
    return subprocess.run(["zstd", "-q", "-c", f"-{level}"], input=data, check=True,
                          stdout=subprocess.PIPE).stdout


def pieces(data, count=3):
    step = max(1, -(-len(data) // count))
    return [data[at:at + step] for at in range(0, len(data), step)] or [b""]


def zip_member(data):
    return gzip.compress(data, 6, mtime=0)


def compress(data, how):
    """@how: none, gzip, zstd, xz, bzip2; gzip-members, zstd-frames, zstd-skippable (frames)."""
    if how == "none":
        return data
    if how == "gzip":
        return zip_member(data)
    if how == "gzip-members":
        return b"".join(zip_member(piece) for piece in pieces(data))
    if how == "zstd":
        return zstd(data)
    if how == "zstd-frames":
        return b"".join(zstd(piece) for piece in pieces(data))
    if how == "zstd-skippable":
        skippable = b"\x50\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"hello"
        return skippable + skippable.join(zstd(piece) for piece in pieces(data)) + skippable
    if how == "xz":
        import lzma
        return lzma.compress(data)
    if how == "bzip2":
        import bz2
        return bz2.compress(data)
    raise ValueError(how)


# ---- images ------------------------------------------------------------------------------------


class Layer:
    """A layer and what is said about it; say something wrong by changing the members.

    @tar:  the uncompressed stream, or a list of entries. @how: see compress().
    """

    def __init__(self, tar_, how="gzip", kind="oci", blob=None, **said):
        self.tar = tar(tar_) if isinstance(tar_, list) else tar_
        self.blob = compress(self.tar, how) if blob is None else blob
        self.diff_id = sha256(self.tar)
        base = how.split("-")[0]
        self.media = MEDIA[kind].get(base, MEDIA[kind]["none"])
        self.digest = sha256(self.blob)
        self.size = len(self.blob)
        self.stored = None  # other bytes to keep under the digest
        for key, value in said.items():
            setattr(self, key, value)

    def descriptor(self):
        return {"mediaType": self.media, "digest": self.digest, "size": self.size}


class Image:
    """A config and a manifest.

    @layers: Layers, or lists of entries.
    @config: the config's "config" object. @platform: "OS/ARCH[/VARIANT]". @kind: oci or docker.
    @names:  references, for the index or the archive.
    @edit_config, edit_manifest: functions that get the document and change it.
    """

    def __init__(self, layers=(), config=None, platform="linux/amd64", kind="oci", names=(),
                 edit_config=None, edit_manifest=None, created="2024-01-02T03:04:05Z",
                 how="gzip"):
        self.layers = [one if isinstance(one, Layer) else Layer(one, how, kind) for one in layers]
        self.names = [names] if isinstance(names, str) else list(names)
        self.kind = kind
        parts = platform.split("/")
        self.platform = {"os": parts[0], "architecture": parts[1]}
        if len(parts) > 2:
            self.platform["variant"] = parts[2]
        self.document = {
            "created": created, **self.platform, "config": config or {},
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in self.layers]},
            "history": [{"created": created, "created_by": f"layer {number}"}
                        for number, _ in enumerate(self.layers)],
        }
        if edit_config:
            edit_config(self.document)
        self.config = json.dumps(self.document, indent=1).encode()
        self.config_digest = sha256(self.config)
        self.stored_config = None
        self.stored_manifest = None
        self.manifest_document = {
            "schemaVersion": 2, "mediaType": MEDIA[kind]["manifest"],
            "config": {"mediaType": MEDIA[kind]["config"], "digest": self.config_digest,
                       "size": len(self.config)},
            "layers": [layer.descriptor() for layer in self.layers],
        }
        if edit_manifest:
            edit_manifest(self.manifest_document)
        self.manifest = json.dumps(self.manifest_document, indent=1).encode()
        self.digest = sha256(self.manifest)

    @property
    def id(self):
        return self.config_digest

    def descriptor(self, platform=False, name=None):
        found = {"mediaType": MEDIA[self.kind]["manifest"], "digest": self.digest,
                 "size": len(self.manifest)}
        if platform:
            found["platform"] = dict(self.platform)
        if name is not None:
            found["annotations"] = {"org.opencontainers.image.ref.name": name}
        return found

    def blobs(self):
        for layer in self.layers:
            yield layer.digest, layer.blob if layer.stored is None else layer.stored
        yield self.config_digest, self.config if self.stored_config is None else self.stored_config
        yield self.digest, self.manifest if self.stored_manifest is None else self.stored_manifest


class Index:
    """An index below the layout's own: of images (multi-platform), or of further indexes."""

    def __init__(self, members, kind="oci", names=(), platform=True):
        self.members = list(members)
        self.names = [names] if isinstance(names, str) else list(names)
        self.kind = kind
        self.manifest = json.dumps({
            "schemaVersion": 2, "mediaType": MEDIA[kind]["index"],
            "manifests": [member.descriptor(platform) for member in self.members]}).encode()
        self.digest = sha256(self.manifest)

    def descriptor(self, platform=False, name=None):
        found = {"mediaType": MEDIA[self.kind]["index"], "digest": self.digest,
                 "size": len(self.manifest)}
        if name is not None:
            found["annotations"] = {"org.opencontainers.image.ref.name": name}
        return found

    def blobs(self):
        for member in self.members:
            yield from member.blobs()
        yield self.digest, self.manifest


class Layout:
    """An OCI image layout. @images: Images and Indexes; each is named once for each of its names.

    Change .blobs, .index or .files before writing to make it wrong.
    """

    def __init__(self, images, platform=False):
        self.images = images if isinstance(images, (list, tuple)) else [images]
        self.blobs = {}
        manifests = []
        for image in self.images:
            self.blobs.update(image.blobs())
            for name in image.names or [None]:
                manifests.append(image.descriptor(platform, name))
        self.index = {"schemaVersion": 2, "mediaType": MEDIA["oci"]["index"],
                      "manifests": manifests}
        self.files = {}

    def contents(self):
        """{path: bytes}, in the order of an archive: the small documents first."""
        found = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
                 "index.json": json.dumps(self.index).encode()}
        for digest, data in self.blobs.items():
            found["blobs/" + digest.replace(":", "/")] = data
        found.update(self.files)
        return {path: data for path, data in found.items() if data is not None}

    def write_dir(self, path):
        for name, data in self.contents().items():
            write(os.path.join(path, name), data)

    def write_archive(self, path, how="none", reverse=False, prefix="", cut=None):
        """An oci-archive. @reverse: blobs first and index.json last, as some writers have it."""
        found = list(self.contents().items())
        if reverse:
            found.reverse()
        write(path, compress(archive(found, prefix), how)[:cut])

    def write_docker_archive(self, path, how="none", reverse=False):
        """What docker 25 and later save: the layout, with a manifest.json that points into it."""
        entries = []
        for image in self.images:
            entries.append({
                "Config": "blobs/" + image.config_digest.replace(":", "/"),
                "RepoTags": image.names or None,
                "Layers": ["blobs/" + layer.digest.replace(":", "/") for layer in image.layers]})
            if image.names:
                for descriptor in self.index["manifests"]:
                    if descriptor["digest"] == image.digest:
                        name = descriptor["annotations"]["org.opencontainers.image.ref.name"]
                        descriptor["annotations"] = {
                            "io.containerd.image.name": name,
                            "org.opencontainers.image.ref.name": name.rpartition(":")[2]}
        self.files["manifest.json"] = json.dumps(entries).encode()
        self.write_archive(path, how, reverse)


def archive(files, prefix=""):
    """A plain tar of [(path, bytes)], with the directories that hold them; "-> X" is a symlink."""
    entries, made = [], set()
    for path, data in files:
        folder = os.path.dirname(path)
        for end in [at for at, byte in enumerate(folder + "/") if byte == "/"]:
            if folder[:end] and folder[:end] not in made:
                made.add(folder[:end])
                entries.append(directory(prefix + folder[:end]))
        if data.startswith(b"-> "):
            entries.append(symlink(prefix + path, data[3:]))
        else:
            entries.append(file(prefix + path, data))
    return tar(entries)


def docker_archive(images, path, how="none", links=True, order=None, edit=None):
    """The form of docker save before docker 25: ID.json, LAYER/{layer.tar,json,VERSION},
    manifest.json, repositories. With @links, a layer that several images share is a symlink in the
    later ones. @order: "manifest-first" or None (last, as docker did). @edit: changes {path: bytes}.
    """
    found, entries, repositories, where = {}, [], {}, {}
    for image in images:
        layers = []
        chain = ""
        for layer in image.layers:
            chain = hashlib.sha256((chain + layer.diff_id + image.id).encode()).hexdigest()
            name = chain + "/layer.tar"
            layers.append(name)
            found[chain + "/VERSION"] = b"1.0"
            found[chain + "/json"] = json.dumps({"id": chain}).encode()
            if links and layer.diff_id in where:
                found[name] = b"-> ../" + where[layer.diff_id].encode()
            else:
                where[layer.diff_id] = name
                found[name] = layer.tar if layer.stored is None else layer.stored
        config = image.config_digest.partition(":")[2] + ".json"
        found[config] = image.config if image.stored_config is None else image.stored_config
        entries.append({"Config": config, "RepoTags": image.names or None, "Layers": layers})
        for name in image.names:
            repository, _, tag = name.rpartition(":")
            repositories.setdefault(repository, {})[tag] = chain
    found["manifest.json"] = json.dumps(entries).encode()
    if repositories:
        found["repositories"] = json.dumps(repositories).encode()
    if edit:
        edit(found)
    files = list(found.items())
    if order == "manifest-first":
        files.sort(key=lambda item: item[0] != "manifest.json")
    write(path, compress(archive(files), how))


def write(path, data):
    folder = os.path.dirname(path)
    if folder:
        os.makedirs(folder, exist_ok=True)
    with open(path, "wb") as out:
        out.write(data)


# What most tests need: a small image with something of each kind in it.


def small_layer(word="hello", **more):
    return [directory("."), directory("etc"), file("etc/word", word + "\n", **more),
            directory("bin"), file("bin/tool", "#!/bin/sh\n", mode=0o755), symlink("sh", "bin/tool")]


def small_image(word="hello", **more):
    return Image([small_layer(word), [file("second", word)]], config={"Cmd": ["/bin/tool"]}, **more)
