# SPDX-License-Identifier: Apache-2.0
"""The root entry is a symlink: the next layer would go to the host (umoci CVE-2021-29136)."""
LAYERS = [[symlink(".", CANARY)], [file("file", "evil")]]
BAD = 0
