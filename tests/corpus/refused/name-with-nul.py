# SPDX-License-Identifier: Apache-2.0
"""A name with a NUL byte in a PAX record."""
LAYERS = [[file("x", "x", records={"path": b"before\0/../../after"})]]
EITHER = True
