# SPDX-License-Identifier: Apache-2.0
"""Importing it makes the modules of vm-tests/ ones that can be imported."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../vm-tests"))
