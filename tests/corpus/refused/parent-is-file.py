# SPDX-License-Identifier: Apache-2.0
"""A name below a regular file."""
LAYERS = [[file("f", "x"), file("f/below", "y")]]
EITHER = True
