# SPDX-License-Identifier: Apache-2.0
"""Devices with large numbers, FIFOs, empty files and directories."""
LAYERS = [[entry("null", CHAR, dev=(1, 3), mode=0o666), entry("block", BLOCK, dev=(259, 1048575), mode=0o600),
           entry("char", CHAR, dev=(4095, 200000), uid=5), entry("fifo", FIFO, mode=0o622), file("empty"),
           directory("empty-dir"), entry("major", CHAR, dev=(5, 0)), entry("minor", BLOCK, dev=(0, 5))]]
UMOCI = True


def check(tree):
    tree.looks("null", stat.S_IFCHR, 0o666, dev=(1, 3))
    tree.looks("block", stat.S_IFBLK, 0o600, dev=(259, 1048575))
    tree.looks("char", stat.S_IFCHR, owner=(5, 0), dev=(4095, 200000))
    tree.looks("fifo", stat.S_IFIFO, 0o622)
    tree.looks("minor", stat.S_IFBLK, dev=(0, 5))
