# SPDX-License-Identifier: Apache-2.0
"""A FIFO, and a file of the same name through a hard link: nothing may wait for a reader."""
LAYERS = [[entry("pipe", FIFO), hardlink("link", "pipe", data="x"), file("pipe", "x")]]
EITHER = True
