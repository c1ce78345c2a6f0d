# SPDX-License-Identifier: Apache-2.0
"""Anything else replaces what was there: every kind over every kind."""
KINDS = {
    "file": lambda name: [file(name, "f")],
    "dir": lambda name: [directory(name), file(name + "/in", "d")],
    "symlink": lambda name: [symlink(name, "no-where")],
    "dirlink": lambda name: [symlink(name, "/target")],
    "fifo": lambda name: [entry(name, FIFO)],
    "device": lambda name: [entry(name, CHAR, dev=(1, 3))],
}
LAYERS = [[directory("target"), file("target/own", "own")], [], []]
for below in KINDS:
    for above in KINDS:
        LAYERS[1] += KINDS[below](f"{below}-{above}")
        LAYERS[2] += KINDS[above](f"{below}-{above}")


def check(tree):
    want = {"file": stat.S_IFREG, "dir": stat.S_IFDIR, "symlink": stat.S_IFLNK, "dirlink": stat.S_IFLNK,
            "fifo": stat.S_IFIFO, "device": stat.S_IFCHR}
    for below in KINDS:
        for above in KINDS:
            tree.looks(f"{below}-{above}", want[above])
            if above == "dir":
                assert tree.names(f"{below}-{above}") == [b"in"]
    assert tree.names("target") == [b"own"], tree.names("target")
