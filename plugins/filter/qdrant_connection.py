# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter that takes from a store of the profile how to reach it."""

from __future__ import annotations

import typing as t


def qdrant_connection(one: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    """The part of a Qdrant store that says how to reach it, as module options (for C(module_defaults))."""
    from ansible_collections.sre.runbooks.plugins.module_utils.qdrant.options import CONNECTION_OPTIONS

    return {key: one[key] for key in CONNECTION_OPTIONS if key in one}


class FilterModule:
    """Filter over a store of the profile."""

    def filters(self) -> t.Dict[str, t.Callable[..., t.Any]]:
        """The filters by name."""
        return {"qdrant_connection": qdrant_connection}
