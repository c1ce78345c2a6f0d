# SPDX-License-Identifier: Apache-2.0
"""The root, written `/`, is a symlink (umoci CVE-2021-29136)."""
LAYERS = [[file("x", "x")], [symlink("/", CANARY), file("file", "evil")]]
