# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is backed up is what is restored: on real servers, with names and contents that go wrong elsewhere."""

from __future__ import annotations

import json
import threading
import time
import typing as t
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.sets import BackupSet
from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput, NotTheSame, RunbookError, Unreachable, WrongTarget
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.connection import Session, identifier, literal
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.dump import BackupRequest, back_up_logically
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.fingerprint import Table, schema_digest, sequences, small_parts
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.load import data_items, load_dump
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.properties import read_properties
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.restore import RestoreRequest, restore_logically
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.undo import undo
from ansible_collections.sre.runbooks.plugins.module_utils.restoring.names import derived_name
from integration.odd_database import ODD, OWNER, odd_server
from integration.postgresql_server import PostgresqlServer, running_server

LONG = "a_name_that_needs_all_of_the_sixty_three_bytes_that_there_are_x"


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresqlServer]:
    """A server with the odd database."""
    with odd_server() as one:
        yield one


@pytest.fixture(scope="module")
def other(server: PostgresqlServer) -> Iterator[PostgresqlServer]:
    """Another server, of which nothing is known."""
    with running_server() as one:
        yield one


@pytest.fixture(scope="module")
def odd_set(server: PostgresqlServer, tmp_path_factory: pytest.TempPathFactory) -> BackupSet:
    """A set of the odd database."""
    folder = str(tmp_path_factory.mktemp("sets"))
    return back_up_logically(BackupRequest(server.connection, ODD, "reference", folder, role_passwords=True))


def everything(server: PostgresqlServer, database: str) -> dict[str, t.Any]:
    """Rows, sequences, large objects, extensions, the text of the schema and the database's own properties."""
    with Session(server.connection, database) as session:
        parts = {"sequences": sequences(session), **small_parts(session)}
    return {
        **parts,
        "tables": server.content(database),
        "schema": schema_digest(server.connection, database),
        "properties": read_properties(server.connection, database),
        # Not by the library's own means: whole rows as text, and what pg_dump does not carry.
        "rows": server.sql("SELECT md5(string_agg(r::text, '|' ORDER BY r::text)) FROM rare_types r", database),
        "settings": server.sql("SHOW search_path; SHOW work_mem; SHOW app.some_setting", database),
        "objects": server.sql(
            "SELECT string_agg(oid || ':' || pg_get_userbyid(lomowner) || ':' || md5(lo_get(oid)), ',' ORDER BY oid) "
            "FROM pg_largeobject_metadata",
            database,
        ),
    }


def test_every_odd_thing_comes_back_and_undo_brings_back_what_was_replaced(server: PostgresqlServer, odd_set: BackupSet) -> None:
    before = everything(server, ODD)
    server.sql(
        "DELETE FROM cases WHERE id NOT IN (SELECT case_id FROM documents UNION SELECT case_id FROM attachments UNION"
        " SELECT case_id FROM billing.invoices); TRUNCATE named_t; DROP TABLE rare_types; SELECT nextval('downward');"
        "SELECT lo_unlink(4711); CREATE TABLE rare_types (id integer)",
        ODD,
    )
    changed = everything(server, ODD)
    result = restore_logically(RestoreRequest(server.connection, ODD, odd_set))
    assert everything(server, ODD) == before
    assert result["comparison"]["differences"] == []
    assert result["comparison"]["unknown"] == []
    assert result["comparison"]["compared"]["large_objects"] == 21
    assert result["kept_as"] in server.names()
    undone = undo(server.connection, ODD)
    assert undone["put_back"] == result["kept_as"]
    assert everything(server, ODD) == changed
    with pytest.raises(BadInput, match="is kept"):
        undo(server.connection, ODD)
    with pytest.raises(BadInput, match="that a restore of"):
        undo(server.connection, ODD, replaced=undone["kept_as"])
    restore_logically(RestoreRequest(server.connection, ODD, odd_set, analyze=False))
    assert everything(server, ODD) == before


def test_a_database_that_was_dropped_comes_back_with_its_privileges_settings_comment_and_limit(
    server: PostgresqlServer, odd_set: BackupSet
) -> None:
    before = everything(server, ODD)
    server.sql(f"DROP DATABASE {identifier(ODD)} WITH (FORCE)")
    result = restore_logically(RestoreRequest(server.connection, ODD, odd_set, analyze=False))
    assert everything(server, ODD) == before
    assert before["properties"]["connection_limit"] == 42
    assert before["properties"]["comment"] == 'It\'s a \\ "comment"; -- with é'
    assert result["kept_as"] == ""
    assert server.sql("SELECT has_database_privilege('b owner', current_database(), 'CONNECT WITH GRANT OPTION')", ODD) == "t"


def test_a_set_of_another_server_is_refused_and_when_it_is_meant_the_roles_come_with_it(
    server: PostgresqlServer, other: PostgresqlServer, odd_set: BackupSet
) -> None:
    roles = "SELECT count(*) FROM pg_roles WHERE rolname !~ '^pg_'"
    before = other.names(), other.sql(roles)
    request = RestoreRequest(other.connection, ODD, odd_set, analyze=False)
    with pytest.raises(WrongTarget, match="from another server") as refused:
        restore_logically(request)
    assert "restore_from_other_server=true" in refused.value.message
    assert odd_set.manifest["server"]["system_identifier"] in refused.value.message
    assert (other.names(), other.sql(roles)) == before

    result = restore_logically(replace(request, from_other_server=True))
    (note,) = result["notes"]
    assert note.startswith(f"{odd_set.id} was taken on another server, ") and odd_set.manifest["server"]["system_identifier"] in note
    assert result["created_roles"] == sorted(["b owner", OWNER, "Reader 'r' \\"])
    there, here = everything(other, ODD), everything(server, ODD)
    assert there == here
    query = (
        "SELECT json_agg(q) FROM (SELECT rolname, rolsuper, rolinherit, rolcreatedb, rolcanlogin, rolbypassrls, rolconnlimit,"
        " (SELECT json_agg(g.rolname ORDER BY g.rolname) FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid WHERE m.member = r.oid)"
        " FROM pg_roles r WHERE rolname !~ '^pg_' AND rolname <> 'unrelated' ORDER BY rolname) q"
    )
    assert json.loads(other.sql(query)) == json.loads(server.sql(query))
    as_owner = replace(other.connection, user=OWNER, password="owner-password")
    assert as_owner.ask("SELECT count(*) FROM guarded", database=ODD).strip() == "1"
    with pytest.raises(Unreachable, match="refused the login"):
        replace(as_owner, password="another").ask("SELECT 1", database=ODD)


def test_while_others_write_the_set_is_still_exactly_one_moment(server: PostgresqlServer, tmp_path: Path) -> None:
    server.load_reference("busy", 2)
    stop, failures, written = threading.Event(), [], []

    def write(number: int) -> None:
        try:
            with Session(server.connection, "busy", {}) as session:
                while not stop.is_set():
                    session.ask(
                        "INSERT INTO clients (name, email) SELECT 'w', md5(random()::text) || clock_timestamp() "
                        "FROM generate_series(1, 20);"
                        f"UPDATE cases SET title = title || '.' WHERE id % 50 = {number};"
                        "SELECT nextval('case_number_seq'), lo_from_bytea(0, 'x');"
                        "DELETE FROM session_cache WHERE ctid IN (SELECT ctid FROM session_cache LIMIT 1)"
                    )
                    written.append(1)
        except RunbookError as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    try:
        time.sleep(0.3)
        began = len(written)
        taken = back_up_logically(BackupRequest(server.connection, "busy", "busy", str(tmp_path)))
        assert failures or len(written) > began, "nobody wrote during the backup"
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not failures
    result = restore_logically(RestoreRequest(server.connection, "busy", taken, analyze=False))
    assert result["comparison"]["same"]
    assert result["comparison"]["unknown"] == []
    rows = {label: table["rows"] for label, table in taken.manifest["fingerprint"]["tables"].items()}
    assert {label: table["rows"] for label, table in server.content("busy").items()} == rows
    server.sql(f'DROP DATABASE busy; DROP DATABASE "{result["kept_as"]}"')


def test_rows_changed_in_the_dump_s_absence_are_noticed_down_to_a_single_value(
    server: PostgresqlServer, odd_set: BackupSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ansible_collections.sre.runbooks.plugins.module_utils.postgresql import restore

    load = load_dump
    before, names = everything(server, ODD), server.names()

    changes: list[str] = []

    def load_and_change(
        connection: t.Any, one: t.Any, database: str, jobs: t.Any, progress: t.Any, _loaded: t.Any, settings: t.Any, folder: str
    ) -> None:
        load(connection, one, database, jobs, progress, lambda label: None, settings, folder)
        connection.do(changes[-1], database=database)

    monkeypatch.setattr(restore, "load_dump", load_and_change)
    for statement, told in (
        ("UPDATE named_t_row SET v = 'other' WHERE v = 'differs 7'", '"named_t_row" has the right number of rows (50) but other content'),
        ("DELETE FROM no_columns", '"no_columns" has 0 rows instead of 1'),
        ("SELECT lo_put(4711, 100003, '\\xfe')", "large objects"),
        ("SELECT nextval('never_called')", '"never_called" stands at 1 but is_called'),
        ("DROP POLICY own_rows ON guarded", "the schema"),
        ("CREATE TABLE extra (id integer)", '"extra" was not in the backup'),
    ):
        changes.append(statement)
        with pytest.raises(NotTheSame) as found:
            restore_logically(RestoreRequest(server.connection, ODD, odd_set, analyze=False))
        assert told in found.value.message
    assert server.names() == names
    assert everything(server, ODD) == before


def test_two_databases_whose_long_names_begin_alike_are_not_taken_for_each_other(server: PostgresqlServer, tmp_path: Path) -> None:
    names = [LONG, LONG[:-1] + "y"]
    assert len(LONG) == 63
    sets, kept = [], []
    for name in names:
        server.sql(f'CREATE DATABASE "{name}"')
        server.sql(f"CREATE TABLE mine AS SELECT '{name}' AS name", name)
        sets.append(back_up_logically(BackupRequest(server.connection, name, name, str(tmp_path))))
    for name, taken in zip(names, sets, strict=True):
        kept.append(restore_logically(RestoreRequest(server.connection, name, taken, analyze=False))["kept_as"])
    assert len(set(kept)) == 2
    for name, replaced in zip(names, kept, strict=True):
        assert undo(server.connection, name, dry_run=True)["put_back"] == replaced
    # What a killed restore of the second left behind is not the first one's business.
    leftover = derived_name(names[1], "restoring", "20260101T000000Z")
    server.sql(f'CREATE DATABASE "{leftover}"')
    assert leftover not in restore_logically(RestoreRequest(server.connection, names[0], sets[0], analyze=False))["dropped_leftovers"]
    assert restore_logically(RestoreRequest(server.connection, names[1], sets[1], analyze=False))["dropped_leftovers"] == [leftover]
    for name in server.names():
        if name.startswith(LONG[:20]):
            server.sql(f'DROP DATABASE "{name}"')


def test_tables_whose_names_a_dump_s_list_of_contents_confuses_are_not_hashed_too_early(
    server: PostgresqlServer, odd_set: BackupSet
) -> None:
    labels = list(data_items(server.connection, odd_set).values())
    assert len(labels) == len(set(labels)), "two items of the dump are taken for one table"
    assert '"public"."clients"' in labels
    assert not {'"s"."a b"', '"s a"."b"'} & set(labels)


def test_text_survives_every_way_of_quoting(server: PostgresqlServer) -> None:
    texts = [
        "",
        "'",
        "''",
        '"',
        "\\",
        "\\'",
        ":name",
        ":'x'",
        "$$",
        "$1",
        "--",
        "/*",
        ";",
        "\n",
        "\t\r",
        "é€😀",
        "E'",
        "{}",
        "%s",
        "\\\\'';",
    ]
    texts += [first + second for first in texts for second in texts[:8]]
    for conforming in ("on", "off"):
        with Session(server.connection, None, {"standard_conforming_strings": conforming, "client_min_messages": "error"}) as session:
            for part in (texts[:60], texts[60:]):
                array = ", ".join(literal(text) for text in part)
                found = json.loads(session.ask(f"SELECT array_to_json(ARRAY[{array}])"))
                assert found == part
            names = [text for text in texts if text and len(text.encode()) < 60]
            columns = ", ".join(f"1 AS {identifier(name)}" for name in dict.fromkeys(names))
            assert set(json.loads(session.ask(f"SELECT json_agg(q) FROM (SELECT {columns}) q"))[0]) == set(names)


def test_a_row_is_hashed_whole_whatever_its_columns_are_called(server: PostgresqlServer) -> None:
    for hashable in (True, False):
        for version in (130000, 170000):
            table = Table("public", "named_t_row", "r", 0, [{"name": "t", "hashable": True}, {"name": "v", "hashable": hashable}])
            first = server.sql(table.statement(version), ODD)
            server.sql("UPDATE named_t_row SET v = v || '!' WHERE v = 'differs 7'", ODD)
            assert server.sql(table.statement(version), ODD) != first
            server.sql("UPDATE named_t_row SET v = 'differs 7' WHERE v = 'differs 7!'", ODD)
            assert server.sql(table.statement(version), ODD) == first
