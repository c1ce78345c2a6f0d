# SPDX-License-Identifier: Apache-2.0
"""A whiteout of `.`."""
LAYERS = [[directory("d"), file("d/x", "x")], [entry("d/.wh..")]]
ENTRY = ".wh.."
