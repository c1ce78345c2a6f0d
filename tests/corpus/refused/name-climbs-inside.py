# SPDX-License-Identifier: Apache-2.0
"""A name that climbs out of the root after going down."""
LAYERS = [[directory("a"), directory("a/b"), file("a/b/../../../climbs", "evil")]]
ENTRY = "climbs"
