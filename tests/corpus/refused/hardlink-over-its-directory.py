# SPDX-License-Identifier: Apache-2.0
"""A hard link in place of the directory that its target is in, however deep: the target goes with it."""
LAYERS = [[directory("d"), directory("d/e"), file("d/e/f", "x"), hardlink("d", "d/e/f")]]
ENTRY = ["'d'", "the entry itself replaces"]
