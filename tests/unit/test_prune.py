# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pruning removes what no rule keeps, and never the last good set."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.operations import prune
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.prune import Keep, plan_prune
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.sets import BackupSet
from ansible_collections.sre.runbooks.tests.unit.small_sets import described, make_set

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
NUMBERS = st.integers(-5, 40) | st.sampled_from([10**6, 10**9])


@st.composite
def histories(draw: st.DrawFn) -> list[BackupSet]:
    """Sets of several stores and methods over two months, in any order."""
    sets = []
    for number in range(draw(st.integers(0, 12))):
        at = (NOW - timedelta(hours=draw(st.integers(-5, 24 * 60)))).strftime("%Y-%m-%dT%H:%M:%SZ")
        sets.append(
            described(
                f"set{number}",
                at,
                draw(st.lists(st.sampled_from(["verified", "proven", "failed"]), max_size=2)),
                store=draw(st.sampled_from(["reference", "billing"])),
                method=draw(st.sampled_from(["logical", "physical"])),
                damage=draw(st.sampled_from(["", "", "", "manifest.json is missing"])),
            )
        )
    return sets


def groups(sets: list[BackupSet]) -> list[list[BackupSet]]:
    found: dict[tuple[str, str], list[BackupSet]] = {}
    for one in sets:
        if one.manifest:
            found.setdefault((one.manifest["store"], one.manifest["method"]), []).append(one)
    return list(found.values())


@given(histories(), NUMBERS, NUMBERS)
def test_whatever_the_rules_the_newest_proven_and_the_newest_good_set_stay(sets: list[BackupSet], last: int, days: int) -> None:
    plan = plan_prune(sets, Keep(last, days), NOW)
    removed = {one.id for one in plan.remove}
    assert set(plan.reasons) == {one.id for one in sets}, "every set has its reason"
    for group in groups(sets):
        for state in (["proven"], ["proven", "verified", "written"]):
            fitting = [one for one in group if one.state in state]
            if fitting:
                newest = max(one.consistent_at for one in fitting)
                assert any(one.id not in removed for one in fitting if one.consistent_at == newest)
    assert all(one.manifest for one in plan.remove), "what cannot be read is left for a person"


@given(histories(), st.integers(0, 40), st.integers(0, 60))
def test_what_a_rule_keeps_stays_and_the_rest_goes(sets: list[BackupSet], last: int, days: int) -> None:
    removed = {one.id for one in plan_prune(sets, Keep(last, days), NOW).remove}
    for group in groups(sets):
        ordered = sorted(group, key=lambda one: (one.consistent_at, one.id), reverse=True)
        for number, one in enumerate(ordered):
            age = NOW - datetime.strptime(one.consistent_at, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
            if number < last or age <= timedelta(days=days):
                assert one.id not in removed
            elif number > 0 and one.id not in removed:
                assert one.state != "failed" and all(better.state != one.state or better.state == "failed" for better in ordered[:number])


@given(histories(), st.integers(0, 10), st.integers(0, 60))
def test_pruning_twice_removes_nothing_more_and_keeping_more_removes_less(sets: list[BackupSet], last: int, days: int) -> None:
    first = plan_prune(sets, Keep(last, days), NOW)
    rest = [one for one in sets if one not in first.remove]
    assert plan_prune(rest, Keep(last, days), NOW).remove == []
    assert {one.id for one in plan_prune(sets, Keep(last + 1, days + 1), NOW).remove} <= {one.id for one in first.remove}


def test_on_disk_a_dry_run_names_what_the_real_one_removes(tmp_path: Path) -> None:
    sets = [make_set(tmp_path, at=f"2020-01-0{day}T00:00:00Z") for day in range(1, 6)]
    sets[0].add_proof("proven")
    (tmp_path / ".20200101T000000Z-x-logical-0000.partial").mkdir()
    dry = prune(str(tmp_path), Keep(1, 30), dry_run=True)
    assert len(os.listdir(tmp_path)) == 6
    real = prune(str(tmp_path), Keep(1, 30))
    assert {key: dry[key] for key in ("removed", "leftovers", "freed_bytes")} == {
        key: real[key] for key in ("removed", "leftovers", "freed_bytes")
    }
    assert sorted(os.listdir(tmp_path)) == sorted([sets[0].id, sets[4].id])
    assert real["reasons"][sets[0].id] == "the newest proven set always stays"
    assert prune(str(tmp_path), Keep(1, 30))["changed"] is False
