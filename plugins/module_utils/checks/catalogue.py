# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The types of checks, by the name that the inventory uses.

A type's module is imported when a check needs it: importing all of them would cost every task more than its checks.
"""

from __future__ import annotations

import typing as t

from .model import Question


def _http() -> t.Type[Question]:
    from .http import Http

    return Http


def _json() -> t.Type[Question]:
    from .http import Json

    return Json


def _postgresql() -> t.Type[Question]:
    from .postgresql import PostgreSQL

    return PostgreSQL


def _redis() -> t.Type[Question]:
    from .redis import Redis

    return Redis


def _tcp() -> t.Type[Question]:
    from .tcp import Tcp

    return Tcp


TYPES: t.Mapping[str, t.Callable[[], t.Type[Question]]] = {
    "http": _http,
    "json": _json,
    "postgresql": _postgresql,
    "redis": _redis,
    "tcp": _tcp,
}
