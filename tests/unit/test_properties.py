# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Quoting, and the statements that carry a database's properties over. tests/integration/test_pg_round_trip.py asks a server."""

from __future__ import annotations

import re
import typing as t

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.connection import connection_value, identifier, literal
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.load import unquoted
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.properties import apply_statements, create_statement, named_roles
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.role_restore import role_statements

TEXT = st.text(alphabet=st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"))
TRICKY = TEXT | st.text(alphabet="'\"\\;$: e\nE-/*", max_size=12)
PLAIN = {"owner": "postgres", "encoding": "UTF8", "collate": "C", "ctype": "C", "connection_limit": -1, "comment": None, "grants": None}


def read_identifier(quoted: str) -> str:
    """As PostgreSQL's scanner reads it (manual, 4.1.1)."""
    assert re.fullmatch(r'"(?:[^"]|"")*"', quoted, re.DOTALL)
    return quoted[1:-1].replace('""', '"')


def read_literal(quoted: str) -> str:
    """The same of string constants (manual, 4.1.2.1, 4.1.2.2)."""
    text = quoted.strip(" ")
    if text.startswith("E"):
        assert re.fullmatch(r"E'(?:[^'\\]|''|\\\\)*'", text, re.DOTALL)
        return text[2:-1].replace("''", "'").replace("\\\\", "\\")
    assert re.fullmatch(r"'(?:[^'\\]|'')*'", text, re.DOTALL), "a backslash outside of E'' means what the server's settings say"
    return text[1:-1].replace("''", "'")


@given(TRICKY)
def test_names_and_texts_read_back_as_they_were(text: str) -> None:
    assert read_identifier(identifier(text)) == text
    assert read_literal(literal(text)) == text


@given(TRICKY)
def test_a_connection_value_is_one_value(text: str) -> None:
    quoted = connection_value(text)
    assert re.fullmatch(r"'(?:[^'\\]|\\.)*'", quoted, re.DOTALL)
    assert re.sub(r"\\(.)", r"\1", quoted[1:-1], flags=re.DOTALL) == text


@given(TRICKY, TRICKY)
def test_a_label_reads_as_pg_restore_lists_it(schema: str, name: str) -> None:
    if '"."' not in identifier(schema)[1:-1] + identifier(name)[1:-1] and not schema.endswith('"') and not name.startswith('"'):
        assert unquoted(f"{identifier(schema)}.{identifier(name)}") == f"{schema} {name}"


def split(statements: t.Sequence[str]) -> list[str]:
    """The statements of a script as PostgreSQL would separate them."""
    script, parts, at = ";\n".join(statements), [""], 0
    while at < len(script):
        quoted = re.compile(r"\"(?:[^\"]|\"\")*\"|E'(?:[^'\\]|''|\\.)*'|'(?:[^']|'')*'", re.DOTALL).match(script, at)
        piece = quoted.group(0) if quoted else script[at]
        at += len(piece)
        if piece == ";":
            parts.append("")
            at += 1
        else:
            parts[-1] += piece
    return parts


@given(name=TRICKY, owner=TRICKY, comment=st.none() | TRICKY, role=TRICKY.filter(bool), value=TRICKY, limit=st.integers(-2, 1000))
def test_no_text_breaks_out_of_its_statement(name: str, owner: str, comment: str | None, role: str, value: str, limit: int) -> None:
    properties = {
        **PLAIN,
        "owner": owner,
        "comment": comment,
        "connection_limit": limit,
        "grants": [{"role": role, "privilege": "CONNECT", "grantable": True}, {"role": None, "privilege": "TEMPORARY", "grantable": False}],
        "settings": [{"role": None, "name": "work_mem", "value": value}, {"role": role, "name": "app.x", "value": value}],
        "locale_provider": "i",
        "locale": value,
        "icu_rules": value,
        "tablespace": role,
    }
    statements = apply_statements(name, properties)
    assert split(statements) == statements
    assert len(statements) == 8
    assert split([create_statement(name, properties)]) == [create_statement(name, properties)]
    assert all(identifier(name) in statement for statement in statements)
    assert f"GRANT CONNECT ON DATABASE {identifier(name)} TO {identifier(role)} WITH GRANT OPTION" in statements
    assert statements[-1] == f'ALTER ROLE {identifier(role)} IN DATABASE {identifier(name)} SET "app"."x" TO {literal(value)}'
    assert named_roles(properties) == {owner, role}


def test_what_a_database_does_not_have_is_not_given_to_it() -> None:
    assert apply_statements("x", PLAIN) == [
        'ALTER DATABASE "x" OWNER TO "postgres"',
        'ALTER DATABASE "x" CONNECTION LIMIT -1',
        'COMMENT ON DATABASE "x" IS NULL',
    ]
    revoked = apply_statements("x", {**PLAIN, "grants": []})
    assert revoked[-1] == 'REVOKE ALL ON DATABASE "x" FROM PUBLIC, "postgres"', "no rights at all are something else than the usual rights"
    path = apply_statements("x", {**PLAIN, "settings": [{"role": None, "name": "search_path", "value": '"$user", public'}]})
    assert path[-1] == 'ALTER DATABASE "x" SET "search_path" TO "$user", public'
    empty = apply_statements("x", {**PLAIN, "settings": [{"role": None, "name": "search_path", "value": ""}]})
    assert empty[-1].endswith("TO ''")


def test_a_new_database_has_the_old_one_s_encoding_and_locale() -> None:
    assert create_statement("x", PLAIN) == "CREATE DATABASE \"x\" TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'"
    assert create_statement("x", {**PLAIN, "locale_provider": "c"}).endswith("LOCALE_PROVIDER libc")
    assert create_statement("x", {**PLAIN, "locale_provider": "b", "locale": "C.UTF-8"}).endswith("BUILTIN_LOCALE 'C.UTF-8'")
    assert "ICU_RULES '&a < b'" in create_statement("x", {**PLAIN, "locale_provider": "i", "locale": "de", "icu_rules": "&a < b"})
    assert "TABLESPACE" not in create_statement("x", {**PLAIN, "tablespace": "pg_default"})


@given(TRICKY, st.lists(st.booleans(), min_size=7, max_size=7), st.integers(-1, 100))
def test_a_role_is_made_with_exactly_the_rights_that_it_had(name: str, flags: list[bool], limit: int) -> None:
    keys = ("superuser", "inherit", "create_role", "create_database", "login", "replication", "bypass_rls")
    (statement,) = role_statements({"name": name, "connection_limit": limit, **dict(zip(keys, flags, strict=True))})
    words = statement.removeprefix(f"CREATE ROLE {identifier(name)} ").split()
    expected = ("SUPERUSER", "INHERIT", "CREATEROLE", "CREATEDB", "LOGIN", "REPLICATION", "BYPASSRLS")
    assert words[:7] == [word if flag else f"NO{word}" for word, flag in zip(expected, flags, strict=True)]
    assert words[7:] == ["CONNECTION", "LIMIT", str(limit)]
