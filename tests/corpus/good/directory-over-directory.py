# SPDX-License-Identifier: Apache-2.0
"""A directory over a directory merges; owner, mode, times and xattrs are the upper one's."""
LAYERS = [
    [directory("d", mode=0o700, uid=1, gid=2, mtime=1000, xattrs={"user.lower": b"1", "user.both": b"1"}),
     file("d/lower", "1")],
    [directory("d", mode=0o1777, uid=3, gid=4, mtime="2000.5", xattrs={"user.both": b"2"}), file("d/upper", "2")],
]


def check(tree):
    assert tree.names("d") == [b"lower", b"upper"]
    tree.looks("d", stat.S_IFDIR, 0o1777, (3, 4), 2000500000000)
    assert tree.xattrs("d") == {"user.both": b"2"}, tree.xattrs("d")
