# SPDX-License-Identifier: Apache-2.0
"""The root entry is a regular file."""
LAYERS = [[file("x", "x")], [file(".", "evil")]]
