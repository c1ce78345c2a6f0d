# SPDX-License-Identifier: Apache-2.0
"""Layers without an entry: end blocks alone, or no byte at all."""
LAYERS = [[file("one", "1")], Layer(tar([])), Layer(b""), Layer(b"", "none"), [file("two", "2")]]


def check(tree):
    assert tree.names() == [b"one", b"two"], tree.names()
