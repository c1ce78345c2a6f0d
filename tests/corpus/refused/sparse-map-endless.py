# SPDX-License-Identifier: Apache-2.0
"""A sparse map that says it has 2^60 pieces."""
LAYERS = [[file("x", "x"), entry("sparse", data=b"1152921504606846976\n0\n1\n".ljust(512, b"\0") + b"x",
                                 records={"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "sparse",
                                          "GNU.sparse.realsize": "1"})]]
EITHER = True
