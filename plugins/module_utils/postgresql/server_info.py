# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What a PostgreSQL server says of itself: identity, version, databases, roles."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from ..command import run
from ..errors import BadInput, ToolMissing, WrongTarget
from .connection import Connection, Session, literal


@dataclass(frozen=True)
class ServerInfo:
    """Identity and abilities of a server.

    Attributes:
        system_identifier: The number that initdb gave the cluster (pg_control_system()); the same on its replicas.
        version_num: `server_version_num`, e.g. 170010.
        version: `server_version`, e.g. "17.10".
        in_recovery: Whether it is a replica.
        is_superuser: Whether our role is one.
        data_directory: Its data folder, as the server names it; empty when our role may not know.
    """

    system_identifier: str
    version_num: int
    version: str
    in_recovery: bool
    is_superuser: bool
    data_directory: str

    @property
    def major(self) -> int:
        """Major version, e.g. 17."""
        return self.version_num // 10000


_INFO = """
SELECT json_build_object(
    'system_identifier', (SELECT system_identifier::text FROM pg_control_system()),
    'version_num', current_setting('server_version_num')::int,
    'version', split_part(current_setting('server_version'), ' ', 1),
    'in_recovery', pg_is_in_recovery(),
    'is_superuser', (SELECT rolsuper FROM pg_roles WHERE rolname = current_user),
    'data_directory', CASE WHEN pg_has_role('pg_read_all_settings', 'MEMBER') THEN current_setting('data_directory') ELSE '' END)
"""


def server_info(connection: t.Union[Connection, Session]) -> ServerInfo:
    """Ask a server who it is, through a connection of its own or in a session that is there.

    Raises:
        Unreachable: It does not answer or refuses the login.
    """
    return ServerInfo(**connection.ask_json(_INFO))


def guard_identity(info: ServerInfo, expected: str, connection: Connection) -> None:
    """Stop when the server is not the one that the inventory means.

    Args:
        info: What the server says of itself.
        expected: `system_identifier` of the inventory; empty when it names none.
        connection: How it was reached, for the message.

    Raises:
        WrongTarget: They differ.
    """
    if expected and expected != info.system_identifier:
        raise WrongTarget(
            "This is not the server that the inventory means",
            where=str(connection),
            why=f"its system identifier is {info.system_identifier}, the inventory says {expected}",
            next_step="correct the host and port, or, when the server was deliberately made anew, the identifier in the inventory",
            facts={"system_identifier": info.system_identifier, "expected": expected},
        )


def databases(connection: Connection) -> t.Dict[str, t.Dict[str, t.Any]]:
    """The server's databases that are no templates, by name: `size_bytes`, `comment`, `connections`, `allow_connections`."""
    rows = connection.ask_json(
        """
        SELECT coalesce(json_object_agg(d.datname, json_build_object(
            'size_bytes', CASE WHEN has_database_privilege(d.oid, 'CONNECT') THEN pg_database_size(d.oid) END,
            'comment', coalesce(shobj_description(d.oid, 'pg_database'), ''),
            'allow_connections', d.datallowconn,
            'connections', (SELECT count(*) FROM pg_stat_activity a WHERE a.datid = d.oid))), '{}')
        FROM pg_database d WHERE NOT d.datistemplate
        """
    )
    return dict(rows)


def require_database(connection: Connection, database: str) -> t.Dict[str, t.Any]:
    """What `databases` tells of one database.

    Raises:
        BadInput: There is none of that name.
    """
    known = databases(connection)
    if database not in known:
        raise BadInput(
            f"There is no database {database!r}",
            where=str(connection),
            why="the server has " + ", ".join(sorted(repr(name) for name in known)),
            next_step="correct the name in the inventory's backup_stores",
        )
    return known[database]


def tool_version(connection: Connection, program: str) -> t.Tuple[int, str]:
    """Major version and version text of a client program, where the connection's programs are.

    Raises:
        ToolMissing: It is not there.
    """
    said = run(connection.command(program, "--version")).stdout.strip()
    found = re.search(r"\)\s+(\d+)(\.\d+)*", said)
    if not found:
        raise ToolMissing(f"{program} does not tell its version", where=str(connection.place), why=said or "it said nothing")
    return int(found.group(1)), found.group(0)[1:].strip()


def require_tool(connection: Connection, program: str, server_major: int) -> str:
    """The version text of a client program that is new enough for the server.

    Raises:
        ToolMissing: It is not there, or older than the server (pg_dump and pg_basebackup refuse newer servers).
    """
    major, version = tool_version(connection, program)
    if major < server_major:
        raise ToolMissing(
            f"{program} {version} is too old for a PostgreSQL {server_major} server",
            where=str(connection.place),
            next_step=f"install the PostgreSQL {server_major} client programs, or name their folder (tool_folder)",
            facts={"tool": program, "version": version, "needed": server_major},
        )
    return version


_ROLES = """
SELECT coalesce(json_agg(json_build_object(
    'name', r.rolname, 'superuser', r.rolsuper, 'inherit', r.rolinherit, 'create_role', r.rolcreaterole,
    'create_database', r.rolcreatedb, 'login', r.rolcanlogin, 'replication', r.rolreplication, 'bypass_rls', r.rolbypassrls,
    'connection_limit', r.rolconnlimit,
    'member_of', (SELECT coalesce(json_agg(g.rolname ORDER BY g.rolname), '[]') FROM pg_auth_members m
                  JOIN pg_roles g ON g.oid = m.roleid WHERE m.member = r.oid)) ORDER BY r.rolname), '[]')
FROM pg_roles r WHERE r.rolname !~ '^pg_'
"""


def roles(connection: Connection) -> t.List[t.Dict[str, t.Any]]:
    """The server's roles without their passwords, as the manifest keeps them."""
    return list(connection.ask_json(_ROLES))


# Dependencies on roles are recorded for all databases together; pinned roles are not among them: the one that initdb made (10,
# BOOTSTRAP_SUPERUSERID, pg_authid.dat) counts where it owns what a user has made (from 16384 on, FirstNormalObjectId, access/transam.h).
_USED_ROLES = """
WITH this AS (SELECT oid FROM pg_database WHERE datname = current_database())
SELECT coalesce(json_agg(rolname ORDER BY rolname), '[]') FROM pg_roles WHERE oid IN (
    SELECT refobjid FROM pg_shdepend, this WHERE refclassid = 'pg_authid'::regclass
        AND (dbid = this.oid OR classid = 'pg_database'::regclass AND objid = this.oid)
    UNION SELECT relowner FROM pg_class WHERE oid >= 16384
    UNION SELECT proowner FROM pg_proc WHERE oid >= 16384
    UNION SELECT typowner FROM pg_type WHERE oid >= 16384
    UNION SELECT nspowner FROM pg_namespace WHERE oid >= 16384
) AND rolname !~ '^pg_'
"""


def used_roles(connection: Connection, database: str) -> t.List[str]:
    """Names of the roles that own something in a database, have rights there, or are named by its policies."""
    return list(connection.ask_json(_USED_ROLES, database=database))


def role_exists(connection: Connection, name: str) -> bool:
    """Whether the server knows the role `name`."""
    return connection.ask(f"SELECT 1 FROM pg_roles WHERE rolname = {literal(name)}").strip() == "1"
