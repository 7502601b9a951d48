# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What belongs to a database but is not in its dump: owner, privileges, limit, comment, settings.

`pg_dump` without `--create` leaves these out, and a new database beside the old one would come up without them. They are
read from the live database, or from the manifest when that is gone, and given to the new one before the swap.
"""

from __future__ import annotations

import typing as t

from .connection import Connection, identifier, literal

_READ = """
SELECT json_build_object(
    'owner', pg_get_userbyid(d.datdba),
    'encoding', pg_encoding_to_char(d.encoding),
    'collate', d.datcollate,
    'ctype', d.datctype,
    'locale_provider', to_jsonb(d)->>'datlocprovider',
    'locale', coalesce(to_jsonb(d)->>'datlocale', to_jsonb(d)->>'daticulocale'),
    'icu_rules', to_jsonb(d)->>'daticurules',
    'connection_limit', d.datconnlimit,
    'tablespace', (SELECT spcname FROM pg_tablespace WHERE oid = d.dattablespace),
    'comment', shobj_description(d.oid, 'pg_database'),
    'grants', CASE WHEN d.datacl IS NULL THEN NULL ELSE (
        SELECT coalesce(json_agg(json_build_object(
            'role', CASE WHEN a.grantee = 0 THEN NULL ELSE pg_get_userbyid(a.grantee) END,
            'privilege', a.privilege_type, 'grantable', a.is_grantable)
            ORDER BY a.grantee, a.privilege_type), '[]') FROM aclexplode(d.datacl) a) END,
    'settings', (SELECT coalesce(json_agg(json_build_object(
            'role', CASE WHEN s.setrole = 0 THEN NULL ELSE pg_get_userbyid(s.setrole) END,
            'name', split_part(c, '=', 1), 'value', substr(c, strpos(c, '=') + 1))
            ORDER BY s.setrole, c), '[]') FROM pg_db_role_setting s, unnest(s.setconfig) c WHERE s.setdatabase = d.oid))
FROM pg_database d WHERE d.datname = {name}
"""

_LIST_SETTINGS = frozenset(
    {
        "search_path",
        "temp_tablespaces",
        "session_preload_libraries",
        "local_preload_libraries",
        "shared_preload_libraries",
        "unix_socket_directories",
    }
)
"""Settings whose value is a list of names, each already quoted as needed (GUC_LIST_QUOTE in guc_tables.c): given as they are."""


def read_properties(connection: Connection, database: str) -> t.Dict[str, t.Any]:
    """The properties of a database, in the form that the manifest keeps."""
    return dict(connection.ask_json(_READ.format(name=literal(database))))


def create_statement(database: str, properties: t.Mapping[str, t.Any]) -> str:
    """CREATE DATABASE for an empty database with the encoding and locale of another (manual, CREATE DATABASE)."""
    parts = [
        f"CREATE DATABASE {identifier(database)} TEMPLATE template0",
        f"ENCODING {literal(properties['encoding'])}",
        f"LC_COLLATE {literal(properties['collate'])} LC_CTYPE {literal(properties['ctype'])}",
    ]
    provider, locale = properties.get("locale_provider"), properties.get("locale")
    if provider == "i":
        parts.append(f"LOCALE_PROVIDER icu ICU_LOCALE {literal(locale or 'und')}")
        if properties.get("icu_rules"):
            parts.append(f"ICU_RULES {literal(properties['icu_rules'])}")
    elif provider == "b":
        parts.append(f"LOCALE_PROVIDER builtin BUILTIN_LOCALE {literal(locale or 'C')}")
    elif provider == "c":
        parts.append("LOCALE_PROVIDER libc")
    if properties.get("tablespace") not in (None, "pg_default"):
        parts.append(f"TABLESPACE {identifier(properties['tablespace'])}")
    return " ".join(parts)


def apply_statements(database: str, properties: t.Mapping[str, t.Any]) -> t.List[str]:
    """The statements that give `properties` to a database; all of them fit into one transaction."""
    name = identifier(database)
    comment = properties.get("comment")
    statements = [
        f"ALTER DATABASE {name} OWNER TO {identifier(properties['owner'])}",
        f"ALTER DATABASE {name} CONNECTION LIMIT {int(properties['connection_limit'])}",
        f"COMMENT ON DATABASE {name} IS {'NULL' if comment is None else literal(comment)}",
    ]
    grants = properties.get("grants")
    if grants is not None:
        statements.append(f"REVOKE ALL ON DATABASE {name} FROM PUBLIC, {identifier(properties['owner'])}")
        for grant in grants:
            to = "PUBLIC" if grant["role"] is None else identifier(grant["role"])
            option = " WITH GRANT OPTION" if grant["grantable"] else ""
            statements.append(f"GRANT {grant['privilege']} ON DATABASE {name} TO {to}{option}")
    for setting in properties.get("settings") or []:
        who = f"ALTER ROLE {identifier(setting['role'])} IN DATABASE {name}" if setting["role"] else f"ALTER DATABASE {name}"
        is_list = setting["name"].lower() in _LIST_SETTINGS
        value = setting["value"] if is_list and setting["value"] else literal(setting["value"])
        statements.append(f"{who} SET {_setting_name(setting['name'])} TO {value}")
    return statements


def named_roles(properties: t.Mapping[str, t.Any]) -> t.Set[str]:
    """The roles that `apply_statements` needs to exist."""
    named = {properties["owner"]}
    named.update(grant["role"] for grant in properties.get("grants") or [] if grant["role"])
    named.update(setting["role"] for setting in properties.get("settings") or [] if setting["role"])
    return named


def _setting_name(name: str) -> str:
    return ".".join(identifier(part) for part in name.split("."))
