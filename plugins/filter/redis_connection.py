# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter over a Redis store of a profile."""

from __future__ import annotations

import typing as t


def redis_connection(one: t.Mapping[str, t.Any], data_folder: bool = False) -> t.Dict[str, t.Any]:
    """The part of a store that says how to reach it, as module options (for C(module_defaults)); with its data folder when asked."""
    from ansible_collections.sre.runbooks.plugins.module_utils.redis.options import CONNECTION_OPTIONS, FILE_OPTIONS

    keys = [*CONNECTION_OPTIONS, *(FILE_OPTIONS if data_folder else [])]
    return {key: one[key] for key in keys if key in one}


class FilterModule:
    """Filter over a Redis store of a profile."""

    def filters(self) -> t.Dict[str, t.Callable[..., t.Any]]:
        """The filter by name."""
        return {"redis_connection": redis_connection}
