# SPDX-License-Identifier: Apache-2.0
"""A name below a device and below a FIFO of a lower layer."""
LAYERS = [[entry("dev", CHAR, dev=(1, 3)), entry("fifo", FIFO)], [file("dev/x", "x"), file("fifo/x", "x")]]
EITHER = True
