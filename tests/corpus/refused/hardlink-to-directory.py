# SPDX-License-Identifier: Apache-2.0
"""A hard link to a directory."""
LAYERS = [[directory("d"), hardlink("link", "d")]]
ENTRY = "link"
