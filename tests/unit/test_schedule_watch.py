# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Was a run missed? Held against moments that went by with and without one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.sre.runbooks.plugins.module_utils.schedule.entry import Entry
from ansible_collections.sre.runbooks.plugins.module_utils.schedule.job import Job
from ansible_collections.sre.runbooks.plugins.module_utils.schedule.watch import LastRun, judged
from ansible_collections.sre.runbooks.plugins.module_utils.state import utc_text
from ansible_collections.sre.runbooks.tests.unit.schedules import TIMES, ZONES, entry

NOW = datetime(2026, 6, 15, 12, 0, tzinfo=UTC)
MONTHS = timedelta(days=200)


def job(one: Entry, since: datetime) -> Job:
    """What was set up for an entry."""
    return Job("p", one.name, one.procedure, one.table.text, one.zone_name, utc_text(since), ["true"])


@pytest.mark.parametrize(
    ("status", "ago_h", "verdict", "said"),
    [
        ("succeeded", 10, "on_time", ""),
        ("succeeded", 11, "missed", "it was due 2026-06-15 02:00:00 UTC and has not begun"),
        ("succeeded", 60, "missed", "3 runs are missing"),
        ("failed", 10, "failed", "the disk is full"),
        ("ended", 10, "failed", "its last run has ended"),
        ("abandoned", 10, "failed", "its last run has abandoned"),
        ("running", 1, "running", ""),
        ("running", 9, "failed", "longer than it may"),
    ],
)
def test_the_verdict_on_a_daily_backup(status: str, ago_h: int, verdict: str, said: str) -> None:
    one = entry("daily 02:00")
    last = LastRun(NOW - timedelta(hours=ago_h), status, why="the disk is full" if status == "failed" else "")
    found = judged(one, job(one, NOW - MONTHS), last, NOW)
    assert (found["verdict"], said in found["why"]) == (verdict, True), found
    if verdict in ("missed", "failed"):
        assert found["next_step"]


def test_what_was_never_due_waits_what_was_not_set_up_or_differs_is_unknown_and_what_is_off_is_off() -> None:
    one = entry("daily 02:00")
    assert judged(one, job(one, NOW - timedelta(hours=1)), None, NOW)["verdict"] == "waiting"
    assert judged(one, None, None, NOW)["verdict"] == "unknown"
    assert judged(one, job(entry("daily 03:00"), NOW - MONTHS), None, NOW)["verdict"] == "unknown"
    assert judged(replace(one, enabled=False), None, None, NOW)["verdict"] == "off"


def test_a_moment_within_its_grace_is_not_missed_yet() -> None:
    one = entry("daily 11:50", grace_s=900)
    last = LastRun(NOW - timedelta(days=1), "succeeded")
    assert judged(one, job(one, NOW - MONTHS), last, NOW)["verdict"] == "on_time"
    assert judged(one, job(one, NOW - MONTHS), last, NOW + timedelta(minutes=6))["verdict"] == "missed"


@given(
    at=st.sampled_from(TIMES),
    zone=st.sampled_from(ZONES),
    minutes=st.integers(0, 500_000),
    late_s=st.integers(0, 600),
    skipped=st.integers(0, 5),
    grace_s=st.integers(601, 7200),
)
def test_exactly_what_did_not_run_is_missed(at: str, zone: str, minutes: int, late_s: int, skipped: int, grace_s: int) -> None:
    """A scheduler that was up until some moment, then down for a number of runs."""
    one = entry(at, zone, grace_s=grace_s)
    begin = NOW + timedelta(minutes=minutes)
    first, *missing = one.next_runs(begin, skipped + 1)
    last = LastRun(first + timedelta(seconds=late_s), "succeeded", due=first)
    # The very moment at which the grace of the last one that did not run is over.
    now = (missing[-1] if missing else first) + timedelta(seconds=grace_s)
    found = judged(one, job(one, begin - MONTHS), last, now)
    assert found["missed"] == len(missing)
    assert found["verdict"] == ("missed" if missing else "on_time")
