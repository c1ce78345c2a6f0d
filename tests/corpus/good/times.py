# SPDX-License-Identifier: Apache-2.0
"""Times in nanoseconds, before 1970 and after 2038, of files, directories, symlinks, devices."""
LAYERS = [[
    directory("d", mtime="1234567890.999999999"), file("d/file", "x", mtime="1000000000.000000001"),
    symlink("d/link", "x", mtime="1111111111.111111111"), entry("d/fifo", FIFO, mtime="5.5"),
    file("old", "x", mtime="-315619200.25"), file("new", "x", mtime="5000000000.5"), file("zero", "x", mtime=0),
    directory("e", mtime="77.000000007"), directory("e/f", mtime="88.8"), file("e/f/g", "x"),
    hardlink("d/hard", "d/file", mtime="1000000000.000000001"),
]]


def check(tree):
    for name, want in (("d", 1234567890999999999), ("d/file", 1000000000000000001), ("d/link", 1111111111111111111),
                       ("d/fifo", 5500000000), ("old", -315619200250000000), ("new", 5000000000500000000),
                       ("zero", 0), ("e", 77000000007), ("e/f", 88800000000)):
        tree.looks(name, mtime=want)
