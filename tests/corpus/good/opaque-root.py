# SPDX-License-Identifier: Apache-2.0
"""An opaque mark in the root hides all lower layers."""
LAYERS = [
    [directory("d"), file("d/x", "1"), file("f", "1")],
    [entry(".wh..wh..opq"), file("only", "2"), directory("d")],
]


def check(tree):
    assert tree.names() == [b"d", b"only"], tree.names()
    assert tree.names("d") == []
