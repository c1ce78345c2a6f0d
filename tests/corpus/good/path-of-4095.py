# SPDX-License-Identifier: Apache-2.0
"""A path of 4095 bytes, by PAX and by GNU records, and a symlink target of 4095."""
PARTS = ["d" * 200] * 20
LONG = "/".join(PARTS) + "/" + "f" * (4095 - len("/".join(PARTS)) - 1)
SHORT = "/".join(["g" * 250] * 16)
LAYERS = [[file(LONG, "long"), file(SHORT, "gnu", format="gnu"), symlink("link", "t" * 4095)]]


def check(tree):
    assert len(LONG) == 4095
    at = os.open(tree.top, os.O_PATH)
    for part in PARTS:
        at = os.open(part, os.O_PATH, dir_fd=at)
    with os.fdopen(os.open(LONG.rpartition("/")[2], os.O_RDONLY, dir_fd=at), "rb") as opened:
        assert opened.read() == b"long"
    assert tree.target("link") == b"t" * 4095
