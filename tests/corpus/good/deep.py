# SPDX-License-Identifier: Apache-2.0
"""Five hundred directories, one below the other, by one entry."""
LAYERS = [[file("/".join(["d"] * 500) + "/end", "deep")], [whiteout("/".join(["d"] * 500) + "/end")]]


def check(tree):
    tree.looks("/".join(["d"] * 500), stat.S_IFDIR)
    assert tree.names("/".join(["d"] * 500)) == []
