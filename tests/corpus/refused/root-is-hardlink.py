# SPDX-License-Identifier: Apache-2.0
"""The root entry is a hard link."""
LAYERS = [[file("x", "x"), hardlink("./", "x")]]
