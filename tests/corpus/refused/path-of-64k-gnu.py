# SPDX-License-Identifier: Apache-2.0
"""A path of 64 KB, by a GNU long name."""
LAYERS = [[file("x", "x"), file("/".join(["d" * 63] * 1024), "x", format="gnu")]]
