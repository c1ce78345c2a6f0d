# SPDX-License-Identifier: Apache-2.0
"""trusted.overlay.overlay.opaque: what an overlay in an overlay shows as its own mark."""
LAYERS = [[directory("d"), file("d/lower", "x")], [directory("d", xattrs={"trusted.overlay.overlay.opaque": b"y"})]]
EITHER = True


def check(tree):
    assert tree.names("d") == [b"lower"], tree.names("d")
