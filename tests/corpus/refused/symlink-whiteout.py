# SPDX-License-Identifier: Apache-2.0
"""A whiteout and an opaque mark through a symlink to the host."""
LAYERS = [[symlink("out", CANARY)], [whiteout("out/file")], [opaque("out")]]
EITHER = True
