# SPDX-License-Identifier: Apache-2.0
"""Whiteouts and opaque marks hide only what lower layers gave, wherever they stand in the tar."""
LAYERS = [
    [directory("d"), file("d/lower", "1"), file("kept", "1"), file("gone", "1"), directory("e"), file("e/x", "1")],
    [directory("d"), file("d/before", "2"), opaque("d"), file("d/after", "2"),
     file("again", "2"), whiteout("again"), whiteout("gone"),
     whiteout("e"), directory("e"), file("e/new", "2")],
]


def check(tree):
    assert tree.names("d") == [b"after", b"before"], tree.names("d")
    assert tree.text("again") == b"2"
    assert not tree.has("gone")
    assert tree.names("e") == [b"new"], tree.names("e")
    assert tree.text("kept") == b"1"
