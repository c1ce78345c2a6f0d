# SPDX-License-Identifier: Apache-2.0
"""A directory with a hard link in it gives way to a symlink to the host, and the link's name is written again."""
LAYERS = [[directory("d"), file("d/file", "x"), hardlink("d/link", "d/file"), symlink("d", CANARY), file("d/link", "evil"),
           hardlink("d/file", "d/link"), hardlink("new", "d/file")]]
EITHER = True
