# SPDX-License-Identifier: Apache-2.0
"""Opaque marks many times over do not make the unpack superlinear (containerd GHSA-rp3h-jf77-q9p4)."""
MARKS = []
for number in range(3000):
    MARKS += [file(f"d/{number}", "x"), opaque("d"), opaque(f"d{number % 7}")]
LAYERS = [[directory("d")] + [file(f"d/low{number}", "x") for number in range(3000)], MARKS]


def check(tree):
    assert len(tree.names("d")) == 3000
