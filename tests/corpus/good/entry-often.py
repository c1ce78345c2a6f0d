# SPDX-License-Identifier: Apache-2.0
"""One name sixty thousand times: the last one wins, in time."""
LAYERS = [[directory("d")] + [file("d/name", str(number)) for number in range(60000)]]
SECONDS = 60


def check(tree):
    assert tree.text("d/name") == b"59999"
