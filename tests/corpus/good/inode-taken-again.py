# SPDX-License-Identifier: Apache-2.0
"""A hard link to a lower file goes with its directory; what takes its inode afterwards is not taken for it."""
LAYERS = [
    [directory("low"), file("low/file", "lower")],
    # Many of both, so that a filesystem that gives inodes out again gives out some of these.
    [directory("gone")] + [hardlink(f"gone/{n}", "low/file") for n in range(64)] +
    [symlink("gone", "elsewhere")] +
    [entry_ for n in range(64) for entry_ in (symlink(f"s{n}", f"to{n}"), hardlink(f"t{n}", f"s{n}"),
                                              file(f"f{n}", f"own {n}"), hardlink(f"g{n}", f"f{n}"))],
]


def check(tree):
    for n in range(64):
        assert tree.target(f"s{n}") == b"to%d" % n
        assert tree.target(f"t{n}") == b"to%d" % n
        assert tree.text(f"g{n}") == b"own %d" % n
