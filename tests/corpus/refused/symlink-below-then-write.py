# SPDX-License-Identifier: Apache-2.0
"""Layer 1 plants `x -> ../../..`, layer 2 writes x/file (GNU tar CVE-2025-45582)."""
LAYERS = [[symlink("x", "../../../../../../../../.." + CANARY)], [file("x/file", "evil")]]
EITHER = True
