# SPDX-License-Identifier: Apache-2.0
"""Leading `./` and `/`, doubled and trailing slashes mean the same place."""
LAYERS = [[directory("./a"), file("./a/one", "1"), file("/a/two", "2"), file("a//three", "3"), file("./a/./four", "4"),
           directory("//b//"), file("b/five", "5")],
          [whiteout("./a/one"), whiteout("/a/two")]]


def check(tree):
    assert tree.names() == [b"a", b"b"]
    assert tree.names("a") == [b"four", b"three"], tree.names("a")
    assert tree.names("b") == [b"five"]
