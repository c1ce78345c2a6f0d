# SPDX-License-Identifier: Apache-2.0
"""An ACL and a file capability on a symlink to the host (libarchive CVE-2021-23177)."""
LAYERS = [[symlink("out", CANARY + "/file", records={"SCHILY.acl.access": "user::rwx,group::rwx,other::rwx"},
                   xattrs={"security.capability": bytes.fromhex("0100000200200000") + bytes(12)})]]
EITHER = True
