# SPDX-License-Identifier: Apache-2.0
"""A write through a symlink to /proc/self/root and to an open descriptor."""
LAYERS = [[symlink("root", "/proc/self/root" + CANARY), file("root/file", "evil"),
           symlink("cwd", "/proc/self/cwd"), file("cwd/evil", "evil")]]
EITHER = True
