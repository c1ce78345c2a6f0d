# SPDX-License-Identifier: Apache-2.0
"""A symlink to `/`, and writes, links, whiteouts through it to a directory of the host."""
LAYERS = [[symlink("top", "/"), file("top" + CANARY + "/file", "evil"), directory("top" + CANARY + "/dir", mode=0o777),
           hardlink("stolen", "top" + CANARY + "/file")],
          [whiteout("top" + CANARY + "/file"), opaque("top" + CANARY)]]
EITHER = True
