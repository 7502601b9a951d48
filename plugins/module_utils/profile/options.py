# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What every operation on a profile is told of it."""

from __future__ import annotations

import typing as t

OPTIONS: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "folder": {"type": "path", "required": True},
    "variables": {"type": "dict", "default": {}},
    "unresolved": {"type": "dict", "default": {}},
    "role_options": {"type": "dict", "default": {}},
    "procedures": {"type": "dict", "default": {}},
}
"""Described in plugins/doc_fragments/profile.py."""
