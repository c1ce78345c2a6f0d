# SPDX-License-Identifier: Apache-2.0
"""A whiteout in a directory above the root."""
LAYERS = [[file("x", "x")], [entry("../.wh.climbs")]]
ENTRY = "climbs"
