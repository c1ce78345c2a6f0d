# SPDX-License-Identifier: Apache-2.0
"""trusted.overlay.upper alone in a layer."""
LAYERS = [[file("lower", "x")], [directory("d"), file("d/marked", "x", xattrs={"trusted.overlay.upper": b"/lower"})]]
ENTRY = "marked"
