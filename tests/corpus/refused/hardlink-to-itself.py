# SPDX-License-Identifier: Apache-2.0
"""A hard link to itself, which is nothing."""
LAYERS = [[hardlink("link", "link")]]
ENTRY = "link"
