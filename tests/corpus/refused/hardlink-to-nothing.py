# SPDX-License-Identifier: Apache-2.0
"""A hard link to what is nowhere."""
LAYERS = [[file("x", "x")], [hardlink("link", "nothing")]]
ENTRY = "link"
