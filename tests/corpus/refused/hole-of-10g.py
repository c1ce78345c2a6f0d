# SPDX-License-Identifier: Apache-2.0
"""A hole of 10 GB in a layer of some bytes: it stays one, and nobody writes 10 GB."""
LAYERS = [[entry("sparse", data=b"1\n10737418240\n1\n".ljust(512, b"\0") + b"x",
                 records={"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "sparse",
                          "GNU.sparse.realsize": str((10 << 30) + 1)})]]
EITHER = True


def check(tree):
    st = tree.stat("sparse")
    assert st.st_size == (10 << 30) + 1, st.st_size
    assert st.st_blocks * 512 < 1 << 20, st.st_blocks
