# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What reports tell of the logs: what the profile asks, as a person reads it, and never less than was asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from unit.reports import AT, make, remember, report_of, rows, section

from ansible_collections.sre.runbooks.plugins.module_utils.report.log_questions import chosen, longest_s, own_questions, used_by


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("state") / "state"
    remember(folder)
    return folder


LOG: dict[str, Any] = {
    "name": "app",
    "title": "Application",
    "lines": 2000,
    "errors": 12,
    "levels": {"ERROR": 12},
    "problem": "",
    "last": AT,
}
QUESTIONS: list[dict[str, Any]] = [
    {"name": "errors of the last hour", "log": "app", "pattern": "ERROR", "last": 10, "since_s": 3600, "used_by": ["morning_check"]},
    {"name": "slow operations", "log": "app", "numeric_field": "duration_ms", "above": 999, "last": 10, "used_by": ["morning_check"]},
    {"name": "refused requests", "log": "app", "pattern": "401|403|429", "last": 50, "used_by": ["security"]},
    {"name": "others", "log": "app", "pattern": "x", "used_by": ["incident"]},
]


def scanned(*answers: dict[str, Any], **log: Any) -> dict[str, Any]:
    return {"logs": [{**LOG, **log}], "answers": list(answers), "complete": True, "since": "2026-11-17T21:26:40Z"}


def lines_of(found: dict[str, Any]) -> list[str]:
    return [line for block in found["blocks"] for line in block.get("lines", [])]


def test_of_the_errors_of_an_hour_those_of_the_hour_are_shown_as_a_person_reads_them(state: Path) -> None:
    old = {"at": "2026-11-18T11:00:00Z", "source": "app", "text": "ERROR old"}
    new = {
        "at": "2026-11-18T12:00:00Z",
        "source": "app",
        "text": '{"timestamp": "t", "level": "ERROR", "message": "no answer", "status": 500}',
    }
    made = make(state, logs=scanned({"name": "errors of the last hour", "count": 2, "lines": [old, new]}), log_questions=QUESTIONS)
    found = section(report_of(made), "Logs")
    assert lines_of(found) == ["2026-11-18 12:00:00 app  ERROR  no answer  status=500"]
    assert (found["verdict"], found["summary"]) == (None, "12 errors in the logs")


def test_slow_operations_are_those_above_the_profile_s_number(state: Path) -> None:
    highest = [{"value": 4087, "at": AT, "source": "app", "text": "slow"}, {"value": 900, "at": AT, "source": "app", "text": "not slow"}]
    numbers = {"count": 2000, "minimum": 1, "mean": 50.5, "maximum": 4087, "percentiles": {"50": 40, "95": 400}, "highest": highest}
    made = make(state, logs=scanned({"name": "slow operations", "count": 2000, "numbers": numbers}), log_questions=QUESTIONS)
    assert lines_of(section(report_of(made), "Logs")) == ["4\u202f087 ms  2026-11-18 12:26:40 app  slow"]


def test_refused_requests_are_told_in_the_evening_and_other_procedures_questions_are_not(state: Path) -> None:
    refused = {"name": "refused requests", "count": 3, "lines": [{"at": AT, "source": "app", "text": "GET / 401"}]}
    other = {"name": "others", "count": 1, "lines": [{"at": AT, "source": "app", "text": "of an incident"}]}
    report = report_of(make(state, "evening_summary", logs=scanned(refused, other), log_questions=QUESTIONS))
    assert lines_of(section(report, "Security")) == ["2026-11-18 12:26:40 app  GET / 401"]
    assert "of an incident" not in json.dumps(report)
    assert "Not configured" in json.dumps(section(report_of(make(state, "evening_summary", logs=scanned())), "Security"))


def test_a_log_that_cannot_be_read_is_unknown_and_never_without_errors(state: Path) -> None:
    found = section(report_of(make(state, logs=scanned(problem="There is no such log", lines=0, errors=0))), "Logs")
    assert (found["verdict"], found["summary"]) == ("unknown", "not read: Application")
    failed = make(state, logs={"msg": "The log scan has 1 mistake"})
    assert failed["verdict"] == "unknown"
    assert failed["next_steps"] == ["Read the logs: The log scan has 1 mistake"]


def test_a_log_that_grew_too_large_is_not_rotated_and_one_with_generations_is(state: Path, tmp_path: Path) -> None:
    for name, count in (("big.log", 3_000_000), ("small.log", 10), ("small.log.1", 10), ("small.log.2.gz", 10)):
        (tmp_path / name).write_bytes(b"x" * count)
    sources = [{"name": name, "path": str(tmp_path / f"{name}.log")} for name in ("big", "small", "gone")]
    found = rows(section(report_of(make(state, "evening_summary", log_sources=sources, largest_log_mb=2)), "Log rotation"))
    assert found["big"][:3] == ["warn", "3 MB", "0"]
    assert found["small"][:3] == ["pass", "10 bytes", "2"]
    assert found["gone"][0] == "unknown"


def test_the_scan_asks_what_the_profile_asks_and_reads_as_far_back_as_its_questions() -> None:
    assert [one["name"] for one in chosen(QUESTIONS, "morning_check")] == ["errors of the last hour", "slow operations"]
    assert [one["name"] for one in chosen(QUESTIONS, "weekly_report")] == ["refused requests"]
    assert used_by("weekly_report") == ["weekly_report", "security"]
    assert [one["name"] for one in own_questions(QUESTIONS, "performance_report")] == ["errors", "errors by type", "durations"]
    assert longest_s(QUESTIONS, "morning_check", 60) == 3600
    assert longest_s(QUESTIONS, "morning_check", 54_000) == 54_000


def test_the_newest_values_of_a_field_are_shown_with_their_times(state: Path) -> None:
    asked = [{"name": "confidence", "field": "confidence_breakdown", "last_lines": 100, "used_by": ["morning_check"]}]
    answer = {"name": "confidence", "count": 1, "last_values": [{"at": AT, "value": {"date": 0.95, "time": 0.3}}]}
    found = section(report_of(make(state, logs=scanned(answer), log_questions=asked)), "Logs")
    assert lines_of(found) == ['2026-11-18 12:26:40  {"date": 0.95, "time": 0.3}']
