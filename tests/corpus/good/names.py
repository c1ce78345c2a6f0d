# SPDX-License-Identifier: Apache-2.0
"""Names are raw bytes: not UTF-8, commas, colons, backslashes, newlines, spaces, dashes, 255 bytes long."""
NAMES = [b"latin\xe9", b"\xff\xfe", "caf\u00e9".encode(), b"comma,colon:back\\slash", b"new\nline", b" space ", b"-rf", b"*",
         b"'\"$`", b"n" * 255, b"\x01\x7f", b"...", b"a=b", b"%s%n", b".wh", b"wh.x", b"x.wh.y"]
LAYERS = [[file(name, name) for name in NAMES] +
          [directory(b"dir\xe9"), file(b"dir\xe9/in\xe9", "x"), symlink(b"link\xe9", b"latin\xe9"),
           hardlink(b"hard\xe9", b"latin\xe9")],
          [whiteout(b"dir\xe9/in\xe9"), file(b"dir\xe9/new\xe9", "x")]]


def check(tree):
    for name in NAMES:
        assert tree.text(name) == name, name
    assert tree.target(b"link\xe9") == b"latin\xe9"
    assert tree.stat(b"hard\xe9").st_ino == tree.stat(b"latin\xe9").st_ino
    assert tree.names(b"dir\xe9") == [b"new\xe9"]
