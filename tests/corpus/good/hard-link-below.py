# SPDX-License-Identifier: Apache-2.0
"""A hard link to a file of a lower layer has equal content, owner, mode, time and xattrs."""
LAYERS = [
    [directory("d"), file("d/below", "content" * 1000, mode=0o4750, uid=3, gid=4, mtime="1000.5", xattrs={"user.x": b"1"}),
     symlink("sym", "target"), directory("real"), file("real/f", "f"), symlink("way", "real")],
    [hardlink("link", "d/below"), hardlink("sym2", "sym"), hardlink("through", "way/f")],
    [file("d/below", "changed")],
]


def check(tree):
    assert tree.text("link") == b"content" * 1000
    tree.looks("link", stat.S_IFREG, 0o4750, (3, 4), 1000500000000)
    assert tree.xattrs("link") == {"user.x": b"1"}
    assert tree.text("d/below") == b"changed"
    assert tree.target("sym2") == b"target"
    assert tree.text("through") == b"f"
