# SPDX-License-Identifier: Apache-2.0
"""trusted.overlay.metacopy alone in a layer."""
LAYERS = [[file("lower", "x")], [directory("d"), file("d/marked", "x", xattrs={"trusted.overlay.metacopy": b"/lower"})]]
ENTRY = "marked"
