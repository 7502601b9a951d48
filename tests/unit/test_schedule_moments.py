# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The moments of a schedule: every one, none twice, right on the days when clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput
from ansible_collections.sre.runbooks.plugins.module_utils.schedule.moments import (
    is_due_on,
    next_runs,
    previous_run,
    runs_between,
    zone_of,
)
from ansible_collections.sre.runbooks.plugins.module_utils.schedule.timetable import parse

WARSAW, UTC = ZoneInfo("Europe/Warsaw"), UTC
ZONES = ("UTC", "Europe/Warsaw", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Africa/Casablanca")
TIMES = (
    "every 5 min",
    "every 7 min",
    "every 90 min",
    "every 5 h",
    "every 2 days",
    "daily 02:30",
    "daily 00:00, 23:59",
    "Mon-Fri 09:00, 18:00",
    "Sat, Sun 02:00",
    "Fri-Mon 12:00",
    "first Sun 01:00",
    "fourth Wed 02:15",
    "last Sun 02:30",
    "day 1 03:00",
    "day 15, 28 00:30",
    "last day 23:00",
    "monthly 04:00",
)
a_moment = st.integers(1_704_067_200, 1_893_456_000).map(lambda second: datetime.fromtimestamp(second, UTC))


def local(moment: datetime, zone: str = "Europe/Warsaw") -> str:
    """A moment as the clock on the wall shows it."""
    return moment.astimezone(ZoneInfo(zone)).strftime("%a %Y-%m-%d %H:%M")


@pytest.mark.parametrize(
    ("at", "after", "expected"),
    [
        ("first Sun 01:00", "2026-11-21", ["Sun 2026-12-06 01:00", "Sun 2027-01-03 01:00"]),
        ("last Sun 01:00", "2026-11-21", ["Sun 2026-11-29 01:00", "Sun 2026-12-27 01:00"]),
        ("last day 23:00", "2028-02-01", ["Tue 2028-02-29 23:00", "Fri 2028-03-31 23:00"]),
        ("day 1, 15 03:00", "2026-12-02", ["Tue 2026-12-15 03:00", "Fri 2027-01-01 03:00"]),
        ("Mon-Fri 09:00", "2026-11-20T12:00", ["Mon 2026-11-23 09:00", "Tue 2026-11-24 09:00"]),
        # What the clocks skip in spring is due an hour later, what they repeat in autumn is due once.
        ("daily 02:30", "2026-03-28T12:00", ["Sun 2026-03-29 03:30", "Mon 2026-03-30 02:30"]),
        ("daily 02:30", "2026-10-24T12:00", ["Sun 2026-10-25 02:30", "Mon 2026-10-26 02:30"]),
        ("daily 02:30, 03:30", "2026-03-28T12:00", ["Sun 2026-03-29 03:30", "Mon 2026-03-30 02:30"]),
    ],
)
def test_the_next_runs_are_those_of_the_calendar_on_the_wall(at: str, after: str, expected: list[str]) -> None:
    found = next_runs(parse(at), WARSAW, datetime.fromisoformat(after).replace(tzinfo=UTC), 2)
    assert [local(moment) for moment in found] == expected


@given(at=st.sampled_from(TIMES), zone=st.sampled_from(ZONES), moment=a_moment)
def test_next_and_previous_agree_and_leave_nothing_out(at: str, zone: str, moment: datetime) -> None:
    table, where = parse(at), zone_of(zone)
    found = next_runs(table, where, moment, 4)
    assert found == sorted(set(found))
    assert len(found) == 4
    assert all(one > moment for one in found)
    before = previous_run(table, where, moment)
    assert before is not None
    assert before <= moment
    # Nothing lies between the one before and the one after, and the one after is found from both sides.
    assert next_runs(table, where, before, 1)[0] == found[0]
    assert previous_run(table, where, found[0] - timedelta(microseconds=1)) == before
    assert previous_run(table, where, found[0]) == found[0]
    assert runs_between(table, where, before, found[-1]) == found
    # The clocks of these zones change by an hour at most.
    assert (found[0] - before).total_seconds() <= table.longest_gap_s + 3600


@given(at=st.sampled_from(TIMES), zone=st.sampled_from(ZONES), moment=a_moment)
def test_the_moments_are_those_that_a_search_minute_by_minute_finds(at: str, zone: str, moment: datetime) -> None:
    table, where = parse(at), ZoneInfo(zone)
    start = moment.replace(second=0, microsecond=0)
    found = set(runs_between(table, where, start, start + timedelta(hours=30)))
    for minutes in range(1, 30 * 60 + 1):
        one = start + timedelta(minutes=minutes)
        wall = one.astimezone(where)
        due = (
            one.timestamp() % table.every_s == 0
            if table.every_s
            else wall.fold == 0 and wall.hour * 60 + wall.minute in table.minutes and table.is_on(wall.date())
        )
        # What a gap has moved is due although the wall shows another time: it is found, and nothing is left out.
        assert not due or one in found, f"{wall} is missing"


@given(at=st.sampled_from(TIMES), zone=st.sampled_from(ZONES), moment=a_moment)
def test_the_day_of_a_run_is_one_on_which_it_is_due(at: str, zone: str, moment: datetime) -> None:
    table, where = parse(at), zone_of(zone)
    run = next_runs(table, where, moment)[0]
    assert is_due_on(table, where, run)


def test_an_unknown_zone_and_an_unknown_time_are_told_with_the_next_step() -> None:
    with pytest.raises(BadInput, match="no time zone 'Mars/Base'"):
        zone_of("Mars/Base")
    with pytest.raises(BadInput, match="no time zone"):
        zone_of("../../etc/passwd")
    with pytest.raises(BadInput, match=r"'Sunday at two' .* cannot be understood.*first Sun 01:00"):
        parse("Sunday at two")


@pytest.mark.parametrize("at", ["day 31 01:00", "day 0 01:00", "first Foo 01:00", "daily 24:00", "every 0 min", "last", "", None, 5, ["x"]])
def test_what_some_month_does_not_have_or_nobody_understands_is_refused(at: object) -> None:
    with pytest.raises(BadInput):
        parse(at)


@given(at=st.sampled_from(TIMES), moment=st.sampled_from([datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, tzinfo=UTC)]))
def test_the_ends_of_the_calendar_are_no_trap(at: str, moment: datetime) -> None:
    assert len(next_runs(parse(at), UTC, moment, 3)) <= 3
    previous_run(parse(at), UTC, moment)
