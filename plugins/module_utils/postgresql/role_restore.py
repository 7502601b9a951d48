# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Roles that a restored database needs and the server does not have."""

from __future__ import annotations

import os
import typing as t

from ..backup_set.sets import BackupSet
from .connection import Connection, identifier
from .server_info import roles


def missing_roles(connection: Connection, manifest: t.Mapping[str, t.Any], also: t.Iterable[str] = ()) -> t.List[str]:
    """Names of the roles that the database uses, or `also` names, with all their members, as far as the server does not have them."""
    return sorted(_with_members({*manifest.get("used_roles", []), *also}, manifest["roles"]) - {role["name"] for role in roles(connection)})


def _with_members(names: t.Set[str], known: t.Sequence[t.Mapping[str, t.Any]]) -> t.Set[str]:
    """`names` and, at any depth, the roles that have rights through them, such as a service's login role through its group."""
    members = {role["name"] for role in known if names.intersection(role["member_of"])}
    return names if members <= names else _with_members(names | members, known)


def told_roles(manifest: t.Mapping[str, t.Any], names: t.Sequence[str]) -> t.List[str]:
    """The roles with what makes them powerful, for plans."""
    words = {"superuser": "superuser", "create_role": "may create roles", "replication": "may replicate", "bypass_rls": "sees all rows"}
    known = {role["name"]: role for role in manifest["roles"]}
    powers = {name: [word for key, word in words.items() if known.get(name, {}).get(key)] for name in names}
    return [name + (f" ({', '.join(powers[name])})" if powers[name] else "") for name in names]


def role_statements(role: t.Mapping[str, t.Any]) -> t.List[str]:
    """CREATE ROLE and GRANT statements for a role as the manifest describes it, without a password."""
    flags = {
        "superuser": "SUPERUSER",
        "inherit": "INHERIT",
        "create_role": "CREATEROLE",
        "create_database": "CREATEDB",
        "login": "LOGIN",
        "replication": "REPLICATION",
        "bypass_rls": "BYPASSRLS",
    }
    words = [word if role[key] else f"NO{word}" for key, word in flags.items()]
    name = identifier(role["name"])
    return [f"CREATE ROLE {name} {' '.join(words)} CONNECTION LIMIT {int(role['connection_limit'])}"]


def create_missing_roles(connection: Connection, backup_set: BackupSet, names: t.Sequence[str]) -> None:
    """Create roles with the rights and, where the set holds them, passwords that they had, as members of the groups that are here, too."""
    if not names:
        return
    known = {role["name"]: role for role in backup_set.manifest["roles"]}
    groups = {role["name"] for role in roles(connection)} | set(names)
    statements: t.List[str] = []
    for name in names:
        statements += role_statements(known[name]) if name in known else [f"CREATE ROLE {identifier(name)}"]
    for name in names:
        statements += [f"GRANT {identifier(group)} TO {identifier(name)}" for group in _groups_of(known.get(name), groups)]
    statements += _passwords(backup_set, names)
    connection.do("BEGIN;\n" + ";\n".join(statements) + ";\nCOMMIT;")


def _groups_of(role: t.Optional[t.Mapping[str, t.Any]], here: t.Container[str]) -> t.List[str]:
    return [group for group in (role or {}).get("member_of", []) if group in here or group.startswith("pg_")]


def _passwords(backup_set: BackupSet, names: t.Sequence[str]) -> t.List[str]:
    """The ALTER ROLE statements of `globals.sql` for these roles, when it was taken with password hashes."""
    if not backup_set.manifest.get("role_passwords"):
        return []
    starts = tuple(start for name in names for start in (f"ALTER ROLE {identifier(name)} ", f"ALTER ROLE {name} "))
    with open(os.path.join(backup_set.folder, "globals.sql"), encoding="utf-8") as stream:
        return [line.strip().rstrip(";") for line in stream if line.startswith(starts) and " PASSWORD " in line]
