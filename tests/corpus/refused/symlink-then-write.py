# SPDX-License-Identifier: Apache-2.0
"""A symlink to the host and a write through it, in one layer."""
LAYERS = [[symlink("out", CANARY), file("out/file", "evil"), file("out/new", "evil")]]
EITHER = True
