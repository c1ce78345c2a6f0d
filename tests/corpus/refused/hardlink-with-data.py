# SPDX-License-Identifier: Apache-2.0
"""A hard-link entry with data, to a symlink to the host (libarchive CVE-2016-5418)."""
LAYERS = [[symlink("out", CANARY + "/file"), hardlink("out2", "out", data="evil"),
           hardlink("out", CANARY + "/file", data="evil")]]
EITHER = True
