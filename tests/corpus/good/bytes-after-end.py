# SPDX-License-Identifier: Apache-2.0
"""Bytes after the end mark count in the DiffID, and give no entries."""
LAYERS = [Layer(tar([file("one", "1")], trailing=tar([file("hidden", "x")]))),
          Layer(tar([file("two", "2")], trailing=b"\0" * 100000 + b"text"), "zstd")]


def check(tree):
    assert tree.names() == [b"one", b"two"], tree.names()
