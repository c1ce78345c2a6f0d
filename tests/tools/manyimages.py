# SPDX-License-Identifier: Apache-2.0
"""What the many processes of many.py load and import, and what is in it."""
import json
import os
import random

import vmtests  # noqa: F401
import mklayout
import workload


def full(name):
    return f"docker.io/library/{name}"


def to_json(tree):
    return {path: list(what) for path, what in tree.items()}


def from_json(tree):
    return {path: tuple(what) for path, what in tree.items()}


def make_images(directory):
    """Layouts, archives and a root filesystem in @directory; trees.json says what is in each."""
    rng = random.Random(5)
    layers, trees = [], [{}]
    for number in range(3):
        tree = dict(trees[-1])
        entries = workload.make_layer(rng, tree, trees[-1], number, 60000)
        layers.append(mklayout.Layer(entries, ("gzip", "none", "zstd")[number]))
        trees.append(tree)
    alone = {}
    other = mklayout.Layer(workload.make_layer(rng, alone, {}, 9, 100000), "gzip")
    made = {"one": (layers[:1], trees[1]), "two": (layers[:2], trees[2]), "three": (layers, trees[3]),
            "alone": ([other], alone)}
    for name, (stack, _) in made.items():
        layout = mklayout.Layout(mklayout.Image(stack, names=f"{name}:1"))
        layout.write_dir(f"{directory}/{name}")
        layout.write_archive(f"{directory}/{name}.tar")
    imported = {}
    mklayout.write(f"{directory}/root", mklayout.tar(workload.make_layer(rng, imported, {}, 5, 50000)))
    with open(f"{directory}/trees.json", "w", encoding="utf-8") as out:
        json.dump({**{name: to_json(tree) for name, (_, tree) in made.items()}, "root": to_json(imported)}, out)


def read_images(directory):
    with open(f"{directory}/trees.json", encoding="utf-8") as file:
        return {name: from_json(tree) for name, tree in json.load(file).items()}
