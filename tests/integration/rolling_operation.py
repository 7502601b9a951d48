# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Carries out one rolling action in a process of its own, so that a test can kill it. Arguments: `rolling` or `removal`, a JSON file."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

name, parameters = sys.argv[1], json.loads(Path(sys.argv[2]).read_text())
module = importlib.import_module(f"ansible_collections.sre.runbooks.plugins.module_utils.service.compose.{name}")
print(json.dumps(module.operate(parameters, False)))
