# SPDX-License-Identifier: Apache-2.0
"""trusted.overlay.* and user.overlay.* of a layer: the kernel must not obey them."""
marks = {"trusted.overlay.opaque": b"y", "user.overlay.opaque": b"y",
         "trusted.overlay.redirect": b"/secret", "user.overlay.redirect": b"/secret"}
LAYERS = [
    [directory("d"), file("d/lower", "lower"), directory("secret", mode=0o700), file("secret/key", "key")],
    [directory("d", xattrs=marks), file("d/upper", "upper"),
     file("meta", "", xattrs={"trusted.overlay.metacopy": b"", "trusted.overlay.redirect": b"/secret/key"}),
     file("white", "", xattrs={"trusted.overlay.whiteout": b"", "user.overlay.whiteout": b""})],
]
EITHER = True


def check(tree):
    assert tree.names("d") == [b"lower", b"upper"], tree.names("d")
    assert tree.text("meta") == b""
    assert tree.text("white") == b""
