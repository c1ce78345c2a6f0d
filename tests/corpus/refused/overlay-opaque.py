# SPDX-License-Identifier: Apache-2.0
"""trusted.overlay.opaque alone in a layer."""
LAYERS = [[file("lower", "x")], [directory("d"), file("d/marked", "x", xattrs={"trusted.overlay.opaque": b"/lower"})]]
ENTRY = "marked"
