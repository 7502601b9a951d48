# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What must be so before a logical restore begins."""

from __future__ import annotations

import typing as t

from ..backup_set.sets import BackupSet
from ..errors import BadInput, SetDamaged, WrongTarget
from .connection import Connection
from .server_info import ServerInfo


def require_fitting_set(connection: Connection, chosen: BackupSet, info: ServerInfo, *, from_other_server: bool) -> None:
    """Raise unless the set is whole, logical, from this server (or another on purpose) and not from a newer PostgreSQL."""
    manifest = chosen.manifest
    if chosen.damage:
        raise SetDamaged(
            f"The backup set {chosen.id} is damaged", where=chosen.folder, why="; ".join(chosen.damage), next_step="use another set"
        )
    if manifest.get("kind") != "postgresql" or manifest.get("method") != "logical":
        raise BadInput(f"{chosen.id} is no logical PostgreSQL set", where=chosen.folder, next_step="choose a logical set")
    server = manifest["server"]
    if server["system_identifier"] != info.system_identifier and not from_other_server:
        raise WrongTarget(
            f"The backup set {chosen.id} is from another server",
            where=str(connection),
            why=f"it was taken from {server['address']} with system identifier {server['system_identifier']}, "
            f"this server has {info.system_identifier}",
            next_step="choose a set of this server, or say that it is meant: restore_from_other_server=true",
        )
    if server["version_num"] // 10000 > info.major:
        raise BadInput(
            f"The backup set {chosen.id} is from a newer PostgreSQL",
            why=f"it is from version {server['version']}, this server has {info.version}",
            next_step="restore it on a server of that version or a newer one",
        )


def require_extensions(connection: Connection, needed: t.Mapping[str, str]) -> None:
    """Raise BadInput unless the server has these extensions to install."""
    available = set(connection.ask_json("SELECT coalesce(json_agg(name), '[]') FROM pg_available_extensions"))
    missing = sorted(set(needed) - available)
    if missing:
        raise BadInput(
            "Extensions that the database uses are not installed on this server",
            where=str(connection),
            why=", ".join(missing),
            next_step="install their packages on the database server; nothing was changed",
        )


def require_rights(connection: Connection, info: ServerInfo) -> None:
    """Raise BadInput unless our role may create databases and end other sessions."""
    if info.is_superuser:
        return
    able = connection.ask("SELECT rolcreatedb AND pg_has_role('pg_signal_backend', 'MEMBER') FROM pg_roles WHERE rolname = current_user")
    if able.strip() != "t":
        raise BadInput(
            f"The role {connection.user!r} may not restore",
            where=str(connection),
            why="it is no superuser and lacks CREATEDB or membership in pg_signal_backend",
            next_step="use an administrator's role for restores",
        )
