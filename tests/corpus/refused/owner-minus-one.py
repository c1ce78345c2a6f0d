# SPDX-License-Identifier: Apache-2.0
"""An owner of 2^32-1, which chown(2) takes for 'leave it', on a setuid program."""
LAYERS = [[file("setuid", "x", mode=0o4755, uid=4294967295, gid=4294967295)]]
EITHER = True


def check(tree):
    st = tree.stat("setuid")
    assert not st.st_mode & 0o4000 or st.st_uid != 0, "setuid root"
