# SPDX-License-Identifier: Apache-2.0
"""Hard links: one inode within a layer, chains, absolute targets, links to symlinks, devices and FIFOs."""
LAYERS = [[
    directory("d"), file("d/one", "content", mode=0o640, uid=9), hardlink("two", "d/one"), hardlink("d/three", "/two"),
    hardlink("four", "./d/three"),
    symlink("link", "nowhere"), hardlink("link2", "link"), entry("pipe", FIFO), hardlink("pipe2", "pipe"),
    entry("null", CHAR, dev=(1, 3)), hardlink("null2", "null"),
]]
UMOCI = True


def check(tree):
    first = tree.stat("d/one").st_ino
    for name in ("two", "d/three", "four"):
        assert tree.stat(name).st_ino == first, name
        assert tree.stat(name).st_nlink == 4
    tree.looks("two", mode=0o640, owner=(9, 0))
    assert tree.target("link2") == b"nowhere"
    assert tree.stat("link").st_ino == tree.stat("link2").st_ino
    tree.looks("pipe2", stat.S_IFIFO)
    tree.looks("null2", stat.S_IFCHR, dev=(1, 3))
