# SPDX-License-Identifier: Apache-2.0
"""A name that starts with `..`."""
LAYERS = [[file("x", "x")], [file("../climbs", "evil")]]
ENTRY = "climbs"
