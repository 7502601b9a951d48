# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Can a store be recovered as promised? Schedules, retention, sets, archives and measured restores against RTO and RPO."""

from __future__ import annotations

import json
import typing as t
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.reports import NOW, make, report_of, section

from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.planned import Rules, kept_s
from ansible_collections.sre.runbooks.plugins.module_utils.profile.promises import mistakes
from ansible_collections.sre.runbooks.plugins.module_utils.recovery.measured import Measured, measured, records, sizes
from ansible_collections.sre.runbooks.plugins.module_utils.recovery.objectives import Judged, Known, judge

STORE: dict[str, t.Any] = {"name": "cases", "kind": "postgresql", "component": "database", "rto_s": 3600, "rpo_s": 3600}


def at(seconds_ago: float) -> str:
    return datetime.fromtimestamp(NOW - seconds_ago, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def one_set(seconds_ago: float = 600, state: str = "proven", took_s: float = 60, **more: t.Any) -> dict[str, t.Any]:
    return {
        "id": f"set-{seconds_ago:g}", "store": "cases", "state": state, "size_bytes": 1e9, "damage": [],
        "started_at": at(seconds_ago + took_s), "consistent_at": at(seconds_ago + took_s), "finished_at": at(seconds_ago), **more,
    }  # fmt: skip


def judged(store: t.Mapping[str, t.Any] = STORE, **known: t.Any) -> Judged:
    rules: dict[str, t.Any] = {"schedule": [{"procedure": "backup", "at": "every 30 min"}], "windows": [], "keep": {"last": 7, "days": 30}}
    rules = {name: known.pop(name, value) for name, value in rules.items()}
    facts: dict[str, t.Any] = {
        "at": NOW, "rules": Rules(stores=["other", "cases"], archived=list(known.get("archives", ())), **rules),
        "sets": [one_set()], "archives": {}, "measured": [Measured(NOW - 9000, 120, "restore_drill", "cases", "", "RUN-1")],
    }  # fmt: skip
    return judge(store, Known(**{**facts, **known}))


def test_a_store_that_is_backed_up_often_proven_and_restored_in_time_passes() -> None:
    found = judged()
    assert found.verdict == "pass", found.findings
    assert found.best_loss_s == 30 * 60 + 60


def test_a_daily_dump_is_caught_against_an_hour() -> None:
    found = judged(schedule=[{"procedure": "backup", "at": "daily 02:00", "variables": {"backup_store": "cases"}}])
    assert found.findings["schedule"].verdict == "fail"
    assert found.findings["schedule"].said.startswith(
        "the store cases may lose 1 h (RPO), and with its backups as planned (daily 02:00) up to 24 h"
    )


def test_what_a_backup_takes_is_lost_too() -> None:
    schedule = [{"procedure": "backup", "at": "every 55 min"}]
    assert judged(schedule=schedule).findings["schedule"].verdict == "pass"
    assert judged(schedule=schedule, sets=[one_set(took_s=600)]).findings["schedule"].verdict == "fail"


def test_a_backup_of_another_store_does_not_count_and_one_of_several_or_of_all_does() -> None:
    cases = (
        ("other", "fail"),
        ("other, cases", "pass"),
        (["other", "cases"], "pass"),
        ("", "pass"),
        (None, "pass"),
        ("cases, none", "fail"),
    )
    for named, verdict in cases:
        entry = {"procedure": "backup", "at": "every 30 min", "variables": {"backup_store": named}}
        assert judged(schedule=[entry]).findings["schedule"].verdict == verdict, named


WELL = {"is_set_up": True, "rpo_s": 45.0, "archive_timeout_s": 60, "archive_problem": ""}
DAILY = [{"procedure": "backup", "at": "daily 02:00"}, {"procedure": "pitr_backup", "at": "every 12 h"}]


def test_an_archived_log_makes_minutes_of_a_daily_backup() -> None:
    found = judged(schedule=DAILY, archives={"cases": WELL}, sets=[one_set(40_000)])
    assert found.verdict == "pass", found.findings
    assert (found.best_loss_s, found.loss_now_s) == (60, 45.0)
    assert found.planned == "daily 02:00; log archived continuously, backup into the archive every 12 h"


@pytest.mark.parametrize(
    ("changed", "verdicts", "said"),
    [
        ({"archive_problem": "archive_command fails", "rpo_s": 9000.0}, ("fail", "fail", "fail"), "archive_command fails"),
        ({"archive_problem": "the archive holds no backup", "rpo_s": None}, ("fail", "fail", "fail"), "holds no backup"),
        ({"is_set_up": False}, ("fail", "fail", "pass"), "there is no archive of it"),
        ({"is_set_up": None, "msg": "its host is gone"}, ("unknown", "fail", "pass"), "its host is gone"),
    ],
)
def test_an_archive_on_which_nothing_can_be_built_is_told_with_its_reason_and_counts_for_nothing(
    changed: dict[str, t.Any], verdicts: tuple[str, str, str], said: str
) -> None:
    archive = {name: value for name, value in {**WELL, **changed}.items() if value is not None}
    found = judged(schedule=DAILY, archives={"cases": archive}, sets=[one_set(40_000)])
    assert tuple(found.findings[name].verdict for name in ("archive", "schedule", "now")) == verdicts
    assert said in found.findings["archive"].said


def test_an_archive_is_proven_by_a_restore_from_it() -> None:
    alone: dict[str, t.Any] = {"schedule": DAILY[1:], "archives": {"cases": WELL}, "sets": []}
    assert judged(**alone).findings["proof"].verdict == "warn"
    restored = [Measured(NOW - 9000, 120, "pitr_verify", "cases", "", "RUN-1")]
    assert judged(**alone, measured=restored).verdict == "pass"
    assert judged(**{**alone, "schedule": DAILY[:1]}, measured=restored).findings["base"].verdict == "warn"


@pytest.mark.parametrize("schedule", [[], DAILY, DAILY[1:], [{"procedure": "backup", "at": "daily 02:00", "enabled": False}]])
@pytest.mark.parametrize("pitr", [None, {}, {"archive_timeout_s": 3600}, {"archive_timeout_s": 7200}])
@pytest.mark.parametrize("keep", [{}, {"last": 1, "days": 0}, {"last": 1, "days": 0, "daily": 3}])
def test_what_is_said_before_anything_runs_is_what_is_said_of_the_running_service(
    schedule: list[dict[str, t.Any]], pitr: dict[str, t.Any] | None, keep: dict[str, int]
) -> None:
    store = STORE if pitr is None else {**STORE, "pitr": pitr}
    variables = {"backup_stores": [store], "schedule_entries": schedule, **{f"backup_keep_{rule}": value for rule, value in keep.items()}}
    before = {(one.what, one.level) for one in mistakes(variables, {}, lambda path: "") if one.path[0] != "schedule_entries"}
    archives = {} if pitr is None else {"cases": {**WELL, "archive_timeout_s": pitr.get("archive_timeout_s", 60)}}
    after = judged(store, schedule=schedule, keep=keep, archives=archives, sets=[one_set(took_s=0)]).findings
    levels = {"fail": "error", "warn": "warning", "unknown": "warning"}
    known = [after[name] for name in ("schedule", "archive", "base", "retention") if name in after]
    told = {(one.said[0].upper() + one.said[1:], levels.get(one.verdict)) for one in known}
    assert before == {one for one in told if one[1]}


@pytest.mark.parametrize(
    ("changed", "finding", "verdict"),
    [
        ({"sets": [one_set(8000)]}, "now", "fail"),
        ({"sets": []}, "now", "fail"),
        ({"sets": None}, "now", "unknown"),
        ({"sets": [one_set(state="failed")]}, "now", "fail"),
        ({"sets": [one_set(damage=["manifest.json is missing"])]}, "now", "fail"),
        ({"sets": [one_set(state="verified")]}, "proof", "warn"),
        ({"measured": []}, "rto", "unknown"),
        ({"measured": [Measured(NOW, 4000, "restore", "cases", "", "R")]}, "rto", "fail"),
        ({"schedule": []}, "schedule", "unknown"),
        ({"schedule": [{"procedure": "morning_check", "at": "daily 09:00"}]}, "schedule", "fail"),
        ({"schedule": [{"procedure": "backup", "at": "when I like"}]}, "schedule", "fail"),
        ({"keep": {"last": 1, "days": 0}}, "retention", "fail"),
    ],
)
def test_what_cannot_be_kept_is_told_and_what_nobody_knows_is_never_good(changed: dict[str, t.Any], finding: str, verdict: str) -> None:
    found = judged(**changed).findings[finding]
    assert found.verdict == verdict
    assert found.said and found.step


def test_nothing_is_asked_of_a_store_without_promises_but_that_it_has_a_set() -> None:
    free = {"name": "cases", "kind": "redis"}
    assert judged(free, schedule=[], measured=[]).verdict == "pass"
    assert judged(free, sets=[]).verdict == "fail"


@given(
    st.fixed_dictionaries({name: st.integers(0, 100) for name in ("last", "days", "daily", "weekly", "monthly")}),
    st.floats(60, 1e7),
)
def test_keeping_more_never_reaches_back_less(keep: dict[str, int], gap_s: float) -> None:
    reach = kept_s(keep, gap_s)
    assert reach >= 0
    for name in ("last", "days", "daily", "weekly", "monthly"):
        assert kept_s({**keep, name: keep[name] + 1}, gap_s) >= reach


def record(run_id: str, procedure: str, seconds_ago: float, status: str = "succeeded", **more: t.Any) -> dict[str, t.Any]:
    return {
        "format": "sre.runbooks/run/1", "run_id": run_id, "procedure": procedure, "status": status,
        "started_at": at(seconds_ago).replace("Z", ".000Z"), "target": "cases_prod", "resources": ["postgresql:cases"], "measurements": {},
        "title": procedure, "duration_s": 1.0, "who": "x", "error": None, **more,
    }  # fmt: skip


def remember(state: Path, *found: dict[str, t.Any]) -> None:
    for one in found:
        folder = state / "runs" / one["run_id"]
        folder.mkdir(parents=True)
        (folder / "record.json").write_text(json.dumps(one))


def test_measured_restores_are_found_among_all_runs_by_store_and_component(tmp_path: Path) -> None:
    remember(
        tmp_path,
        record("RUN-20261118T100000Z-restore-0001", "restore", 7200, measurements={"rto_s": {"value": 90.5}}),
        record("RUN-20261118T100000Z-restore-0002", "restore", 7100, "failed", measurements={"rto_s": {"value": 1}}),
        record("named-by-somebody", "restore_drill", 7000, resources=[], target="cases", measurements={"rto_s": {"value": 70}}),
        record("RUN-20261118T100000Z-disaster_recovery-0003", "disaster_recovery", 6900, resources=["recovery:x"],
               measurements={"rto_s": {"value": 500}, "rto_database_s": {"value": 300}, "waited_s": {"value": 5}}),
        record("RUN-20261118T100000Z-alert_check-0004", "alert_check", 10),
        record("RUN-20261118T100000Z-backup-0005", "backup", 50_000, measurements={"size_bytes": {"value": 5e8}}),
    )  # fmt: skip
    (tmp_path / "runs" / "broken").mkdir()
    found = records(str(tmp_path), NOW - 86_400)
    assert [(one.store, one.component, one.rto_s) for one in measured(found)] == [
        ("", "database", 300),
        ("cases", "", 70),
        ("cases", "", 90.5),
    ]
    assert sizes(found, [one_set(600)], "cases") == [(NOW - 50_000, 5e8), (NOW - 660, 1e9)]


def test_the_report_says_by_component_what_can_be_kept_and_what_was_measured(tmp_path: Path) -> None:
    remember(tmp_path, record("RUN-20261118T100000Z-restore-0001", "restore", 7200, measurements={"rto_s": {"value": 90.5}}))
    made = make(
        tmp_path, "recovery_report", stores=[STORE], backups={"backup_sets": [one_set(), one_set(90_000)]}, keep={"last": 7, "days": 30},
        components=[
            {"name": "api", "title": "API", "rto_s": 1800, "rpo_s": 0, "stateless": True},
            {"name": "database", "title": "PostgreSQL", "rto_s": 3600, "rpo_s": 3600},
            {"name": "provider", "external": True},
        ],
        schedule=[{"procedure": "backup", "at": "daily 02:00"}],
    )  # fmt: skip
    assert made["verdict"] == "fail"
    assert "24 h" in made["headline"]
    table = section(report_of(made), "Recovery objectives")["blocks"][0]
    by_component = {row[0]["text"]: [one["text"] for one in row[1:]] for row in table["rows"]}
    assert by_component["PostgreSQL"][0] == "fail"
    assert by_component["PostgreSQL"][2] == "91 s" or by_component["PostgreSQL"][2].startswith(("90", "91", "1 min", "2 min"))
    assert by_component["API"][0] == "unknown" and "never" in by_component["API"]
    assert section(report_of(made), "Size of the backups")["blocks"][0]["type"] == "chart"


def test_a_report_without_stores_is_unknown_and_never_good(tmp_path: Path) -> None:
    assert make(tmp_path, "recovery_report", stores=[])["verdict"] == "unknown"


def test_a_report_on_sets_that_cannot_be_listed_is_no_good_one(tmp_path: Path) -> None:
    made = make(tmp_path, "recovery_report", stores=[STORE], backups={"msg": "Permission denied"})
    assert made["verdict"] in ("fail", "unknown")
