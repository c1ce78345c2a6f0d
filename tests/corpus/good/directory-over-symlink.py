# SPDX-License-Identifier: Apache-2.0
"""A directory entry over a symlink replaces the symlink, and its target is not touched."""
LAYERS = [
    [directory("target", mode=0o700), file("target/x", "x"), symlink("link", "target")],
    [directory("link", mode=0o755), file("link/y", "y")],
]


def check(tree):
    tree.looks("link", stat.S_IFDIR, 0o755)
    assert tree.names("link") == [b"y"]
    assert tree.names("target") == [b"x"]
    tree.looks("target", mode=0o700)
