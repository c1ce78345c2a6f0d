# SPDX-License-Identifier: Apache-2.0
"""xattrs that Linux has no namespace for, or not for such a file, are left out, and the others kept."""
OTHERS = {"com.apple.provenance": b"\x01\0\0", "com.apple.ResourceFork": bytes(100), "org.example": b"1",
          "system.nfs4_acl": b"1", "user": b"1"}
ACL = "user::rw-,user:7:rw-,group::r--,mask::rw-,other::r--"
LAYERS = [[
    file("f", "x", xattrs={**OTHERS, "user.kept": b"1", "trusted.t": b"2"}),
    directory("d", xattrs={**OTHERS, "user.kept": b"1"}),
    symlink("link", "f", xattrs={**OTHERS, "user.lost": b"1", "trusted.t": b"2"}, records={"SCHILY.acl.access": ACL}),
    entry("fifo", FIFO, xattrs={**OTHERS, "user.lost": b"1", "trusted.t": b"2"}),
    entry("device", CHAR, dev=(1, 3), xattrs={"user.lost": b"1"}),
]]


def check(tree):
    assert tree.xattrs("f") == {"user.kept": b"1", "trusted.t": b"2"}, tree.xattrs("f")
    assert tree.text("f") == b"x"
    assert tree.xattrs("d") == {"user.kept": b"1"}, tree.xattrs("d")
    assert tree.xattrs("link") == {"trusted.t": b"2"}, tree.xattrs("link")
    assert tree.xattrs("fifo") == {"trusted.t": b"2"}, tree.xattrs("fifo")
    assert tree.xattrs("device") == {}, tree.xattrs("device")
