# SPDX-License-Identifier: Apache-2.0
"""An extended header of two gigabytes that are not there."""
LAYERS = [[file("x", "x"), header("PaxHeaders/x", b"x", 1 << 31)]]
