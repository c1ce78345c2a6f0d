# SPDX-License-Identifier: Apache-2.0
"""A character device 0:0, which is the kernel's own whiteout."""
LAYERS = [[file("x", "x")], [entry("zero", CHAR, dev=(0, 0))]]
ENTRY = "zero"
