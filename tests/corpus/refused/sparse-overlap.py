# SPDX-License-Identifier: Apache-2.0
"""Sparse maps whose pieces overlap, go back, or end behind the file."""


def sparse(name, pieces, size, data):
    text = "".join(f"{number}\n" for number in [len(pieces), *(n for piece in pieces for n in piece)])
    return entry(name, data=text.encode().ljust(512, b"\0") + data,
                 records={"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": name,
                          "GNU.sparse.realsize": str(size)})


LAYERS = [[sparse("overlap", [(0, 600), (300, 600)], 2000, b"a" * 600 + b"b" * 600),
           sparse("back", [(1000, 100), (0, 100)], 2000, b"c" * 100 + b"d" * 100),
           sparse("behind", [(0, 10), (5000, 10)], 100, b"e" * 20)]]
EITHER = True


def check(tree):
    assert tree.stat("overlap").st_size == 2000
