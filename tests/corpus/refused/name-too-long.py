# SPDX-License-Identifier: Apache-2.0
"""A path of more than 4095 bytes, past every check of a prefix (libarchive #743-#746)."""
LAYERS = [[file("/".join(["d" * 200] * 25) + "/end", "x")]]
