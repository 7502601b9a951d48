# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Metrics measured against real servers on loopback: counters that begin again, too few samples, lies, silence, windows."""

from __future__ import annotations

import itertools
import json
import socket
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput
from ansible_collections.sre.runbooks.plugins.module_utils.history.store import History
from ansible_collections.sre.runbooks.tests.unit.checks_servers import (
    MOST_LATE_S,
    Server,
    answer,
    closed_port,
    drips,
    sends,
    serves,
    silent,
)
from ansible_collections.sre.runbooks.tests.unit.metrics_support import gate, measured


def counters(pages: t.Sequence[tuple[int, int]]) -> t.Callable[[socket.socket, bytes], None]:
    """Serves Prometheus text: requests and failed requests of the first page, of the second, and so on, the last one for ever."""
    turn = itertools.count()

    def handle(connection: socket.socket, _request: bytes) -> None:
        total, failed = pages[min(next(turn), len(pages) - 1)]
        text = f'# TYPE requests_total counter\nrequests_total{{status="200"}} {total - failed}\nrequests_total{{status="503"}} {failed}\n'
        connection.sendall(answer(text.encode(), "200 OK", "Content-Type: text/plain; version=0.0.4"))

    return handle


ERRORS = {
    "type": "prometheus", "metric": 'requests_total{status=~"5.."}', "divided_by": "requests_total", "aggregate": "increase",
    "unit": "ratio", "window_s": 0.4, "every_s": 0.2, "warn_above": 0.05, "fail_above": 0.2,
}  # fmt: skip


@pytest.mark.parametrize(
    ("pages", "value", "verdict"),
    [
        ([(1000, 500), (1050, 501), (1100, 502)], 0.02, "pass"),
        ([(1000, 0), (1050, 5), (1100, 10)], 0.1, "warn"),
        ([(1000, 0), (1050, 20), (1100, 50)], 0.5, "fail"),
        ([(1000, 10), (1050, 20), (50, 10)], 0.2, "warn"),
        ([(1000, 10), (1000, 10), (1000, 10)], None, "unknown"),
    ],
    ids=["few errors now, many before", "more than usual", "half of all", "began again within the window", "no requests"],
)
def test_an_error_rate_is_that_of_the_window_out_of_two_counters(pages: list[tuple[int, int]], value: float | None, verdict: str) -> None:
    with Server(counters(pages)) as server:
        said = measured({**ERRORS, "url": server.url})
    assert said["verdict"] == verdict, said["reason"]
    assert said["value"] == (None if value is None else pytest.approx(value))
    assert said["readings"] == len(server.requests) == 3


def test_a_counter_s_rate_is_by_the_second() -> None:
    begin = time.monotonic()

    def handle(connection: socket.socket, _request: bytes) -> None:
        connection.sendall(answer(f"bytes_total {1000 * (time.monotonic() - begin):.3f}\n".encode()))

    with Server(handle) as server:
        said = measured({"type": "prometheus", "url": server.url, "metric": "bytes_total", "aggregate": "rate", "window_s": 1})
    assert said["value"] == pytest.approx(1000, rel=0.05)
    assert said["readings"] == 11


def test_all_metrics_are_measured_side_by_side_and_each_keeps_its_own_time() -> None:
    with Server(serves({"/": {"v": 1}})) as server, Server(silent) as dead:
        begin = time.monotonic()
        said = gate(
            {"type": "json", "url": server.url, "value": "v", "window_s": 1, "every_s": 0.1, "aggregate": "mean"},
            {"type": "json", "url": server.url, "value": "v", "window_s": 0.5, "every_s": 0.25, "aggregate": "mean"},
            {"type": "json", "url": server.url, "value": "v"},
            {"type": "json", "url": dead.url, "value": "v", "window_s": 1, "every_s": 0.1, "aggregate": "mean", "timeout_s": 0.8},
        )
        took_s = time.monotonic() - begin
    assert [one["readings"] for one in said["metrics"]][:3] == [11, 3, 1]
    assert [one["verdict"] for one in said["metrics"]] == ["pass", "pass", "pass", "unknown"]
    assert took_s < 1 + 0.8 * 2 + MOST_LATE_S


@pytest.mark.parametrize("silent_or_slow", [silent, drips(b'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"v": 1}')])
def test_a_slow_server_is_cut_off_at_the_deadline_and_unknown(silent_or_slow: t.Any) -> None:
    with Server(silent_or_slow) as server:
        begin = time.monotonic()
        said = measured({"type": "json", "url": server.url, "value": "v", "timeout_s": 0.5, "fail_above": 1})
        assert time.monotonic() - begin < 0.5 + MOST_LATE_S
    assert said["verdict"] == "unknown"
    assert "within 0.5 s" in said["reason"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"error": "database is gone"}, "no such number"),
        ({"v": None}, "no such number"),
        ({"v": "0.01"}, 'there is "0.01" in its place'),
        ({"v": True}, "there is true in its place"),
        ({"v": [0.01]}, "a list"),
        (b"<html>error</html>", "the answer is not JSON"),
        (b"", "the answer is empty"),
        (b'{"v": NaN}', "the answer is not JSON"),
        (b'{"v": 1e999}', ""),
        (("503 Service Unavailable", {"v": 0.01}), "answered 503"),
    ],
    ids=repr,
)
def test_a_lying_server_is_unknown_and_never_passes(body: t.Any, said: str) -> None:
    """200 with an error in the body, text or nothing in the number's place, another status with a fine number."""
    with Server(serves({"/": body})) as server:
        outcome = gate({"type": "json", "url": server.url, "value": "v", "fail_above": 0.1})
    (one,) = outcome["metrics"]
    assert (one["value"], one["verdict"], outcome["verdict"], outcome["failed"]) == (None, "unknown", "unknown", True)
    assert said in one["reason"]


def test_a_page_that_is_no_page_of_metrics_is_unknown() -> None:
    with Server(serves({"/": {"v": 1}})) as server:
        assert measured({**ERRORS, "url": server.url})["verdict"] == "unknown"


def test_too_few_observations_are_not_judged() -> None:
    options = {"type": "json", "value": "errors", "divided_by": "requests", "minimum_samples": 20, "unit": "ratio", "fail_above": 0.1}
    with Server(serves({"/few": {"errors": 9, "requests": 10}, "/many": {"errors": 9, "requests": 20}})) as server:
        few, many = gate({**options, "url": f"{server.url}few"}, {**options, "url": f"{server.url}many"})["metrics"]
    assert (few["verdict"], few["samples"]) == ("unknown", 10)
    assert (many["verdict"], many["samples"], many["value"]) == ("fail", 20, 0.45)


def test_a_metric_that_depends_on_another_is_unknown_without_noise() -> None:
    with Server(serves({"/": {"v": 1}})) as server:
        said = gate(
            {"name": "first", "type": "json", "url": f"http://127.0.0.1:{closed_port()}/", "value": "v"},
            {"name": "second", "type": "json", "url": server.url, "value": "v", "depends_on": ["first"], "window_s": 0.2},
        )
        assert not server.requests
    assert [one["verdict"] for one in said["metrics"]] == ["unknown", "unknown"]
    assert "depends on first" in said["metrics"][1]["reason"]


def with_history(folder: Path, values: t.Sequence[float], days_ago: float = 1) -> None:
    """A history in which the metric `slow` had these values."""
    with History.open(str(folder), "reference", write=True) as history:
        for number, value in enumerate(values):
            history.record(
                time.time() - days_ago * 86400 + number, f"run-{number}", "p", [], [{"name": "slow", "verdict": "pass", "value": value}]
            )


SLOW = {
    "name": "slow", "type": "json", "value": "v", "unit": "ms",
    "baseline": {"from_history_days": 7, "warn_ratio_above": 2, "fail_ratio_above": 3},
}  # fmt: skip


@pytest.mark.parametrize(("value", "verdict"), [(100, "pass"), (201, "warn"), (301, "fail")])
def test_what_is_usual_is_the_median_of_the_last_days(tmp_path: Path, value: float, verdict: str) -> None:
    with_history(tmp_path, [90, 100, 5000, 95, 110])
    with Server(serves({"/": {"v": value}})) as server:
        said = measured({**SLOW, "url": server.url}, service="reference", state_folder=str(tmp_path))
    assert (said["verdict"], said["baseline"], said["ratio"]) == (verdict, 100, value / 100)


def test_without_enough_history_there_is_no_baseline(tmp_path: Path) -> None:
    with Server(serves({"/": {"v": 1}})) as server:
        for values, days_ago in (([], 1.0), ([100, 100, 100, 100], 1.0), ([100] * 9, 30.0)):
            with_history(tmp_path, values, days_ago)
            said = measured({**SLOW, "url": server.url}, service="reference", state_folder=str(tmp_path))
            assert (said["verdict"], said["baseline"]) == ("unknown", None)
            assert "there is no baseline yet" in said["reason"]


def test_a_damaged_history_makes_the_baseline_unknown_and_spares_the_other_metrics(tmp_path: Path) -> None:
    with_history(tmp_path, [100] * 6)
    (tmp_path / "history" / "reference.sqlite3").write_bytes(b"gone" * 2000)
    with Server(serves({"/": {"v": 1}})) as server:
        said = gate(
            {**SLOW, "url": server.url}, {"type": "json", "url": server.url, "value": "v"}, service="reference", state_folder=str(tmp_path)
        )
    assert [one["verdict"] for one in said["metrics"]] == ["unknown", "pass"]
    assert "the history is damaged" in said["metrics"][0]["reason"]


SEVERITIES = [{"name": "P1", "title": "Down"}, {"name": "P2", "title": "Impaired"}]
RULES = [
    {"severity": "P1", "when": "the database is gone", "check": "database", "verdict": ["fail"]},
    {"severity": "P1", "when": "a breach", "event": "security_breach"},
    {"severity": "P2", "when": "too slow", "metric": "slow", "above": 50},
]


@pytest.mark.parametrize(
    ("value", "database", "events", "severity"),
    [
        (10, "pass", [], None),
        (60, "pass", [], "P2"),
        (60, "fail", [], "P1"),
        (10, "pass", ["security_breach"], "P1"),
        (10, "warn", [], None),
    ],
)
def test_checks_metrics_and_events_together_give_the_severity(value: float, database: str, events: list[str], severity: str | None) -> None:
    with Server(serves({"/": {"v": value}})) as server:
        said = gate(
            {"name": "slow", "type": "json", "url": server.url, "value": "v", "unit": "ms"},
            checks=[{"name": "database", "verdict": database, "reason": "connection refused" if database == "fail" else ""}],
            events=events,
            severities=SEVERITIES,
            severity_rules=RULES,
        )
    assert (said["severity"] and said["severity"]["name"]) == severity
    assert said["verdict"] == database
    json.dumps(said, allow_nan=False)


def test_checks_and_events_alone_can_be_graded() -> None:
    said = gate(events=["security_breach"], severities=SEVERITIES, severity_rules=RULES)
    assert said["severity"]["name"] == "P1"
    assert (said["verdict"], said["failed"]) == ("unknown", True)
    with pytest.raises(BadInput):
        gate()


@pytest.mark.parametrize(("fail_on", "failed"), [([], False), (["fail"], False), (["warn"], True), (["unknown"], False)])
def test_the_task_fails_on_the_verdicts_that_it_is_told(fail_on: list[str], failed: bool) -> None:
    with Server(serves({"/": {"v": 3}})) as server:
        said = gate({"type": "json", "url": server.url, "value": "v", "warn_above": 1}, fail_on=fail_on)
    assert said.get("failed", False) == failed
    assert said["msg"] == "1 of 1 metrics did not pass: warn: metric 0 is 3, more than 1."


def test_no_secret_leaves_with_a_result() -> None:
    body = json.dumps({"v": "sw0rdfish", "password": "sw0rdfish"}).encode()
    with Server(sends(answer(body))) as server:
        said = gate(
            {
                "type": "json", "url": f"{server.url}?token=sw0rdfish", "token": "sw0rdfish", "headers": {"X-Key": "sw0rdfish"},
                "value": "v", "divided_by": "password", "observe": {"all": "@"}, "fail_above": 1,
            }
        )  # fmt: skip
    assert "sw0rdfish" not in json.dumps(said)


def lines(count: int, failed: int) -> str:
    """A log of a web service: so many requests a second ago, of which some failed."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 1))
    return "".join(
        json.dumps(
            {
                "timestamp": now,
                "level": "ERROR" if number < failed else "INFO",
                "duration_ms": number * 10,
                "message": "GET / token=sw0rdfish",
            }
        )
        + "\n"
        for number in range(count)
    )


@pytest.mark.parametrize(("failed", "verdict"), [(1, "pass"), (5, "warn"), (30, "fail")])
def test_the_share_of_errors_in_a_log_is_judged(tmp_path: Path, failed: int, verdict: str) -> None:
    (tmp_path / "app.log").write_text(lines(100, failed))
    said = measured(
        {
            "type": "log", "source": "app", "measure": "share", "levels": ["ERROR"], "window_s": 300, "minimum_samples": 50,
            "unit": "ratio", "warn_above": 0.01, "fail_above": 0.1,
        },
        logs=[{"name": "app", "path": str(tmp_path / "app.log")}],
    )  # fmt: skip
    assert (said["verdict"], said["value"], said["samples"]) == (verdict, failed / 100, 100), said["reason"]
    assert "(100 observations)" in said["reason"]


def test_percentiles_of_a_log_too_few_lines_and_a_log_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "app.log").write_text(lines(100, 0))
    slow = {
        "type": "log",
        "measure": "percentile",
        "field": "duration_ms",
        "percentile": 95,
        "window_s": 300,
        "unit": "ms",
        "fail_above": 500,
    }
    said = gate(
        {**slow, "source": {"path": str(tmp_path / "app.log")}},
        {**slow, "source": {"path": str(tmp_path / "app.log")}, "minimum_samples": 1000},
        {**slow, "source": {"path": str(tmp_path / "gone.log")}},
    )
    assert [one["verdict"] for one in said["metrics"]] == ["fail", "unknown", "unknown"], said["table"]
    assert said["metrics"][0]["value"] == pytest.approx(945, abs=20)
    assert "too few" in said["metrics"][1]["reason"]
    assert "sw0rdfish" not in json.dumps(said)
    with pytest.raises(BadInput, match="no such log"):
        gate({**slow, "source": "nowhere"})


def test_a_long_window_says_how_far_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SRE_RUNBOOKS_PROGRESS_FILE", str(tmp_path / "progress"))
    with Server(serves({"/": {"v": 1}})) as server:
        gate({"type": "json", "url": server.url, "value": "v", "window_s": 1.2, "every_s": 0.1, "aggregate": "mean"})
    said = [json.loads(line) for line in (tmp_path / "progress").read_text().splitlines()]
    assert {(one["work"], one["total"], one["unit"]) for one in said} == {("Measuring 1 metric", 1.2, "s")}
    assert [one["done"] for one in said] == sorted(one["done"] for one in said)
    assert len(said) >= 3
