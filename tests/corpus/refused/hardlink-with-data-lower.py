# SPDX-License-Identifier: Apache-2.0
"""A hard-link entry with data must not write into a lower layer's file."""
LAYERS = [[file("lower", "lower")], [hardlink("link", "lower", data="evil!")]]
EITHER = True


def check(tree):
    assert tree.text("lower") == b"lower"
