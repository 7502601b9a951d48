# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which set a restore takes: never a damaged one, the proven before the merely newer, and it says why."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.catalogue import (
    Wanted,
    choose,
    in_order_of_trust,
    list_sets,
    named,
    none_found,
)
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.operations import information, open_set, select
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.sets import BackupSet
from ansible_collections.sre.runbooks.plugins.module_utils.errors import SetNotFound
from ansible_collections.sre.runbooks.tests.unit.small_sets import described, make_set

RANK = {"proven": 0, "verified": 1, "written": 2, "failed": 3}


@st.composite
def many_sets(draw: st.DrawFn) -> list[BackupSet]:
    """Sets of two stores, methods and servers, in any state, the newest first."""
    sets = []
    for number in range(draw(st.integers(0, 9))):
        states = draw(st.lists(st.sampled_from(["verified", "proven", "failed"]), max_size=3))
        at = f"2026-11-{draw(st.integers(10, 20))}T02:00:00Z"
        sets.append(
            described(
                f"{at}-{number}",
                at,
                states,
                store=draw(st.sampled_from(["reference", "billing"])),
                method=draw(st.sampled_from(["logical", "physical"])),
                server=draw(st.sampled_from(["1", "2"])),
                damage=draw(st.sampled_from(["", "", "", "manifest.json is missing"])),
            )
        )
    return sorted(sets, key=lambda one: (one.consistent_at or one.id, one.id), reverse=True)


WANTED = st.builds(
    Wanted,
    store=st.sampled_from(["", "reference"]),
    method=st.sampled_from(["", "logical"]),
    system_identifier=st.sampled_from(["", "1"]),
    newest=st.booleans(),
)


@given(many_sets(), WANTED, st.sets(st.integers(0, 9)))
def test_what_is_chosen_fits_is_whole_and_nothing_better_is_passed_over_in_silence(
    sets: list[BackupSet], wanted: Wanted, rotten: set[int]
) -> None:
    broken = {one.id for number, one in enumerate(sets) if number in rotten}
    choice = choose(sets, wanted, lambda one: ["x is missing"] if one.id in broken else [])
    usable = [one for one in sets if wanted.fits(one) and one.state != "failed" and one.id not in broken]
    if choice.chosen is None:
        assert usable == []
        return
    assert choice.chosen in usable
    if wanted.newest:
        assert choice.chosen.consistent_at == max(one.consistent_at for one in usable)
    else:
        best = min(RANK[one.state] for one in usable)
        assert RANK[choice.chosen.state] == best
        assert choice.chosen.consistent_at == max(one.consistent_at for one in usable if RANK[one.state] == best)
    told = " ".join(choice.passed_over)
    for one in sets:
        better = wanted.newest or RANK[one.state] <= RANK[choice.chosen.state]
        newer = one.consistent_at > choice.chosen.consistent_at
        if wanted.fits(one) and one.id in broken and one.state != "failed" and newer and better:
            assert one.id in told


@given(many_sets(), WANTED)
def test_a_failed_set_is_never_in_the_list_unless_it_is_named(sets: list[BackupSet], wanted: Wanted) -> None:
    assert all(one.state != "failed" and wanted.fits(one) for one in in_order_of_trust(sets, wanted))
    for one in sets:
        assert in_order_of_trust(sets, Wanted(name=one.id)) == [one]


@given(many_sets(), WANTED)
def test_a_set_fits_exactly_when_nothing_can_be_said_against_it(sets: list[BackupSet], wanted: Wanted) -> None:
    for one in sets:
        assert wanted.fits(one) == (wanted.misfit(one) == "")


def test_a_newer_set_that_is_less_proven_is_named_with_how_to_take_it() -> None:
    sets = [described("new", "2026-11-21T02:00:00Z"), described("old", "2026-11-20T02:00:00Z", ["proven"])]
    choice = choose(sets, Wanted(), lambda one: [])
    assert choice.chosen is sets[1]
    assert choice.passed_over == ["new: newer, but only written; name it with restore_set to take it"]
    assert choose(sets, Wanted(newest=True), lambda one: []).chosen is sets[0]
    assert choose(sets, Wanted(name="new"), lambda one: []).reason == "it was named"


def test_a_set_of_before_a_moment_is_the_best_that_shows_an_earlier_one() -> None:
    days = {"monday": ("23", ["proven"]), "saturday": ("21", ["proven"]), "friday": ("20", ["verified"]), "unknown": ("", ["proven"])}
    sets = [described(name, f"2026-11-{day}T02:00:00Z" if day else "", states) for name, (day, states) in days.items()]
    choice = choose(sets, Wanted(**named("before 2026-11-21T02:00:00Z")), lambda one: [])  # type: ignore[arg-type]
    assert choice.chosen is sets[2]
    assert choice.reason == "it is the newest verified set before 2026-11-21T02:00:00Z"


def test_files_are_read_only_as_long_as_no_set_is_whole() -> None:
    sets = [described(f"s{number}", f"2026-11-2{9 - number}T02:00:00Z", ["proven"]) for number in range(4)]
    asked: list[str] = []

    def look(one: BackupSet) -> list[str]:
        asked.append(one.id)
        return ["x is missing"] if one.id == "s0" else []

    chosen = choose(sets, Wanted(), look).chosen
    assert chosen is not None and chosen.id == "s1"
    assert asked == ["s0", "s1"]


def test_the_message_says_what_there_is_instead() -> None:
    sets = [described("a", "2026-11-21T02:00:00Z", store="billing"), described("b", "2026-11-21T02:00:00Z", method="physical")]
    sets += [described(f"c{number}", "2026-11-21T02:00:00Z", server="2") for number in range(9)]
    assert "no usable backup set of db before 2026" in none_found(Wanted("db", before="2026-01-01T00:00:00Z"), "/backups", [], []).message
    message = none_found(Wanted("reference", "logical", "1"), "/backups", ["d: x is missing"], sets).message
    others = "a is of the store billing; b was taken by the physical method; c0 is from another server (db:5432, system"
    assert f"d: x is missing; {others}" in message
    assert "and 6 more" in message
    assert "none is there" in none_found(Wanted(name="x"), "/backups", [], []).message


def test_sets_on_disk_are_listed_newest_first_whatever_else_lies_there(tmp_path: Path) -> None:
    older = make_set(tmp_path, at="2026-11-20T02:00:00Z")
    newer = make_set(tmp_path, at="2026-11-21T02:00:00Z", store="billing")
    (tmp_path / "lost+found").mkdir()
    (tmp_path / "file").write_text("x")
    (tmp_path / ".x.partial").mkdir()
    assert [one.id for one in list_sets(str(tmp_path)) if one.manifest] == [newer.id, older.id]
    assert list_sets(str(tmp_path / "absent")) == []
    told = information(str(tmp_path), Wanted(store="reference"))
    assert older.id in [one["id"] for one in told["backup_sets"]] and newer.id not in [one["id"] for one in told["backup_sets"]]
    assert open_set(str(tmp_path), older.id).manifest == open_set("/elsewhere", older.folder).manifest


def test_selecting_marks_the_damaged_one_and_takes_the_next(tmp_path: Path) -> None:
    older, newer = make_set(tmp_path, at="2026-11-20T02:00:00Z"), make_set(tmp_path, at="2026-11-21T02:00:00Z")
    os.truncate(newer.path("dump/1.dat"), 10)
    chosen = select(str(tmp_path), Wanted(), None)
    assert (chosen["set_id"], chosen["location"], chosen["changed"]) == (older.id, "here", False)
    assert chosen["passed_over"] == [f"{newer.id}: dump/1.dat has 10 bytes instead of 5000"]
    os.unlink(older.path("dump/1.dat"))
    with pytest.raises(SetNotFound, match=r"failed its last check.*|.*dump/1.dat is missing"):
        select(str(tmp_path), Wanted(), None)
