# SPDX-License-Identifier: Apache-2.0
"""Layers that only delete, without their parent directories, keep the parents' attributes."""
LAYERS = [
    [directory("a", mode=0o711, uid=3, gid=4, mtime="1234567890.123456789"),
     directory("a/b", mode=0o2750, uid=5, mtime="1111111111.000000001", xattrs={"user.x": b"kept"}),
     file("a/b/gone", "1"), file("a/b/kept", "1")],
    [whiteout("a/b/gone")],
    [whiteout("nothing"), whiteout("no/where/at/all")],
]


def check(tree):
    assert tree.names("a/b") == [b"kept"]
    tree.looks("a", stat.S_IFDIR, 0o711, (3, 4), 1234567890123456789)
    tree.looks("a/b", stat.S_IFDIR, 0o2750, (5, 0), 1111111111000000001)
    assert tree.xattrs("a/b") == {"user.x": b"kept"}
