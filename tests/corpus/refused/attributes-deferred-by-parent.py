# SPDX-License-Identifier: Apache-2.0
"""The parent of such a directory is replaced by a symlink to the host."""
LAYERS = [[directory("p"), directory("p/dir", mode=0o7777, uid=9, gid=9, mtime=5), symlink("p", CANARY)]]
EITHER = True
