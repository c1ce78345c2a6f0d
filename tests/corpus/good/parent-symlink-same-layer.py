# SPDX-License-Identifier: Apache-2.0
"""A parent that is a symlink of the same layer is followed inside the root."""
LAYERS = [[directory("real"), symlink("link", "/real"), file("link/in", "x"),
           symlink("far", "../../../../real"), file("far/in2", "x")]]


def check(tree):
    assert tree.names("real") == [b"in", b"in2"], tree.names("real")
