# SPDX-License-Identifier: Apache-2.0
"""A hard link to a file that a layer between has deleted."""
LAYERS = [[file("x", "x")], [whiteout("x")], [hardlink("link", "x")]]
ENTRY = "link"
