# SPDX-License-Identifier: Apache-2.0
"""An entry for the root gives it its attributes."""
LAYERS = [[directory(".", mode=0o1711, uid=5, gid=6, mtime="1000.25", xattrs={"user.root": b"1"}), file("x", "x")],
          [file("y", "y")]]


def check(tree):
    tree.looks(".", stat.S_IFDIR, 0o1711, (5, 6), 1000250000000)
    assert tree.xattrs(".") == {"user.root": b"1"}
