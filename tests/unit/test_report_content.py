# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What reports say: the worst first, what to do next, and never more than was measured."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from unit.reports import AT, CHECKS, KINDS, NOW, Page, make, remember, report_of, result, rows, section

from ansible_collections.sre.runbooks.plugins.module_utils.errors import RunbookError
from ansible_collections.sre.runbooks.plugins.module_utils.monitoring.alert_state import State
from ansible_collections.sre.runbooks.plugins.module_utils.report import store


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("state") / "state"
    remember(folder)
    return folder


def test_a_service_that_is_well_passes_and_there_is_nothing_to_do(state: Path) -> None:
    made = make(state)
    assert made["verdict"] == "pass"
    assert made["next_steps"] == ["Nothing: all is well"]
    assert made["changed"] is False


@pytest.mark.parametrize("kind", KINDS)
def test_a_service_of_which_nothing_is_configured_is_unknown_and_said_to_be_not_configured(kind: str, tmp_path: Path) -> None:
    made = make(tmp_path, kind, checks=[], metrics=[], objectives=[], health={}, metric_results={})
    assert made["verdict"] == "unknown"
    assert "Not configured" in Page(Path(made["html"]).read_text()).text
    assert "pass" not in {one["verdict"] for one in made["sections"]}


def test_an_unknown_check_makes_the_morning_unknown_and_a_failed_one_fails_it(state: Path) -> None:
    unknown = make(state, health={"results": [result(CHECKS[0], "unknown", reason="not asked")]})
    assert unknown["verdict"] == "unknown"
    assert unknown["next_steps"] == ["Find out about API health: not asked"]
    failed = make(state, health={"results": [result(CHECKS[0], "unknown"), result(CHECKS[1], "fail", reason="connection refused")]})
    assert failed["verdict"] == "fail"
    assert failed["next_steps"][0] == "Look at PostgreSQL: connection refused"


def test_a_severity_says_who_is_called_and_until_when_somebody_responds(state: Path) -> None:
    steps = make(
        state,
        health={"results": [result(CHECKS[0], "fail", reason="answered 503")]},
        severity={"name": "P1", "title": "Down", "reason": "the API does not answer", "respond_within_s": 900, "escalate_after_s": 1800},
        contacts=[
            {"name": "support", "title": "Support of the provider", "email": "s@example.com", "external": True},
            {"name": "oncall", "title": "On-call engineer", "phone": "+48 1", "severities": ["P1", "P2"]},
            {"name": "lead", "title": "Team lead", "phone": "+48 2"},
        ],
        escalation_levels=[{"name": "L2", "title": "Team lead", "after_s": 900, "contact": "lead"}],
    )["next_steps"]
    assert steps[0] == "P1 Down, because the API does not answer: respond within 15 min, that is by 2026-11-18 12:41 UTC"
    assert steps[1] == "Call On-call engineer (phone +48 1)"
    assert steps[2] == "Still not solved by 2026-11-18 12:56 UTC (30 min)? Escalate: Team lead (phone +48 2) after 15 min"
    assert steps[3] == "Look at API health: answered 503"


def test_the_morning_list_answers_its_questions_and_names_what_nobody_looks_at(state: Path) -> None:
    found = rows(section(report_of(make(state)), "At a glance"))
    assert found["Health"] == ["API health ok", "pass"]
    assert found["Database"] == ["PostgreSQL ok", "pass"]
    assert found["Errors"][0].startswith("Failed requests 0.2 % (mean 0.2 % in 15 h)")
    assert found["Response time"][0].startswith("95th percentile 300 ms")
    assert found["Disk"][1] == "pass"
    for silent in ("Service status", "Cache", "Volume"):
        assert found[silent] == ["not configured", ""]


def test_an_hour_down_in_ten_days_overdraws_three_nines_and_the_report_says_by_how_much(state: Path) -> None:
    made = make(state, "slo_report")
    report = report_of(made)
    verdict, promised, reached, measured, left, _means = rows(section(report, "Objectives"))["API available"]
    assert (verdict, promised, measured) == ("fail", "99.9 %", "100 %")
    assert reached == "99.58 %"
    assert left.startswith("-3")
    said = Page(Path(made["html"]).read_text()).text
    assert "down for 1 h of 14 min 24 s allowed, it is overdrawn by 45 min 36 s" in said
    assert "Find out what took API available below its objective" in made["next_steps"][0]


def test_an_objective_over_a_longer_time_than_was_measured_is_unknown(state: Path) -> None:
    made = make(state, "slo_report", objectives=[{"title": "API", "check": "database", "objective": 0.999, "window_days": 30}])
    assert rows(section(report_of(made), "Objectives"))["API"][0] == "unknown"
    assert made["verdict"] == "unknown"


def test_an_objective_that_names_nothing_to_measure_is_unknown(state: Path) -> None:
    objectives = [
        {"title": "A", "objective": 0.9},
        {"title": "B", "check": "api", "objective": "much"},
        {"title": "C", "check": "no such", "objective": 0.9},
    ]
    found = rows(section(report_of(make(state, "slo_report", objectives=objectives)), "Objectives"))
    assert [found[title][0] for title in "ABC"] == ["unknown"] * 3


def test_a_disk_that_fills_by_two_percent_a_day_is_full_in_15_days(state: Path) -> None:
    made = make(state, "capacity_report")
    verdict, now, _change, _interval, full, earliest, latest, _remark = rows(section(report_of(made), "Capacity"))["Disk usage"]
    assert (verdict, now, full) == ("warn", "70 %", "2026-12-03")
    assert earliest <= full <= latest
    assert "Make room before it is full: Disk usage about 2026-12-03" in made["next_steps"][0]


def test_three_days_of_readings_are_needed_before_a_date_is_given(tmp_path: Path) -> None:
    remember(tmp_path / "state", days=2)
    made = make(tmp_path / "state", "capacity_report")
    found = rows(section(report_of(made), "Capacity"))["Disk usage"]
    assert (found[0], found[2]) == ("unknown", "no date")
    assert "too little data: the readings span 2 days, 3 days are needed" in found[-1]
    assert made["verdict"] == "unknown"


def test_a_store_without_a_set_of_the_day_fails_the_evening_and_one_with_passes(state: Path) -> None:
    good = {
        "id": "S1",
        "store": "cases",
        "state": "verified",
        "size_bytes": 234_000_000,
        "consistent_at": "2026-11-18T12:00:00Z",
        "damage": [],
    }
    made = make(state, "evening_summary", stores=[{"name": "cases", "rpo_s": 3600}], backups={"backup_sets": [good]})
    assert rows(section(report_of(made), "Backups"))["cases"][:2] == ["pass", "S1"]
    for changed, verdict in (
        ({"consistent_at": "2026-11-16T12:00:00Z"}, "fail"),
        ({"state": "failed"}, "fail"),
        ({"damage": ["manifest.json cannot be read"]}, "fail"),
        ({"store": "another"}, "fail"),
        ({"state": "written"}, "warn"),
        ({"consistent_at": "2026-11-18T10:00:00Z"}, "warn"),
        ({"consistent_at": None}, "unknown"),
    ):
        made = make(state, "evening_summary", stores=[{"name": "cases", "rpo_s": 3600}], backups={"backup_sets": [{**good, **changed}]})
        assert section(report_of(made), "Backups")["verdict"] == verdict, changed
        assert any("Back up cases" in step for step in made["next_steps"])
    archived = [{"name": "cases", "rpo_s": 60, "pitr": {"stanza": "cases"}}]
    for sets, verdict in (([{**good, "consistent_at": "2026-11-18T10:00:00Z"}], "pass"), ([], "unknown")):
        made = make(state, "evening_summary", stores=archived, backups={"backup_sets": sets})
        assert section(report_of(made), "Backups")["verdict"] == verdict, "what its log may lose only its archive can tell"
    unread = make(state, "evening_summary", stores=[{"name": "cases"}], backups={"msg": "no such folder"})
    assert section(report_of(unread), "Backups")["verdict"] == "unknown"


def test_active_alerts_are_told_and_an_alertmanager_that_does_not_answer_is_unknown(state: Path) -> None:
    alert = {
        "labels": {"alertname": "HighErrorRate", "severity": "critical"},
        "annotations": {"summary": "too many"},
        "status": {"state": "active"},
    }
    silenced = {"labels": {"alertname": "Old"}, "status": {"state": "suppressed"}}
    found = section(report_of(make(state, alerts={"alerts": [alert, silenced]})), "Alerts")
    assert (found["verdict"], found["summary"]) == ("fail", "1 alert active")
    assert "Old" not in rows(found)
    assert section(report_of(make(state, alerts={"alerts": []})), "Alerts")["verdict"] == "pass"
    assert section(report_of(make(state, alerts={"msg": "connection refused"})), "Alerts")["verdict"] == "unknown"
    assert section(report_of(make(state)), "Alerts")["verdict"] is None


def test_alerts_that_fired_in_the_last_day_are_told_and_a_task_that_was_skipped_asked_nothing(state: Path) -> None:
    fired = {"name": "HighLatency", "severity": "warning", "component": "api", "last_fired_at": "2026-11-18T03:00:00.000Z"}
    found = section(report_of(make(state, alerts={"alerts": [], "history": [fired]})), "Alerts")
    assert rows(found)["HighLatency"] == ["warning", "api", "2026-11-18 03:00:00 UTC"]
    assert found["verdict"] == "pass"
    assert section(report_of(make(state, alerts={"skipped": True, "changed": False})), "Alerts")["verdict"] is None


def test_without_an_alertmanager_the_alerts_of_alert_check_are_told_as_long_as_they_are_fresh(tmp_path: Path) -> None:
    with State(str(tmp_path), "paralegal") as kept:
        kept.evaluations, kept.last_at = 3, NOW - 60
        kept.alerts = {
            "metric:error_rate": {
                "title": "Failed requests",
                "state": "fail",
                "severity": "critical",
                "raised_at": NOW - 600,
                "message": "Error rate critical",
            },
            "metric:disk": {"title": "Disk", "verdict": "pass"},
        }
        kept.write()
    found = section(report_of(make(tmp_path)), "Alerts")
    assert (found["verdict"], found["summary"]) == ("fail", "1 alert active")
    assert rows(found)["Failed requests"] == ["critical", "2026-11-18 12:16:40 UTC", "Error rate critical"]
    assert section(report_of(make(tmp_path, reading_valid_s=30)), "Alerts")["verdict"] == "unknown"
    Path(kept.path).write_text("{half")
    assert section(report_of(make(tmp_path)), "Alerts")["verdict"] == "unknown"


def test_what_was_not_well_is_listed_with_begin_and_length(state: Path) -> None:
    found = rows(section(report_of(make(state, "weekly_report")), "Alerts"))
    assert found["API health"] == ["fail", "2026-11-16 11:41:40 UTC", "1 h"]


def test_a_report_appears_whole_is_for_its_owner_alone_and_is_listed(state: Path) -> None:
    made = make(state)
    folder = Path(made["html"]).parent
    assert Path(made["html"]).name == "20261118T122640Z_morning_check.html"
    assert [name for name in os.listdir(folder) if name.startswith(".")] == [".lock"]
    for form in ("html", "markdown", "json", "index"):
        assert stat.S_IMODE(os.stat(made[form]).st_mode) == 0o600
    assert "20261118T122640Z_morning_check.html" in Path(made["index"]).read_text()


def test_reports_that_are_made_at_the_same_time_are_all_listed(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda hour: make(tmp_path, until=f"2026-11-17T{hour:02}:00:00Z"), range(16)))
    page = Path(made[0]["index"]).read_text()
    assert [hour for hour in range(16) if f"20261117T{hour:02}0000Z" not in page] == []


def test_check_mode_says_what_would_be_written_and_writes_nothing(tmp_path: Path) -> None:
    made = make(tmp_path, check_mode=True)
    assert made["html"].endswith("20261118T122640Z_morning_check.html")
    assert not (tmp_path / "reports").exists()


def test_old_reports_are_removed_and_leave_the_index(tmp_path: Path) -> None:
    make(tmp_path, until="2026-01-01T00:00:00Z")
    made = make(tmp_path, keep_days=100)
    assert made["removed"] == [f"20260101T000000Z_morning_check.{end}" for end in ("html", "json", "md")]
    assert "20260101" not in Path(made["index"]).read_text()


def test_a_damaged_index_or_report_is_passed_over_and_the_index_made_anew(tmp_path: Path) -> None:
    first = make(tmp_path, until="2026-11-17T00:00:00Z")
    second = make(tmp_path, until="2026-11-16T00:00:00Z")
    (Path(first["index"]).parent / "index.json").write_text('[{"file": 3}, null, "x"')
    Path(second["json"]).write_text("{half")
    page = Path(make(tmp_path)["index"]).read_text()
    assert "20261117T000000Z" in page
    assert "20261116T000000Z" not in page


def test_a_full_disk_leaves_the_reports_that_were_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = make(tmp_path, until="2026-11-17T00:00:00Z")

    def refuse(path: str, data: bytes, mode: int) -> None:
        raise RunbookError("The disk is full", where=path)

    monkeypatch.setattr(store, "write_atomically", refuse)
    with pytest.raises(RunbookError, match="The disk is full"):
        make(tmp_path)
    assert Page(Path(first["html"]).read_text()).text
    assert "20261117T000000Z" in Path(first["index"]).read_text()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"until": "yesterday"}, "is no moment"),
        ({"window_s": -1}, "window_s is not between"),
        ({"minimum_coverage": 1.5}, "minimum_coverage is not between"),
        ({"service": "///"}, "name of the service"),
    ],
)
def test_bad_terms_are_refused_before_anything_is_written(options: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(RunbookError, match=said):
        make(tmp_path, **options)
    assert not (tmp_path / "reports").exists()


def test_what_a_person_is_to_do_is_shown_where_the_profile_says_it(state: Path) -> None:
    report = report_of(make(state, "evening_summary", tasks=["Document incidents", "Plan maintenance"]))
    assert section(report, "For a person to do")["blocks"][0]["lines"] == ["Document incidents", "Plan maintenance"]
    assert "For a person to do" not in {one["title"] for one in report_of(make(state, "evening_summary"))["sections"]}


def test_uptime_and_the_number_of_requests_are_answered_in_the_evening(state: Path) -> None:
    found = rows(section(report_of(make(state, "evening_summary")), "At a glance"))
    assert found["Uptime"][0] == "API health: 100 % up; PostgreSQL: 100 % up"


def test_results_of_no_known_form_make_no_traceback(state: Path) -> None:
    odd = {"results": [{"name": "api", "verdict": "pass"}, {"name": "x"}, {"verdict": "fail"}]}
    made = make(
        state,
        health=odd,
        metric_results={"metrics": [{"name": "m", "verdict": "warn", "value": 3}]},
        metrics=[{"name": "m"}, {"title": "none"}],
    )
    # What has no verdict is unknown, which outweighs the warning.
    assert made["verdict"] == "unknown"


def test_the_moment_of_a_report_can_be_given_with_and_without_milliseconds(tmp_path: Path) -> None:
    assert make(tmp_path, until=AT)["html"] == make(tmp_path, until=AT.replace("Z", ".000Z"))["html"]
