# SPDX-License-Identifier: Apache-2.0
"""A directory whose name climbs out of the root."""
LAYERS = [[directory("../../climbs", mode=0o777)]]
ENTRY = "climbs"
