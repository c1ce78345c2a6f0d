# SPDX-License-Identifier: Apache-2.0
"""A symlink whose target has 64 KB."""
LAYERS = [[file("x", "x"), symlink("long-link", "/".join(["d" * 63] * 1024))]]
ENTRY = "long-link"
