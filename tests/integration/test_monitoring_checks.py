# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks of a real Prometheus and a real Alertmanager, while these change."""

from __future__ import annotations

import contextlib
import time
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.checks.model import Result
from ansible_collections.sre.runbooks.tests.unit.checks_servers import outcome, outcomes
from integration.monitoring_servers import Alertmanager, Prometheus, running_alertmanager, running_prometheus
from tools.waiting import wait_until

HOUR_S = 3600


class Stack(t.NamedTuple):
    """A Prometheus that reads itself and an Alertmanager, to which it sends its alerts."""

    prometheus: Prometheus
    alertmanager: Alertmanager


def past() -> str:
    """Samples of the last two hours, every 30 s: a server with 10 requests a second, of which one in ten fails, and its latencies."""
    now = int(time.time()) - 30
    lines = ["# TYPE http_requests counter", "# TYPE latency_seconds histogram"]
    names = {'http_requests_total{status="200"}': 270, 'http_requests_total{status="500"}': 30}
    names |= {f'latency_seconds_bucket{{le="{bound}"}}': count for bound, count in {"0.1": 150, "1": 285, "+Inf": 300}.items()}
    for name, step in names.items():
        lines += [f"{name} {number * step} {now - 2 * HOUR_S + number * 30}" for number in range(2 * HOUR_S // 30 + 1)]
    return "\n".join(lines)


RULES = """
groups:
  - name: tests
    rules:
      - alert: AlwaysFiring
        expr: vector(1)
        labels: {severity: critical}
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("monitoring")
    for name in ("alertmanager", "prometheus"):
        (folder / name).mkdir()
    rules = folder / "rules.yml"
    rules.write_text(RULES)
    with contextlib.ExitStack() as servers:
        alertmanager = servers.enter_context(running_alertmanager(folder / "alertmanager"))
        targets, loaded = {"alertmanager": alertmanager.port}, past()
        server = running_prometheus(folder / "prometheus", targets=targets, alertmanager=alertmanager, past=loaded, rule_files=[rules])
        prometheus = servers.enter_context(server)
        prometheus.wait_for("up")
        yield Stack(prometheus, alertmanager)


def asked(stack: Stack, query: str, **keys: t.Any) -> Result:
    return outcome(**{"type": "promql", "url": stack.prometheus.url, "query": query, **keys})


def test_the_source_runbooks_expressions_give_their_numbers(stack: Stack) -> None:
    share = 'sum(rate(http_requests_total{status=~"5.."}[5m] offset 10m)) / sum(rate(http_requests_total[5m] offset 10m))'
    errors = asked(stack, share, warn_above=0.05, fail_above=0.15)
    assert errors.verdict == "warn"
    assert errors.value == pytest.approx(0.1)
    latency = asked(stack, "histogram_quantile(0.95, sum by (le) (rate(latency_seconds_bucket[5m] offset 10m)))", fail_above=2)
    assert latency.verdict == "pass"
    assert latency.value == pytest.approx(1.0)


def test_a_series_for_every_label_is_judged_and_the_worst_is_named(stack: Stack) -> None:
    result = asked(stack, "rate(http_requests_total[5m] offset 10m)", fail_above=5)
    assert result.verdict == "fail"
    assert result.value == pytest.approx(9)
    assert 'status="200"' in result.reason


@pytest.mark.parametrize(
    ("query", "verdict", "reason"),
    [
        ("up >", "unknown", "parse error"),
        ("no_such_metric", "unknown", "there is no series"),
        ("up[5m]", "unknown", "gives a matrix"),
        ('"text"', "unknown", "gives a string"),
        ("0 / 0 * up", "unknown", "is NaN"),
        ("1 / 0 * up", "unknown", "is +inf"),
        ("1 + 1", "pass", ""),
        ("absent(up)", "unknown", "there is no series"),
        ("up + on () (up or vector(1))", "unknown", "many-to-many"),
    ],
)
def test_a_query_that_gives_no_number_is_unknown_with_the_server_s_words(stack: Stack, query: str, verdict: str, reason: str) -> None:
    result = asked(stack, query)
    assert result.verdict == verdict
    assert reason in result.reason


def test_the_page_of_metrics_of_a_real_program_is_read(stack: Stack) -> None:
    place = {"type": "prometheus", "url": f"{stack.prometheus.url}/metrics"}
    version, quantile, requests = outcomes(
        {**place, "metric": "prometheus_build_info", "sum": "count", "fail_below": 1},
        {**place, "metric": "prometheus_http_request_duration_seconds", "quantile": 0.95, "fail_above": 10},
        {**place, "metric": "prometheus_http_requests_total", "labels": {"code": 200}, "fail_below": 1},
    )
    assert {result.verdict for result in (version, quantile, requests)} == {"pass"}
    assert quantile.value is not None
    assert 0 < quantile.value < 10
    assert requests.observed["series"] > 1


def test_both_servers_are_alive_and_ready_and_one_that_is_stopped_fails(stack: Stack, tmp_path: Path) -> None:
    kinds = [outcome(type="prometheus_server", url=server.url) for server in stack]
    assert [result.verdict for result in kinds] == ["pass", "pass"]
    with running_alertmanager(tmp_path) as other:
        assert outcome(type="prometheus_server", url=other.url).verdict == "pass"
        other.stop()
        gone = outcome(type="prometheus_server", url=other.url)
        alerts = outcome(type="alertmanager", url=other.url, fail_above=0)
    assert (gone.verdict, alerts.verdict) == ("fail", "fail")
    assert gone.reason == "connection refused"


def test_only_alerts_that_are_active_and_neither_silenced_nor_inhibited_count(tmp_path: Path) -> None:
    configuration = {
        "route": {"receiver": "nobody", "group_wait": "0s"},
        "receivers": [{"name": "nobody"}],
        "inhibit_rules": [{"source_matchers": ["severity=critical"], "target_matchers": ["severity=warning"], "equal": ["service"]}],
    }
    with running_alertmanager(tmp_path, configuration) as server:
        place = {"type": "alertmanager", "url": server.url, "fail_above": 0}
        assert outcome(**place).verdict == "pass"
        server.raise_alert("Slow", severity="warning", service="api")
        server.raise_alert("Full", severity="warning", service="database")
        both = outcome(**place)
        assert (both.verdict, both.value) == ("fail", 2)
        server.raise_alert("Down", severity="critical", service="api", team='a "b" \\c')
        time.sleep(1)
        inhibited = outcome(**place)
        assert (inhibited.value, set(inhibited.observed["alerts"])) == (2, {"Down", "Full"})
        assert outcome(**place, labels={"severity": "critical"}).value == 1
        assert outcome(**place, labels={"team": 'a "b" \\c'}).value == 1
        server.silence(alertname="Full")
        server.silence(alertname="Down")
        time.sleep(0.5)
        quiet = outcome(**place)
    assert (quiet.verdict, quiet.value) == ("pass", 0)


def test_an_alert_of_a_rule_arrives(stack: Stack) -> None:
    asked = {"type": "alertmanager", "url": stack.alertmanager.url, "labels": {"severity": "critical"}, "fail_above": 0}
    result = wait_until("it is active", lambda: (found := outcome(**asked)).verdict == "fail" and found, every_s=0.3)
    assert result.reason == "the number of active alerts is 1, more than 0: AlwaysFiring"
