# SPDX-License-Identifier: Apache-2.0
"""An extended header whose record has a wrong length."""
LAYERS = [[file("x", "x"), header("PaxHeaders/x", b"x", 20) + padded(b"99 path=outside\n"), file("y", "y")]]
