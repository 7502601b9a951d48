# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters over the stores of a profile."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError


def store(stores: t.Any, name: str = "", kind: str = "") -> t.Mapping[str, t.Any]:
    """The store of that name and kind; the first of the kind when no name is given."""
    if not isinstance(stores, list) or not all(isinstance(one, dict) and one.get("name") for one in stores):
        raise AnsibleFilterError(
            "backup_stores must be a list of stores, each with a name and a kind. Next: correct group_vars/all/backup.yml of the profile."
        )
    fitting = [one for one in stores if (not name or one["name"] == name) and (not kind or one.get("kind") == kind)]
    if fitting:
        return t.cast("t.Mapping[str, t.Any]", fitting[0])
    known = ", ".join(f"{one['name']} ({one.get('kind', 'no kind')})" for one in stores) or "none"
    wanted = f"store {name!r}" if name else "store"
    raise AnsibleFilterError(
        f"The profile has no {wanted}{f' of kind {kind}' if kind else ''}; it has: {known}. Next: name one of these, or add it to backup_stores."
    )


_FAMILIES = {"postgresql": "postgresql", "redis": "redis", "qdrant": "qdrant", "files": "files", "volume": "files"}


def store_family(one: t.Mapping[str, t.Any]) -> str:
    """By whose means a store is backed up and restored: its kind, but that a volume is treated as files."""
    kind = one.get("kind")
    if kind not in _FAMILIES:
        raise AnsibleFilterError(
            f"The store {one.get('name')} has the kind {kind!r}, which nothing here can back up. Next: use one of {', '.join(_FAMILIES)}."
        )
    return _FAMILIES[t.cast(str, kind)]


def store_resource(one: t.Mapping[str, t.Any]) -> str:
    """What a procedure takes the lease on that works on a store."""
    return f"{one['kind']}:{one['name']}"


def postgresql_connection(one: t.Mapping[str, t.Any], data_folder: bool = False) -> t.Dict[str, t.Any]:
    """The part of a store that says how to reach it, as module options (for C(module_defaults)); with its data folder when asked."""
    from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.options import CONNECTION_OPTIONS, DATA_FOLDER_OPTIONS

    keys = [*CONNECTION_OPTIONS, *(DATA_FOLDER_OPTIONS if data_folder else [])]
    return {key: one[key] for key in keys if key in one}


class FilterModule:
    """Filters over the stores of a profile."""

    def filters(self) -> t.Dict[str, t.Callable[..., t.Any]]:
        """The filters by name."""
        return {
            "store": store,
            "store_family": store_family,
            "store_resource": store_resource,
            "postgresql_connection": postgresql_connection,
        }
