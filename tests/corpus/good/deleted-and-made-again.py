# SPDX-License-Identifier: Apache-2.0
"""A directory deleted in one layer and made again in the next does not show the first one's files."""
LAYERS = [
    [directory("d", xattrs={"user.old": b"1"}), file("d/old", "1")],
    [whiteout("d")],
    [directory("d", mode=0o711), file("d/new", "3")],
    [file("d/newer", "4")],
]


def check(tree):
    assert tree.names("d") == [b"new", b"newer"], tree.names("d")
    tree.looks("d", stat.S_IFDIR, 0o711)
    assert tree.xattrs("d") == {}
