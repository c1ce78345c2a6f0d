# SPDX-License-Identifier: Apache-2.0
"""A whiteout after an entry of the same name in one layer: the entry stays, the lower one goes."""
LAYERS = [
    [directory("d"), file("d/lower", "1"), file("f", "1")],
    [directory("d", mode=0o700), file("d/upper", "2"), whiteout("d"), symlink("f", "x"), whiteout("f")],
]


def check(tree):
    assert tree.names("d") == [b"upper"], tree.names("d")
    tree.looks("d", stat.S_IFDIR, 0o700)
    assert tree.target("f") == b"x"
