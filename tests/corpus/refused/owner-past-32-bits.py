# SPDX-License-Identifier: Apache-2.0
"""An owner of 33 bits, which would come out as root's."""
LAYERS = [[file("x", "x"), file("setuid", "x", mode=0o4755, records={"uid": "4294967296"})]]
ENTRY = "setuid"
