# SPDX-License-Identifier: Apache-2.0
"""Owner of 32 bits; setuid, setgid, sticky; mode 0; whatever the umask."""
LAYERS = [[
    file("setuid", "x", mode=0o4711, uid=3, gid=4), file("setgid", "x", mode=0o2777, uid=3000000000, gid=4294967294),
    file("all", "x", mode=0o7777, uid=1), file("none", "x", mode=0), directory("sticky", mode=0o1777),
    directory("none-dir", mode=0), directory("sgid", mode=0o2775, gid=50), file("sgid/inside", "x", gid=1),
    directory("sgid/below", gid=2), file("world", "x", mode=0o666),
]]
UMOCI = True


def check(tree):
    tree.looks("setuid", mode=0o4711, owner=(3, 4))
    tree.looks("setgid", mode=0o2777, owner=(3000000000, 4294967294))
    tree.looks("all", mode=0o7777, owner=(1, 0))
    tree.looks("none", mode=0)
    tree.looks("sticky", mode=0o1777)
    tree.looks("sgid/inside", mode=0o644, owner=(0, 1))
    tree.looks("sgid/below", mode=0o755, owner=(0, 2))
    tree.looks("world", mode=0o666)
