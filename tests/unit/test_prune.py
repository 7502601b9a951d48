# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pruning removes what no rule keeps, and never the last good set."""

from __future__ import annotations

import gc
import itertools
import os
import random
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.catalogue import Wanted, list_sets
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.hashing import hash_file
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.in_use import CHOSEN, CHOSEN_S
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.operations import prune, select
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.prune import Keep, plan_prune
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.sets import BackupSet, SetWriter, read_set
from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput
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
    plan = plan_prune(sets, Keep(last, days, last, days, last), NOW)
    removed = {one.id for one in plan.remove}
    assert set(plan.reasons) == {one.id for one in sets}, "every set has its reason"
    assert last or days or not removed, "without a rule nothing goes"
    for group in groups(sets):
        for state in (["proven"], ["proven", "verified", "written"]):
            fitting = [one for one in group if one.state in state]
            if fitting:
                newest = max(one.consistent_at for one in fitting)
                assert any(one.id not in removed for one in fitting if one.consistent_at == newest)
    assert all(one.manifest for one in plan.remove), "what cannot be read is left for a person"


RULES = st.builds(
    Keep,
    last=st.integers(0, 40),
    days=st.integers(0, 60),
    daily=st.integers(0, 10),
    weekly=st.integers(0, 6),
    monthly=st.integers(0, 3),
    time_zone=st.sampled_from(["UTC", "Europe/Berlin", "Pacific/Kiritimati", "America/Los_Angeles"]),
).filter(lambda keep: keep.has_rule)


def at(one: BackupSet, zone: str = "UTC") -> datetime:
    return datetime.strptime(one.consistent_at, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).astimezone(ZoneInfo(zone))


def periods(one: BackupSet, zone: str) -> dict[str, tuple[int, ...]]:
    local = at(one, zone)
    return {"daily": (local.year, local.month, local.day), "weekly": local.isocalendar()[:2], "monthly": (local.year, local.month)}


@given(histories(), RULES)
def test_what_a_rule_keeps_stays_and_the_rest_goes(sets: list[BackupSet], keep: Keep) -> None:
    removed = {one.id for one in plan_prune(sets, keep, NOW).remove}
    for group in groups(sets):
        ordered = sorted(group, key=lambda one: (one.consistent_at, one.id), reverse=True)
        good = [one for one in ordered if one.state != "failed"]
        proven = [one for one in ordered if one.state == "proven"]
        wanted = {one.id for one in [*ordered[: keep.last], *good[: keep.last], *good[:1], *proven[:1]]}
        wanted |= {one.id for one in ordered if NOW - at(one) <= timedelta(days=keep.days)}
        for rule in ("daily", "weekly", "monthly"):
            told_apart: dict[tuple[int, ...], str] = {}
            for one in good:
                told_apart.setdefault(periods(one, keep.time_zone)[rule], one.id)
            wanted |= set(list(told_apart.values())[: getattr(keep, rule)])
        assert {one.id for one in ordered} - removed == wanted


@given(histories(), RULES)
def test_pruning_twice_removes_nothing_more_and_keeping_more_removes_less(sets: list[BackupSet], keep: Keep) -> None:
    first = plan_prune(sets, keep, NOW)
    rest = [one for one in sets if one not in first.remove]
    assert plan_prune(rest, keep, NOW).remove == []
    for rule in ("last", "days", "daily", "weekly", "monthly"):
        more = plan_prune(sets, replace(keep, **{rule: getattr(keep, rule) + 1}), NOW)
        assert {one.id for one in more.remove} <= {one.id for one in first.remove}


@given(histories(), RULES, st.randoms())
def test_what_is_in_use_or_another_set_is_built_on_stays(sets: list[BackupSet], keep: Keep, chance: random.Random) -> None:
    used = {one.id: "it is being restored" for one in sets if chance.random() < 0.3}
    ordered = sorted((one for one in sets if one.manifest), key=lambda one: one.consistent_at)
    for base, one in itertools.pairwise(ordered):
        if chance.random() < 0.5:
            one.manifest["base"] = base.id
    removed = {one.id for one in plan_prune(sets, keep, NOW, used).remove}
    assert not removed & set(used)
    for one in ordered:
        assert one.id in removed or one.manifest.get("base") not in removed


def test_a_day_begins_at_the_midnight_of_the_profiles_zone() -> None:
    early, late = described("early", "2026-11-10T22:30:00Z"), described("late", "2026-11-10T23:30:00Z")
    newest = described("newest", "2026-11-20T00:00:00Z")
    in_utc = plan_prune([early, late, newest], Keep(1, 0, daily=5), NOW)
    in_berlin = plan_prune([early, late, newest], Keep(1, 0, daily=5, time_zone="Europe/Berlin"), NOW)
    assert [one.id for one in in_utc.remove] == ["early"]
    assert in_berlin.remove == []
    assert in_berlin.reasons["late"] == "the newest of its day (2026-11-11), of which 5 are kept"


def test_a_time_zone_that_does_not_exist_is_refused_before_anything_goes() -> None:
    with pytest.raises(BadInput, match="There is no time zone 'Mars/Olympus'"):
        plan_prune([], Keep(time_zone="Mars/Olympus"), NOW)


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


def old_sets(folder: Path, count: int = 4) -> list[BackupSet]:
    return [make_set(folder, at=f"2020-01-0{day}T00:00:00Z") for day in range(1, count + 1)]


def test_a_set_that_is_being_read_by_another_process_is_spared_and_goes_when_it_is_done(tmp_path: Path) -> None:
    one = old_sets(tmp_path)[0]
    reading = subprocess.Popen([sys.executable, "-c", READ, one.folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=with_path())
    try:
        assert reading.stdout is not None and reading.stdout.readline() == b"reading\n"
        result = prune(str(tmp_path), Keep(1, 0))
        assert result["reasons"][one.id] == "in use: it is being read, copied or restored"
        assert len(result["removed"]) == 2 and Path(one.folder).is_dir()
    finally:
        reading.kill()
        reading.communicate()
    assert prune(str(tmp_path), Keep(1, 0))["removed"] == [one.id]


READ = """
import sys
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.sets import read_set
one = read_set(sys.argv[1])
one.require_whole()
print("reading", flush=True)
sys.stdin.read()
"""


def with_path() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def test_a_set_that_was_chosen_for_a_restore_is_spared_until_a_restore_has_long_ended(tmp_path: Path) -> None:
    sets = old_sets(tmp_path)
    chosen = select(str(tmp_path), Wanted(name=sets[0].id), None)
    assert chosen["set_id"] == sets[0].id
    assert read_set(sets[0].folder).problems() == [], "the note is no damage"
    gc.collect()
    told = prune(str(tmp_path), Keep(1, 0), dry_run=True)
    assert told["reasons"][sets[0].id].startswith("in use: it was chosen for a restore or a rehearsal 0 minutes ago")
    note = Path(sets[0].folder, CHOSEN)
    os.utime(note, (note.stat().st_mtime - CHOSEN_S - 1,) * 2)
    assert sets[0].id in prune(str(tmp_path), Keep(1, 0))["removed"]


PRUNE = """
import sys
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.catalogue import Wanted, list_sets
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.hashing import hash_file
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.in_use import CHOSEN, CHOSEN_S
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.operations import prune, select
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.prune import Keep
print("begin", flush=True)
prune(sys.argv[1], Keep(1, 0))
"""


@pytest.mark.parametrize("after_s", [0.0, 0.002, 0.005, 0.01, 0.02, 0.04])
def test_a_pruning_that_is_killed_leaves_nothing_that_looks_like_a_set_and_the_next_ends_it(tmp_path: Path, after_s: float) -> None:
    files = {f"dump/{number}.dat": b"x" for number in range(300)}
    sets = [make_set(tmp_path, files, at=f"2020-01-0{day}T00:00:00Z") for day in range(1, 5)]
    pruning = subprocess.Popen([sys.executable, "-c", PRUNE, str(tmp_path)], stdout=subprocess.PIPE, env=with_path())
    assert pruning.stdout is not None
    pruning.stdout.readline()
    time.sleep(after_s)
    pruning.kill()
    pruning.communicate()
    left = list_sets(str(tmp_path))
    assert sets[3].id in {one.id for one in left}
    assert [one.problems() for one in left] == [[] for _one in left], "a set is whole or is none"
    del left
    gc.collect()
    prune(str(tmp_path), Keep(1, 0))
    assert os.listdir(tmp_path) == [sets[3].id]


def test_a_pruning_beside_a_backup_leaves_the_set_in_the_making_alone(tmp_path: Path) -> None:
    older = old_sets(tmp_path)
    with SetWriter(str(tmp_path), "reference", "logical") as writer:
        Path(writer.folder, "dump.dat").write_bytes(b"half")
        result = prune(str(tmp_path), Keep(1, 0))
        assert result["leftovers"] == [] and len(result["removed"]) == 3
        manifest = {**older[0].manifest, "consistent_at": "2026-11-21T00:00:00Z"}
        sealed = writer.seal(manifest, {"dump.dat": hashed(Path(writer.folder, "dump.dat"))})
    assert read_set(sealed.folder).problems() == []


def hashed(path: Path) -> dict[str, object]:
    sha256, size = hash_file(str(path))
    return {"sha256": sha256, "size_bytes": size}
