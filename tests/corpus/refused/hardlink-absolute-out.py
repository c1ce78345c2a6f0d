# SPDX-License-Identifier: Apache-2.0
"""A hard link to an absolute path that is nothing inside the root: the host's file is not it."""
LAYERS = [[hardlink("link", CANARY + "/file")]]
ENTRY = "link"
