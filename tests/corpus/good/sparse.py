# SPDX-License-Identifier: Apache-2.0
"""Sparse files, in GNU's PAX 1.0 form, have their holes and their size."""
MAP = b"2\n1048576\n4096\n10485760\n0\n".ljust(512, b"\0")
LAYERS = [[entry("GNUSparseFile.0/sparse", data=MAP + b"d" * 4096,
                 records={"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "dir/sparse",
                          "GNU.sparse.realsize": "10485760"}, mode=0o640)]]


def check(tree):
    data = tree.text("dir/sparse")
    assert len(data) == 10485760
    assert data[1048576:1048576 + 4096] == b"d" * 4096
    assert not data[:1048576].strip(b"\0") and not data[1048576 + 4096:].strip(b"\0")
    tree.looks("dir/sparse", stat.S_IFREG, 0o640)
    assert tree.stat("dir/sparse").st_blocks * 512 < 1 << 20, tree.stat("dir/sparse").st_blocks
