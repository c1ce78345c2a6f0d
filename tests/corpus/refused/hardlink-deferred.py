# SPDX-License-Identifier: Apache-2.0
"""A hard link, and after it a symlink in place of its parent and of its target's."""
LAYERS = [[directory("d"), file("d/file", "inside"), directory("e"), hardlink("e/link", "d/file"),
           symlink("d", CANARY), symlink("e", CANARY)]]
EITHER = True
