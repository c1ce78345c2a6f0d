# SPDX-License-Identifier: Apache-2.0
"""inner/up is `..`, inner/up/escape is `../victim`, then a write through it (go-archive CVE-2026-17106)."""
LAYERS = [[directory("inner"), symlink("inner/up", ".."), symlink("inner/up/escape", ".." + CANARY),
           file("escape/file", "evil"), file("inner/up/escape/new", "evil")]]
EITHER = True
