# SPDX-License-Identifier: Apache-2.0
"""xattrs with binary values, file capabilities, POSIX ACLs, trusted ones, on directories too."""
CAP = bytes.fromhex("0100000200200000") + bytes(12)
ACL = bytes.fromhex("0200000001000600ffffffff02000600e803000004000400ffffffff10000600ffffffff20000400ffffffff")
LAYERS = [[
    file("f", "x", xattrs={"user.binary": bytes(range(256)), "trusted.t": b"=\n\0",
                            "user.name with spaces": b"1"}),
    file("capable", "x", mode=0o755, uid=7, xattrs={"security.capability": CAP}),
    file("acl", "x", mode=0o664, xattrs={"system.posix_acl_access": ACL}),
    directory("d", xattrs={"user.d": b"d", "system.posix_acl_default": ACL}), file("d/inside", "x", mode=0o600),
    symlink("link", "f", xattrs={"trusted.on-link": b"1"}),
]]


def check(tree):
    assert tree.xattrs("f") == {"user.binary": bytes(range(256)), "trusted.t": b"=\n\0",
                                "user.name with spaces": b"1"}, tree.xattrs("f")
    assert tree.xattrs("capable") == {"security.capability": CAP}
    assert tree.xattrs("acl") == {"system.posix_acl_access": ACL}
    assert tree.xattrs("d")["user.d"] == b"d"
    assert tree.xattrs("link") == {"trusted.on-link": b"1"}
    tree.looks("d/inside", mode=0o600)
