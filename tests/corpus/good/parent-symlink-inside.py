# SPDX-License-Identifier: Apache-2.0
"""A missing parent that is a symlink in a lower layer is followed inside the root, as in a chroot."""
LAYERS = [
    [directory("usr"), directory("usr/lib", mode=0o711, uid=6), symlink("lib", "usr/lib"),
     symlink("abs", "/usr/lib"), symlink("up", "../../../usr/lib")],
    [file("lib/one", "1")],
    [file("abs/two", "2"), file("up/three", "3"), whiteout("lib/nothing")],
    [whiteout("lib/one")],
]


def check(tree):
    assert tree.names("usr/lib") == [b"three", b"two"], tree.names("usr/lib")
    tree.looks("usr/lib", stat.S_IFDIR, 0o711, (6, 0))
    for name in ("lib", "abs", "up"):
        tree.looks(name, stat.S_IFLNK)
