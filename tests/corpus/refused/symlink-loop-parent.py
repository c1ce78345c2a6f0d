# SPDX-License-Identifier: Apache-2.0
"""A name through a loop of symlinks."""
LAYERS = [[symlink("a", "b"), symlink("b", "a"), file("a/in-loop", "x")]]
ENTRY = "in-loop"
