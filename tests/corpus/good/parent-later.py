# SPDX-License-Identifier: Apache-2.0
"""A directory that stands after its content still gives its attributes; its time is not that of the content."""
LAYERS = [[file("d/x", "x"), directory("d", mode=0o2711, uid=8, gid=9, mtime="1000000000.000000001")]]
UMOCI = True


def check(tree):
    tree.looks("d", stat.S_IFDIR, 0o2711, (8, 9), 1000000000000000001)
