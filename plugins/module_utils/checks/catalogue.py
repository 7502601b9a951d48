# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The types of checks, by the name that the inventory uses."""

from __future__ import annotations

import typing as t

from .http import Http, Json
from .model import Question
from .postgresql import PostgreSQL
from .redis import Redis
from .tcp import Tcp

TYPES: t.Mapping[str, t.Type[Question]] = {
    "http": Http,
    "json": Json,
    "postgresql": PostgreSQL,
    "redis": Redis,
    "tcp": Tcp,
}
SECRET_OPTIONS = frozenset(name for kind in TYPES.values() for name, option in kind.spec.items() if option.get("no_log"))
"""Names of options whose values are never shown."""
