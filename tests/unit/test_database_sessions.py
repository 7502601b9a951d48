# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which sessions hold others up, which may be ended, and what the numbers mean: decided without a server."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.sre.runbooks.plugins.module_utils.database_care.blocking import roots, trees, waiting_for
from ansible_collections.sre.runbooks.plugins.module_utils.database_care.session_choice import IDLE, STATES, Wanted, choose
from ansible_collections.sre.runbooks.plugins.module_utils.database_care.session_report import Limits, report, usage
from ansible_collections.sre.runbooks.plugins.module_utils.database_care.sessions import Activity, One


@st.composite
def servers(draw: st.DrawFn) -> Activity:
    """Servers with sessions of every sort that wait for one another in any way, circles included."""
    pids = list(range(1, draw(st.integers(1, 9)) + 1))
    sessions = [
        One(
            pid,
            database=draw(st.sampled_from(["shop", "other"])),
            user=draw(st.sampled_from(["service", "postgres"])),
            application=draw(st.sampled_from(["shop", "pg_dump", "sre.runbooks", "pgbackrest", ""])),
            kind=draw(st.sampled_from(["client backend", "walsender", "autovacuum worker", "background writer"])),
            state=draw(st.sampled_from([*STATES, ""])),
            state_s=draw(st.none() | st.floats(0, 10**6)),
            visible=draw(st.booleans()),
            superuser=draw(st.booleans()),
            may_be_ended=draw(st.booleans()),
            advisory_locks=draw(st.integers(0, 1)),
            blocked_by=draw(st.lists(st.sampled_from([0, *pids, 999]), max_size=3)),
            query=draw(st.sampled_from(["SELECT 1", "VACUUM t", "reindex index x", "CREATE INDEX ON t (a)"])),
        )
        for pid in pids
    ]
    return Activity(sessions, own_pid=draw(st.sampled_from(pids)))


@given(servers(), st.sampled_from([0, 1, 3, 50]), st.booleans(), st.booleans())
def test_whatever_is_asked_for_nobody_is_ended_who_will_be_missed(now: Activity, most: int, superusers: bool, blocking: bool) -> None:
    wanted = Wanted(states=STATES, older_than_s=10, spare_superusers=superusers, only_blocking=blocking, most=most, databases=["shop"])
    choice = choose(now, wanted)
    assert len(choice.chosen) <= most
    for one in choice.chosen:
        assert one.kind == "client backend" and one.visible and one.may_be_ended and one.pid != now.own_pid
        assert one.application in ("shop", "")
        assert one.database == "shop" and (one.state_s or 0) > 10
        assert not (superusers and one.superuser)
        assert one.state != "active" or one.query == "SELECT 1"
        assert one.state != IDLE or blocking or not one.advisory_locks
        assert not blocking or one.pid in roots(now.sessions)
    lengths = [one.state_s for one in choice.chosen]
    assert lengths == sorted(lengths, key=lambda value: -(value or 0)), "the longest in their state go first"
    assert not {one.pid for one in choice.chosen} & {one.pid for one, _reason in choice.spared}
    assert all(reason for _one, reason in choice.spared)


@given(servers())
def test_every_session_that_waits_hangs_below_somebody_in_the_trees(now: Activity) -> None:
    def pids(nodes: list[dict[str, object]]) -> set[object]:
        return {pid for node in nodes for pid in [node["pid"], *pids(node["waiting"])]}  # type: ignore[arg-type]

    shown = pids(trees(now))
    waiting = {pid for below in waiting_for(now.sessions).values() for pid in below}
    assert waiting <= shown
    assert len({node["pid"] for node in trees(now)}) == len(trees(now))


def test_a_circle_is_shown_once_and_by_the_one_outside_where_there_is_one() -> None:
    circle = [One(1, blocked_by=[2]), One(2, blocked_by=[1])]
    assert roots(circle) == [1]
    assert roots([*circle, One(3)]) == [1]
    assert roots([One(1, blocked_by=[2, 3]), One(2, blocked_by=[1]), One(3)]) == [3]


@pytest.mark.parametrize(("used", "verdict"), [(80, "pass"), (81, "warn"), (90, "warn"), (91, "fail"), (97, "fail")])
def test_the_share_in_use_is_that_of_what_the_service_can_have(used: int, verdict: str) -> None:
    now = Activity([One(pid) for pid in range(used)], max_connections=103, reserved_connections=3)
    assert usage(now, Limits())["verdict"] == verdict


def test_processes_of_the_server_take_no_connection_of_the_service() -> None:
    now = Activity([One(1), One(2, kind="walsender"), One(3, kind="autovacuum worker")], max_connections=10, reserved_connections=0)
    assert usage(now, Limits())["connections"] == 1


def test_limits_of_a_database_and_of_a_role_count_too() -> None:
    limits = [{"kind": "role", "name": "service", "allowed": 10, "used": 10}]
    told = report(Activity([One(1)], limits=limits), Limits())
    assert told["verdict"] == "fail" and "the role service uses 10 of its 10 connections" in told["findings"][0]["text"]


def test_what_may_not_be_seen_is_unknown_and_never_called_good() -> None:
    told = report(Activity([One(1, visible=False)]), Limits())
    assert told["verdict"] == "unknown" and told["by_state"] == {"not visible": 1}
