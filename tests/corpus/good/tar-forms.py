# SPDX-License-Identifier: Apache-2.0
"""v7, ustar with a prefix, GNU long names, base-256 numbers, PAX with global headers, in one archive."""
LAYERS = [[
    entry("v7", format="v7", data="v7", uid=5), entry("v7dir/", DIR, format="v7"),
    entry("file", data="p", format="ustar", prefix=b"some/prefix"),
    file("g" * 150 + "/" + "h" * 150, "gnu", format="gnu"), symlink("gnulink", "t" * 300, format="gnu"),
    entry("base256", data="b", format="gnu", uid=base256(3000000000, 8), mtime=base256(5000000000, 12)),
    pax({"comment": "for all that follow"}, b"g"), file("after-global", "x"),
    entry("contiguous", b"7", data="contiguous"), entry("old-file", b"\0", data="old"),
    entry("owner-name", data="x", uid=77, uname="root", gname="root"),
]]


def check(tree):
    assert tree.text("v7") == b"v7"
    tree.looks("v7", owner=(5, 0))
    tree.looks("v7dir", stat.S_IFDIR)
    assert tree.text("some/prefix/file") == b"p"
    assert tree.text("g" * 150 + "/" + "h" * 150) == b"gnu"
    assert tree.target("gnulink") == b"t" * 300
    tree.looks("base256", owner=(3000000000, 0), mtime=5000000000 * 10**9)
    assert tree.text("after-global") == b"x"
    assert tree.text("contiguous") == b"contiguous"
    assert tree.text("old-file") == b"old"
    tree.looks("owner-name", owner=(77, 0))
