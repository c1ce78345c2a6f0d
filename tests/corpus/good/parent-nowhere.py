# SPDX-License-Identifier: Apache-2.0
"""A parent that is nowhere is made 0755, 0:0."""
LAYERS = [[file("a/b/c/file", "x", uid=5, mode=0o600)]]


def check(tree):
    for name in ("a", "a/b", "a/b/c"):
        tree.looks(name, stat.S_IFDIR, 0o755, (0, 0))
    tree.looks("a/b/c/file", stat.S_IFREG, 0o600, (5, 0))
