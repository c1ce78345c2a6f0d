# SPDX-License-Identifier: Apache-2.0
"""An entry that says it has a terabyte and has not."""
LAYERS = [[file("x", "x"), entry("huge", data="y", size=base256(1 << 39, 12), format="gnu")]]
ENTRY = "huge"
