# SPDX-License-Identifier: Apache-2.0
"""A part of a name of more than 255 bytes."""
LAYERS = [[file("x", "x"), file("n" * 256, "x")]]
