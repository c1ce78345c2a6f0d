# SPDX-License-Identifier: Apache-2.0
"""An entry of a negative size, in base-256."""
LAYERS = [[file("x", "x"), entry("negative", size=base256(-512, 12), format="gnu")]]
