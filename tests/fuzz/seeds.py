#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Make what the fuzzers start from, out of tests/corpus and small images.

usage: seeds.py OUT STORE

Writes OUT/NAME/* for each fuzzer tests/fuzz/NAME.c, and OUT/NAME.dict, words of its language. STORE is a
closed store, whose database the fuzzer `store` damages.
"""
import glob
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE + "/../corpus", HERE + "/../tools"]
import case  # noqa: E402
from mklayout import (Image, Index, Layer, Layout, compress, directory, docker_archive, file, hardlink,  # noqa: E402
                      opaque, small_image, symlink, tar, whiteout, zip_member)

OUT, STORE = sys.argv[1:]
OUTSIDE = "/mnt/outside"  # tests/fuzz/place.h
SEED_MAX = 20000  # bytes; what is larger is slow and finds nothing else
ff = b"\xff"


def seed(fuzzer, name, data):
    os.makedirs(f"{OUT}/{fuzzer}", exist_ok=True)
    data = data if isinstance(data, bytes) else data.encode()
    if len(data) <= SEED_MAX:
        with open(f"{OUT}/{fuzzer}/{name}", "wb") as out:
            out.write(data)


def seeds(fuzzer, texts):
    for number, text in enumerate(texts):
        seed(fuzzer, str(number), text)


def words(fuzzer, *texts):
    with open(f"{OUT}/{fuzzer}.dict", "w", encoding="ascii") as out:
        for text in texts:
            data = text if isinstance(text, bytes) else text.encode()
            print('"' + "".join(f"\\x{byte:02x}" for byte in data) + '"', file=out)


# ---- layers and streams -----------------------------------------------------------------------------

for path in sorted(glob.glob(HERE + "/../corpus/*/*.py")):
    name = os.path.basename(path)[:-3]
    layers = case.read_case(path, OUTSIDE)["LAYERS"]
    for number, layer in enumerate(layers):
        stream = layer.tar if isinstance(layer, Layer) else tar(layer)
        for how in (0, 1, 2, 4) if len(stream) <= 8192 else (0,):
            seed("layer", f"{name}.{number}.{how}", bytes([how]) + stream)
over = tar([file("out/file", "x"), file("up/new", "x"), whiteout("d/f"), opaque("d"), file("self/x", "x"),
            directory("far/mnt/outside", mode=0o777), symlink("d", OUTSIDE), file("d/file", "x"), whiteout("pipe")])
for how in range(8):
    seed("layer", f"over.{how}", bytes([how]) + over)
below = tar([file("d/new", "x"), hardlink("link", "d/f"), hardlink("d/e/link", "/d/f"), hardlink("pipe2", "pipe"),
             hardlink("pipe3", "pipe"), hardlink("d2", "d"), whiteout("d/e/x"), whiteout("nowhere/x"), file("d/in/y", "x")])
acls = {f"SCHILY.acl.{kind}": "user::rwx,user:app:r-x:1000,group::r-x,group:7:rw-:7,mask::r-x,other::---"
        for kind in ("access", "default")}
listed = tar([directory("d", records=acls), file("d/f", "x", records=acls), symlink("s", "d", records=acls),
              file("x", "x", xattrs={"security.capability": bytes(20), "user.a": b"b", "trusted.c": b""})])
# What chown, utimes and the like would do to the host if they followed a symlink.
owned = tar([symlink("s", OUTSIDE + "/file", uid=9, gid=9, mtime=5), symlink("t", "../outside/tool", uid=9, mode=0o4777),
             directory("r", uid=9, mtime=5), symlink("r", OUTSIDE + "/dir", gid=9, xattrs={"trusted.x": b"y"}),
             hardlink("h", "s", uid=7), file("s/x", "x", uid=9), file("h", "x", uid=9)])
for how in range(8):
    seed("layer", f"owned.{how}", bytes([how]) + owned)
    seed("layer", f"below.{how}", bytes([how]) + below)
    seed("layer", f"listed.{how}", bytes([how]) + listed)
seed("layer", "zipped", b"\0" + zip_member(over))
words("layer", "../", "..", "/mnt/outside", "out/", "up/", "d/f", ".wh.", ".wh..wh..opq", "ustar\00000", "ustar  \0",
      "SCHILY.xattr.", "trusted.overlay.", "user.overlay.", "path=", "linkpath=", "size=", "GNU.sparse.", "mtime=",
      "SCHILY.acl.access=", "SCHILY.acl.default=", "user::rwx", "group:7:r--:7", "mask::", "./PaxHeaders/", "././@LongLink")

small = tar([directory("d"), file("d/f", "x" * 3000)])
for how in ("none", "gzip", "zstd", "xz", "bzip2", "gzip-members", "zstd-frames", "zstd-skippable"):
    for step in (0, 6, 255):
        seed("inflate", f"{how}.{step}", bytes([step]) + compress(small, how))
for name, data in (("zeros-after", zip_member(small) + bytes(700)), ("rubbish-after", zip_member(small) + b"rubbish"),
                   ("truncated", compress(small, "zstd")[:-9]), ("empty", b""), ("two", b"\x1f\x8b")):
    seed("inflate", name, b"\2" + data)
words("inflate", b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b"\x50\x2a\x4d\x18", b"\xfd7zXZ\0", "BZh9")

# ---- documents --------------------------------------------------------------------------------------

config = small_image().config
descriptor = '{"mediaType":"application/vnd.oci.image.%s","digest":"$d%d","size":$s%d%s}'


def of(kind, number, more=""):
    return descriptor % (kind, number, number, more)


def index(*manifests):
    return '{"schemaVersion":2,"manifests":[' + ",".join(manifests) + "]}"


def named(name, key="org.opencontainers.image.ref.name"):
    return f',"annotations":{{"{key}":"{name}"}}'


layer = json.dumps(small_image().layers[0].descriptor())
manifest = '{"schemaVersion":2,"config":%s,"layers":[%s,%s]}' % (of("config.v1+json", 2), layer, layer)
deeper = '{"schemaVersion":2,"config":%s,"layers":[%s,%s]}' % (of("config.v1+json", 3), layer, layer)
platforms = [f',"platform":{{"os":"linux","architecture":"{one}"}}' for one in ("amd64", "arm64")]
version = '{"imageLayoutVersion":"1.0.0"}'


def documents(kind, *texts):
    return bytes([kind]) + ff.join(text if isinstance(text, bytes) else text.encode() for text in texts)


docker = '[{"Config":"blobs/sha256/$d1","RepoTags":["x:1","y/z:2"],"Layers":["a/layer.tar","b/layer.tar"]}]'
seeds("document", [
    documents(0, index(of("manifest.v1+json", 1)), manifest, config),
    documents(0, index(of("manifest.v1+json", 1, named("x:1"))), manifest, config) + b" ",
    documents(0, index(of("manifest.v1+json", 1, named("docker.io/x/y:1", "io.containerd.image.name"))), manifest, config),
    documents(0, index(*(of("manifest.v1+json", 1, one) for one in platforms)), manifest, config),
    documents(0, index(of("index.v1+json", 1, named("a/b"))), index(*(of("manifest.v1+json", 2, one) for one in platforms)),
              deeper, config),
    documents(2, index(of("manifest.v1+json", 2)), version, deeper, config),
    documents(1, docker, config), documents(1, docker, config) + b" ", documents(0, index()), documents(1, "[]"),
    documents(0, index(of("manifest.v1+json", 1)), manifest[:-1] + ',"manifests":[]}', config),
])
words("document", "$d1", "$s1", "$d2", "$s2", "$d3", "$s3", ff, '"manifests"', '"layers"', '"config"', '"mediaType"',
      '"digest"', '"size"', '"annotations"', '"platform"', '"diff_ids"', '"rootfs"', '"Config"', '"RepoTags"', '"Layers"',
      '"created"', '"architecture"', '"variant"', '"imageLayoutVersion"', "null", "9007199254740993", "-1", "1e400",
      "sha256:../", "[[[[", '{"":{"":')

passwd, group = b"root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001::/home/app:\n", b"root:x:0:\napps:x:30:app\n"
full = {"User": "app:apps", "Env": ["PATH=/bin", "A=b", "TERM"], "Entrypoint": ["/e"], "Cmd": ["c", "d"],
        "WorkingDir": "/w", "Labels": {"a": "b", "io.kubernetes.cri.x": "y"}, "ExposedPorts": {"80/tcp": {}},
        "StopSignal": "SIGTERM", "Volumes": {"/v": {}}}
image = Image([[file("x", "x")]], config=full, platform="linux/arm/v7", edit_config=lambda c: c.update(
    {"author": "me", "os.version": "1", "os.features": ["f"]}))
for number, text in enumerate((config, image.config, json.dumps(json.loads(image.config)).encode())):
    seed("config", f"{number}", text)
    seed("config", f"{number}.users", text + ff + passwd + ff + group)
words("config", '"User"', '"Env"', '"Cmd"', '"Entrypoint"', '"WorkingDir"', '"Labels"', '"ExposedPorts"', '"StopSignal"',
      '"diff_ids"', '"rootfs"', '"created"', '"os.features"', '"author"', "lowerdir=", "../../x", "null", "\\u0000")

archives = OUT + "/archives"
for number, (how, reverse) in enumerate((("none", False), ("none", True), ("gzip", False), ("zstd", True), ("xz", False))):
    Layout(small_image(names="x:1")).write_archive(archives, how, reverse)
    seed("archive", f"oci.{number}", open(archives, "rb").read())
Layout(Index([small_image(), small_image("other", platform="linux/arm64")], names="i:1")).write_archive(archives)
seed("archive", "index", open(archives, "rb").read())
for links in (True, False):
    docker_archive([small_image(how="none", names="x:1"), small_image(how="none", names="y:1")], archives, links=links)
    seed("archive", f"docker.{links}", open(archives, "rb").read())
os.unlink(archives)
words("archive", "index.json", "manifest.json", "oci-layout", "blobs/sha256/", "../", "layer.tar", "ustar\00000")

# ---- texts --------------------------------------------------------------------------------------------

digest = "sha256:" + "0123456789abcdef" * 4
seeds("digest", [digest, digest.upper(), digest + "0", digest[:-1], "sha512:" + "0" * 128, "sha256:../../x", ""])
seeds("reference", ["nginx", "nginx:1.25", "library/nginx@" + digest, "localhost:5000/a/b_c:T-1", "a.b/c__d/e--f:x@" + digest,
                    "[::1]:5000/x", "index.docker.io/x", "UPPER/x", "a//b", "../../x", digest[7:], "x:" + "t" * 129, "", "@", ":"])
words("reference", "docker.io/", "localhost:", "sha256:", "@" + digest, "library/", "..", "__", "[::1]")
platform = '\n{"os":"linux","architecture":"%s","variant":"%s"}'
seeds("platform", ["linux/amd64" + platform % ("amd64", ""), "linux/arm/v7" + platform % ("arm", "v6"),
                   "linux/aarch64" + platform % ("arm64", "v8"), "windows/x86_64\n{}", "linux", "a/b/c/d", ""])
words("platform", "linux/", '"os"', '"architecture"', '"variant"', "amd64", "arm64", "arm/v", "v8", "null")
for number, who in enumerate(("", "root", "app", "app:apps", "1000", "1000:30", "0:0", ":", "a:", ":apps", "2147483648", "../../x")):
    seed("user", str(number), who.encode() + b"\n" + passwd + ff + group)
words("user", "root:", ":x:", ":0:0:", ff, "app", "4294967296", "-1")
seeds("changes", ['CMD ["a","b"]', "CMD a b", "ENTRYPOINT [\"x\"]\nENV A=b C=\"d e\" F='g'", "ENV A b c", "EXPOSE 80 81/udp",
                  "LABEL a=b \"c d\"=e", "STOPSIGNAL 9", "USER a:b", "VOLUME /a /b", 'VOLUME ["/a"]', "WORKDIR /a\nWORKDIR b"])
for name, value in (("Env", '["A=b","B"]'), ("Env", "[1]"), ("Env", '{"A":"b"}'), ("Labels", "[]"), ("ExposedPorts", '"x"'),
                    ("WorkingDir", '"/w"'), ("WorkingDir", "7"), ("Volumes", '{"/v":{}}')):
    seed("changes", f"{name}.{value[0]}.{len(value)}", f'{{"{name}":{value}}}'.encode() + ff +
         b"ENV A=c D=e\nLABEL a=b\nEXPOSE 8\nVOLUME /z\nWORKDIR in\n")
words("changes", ff, '"Env"', '"Labels"', '"ExposedPorts"', '"Volumes"', "CMD ", "ENTRYPOINT ", "ENV ", "EXPOSE ", "LABEL ", "STOPSIGNAL ", "USER ", "VOLUME ", "WORKDIR ", "[\"", "\\\"", "/udp")
seeds("http", [b"\x50https://h:1/v2/x\n/up/load?a=b\nretry-after: 120\nwww-authenticate: Bearer realm=\"https://a/t\",service=\"s\","
               b"scope=\"repository:x:pull\"\n\n" + b'{"errors":[{"code":"DENIED","message":"no"}]}',
               b"\x4chttps://h/\nhttp://u:p@h/\nretry-after: Sun, 06 Nov 1994 08:49:37 GMT\nwww-authenticate: Basic realm=\"x\","
               b" Bearer realm=\"q\\\"u\\\\o\"\n\n" + b'{"details":"why"}',
               b"\x4bhttp://[::1]:5000/a\n//other/y\nlocation: x\ncontent-length: 99999999999999999999\nrange: 0-5\n\n<html>",
               b"\0file:///etc/passwd\nfile:///x\nwww-authenticate: =,\"\" ,,Bearer realm=\"endless\n\n"])
words("http", "https://", "http://", "//", "@", "www-authenticate: ", "Bearer ", "Basic ", "realm=", "service=", "scope=",
      "retry-after: ", " GMT", '"errors"', '"code"', '"message"', "\n\n")

# ---- the daemon's calls -------------------------------------------------------------------------------

seeds("filter", ["name==x", "kind!=view,parent~=^default/", 'labels."containerd.io/gc.root"', "labels.a==b", "labels.a.b~=|a(b\\||c)|",
                 "name==/a\\/b/,labels.x", r'name=="\x41\n"', "parent==,kind==active", "", ",", "name", "name~=(a|b)*c{1,3}"])
words("filter", "name", "parent", "kind", "labels.", "==", "!=", "~=", '"', "|", "/", ",", "active", "committed", "view", "\\x",
      "[[:alpha:]]", "[^", "{1,2}", "^", "$", ".*")


def number(value):
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def proto(*fields):
    """A message of protobuf: (number of the field, text or bytes or a whole number)."""
    out = b""
    for at, value in fields:
        if isinstance(value, int):
            out += number(at << 3) + number(value)
        else:
            value = value if isinstance(value, bytes) else value.encode()
            out += number(at << 3 | 2) + number(len(value)) + value
    return out


def label(key, value):
    return proto((1, key), (2, value))


# The methods in the order of the daemon's table; fields as in containerd's snapshots.proto.
PREPARE, VIEW, MOUNTS, COMMIT, REMOVE, STAT, UPDATE, LIST, USAGE, CLEANUP = range(10)


def calls(*messages):
    return (ff + ff).join(bytes([method]) + proto((1, "snapdrv"), *fields) for method, *fields in messages)


made = [(PREPARE, (2, "a")), (COMMIT, (2, "one"), (3, "a")), (PREPARE, (2, "b"), (3, "one"), (4, label("k", "v")))]
chain = "sha256:" + "ab" * 32
seeds("rpc", [
    calls(*made, (MOUNTS, (2, "b")), (USAGE, (2, "b")), (STAT, (2, "b")), (LIST,), (REMOVE, (2, "b")), (REMOVE, (2, "one")), (CLEANUP,)),
    calls(*made, (VIEW, (2, "v"), (3, "one")), (COMMIT, (2, "two"), (3, "b"), (4, label("x", "y"))), (REMOVE, (2, "one")), (REMOVE, (2, "v")),
          (LIST, (2, "kind==committed"), (2, "labels.x"))),
    calls(*made, (UPDATE, (2, proto((1, "b"), (6, label("n", "w")))), (3, proto((1, "labels.n"), (1, "labels.k")))),
          (UPDATE, (2, proto((1, "b"), (6, label("all", "")))), (3, proto((1, "labels"))))),
    calls((PREPARE, (2, "r"), (4, label("containerd.io/snapshot.ref", chain))), (PREPARE, (2, "r")), (STAT, (2, chain))),
    calls((PREPARE, (2, "late")), (PREPARE, (2, "low")), (COMMIT, (2, "low1"), (3, "low")), (COMMIT, (2, "high"), (3, "late"), (5, "low1"))),
    calls((PREPARE, (2, "m"), (4, label("containerd.io/snapshot/uidmapping", "0:1000:10")),
           (4, label("containerd.io/snapshot/gidmapping", "0:1000:10"))), (MOUNTS, (2, "m"))),
    calls((PREPARE, (2, "../../outside")), (PREPARE, (2, "")), (PREPARE, (2, ff + b"\xc3")), (COMMIT, (2, "x"), (3, "none"))),
])
words("rpc", ff + ff, b"\x12\x01a", b"\x12\x01b", b"\x1a\x03one", b"\x12\x03one", "labels.", "containerd.io/snapshot.ref",
      "containerd.io/snapshot/uidmapping", "containerd.io/snapshot/gidmapping", "0:1000:10", chain, "../", b"\x22\x06")

# ---- Dockerfiles ----------------------------------------------------------------------------------------

for path in sorted(glob.glob(HERE + "/../build/*/Dockerfile")):
    with open(path, "rb") as opened:
        seed("dockerfile", os.path.basename(os.path.dirname(path)), opened.read())
values = "\xff/usr/lib/x.tar.gz\n$a\n\n a  b \n"
seeds("dockerfile", [text.encode("latin-1") for text in (
    "# syntax=x\n# escape=`\nFROM --platform=$P a:${V:-1} AS b\nRUN a `\n # c\n\nb\n" + values,
    "ARG V=1 W\nFROM x\nENV a=$b \"c d\"='e' f=g\\ h\nENV a b  c\nLABEL a=${a:+b}${c-d}${e?f}\nARG x=\"y\" z" + values,
    "FROM x\nENV a=${b##*/} c=${d%%.*} e=${f/a/b} g=${h//\\//-} i=${j#?} k=${l:-${m:-n}}" + values,
    "FROM x\nCOPY --chown=$u:g --chmod=7 --link --exclude=a <<A <<-'B' f /d/\n$x\nA\n\ty\n\tB\nONBUILD RUN <<E\nx\nE\n",
    'FROM x\nRUN ["a", "b"]\nSHELL ["a"]\nVOLUME ["/a"]\nCMD []\nCOPY ["a b", "c"]\nHEALTHCHECK --interval=1m3.5s --retries=3 CMD a',
    "FROM x\nRUN --mount=type=cache,target=/c,sharing=locked,id=i,mode=0755,uid=1 --mount=type=tmpfs,dst=/t,size=2m a\n"
    "RUN --mount=type=secret,id=s,env=S,required --network=none --mount=type=bind,\\\"src=a,b\\\",target=/b,rw b\n",
    "FROM a AS b\nFROM b\nCOPY --from=b a b\nCOPY --from=0 a b\nEXPOSE 80 1-9/udp $p\nUSER u\nWORKDIR /a b\nSTOPSIGNAL 9\nMAINTAINER x",
    "FROM a\xff\xff# c\n*\n!a/*/b\n**/c\nd/**\n!d/e\n**f\n[a-c]?\\*\n\xffa/x/b\nd/e/f\nx/c\n")])
words("dockerfile", "FROM x\n", "RUN ", "COPY ", "ADD ", "ENV ", "ARG ", "LABEL ", "EXPOSE ", "VOLUME ", "USER ", "WORKDIR ",
      "CMD ", "ENTRYPOINT ", "SHELL ", "HEALTHCHECK ", "ONBUILD ", "STOPSIGNAL ", " AS ", "--from=", "--mount=type=", "cache,",
      "target=/", "--chown=", "# escape=`", "# syntax=", "<<E\n", "\nE\n", "<<-", "${", ":-", ":+", "##", "%%", "//", "[\"", "\", \"",
      "\\\n", "`\n", ff, "**/", "!", "[^")

# ---- a damaged database ---------------------------------------------------------------------------------


def damage(*places):
    """@places: (offset, bytes)."""
    out = b""
    for at, data in places:
        block, shift = at >> 4, at & 15
        out += bytes([block >> 8, block & 255, shift, len(data)]) + data
    return out


with open(STORE + "/snapdrv.db", "rb") as opened:
    database = opened.read()
assert len(database) < 1 << 20, "the database is larger than a seed can address"
pages = [page for page in range(0, len(database), 4096)]
seed("store", "whole", b"")
seed("store", "no-header", damage((0, b"not a database  ")))
seed("store", "old", damage((60, bytes([0, 0, 0, 1]))))
seed("store", "older", damage((60, bytes(4))))
seed("store", "newer", damage((60, bytes([0, 0, 0, 99]))))
for page in pages:
    seed("store", f"page-{page}", damage((page + (100 if not page else 0), b"\x0a")))
    seed("store", f"cells-{page}", damage((page + 8, b"\xff" * 16)))
# Texts of the rows, made into what would lead out of the store.
for text in (b"container/box", b"box", b"container/", b"sha256:", b"docker.io/x/y:1", b"overlay", b"linux/amd64", b"merged"):
    places = [at for at in range(len(database)) if database.startswith(text, at)]
    for at in places[:2] + places[-2:]:
        seed("store", f"text-{at}", damage((at, (b"../" * 40)[:len(text)])))
        seed("store", f"length-{at}", damage((at - 1, b"\xff")))
words("store", "../outside", "../../outside", "../../", "overlay", "btrfs", "vfs", "container/", "sha256:", "a", "c", "v",
      b"\0\0\0\0\0\0\0\0", b"\xff\xff\xff\xff\xff\xff\xff\xff")
