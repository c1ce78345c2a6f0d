# SPDX-License-Identifier: Apache-2.0
"""A hard link whose target climbs out of the root."""
LAYERS = [[hardlink("link", "../../../../../../../../../../../.." + CANARY + "/file")]]
ENTRY = "link"
