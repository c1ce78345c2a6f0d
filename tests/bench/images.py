# SPDX-License-Identifier: Apache-2.0
"""The images that are loaded: OCI layouts with the tag `latest`, made once and kept in the cache.

The cache is $SNAPDRV_CACHE/bench (/var/cache/snapdrv-test/bench). Whoever changes what an image
holds moves VERSION on.
"""
import base64
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile

from machine import HERE, run

sys.path.insert(0, os.path.join(os.path.dirname(HERE), "tools"))
import mklayout  # noqa: E402 pylint: disable=wrong-import-position

VERSION = "1"
CACHE = os.path.join(os.environ.get("SNAPDRV_CACHE") or "/var/cache/snapdrv-test", "bench", VERSION)


def cached(name, make):
    """The path of @name in the cache; @make(path) makes it when it is not there."""
    path = os.path.join(CACHE, name)
    if not os.path.exists(path):
        print(f"making {name}", file=sys.stderr, flush=True)
        os.makedirs(CACHE, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="making.", dir=CACHE) as folder:
            make(os.path.join(folder, "new"))
            os.rename(os.path.join(folder, "new"), path)
    return path


# ---- the parts of a layout ---------------------------------------------------------------------


def blob(layout, digest):
    return os.path.join(layout, "blobs", *digest.split(":"))


def read_json(path):
    with open(path, "rb") as file:
        return json.load(file)


def manifest_of(layout):
    index = read_json(os.path.join(layout, "index.json"))
    return read_json(blob(layout, index["manifests"][0]["digest"]))


def layer_blobs(layout):
    return [blob(layout, layer["digest"]) for layer in manifest_of(layout)["layers"]]


def file_digest(path):
    with open(path, "rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


def add_blob(layout, data):
    """Keep a document; its digest and size."""
    digest = mklayout.sha256(data)
    mklayout.write(blob(layout, digest), data)
    return {"digest": digest, "size": len(data)}


# ---- what is in them ---------------------------------------------------------------------------


def text(source, size):
    """@size bytes that compress to about three quarters."""
    return base64.b64encode(source.randbytes(size * 3 // 4 + 3))[:size]


def folder_of_files(source, folder, count, size, per_folder=50):
    entries = []
    for number in range(count):
        below = f"{folder}/{number // per_folder}"
        if number % per_folder == 0:
            entries.append(mklayout.directory(below))
        entries.append(mklayout.file(f"{below}/file{number}", text(source, size)))
    return entries


def write(path, layers):
    made = mklayout.Image(layers, names="latest", config={"Cmd": ["/bin/true"]})
    mklayout.Layout(made).write_dir(path)


def stack(path, layers, files, size):
    source = random.Random(layers)
    write(path, [[mklayout.directory("usr"), mklayout.directory(f"usr/of{layer}"),
                  *folder_of_files(source, f"usr/of{layer}", files, size)]
                 for layer in range(layers)])


def incompressible(path):
    source = random.Random(450)
    write(path, [[mklayout.file(f"file{number}", source.randbytes(10_000_000))
                  for number in range(45)]])


def many_small(path):
    write(path, [[mklayout.directory("many"),
                  *folder_of_files(random.Random(1), "many", 100_000, 1000, 100)]])


def debian(path):
    subprocess.run([os.path.join(HERE, "debian-image"), path], check=True, stdout=sys.stderr)


def plain_tars(path):
    """The layers of the big image, uncompressed: 0, 1, 2."""
    os.mkdir(path)
    for number, layer in enumerate(layer_blobs(image("debian"))):
        with open(os.path.join(path, str(number)), "wb") as out:
            subprocess.run(["gzip", "-dc"], stdin=open(layer, "rb"), stdout=out, check=True)


def with_zstd(path):
    """The big image, its layers compressed again."""
    source = image("debian")
    os.makedirs(os.path.join(path, "blobs/sha256"))
    shutil.copy(os.path.join(source, "oci-layout"), path)
    index = read_json(os.path.join(source, "index.json"))
    manifest = manifest_of(source)
    config = manifest["config"]["digest"]
    shutil.copy(blob(source, config), blob(path, config))
    tars = cached("debian-tars", plain_tars)
    for number, layer in enumerate(manifest["layers"]):
        out = os.path.join(path, "layer")
        run("zstd", "-q", "-3", "-T0", "-o", out, os.path.join(tars, str(number)))
        layer.update(mediaType=mklayout.MEDIA["oci"]["zstd"], digest=file_digest(out),
                     size=os.path.getsize(out))
        os.rename(out, blob(path, layer["digest"]))
    index["manifests"][0].update(add_blob(path, json.dumps(manifest).encode()))
    with open(os.path.join(path, "index.json"), "w", encoding="ascii") as out:
        json.dump(index, out)


MAKERS = {
    "debian": debian,
    "debian-zstd": with_zstd,
    "layers40": lambda path: stack(path, 40, 500, 4000),
    "incompressible": incompressible,
    "small-files": many_small,
    "five": lambda path: stack(path, 5, 20, 1000),
    "deep": lambda path: stack(path, 120, 5, 1000),
}


def image(name):
    """The path of an OCI layout."""
    return cached(name, MAKERS[name])


def archive(name):
    """The same image as an oci-archive."""
    layout = image(name)
    return cached(name + ".tar", lambda path: run("tar", "-C", layout, "-cf", path, "oci-layout",
                                                  "index.json", "blobs"))


def tars_of_debian():
    folder = cached("debian-tars", plain_tars)
    return [os.path.join(folder, name) for name in sorted(os.listdir(folder))]


def tiny_tars(path, count):
    """@count tars of one small file each, all different: 0, 1, ... in the directory @path."""
    for number in range(count):
        mklayout.write(os.path.join(path, str(number)), mklayout.tar([
            mklayout.directory("etc"), mklayout.file("etc/number", f"{number}\n")]))
