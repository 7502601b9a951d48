# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is asked of a server to know a table's rows. (The answers: tests/integration/test_pg_round_trip.py.)"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.connection import identifier
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.dump import _ranges
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.fingerprint import Table, begin_statement, hash_method

NAMES = st.text(alphabet=st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), min_size=1, max_size=20)
COLUMNS = st.lists(st.fixed_dictionaries({"name": NAMES, "hashable": st.booleans()}), min_size=1, max_size=6)


@given(NAMES, NAMES, COLUMNS, st.sampled_from([130000, 140000, 170010]))
def test_every_column_of_a_table_takes_part(schema: str, name: str, columns: list[dict[str, object]], version: int) -> None:
    table = Table(schema, name, "r", 1, columns)
    sql = table.statement(version)
    assert sql.endswith(f"FROM ONLY {identifier(schema)}.{identifier(name)} t")
    assert table.label == f"{identifier(schema)}.{identifier(name)}"
    if version < 140000:
        assert "hashtextextended((t.*)::text, 0)" in sql
    elif all(column["hashable"] for column in columns):
        assert "hash_record_extended(t.*, 0)" in sql
    else:
        for column in columns:
            part = f"t.{identifier(str(column['name']))}"
            assert (part + "::text" in sql) or column["hashable"]
            assert part in sql


def test_what_a_restore_computes_anew_is_only_counted() -> None:
    assert Table("s", "v", "m", 1, [{"name": "a", "hashable": True}]).statement(170000) == 'SELECT count(*), 0 FROM ONLY "s"."v"'
    assert Table("s", "empty", "r", 1, []).statement(170000) == 'SELECT count(*), 0 FROM ONLY "s"."empty"'


def test_fingerprints_of_different_ways_have_different_names() -> None:
    assert hash_method(139999) != hash_method(140000) == hash_method(180000)


def test_a_snapshot_is_quoted_and_taken_before_the_first_query() -> None:
    assert begin_statement() == "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
    assert begin_statement("00000003-1'").endswith("; SET TRANSACTION SNAPSHOT '00000003-1'''")


def test_a_sequence_that_moved_during_the_backup_has_a_range() -> None:
    state = {"last_value": 5, "is_called": False, "increment": 1}
    later = {"last_value": 9, "is_called": True, "increment": 1}
    assert _ranges({"a": state, "dropped": state}, {"a": later, "new": later}) == {"a": {"from": 5, "to": 9, "is_called": [False, True]}}
