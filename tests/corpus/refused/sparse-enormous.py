# SPDX-License-Identifier: Apache-2.0
"""A sparse file of four exabytes in a layer of some bytes."""
LAYERS = [[entry("sparse", data=b"1\n0\n1\n".ljust(512, b"\0") + b"x",
                 records={"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "sparse",
                          "GNU.sparse.realsize": str(1 << 62)})]]
EITHER = True


def check(tree):
    assert tree.stat("sparse").st_blocks < 100
