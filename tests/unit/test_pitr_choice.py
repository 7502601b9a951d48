# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What point in time decides without asking anybody: moments, timelines, gaps, which backup, which kind is due."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput
from ansible_collections.sre.runbooks.plugins.module_utils.pitr.choice import (
    choose_backup,
    fits,
    for_postgresql,
    history_of,
    kind_that_is_due,
    moment,
    reach,
    segment_name,
    segment_number,
    utc,
)
from ansible_collections.sre.runbooks.plugins.module_utils.pitr.model import Archive, Backup, Repository
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.connection import Connection
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.exchange import Service

DAY = 86400
SEGMENT = 16 << 20


def name(timeline: int, number: int) -> str:
    return f"{timeline:08X}{number // 256:08X}{number % 256:08X}"


def lsn(position: int) -> str:
    return f"{position >> 32:X}/{position & 0xFFFFFFFF:X}"


def backup(stopped: int, number: int = 1, timeline: int = 1, kind: str = "full", label: str = "") -> Backup:
    wal = name(timeline, number)
    return Backup(label or f"b{stopped}", kind, stopped - 10, stopped, wal, wal, lsn(number * SEGMENT + 100), 1000, 100)


@given(st.datetimes(datetime.fromisoformat("2000-01-01"), datetime.fromisoformat("2090-01-01")))
def test_a_moment_is_read_as_it_was_written(when: datetime) -> None:
    seconds = when.replace(tzinfo=UTC).timestamp()
    assert moment(when.isoformat(timespec="microseconds") + "Z") == pytest.approx(seconds, abs=1e-5)
    assert moment(utc(seconds)) == int(seconds)
    assert for_postgresql(seconds).startswith(utc(seconds)[:10])


def test_an_offset_counts_and_its_colon_does_not() -> None:
    assert moment("2026-11-21T03:14:00+01:00") == moment("2026-11-21 02:14:00Z") == moment("2026-11-21T03:14:00+0100")
    assert moment("2026-11-21T02:14:00+00") == moment("2026-11-21T02:14:00.000000Z")


@pytest.mark.parametrize("text", ["2026-11-21T02:14:00", "yesterday", "", "2026-13-01T00:00:00Z", "2026-11-21T25:00:00Z", "; DROP"])
def test_a_moment_without_zone_or_sense_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(BadInput, match=r"2026-11-21T02:14:00Z"):
        moment(text)


@given(st.integers(0, 2000), st.integers(1, 60), st.data())
def test_the_row_of_segments_ends_at_the_first_gap_which_is_named(first: int, count: int, data: st.DataObject) -> None:
    there = list(range(first, first + count))
    gone = data.draw(st.integers(0, count - 1))
    names = [name(1, number) for number in there if number != first + gone]
    row, missing = reach(name(1, first), names, history_of(1, ""))
    assert row == [name(1, number) for number in range(first, first + gone)]
    assert missing == ("" if gone == count - 1 else name(1, first + gone))


def test_a_row_follows_the_history_over_the_switch_and_leaves_out_what_the_old_timeline_wrote_afterwards() -> None:
    along = history_of(2, f"1\t{lsn(5 * SEGMENT + 9)}\tbefore 2026\n")
    old, new = [name(1, number) for number in range(2, 9)], [name(2, number) for number in (5, 6)]
    assert reach(name(1, 2), [*old, *new], along) == ([*old[:3], *new], "")
    assert reach(name(1, 2), [*old, *new], history_of(1, "")) == (old, "")


def test_segments_of_another_history_are_nobodys_gap() -> None:
    assert reach(name(1, 2), [name(1, 2), name(7, 9)], history_of(1, "")) == ([name(1, 2)], "")


@given(st.integers(0, 3 * 256 * 4))
def test_segments_are_counted_through_the_ends_of_log_files(number: int) -> None:
    assert segment_number(name(3, number)) == number
    assert segment_name("00000003", number) == name(3, number)


def test_a_backup_fits_a_history_only_up_to_the_switch() -> None:
    along = history_of(2, f"1\t{lsn(5 * SEGMENT)}\tx\n")
    assert fits(backup(100, 4), along)
    assert not fits(backup(100, 6), along)
    assert fits(backup(100, 6, timeline=2), along)
    assert not fits(backup(100, 6, timeline=2), history_of(1, ""))


@given(st.lists(st.integers(1000, 9000), min_size=1, max_size=20, unique=True), st.integers(900, 9100))
def test_the_newest_backup_that_was_complete_before_the_moment_is_chosen(stops: list[int], target: int) -> None:
    chosen = choose_backup([backup(stop) for stop in stops], history_of(1, ""), float(target))
    fitting = [stop for stop in stops if stop + 1 <= target]
    assert (chosen.stopped if chosen else None) == (max(fitting) if fitting else None)
    newest = choose_backup([backup(stop) for stop in stops], history_of(1, ""), None)
    assert newest is not None
    assert newest.stopped == max(stops)


def test_the_least_that_is_due_is_taken() -> None:
    now = 100 * DAY
    week = backup(now - 3 * DAY)
    assert kind_that_is_due([], now, 7, 1) == "full"
    assert kind_that_is_due([backup(now - 8 * DAY)], now, 7, 1) == "full"
    assert kind_that_is_due([backup(now - 7 * DAY + 300)], now, 7, 1) == "full"
    assert kind_that_is_due([week], now, 7, 1) == "diff"
    assert kind_that_is_due([week, backup(now - 3600, kind="diff")], now, 7, 1) == "incr"
    assert kind_that_is_due([week], now, 7, 0) == "incr"


@pytest.mark.parametrize("stanza", ["a b", "x;y", "$(id)", "50%", "", "a'b"])
def test_a_name_that_a_shell_could_misunderstand_is_refused(stanza: str) -> None:
    with pytest.raises(BadInput, match="stanza"):
        Archive(stanza, Service("/data"), Connection(), "/etc/x.conf", Repository())


def test_a_repository_in_an_object_store_needs_all_that_reaches_it() -> None:
    with pytest.raises(BadInput, match="bucket"):
        Repository(type="s3", path="/x", bucket="b")
    assert "geheim" not in repr(Repository(type="s3", path="/x", bucket="b", endpoint="e", access_key="geheim", secret_key="geheim"))
