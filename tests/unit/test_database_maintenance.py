# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a database needs is decided from what was found, without a server."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.sre.runbooks.plugins.module_utils.database_care.bloat import index_waste, measured_waste, table_waste
from ansible_collections.sre.runbooks.plugins.module_utils.database_care.inspection import Found, Index, Table, is_left_behind
from ansible_collections.sre.runbooks.plugins.module_utils.database_care.maintenance_plan import Rules, plan_maintenance
from ansible_collections.sre.runbooks.plugins.module_utils.database_care.slow_queries import how_to_get_it

KEY = "CREATE UNIQUE INDEX {} ON public.cases USING btree (id)"
LIVE = Index("public", "cases_pkey", "cases", definition=KEY.format("cases_pkey"), bytes=10**9)
HALF = Index("public", "cases_pkey_ccnew", "cases", definition=KEY.format("cases_pkey_ccnew"), valid=False)


@pytest.mark.parametrize(
    ("changed", "left"),
    [
        ({}, True),
        ({"name": "cases_pkey_ccnew7", "definition": KEY.format("cases_pkey_ccnew7")}, True),
        ({"name": "cases_pkey_ccold", "definition": KEY.format("cases_pkey_ccold")}, True),
        ({"valid": True}, False),
        ({"being_built": True}, False),
        ({"table": "others"}, False),
        ({"schema": "private"}, False),
        ({"name": "cases_other", "definition": KEY.format("cases_other")}, False),
        ({"definition": KEY.format("cases_pkey_ccnew").replace("(id)", "(name)")}, False),
    ],
)
def test_only_what_a_killed_rebuild_has_left_is_taken_for_a_leftover(changed: dict[str, object], left: bool) -> None:
    index = replace(HALF, **changed)  # type: ignore[arg-type]
    assert is_left_behind(index, [LIVE, index]) is left
    plan = plan_maintenance(Found([], [LIVE, index]), Rules())
    assert [step.action for step in plan.steps] == ["drop"] * left


TABLES = st.builds(
    Table,
    st.just("public"),
    st.text("abc", min_size=1, max_size=3),
    kind=st.sampled_from("rmp"),
    bytes=st.integers(0, 10**10),
    waste_bytes=st.none() | st.integers(0, 10**10),
    rows=st.integers(-1, 10**9),
    dead=st.integers(0, 10**9),
    changed=st.integers(0, 10**9),
    analyzed=st.booleans(),
    unvacuumed_transactions=st.integers(0, 2 * 10**9),
    ours=st.booleans(),
)
INDEXES = st.builds(
    Index,
    st.just("public"),
    st.text("abc", min_size=1, max_size=3),
    st.text("abc", min_size=1, max_size=3),
    bytes=st.integers(0, 10**10),
    waste_bytes=st.none() | st.integers(0, 10**10),
    valid=st.booleans(),
    exclusion=st.booleans(),
    being_built=st.booleans(),
    ours=st.booleans(),
)


@given(st.lists(TABLES, max_size=6), st.lists(INDEXES, max_size=6), st.booleans())
def test_a_plan_touches_only_what_is_ours_in_the_order_of_need(tables: list[Table], indexes: list[Index], everything: bool) -> None:
    plan = plan_maintenance(Found(tables, indexes), Rules(everything=everything))
    ours = {one.label for one in tables if one.ours} | {one.label for one in indexes if one.ours}
    assert {step.label for step in plan.steps} <= ours
    order = {"drop": 0, "vacuum_analyze": 1, "analyze": 1, "reindex": 2}
    keys = [(order[step.action], -step.need) for step in plan.steps]
    assert keys == sorted(keys)
    rebuilt = {step.label for step in plan.steps if step.action == "reindex"}
    assert not rebuilt & {one.label for one in indexes if not one.valid or one.exclusion or one.being_built} - {
        one.label for one in indexes if one.valid and not one.exclusion and not one.being_built
    }


def test_a_table_that_runs_out_of_transaction_numbers_comes_before_all_others() -> None:
    old = Table("public", "old", rows=10, unvacuumed_transactions=150_000_000)
    dead = Table("public", "dead", rows=1, dead=10**9)
    assert [step.label for step in plan_maintenance(Found([dead, old], []), Rules()).steps] == ['"public"."old"', '"public"."dead"']


def test_a_database_that_is_well_needs_nothing_unless_everything_is_asked_for() -> None:
    well = Found([Table("public", "cases", rows=1000, dead=10, changed=5)], [replace(LIVE, waste_bytes=10**8)])
    assert plan_maintenance(well, Rules()).steps == []
    assert [step.action for step in plan_maintenance(well, Rules(everything=True)).steps] == ["vacuum_analyze"]


def test_what_only_its_owner_may_maintain_is_told() -> None:
    (note,) = plan_maintenance(Found([Table("public", "theirs", analyzed=False, rows=5, ours=False)], []), Rules()).notes
    assert "may not maintain 1 of 1 tables" in note


@given(st.integers(0, 10**10), st.integers(-1, 10**8), st.none() | st.floats(0, 10**4), st.integers(10, 100))
def test_an_estimate_is_between_nothing_and_all(size: int, rows: int, width: float | None, fill: int) -> None:
    for waste in (index_waste(size, rows, width, fill, 8192), table_waste(size, rows, width, 5, fill, 8192)):
        assert waste is None or 0 <= waste <= size
        assert (waste is None) == (width is None or rows < 0)


def test_a_full_table_and_a_full_index_hold_hardly_anything_in_vain() -> None:
    # Measured on PostgreSQL 17: generate_series(1, 1000000) as bigint takes 36 249 600 bytes, its primary key 22 487 040.
    assert (table_waste(36_249_600, 10**6, 8.0, 1, 100, 8192) or 0) < 0.03 * 36_249_600
    assert (index_waste(22_487_040, 10**6, 8.0, 90, 8192) or 0) < 0.03 * 22_487_040
    assert measured_waste(100, 45, 90) == 50


@pytest.mark.parametrize(
    ("known", "steps"),
    [
        ({"schema": "public", "installable": True, "loaded": True, "counting": "top"}, 0),
        ({"schema": "public", "installable": True, "loaded": None, "counting": "top"}, 0),
        ({"schema": "public", "installable": True, "loaded": None, "counting": None}, 1),
        ({"schema": "public", "installable": True, "loaded": False, "counting": "all"}, 1),
        ({"schema": None, "installable": True, "loaded": True, "counting": "top"}, 1),
        ({"schema": None, "installable": False, "loaded": False, "counting": None}, 3),
    ],
)
def test_each_thing_that_is_missing_for_the_durations_of_queries_is_a_step(known: dict[str, object], steps: int) -> None:
    assert len(how_to_get_it(known, "shop")) == steps
