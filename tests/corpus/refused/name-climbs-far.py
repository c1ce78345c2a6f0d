# SPDX-License-Identifier: Apache-2.0
"""An absolute name that climbs out of the root to a directory of the host."""
LAYERS = [[file("/../../../../../../../../../../../.." + CANARY + "/climbs", "evil")]]
ENTRY = "climbs"
