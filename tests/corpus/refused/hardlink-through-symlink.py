# SPDX-License-Identifier: Apache-2.0
"""A hard link whose target goes through a symlink to the host."""
LAYERS = [[symlink("out", CANARY), hardlink("link", "out/file")]]
ENTRY = "link"
