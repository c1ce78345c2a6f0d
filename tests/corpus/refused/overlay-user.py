# SPDX-License-Identifier: Apache-2.0
"""user.overlay.redirect alone, which overlay obeys where it is mounted with userxattr."""
LAYERS = [[file("lower", "x")], [directory("d"), file("d/marked", "x", xattrs={"user.overlay.redirect": b"/lower"})]]
ENTRY = "marked"
