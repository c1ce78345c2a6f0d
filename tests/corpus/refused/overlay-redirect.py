# SPDX-License-Identifier: Apache-2.0
"""trusted.overlay.redirect alone in a layer."""
LAYERS = [[file("lower", "x")], [directory("d"), file("d/marked", "x", xattrs={"trusted.overlay.redirect": b"/lower"})]]
ENTRY = "marked"
