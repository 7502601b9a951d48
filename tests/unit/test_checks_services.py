# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks of Grafana, Prometheus servers, Alertmanager and status pages, against servers that keep or break their contract.

tests/integration/test_monitoring_checks.py asks the real Prometheus and the real Alertmanager.
"""

from __future__ import annotations

import typing as t
from urllib.parse import parse_qs, urlsplit

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.checks.model import Result
from ansible_collections.sre.runbooks.tests.unit.checks_servers import Server, outcome, serves


def asked(kind: str, pages: dict[str, t.Any], path: str = "", **keys: t.Any) -> Result:
    with Server(serves(pages)) as server:
        return outcome(type=kind, url=server.url.rstrip("/") + path, **keys)


UNAVAILABLE = "503 Service Unavailable"


@pytest.mark.parametrize(
    ("page", "verdict", "reason"),
    [
        ({"database": "ok", "version": "11.1.0", "commit": "x"}, "pass", ""),
        ((UNAVAILABLE, {"database": "failing", "version": "11.1.0"}), "fail", "its database is failing"),
        ({"database": "failing"}, "fail", "its database is failing"),
        ((UNAVAILABLE, "<html>"), "fail", "answered 503"),
        ((UNAVAILABLE, {"database": "ok"}), "fail", "answered 503"),
        ("<html>login</html>", "fail", "not JSON"),
        ({"status": "ok"}, "fail", "not one of Grafana's health API"),
        (["ok"], "fail", "not one of Grafana's health API"),
    ],
)
def test_grafana_is_well_when_its_database_is(page: t.Any, verdict: str, reason: str) -> None:
    for path in ("", "/api/health"):
        result = asked("grafana", {"/api/health": page}, path)
        assert result.verdict == verdict
        assert reason in result.reason
    assert result.verdict == "fail" or result.observed["version"] == "11.1.0"


def test_grafana_below_a_path_is_found() -> None:
    assert asked("grafana", {"/grafana/api/health": {"database": "ok"}}, "/grafana/").verdict == "pass"


@pytest.mark.parametrize(
    ("pages", "verdict", "reason"),
    [
        ({"/-/healthy": "Prometheus Server is Healthy.", "/-/ready": "Prometheus Server is Ready."}, "pass", ""),
        ({"/-/healthy": "yes", "/-/ready": (UNAVAILABLE, "Service Unavailable")}, "fail", "alive, and not ready to answer queries"),
        ({"/-/healthy": (UNAVAILABLE, "no"), "/-/ready": "yes"}, "fail", "answered 503"),
        ({"/-/healthy": "yes"}, "fail", "answered 404"),
        ({"/-/healthy": "<html>", "/-/ready": "<html>"}, "fail", "not the word or two"),
        ({}, "fail", "answered 404"),
    ],
)
def test_a_prometheus_server_must_be_alive_and_ready(pages: dict[str, t.Any], verdict: str, reason: str) -> None:
    result = asked("prometheus_server", pages)
    assert result.verdict == verdict
    assert reason in result.reason


def status_page(indicator: t.Any, description: str = "words") -> dict[str, t.Any]:
    return {"page": {"name": "Provider"}, "status": {"indicator": indicator, "description": description}}


@pytest.mark.parametrize(
    ("indicator", "verdict"),
    [("none", "pass"), ("minor", "warn"), ("maintenance", "warn"), ("major", "fail"), ("critical", "fail"), ("purple", "unknown")],
)
def test_a_status_page_s_indicator_is_the_verdict(indicator: str, verdict: str) -> None:
    for path in ("", "/api/v2/status.json"):
        result = asked("statuspage", {"/api/v2/status.json": status_page(indicator, "Elevated error rates")}, path)
        assert result.verdict == verdict
        assert result.observed["indicator"] == indicator
        assert verdict == "pass" or "Elevated error rates" in result.reason


@pytest.mark.parametrize("page", [status_page(None), status_page(["none"]), {"status": "none"}, [], {}, {"status": {"indicator": ""}}])
def test_a_status_page_without_an_indicator_that_is_known_is_unknown(page: t.Any) -> None:
    assert asked("statuspage", {"/api/v2/status.json": page}).verdict == "unknown"


def test_a_status_page_may_lie_elsewhere() -> None:
    assert asked("statuspage", {"/summary.json": status_page("none")}, "/summary.json").verdict == "pass"


def alert(name: str, state: str = "active", **labels: str) -> dict[str, t.Any]:
    return {"labels": {"alertname": name, **labels}, "annotations": {}, "status": {"state": state, "silencedBy": [], "inhibitedBy": []}}


ALERTS = [
    alert("ApiDown", severity="critical"),
    alert("SlowApi", severity="warning", instance="a"),
    alert("SlowApi", severity="warning", instance="b"),
    # A proxy that loses the parameters sends these, too.
    alert("Silenced", "suppressed", severity="critical"),
    alert("New", "unprocessed", severity="critical"),
]


@pytest.mark.parametrize(
    ("keys", "verdict", "value", "reason"),
    [
        ({}, "pass", 3, ""),
        ({"fail_above": 0}, "fail", 3, "the number of active alerts is 3, more than 0: SlowApi (2), ApiDown"),
        ({"labels": {"severity": "critical"}, "fail_above": 0}, "fail", 1, "ApiDown"),
        ({"labels": {"severity": "warning"}, "warn_above": 1, "fail_above": 2}, "warn", 2, "SlowApi (2)"),
        ({"labels": {"severity": "none"}, "fail_above": 0}, "pass", 0, ""),
        ({"labels": {"alertname": "Watchdog"}, "fail_below": 1}, "fail", 0, "is 0, less than 1"),
    ],
)
def test_alerts_that_are_active_are_counted_and_named(keys: dict[str, t.Any], verdict: str, value: int, reason: str) -> None:
    result = asked("alertmanager", {"/api/v2/alerts": ALERTS}, **keys)
    assert (result.verdict, result.value) == (verdict, value)
    assert reason in result.reason
    assert "Silenced" not in repr(result)


def test_alertmanager_is_asked_for_the_active_alerts_with_the_labels() -> None:
    with Server(serves({"/am/api/v2/alerts": []})) as server:
        assert outcome(type="alertmanager", url=server.url + "am", labels={"team": 'a "b" \\c', "tier": 1}).verdict == "pass"
        (request,) = server.requests
    asked_for = parse_qs(urlsplit(request.split(b" ", 2)[1].decode()).query)
    assert {name: asked_for[name] for name in ("active", "silenced", "inhibited", "unprocessed")} == {
        "active": ["true"],
        "silenced": ["false"],
        "inhibited": ["false"],
        "unprocessed": ["false"],
    }
    assert asked_for["filter"] == ['team="a \\"b\\" \\\\c"', 'tier="1"']


@pytest.mark.parametrize(
    "page",
    [{}, [5], [{"labels": {}}], [{"labels": {}, "status": {"state": 5}}], "nonsense", ("410 Gone", {"status": "deprecated"}), {"data": []}],
)
def test_what_is_no_alertmanager_fails(page: t.Any) -> None:
    assert asked("alertmanager", {"/api/v2/alerts": page}).verdict == "fail"


def test_more_alerts_than_are_read_are_unknown() -> None:
    many = [alert(f"Alert{number}", text="x" * 100) for number in range(200)]
    result = asked("alertmanager", {"/api/v2/alerts": many}, max_body_kb=4, fail_above=1000)
    assert result.verdict == "unknown"
    assert "larger than the 4 KiB" in result.reason
