# SPDX-License-Identifier: Apache-2.0
"""A parent that only lower layers have keeps owner, mode, mtime and xattrs."""
LAYERS = [
    [directory("p", mode=0o1733, uid=11, gid=12, mtime="1500000000.987654321", xattrs={"user.p": b"\0\1"}),
     directory("p/q", mode=0o750, uid=13)],
    [file("other", "x")],
    [file("p/q/new", "new", uid=14)],
]


def check(tree):
    tree.looks("p", stat.S_IFDIR, 0o1733, (11, 12), 1500000000987654321)
    tree.looks("p/q", stat.S_IFDIR, 0o750, (13, 0), 1700000000 * 10**9)
    assert tree.xattrs("p") == {"user.p": b"\0\1"}
    assert tree.text("p/q/new") == b"new"
