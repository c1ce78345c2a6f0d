# SPDX-License-Identifier: Apache-2.0
"""The last of two entries with one name wins, whatever their kinds."""
LAYERS = [[
    file("twice", "1", mode=0o600), file("twice", "22", mode=0o644, uid=5),
    file("a", "x"), directory("a"), file("a/in", "x"),
    directory("b"), file("b/gone", "x"), file("b", "now a file"),
    symlink("c", "x"), file("c", "no link"),
    directory("d", mode=0o700), file("d/stays", "x"), directory("d", mode=0o711),
    file("e", "x"), symlink("e", "elsewhere"),
]]


def check(tree):
    assert tree.text("twice") == b"22"
    tree.looks("twice", mode=0o644, owner=(5, 0))
    assert tree.names("a") == [b"in"]
    assert tree.text("b") == b"now a file"
    assert tree.text("c") == b"no link"
    assert tree.names("d") == [b"stays"]
    tree.looks("d", stat.S_IFDIR, 0o711)
    assert tree.target("e") == b"elsewhere"
