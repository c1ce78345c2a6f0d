# SPDX-License-Identifier: Apache-2.0
"""An archive without end blocks, and one cut right after its last byte of content, are read to their end."""
LAYERS = [Layer(tar([file("one", "1")], end=0)), Layer(tar([file("two", "2")], end=1)),
          Layer(tar([file("three", "three")], end=0)[:-507])]


def check(tree):
    assert tree.names() == [b"one", b"three", b"two"], tree.names()
    assert tree.text("three") == b"three"
