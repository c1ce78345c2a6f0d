# SPDX-License-Identifier: Apache-2.0
"""A hard link to a symlink to the host, with a mode and an owner for it (containerd CVE-2021-32760)."""
LAYERS = [[symlink("out", CANARY + "/file"), hardlink("link", "out", mode=0o4777, uid=1, gid=1)]]
EITHER = True


def check(tree):
    tree.looks("link", stat.S_IFLNK)
