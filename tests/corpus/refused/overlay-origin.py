# SPDX-License-Identifier: Apache-2.0
"""trusted.overlay.origin alone in a layer."""
LAYERS = [[file("lower", "x")], [directory("d"), file("d/marked", "x", xattrs={"trusted.overlay.origin": b"/lower"})]]
ENTRY = "marked"
