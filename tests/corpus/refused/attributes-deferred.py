# SPDX-License-Identifier: Apache-2.0
"""A directory with mode, owner, times, xattrs, replaced by a symlink to the host before they are set (libarchive CVE-2021-31566)."""
LAYERS = [[directory("d", mode=0o7777, uid=9, gid=9, mtime=5, xattrs={"user.evil": b"1"}), file("d/x", "x"),
           symlink("d", CANARY)]]
EITHER = True


def check(tree):
    tree.looks("d", stat.S_IFLNK)
