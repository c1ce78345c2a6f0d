# SPDX-License-Identifier: Apache-2.0
"""An opaque mark in a directory that its layer does not name."""
LAYERS = [
    [directory("d", mode=0o700, uid=7), file("d/x", "1"), file("d/y", "1")],
    [opaque("d"), file("d/z", "2")],
]


def check(tree):
    assert tree.names("d") == [b"z"], tree.names("d")
    tree.looks("d", stat.S_IFDIR, 0o700, (7, 0))
