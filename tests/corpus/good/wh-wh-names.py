# SPDX-License-Identifier: Apache-2.0
"""`.wh..wh.*` names other than the opaque mark are skipped."""
LAYERS = [[file("plnk", "1"), directory("d"), file("d/x", "1")],
          [directory(".wh..wh.plnk"), file(".wh..wh.plnk/123.456", "aufs"), file(".wh..wh.aufs", ""),
           directory(".wh..wh.orph"), file("d/.wh..wh.other", ""), file("new", "2")]]


def check(tree):
    assert tree.names() == [b"d", b"new", b"plnk"], tree.names()
    assert tree.names("d") == [b"x"]
