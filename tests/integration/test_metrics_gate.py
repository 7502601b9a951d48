# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The gate on the reference service, whose faults are real: each threshold is crossed in turn, and the right severity comes out."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import typing as t
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.checks.operation import OPTIONS as CHECK_OPTIONS
from ansible_collections.sre.runbooks.plugins.module_utils.checks.operation import operate as ask_checks
from ansible_collections.sre.runbooks.tests.unit.metrics_support import gate
from integration.monitoring_servers import Prometheus, running_prometheus
from integration.service_stack import ServiceProcess, Stack
from tools.waiting import wait_until

WINDOW_S = 1.5


SERVICE_SETTINGS = {"REFERENCE_SERVICE_BREAKER_RESET_S": "60", "REFERENCE_SERVICE_BREAKER_FAILURES": "3"}


class Traffic:
    """Users who ask one question after the other.

    Attributes:
        answered: How many questions were answered.
        failed: How many of these with a server error.
    """

    def __init__(self, service: ServiceProcess, message: str = "court") -> None:
        self.service, self.message = service, message
        self.answered = self.failed = 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)

    def _ask(self) -> None:
        while not self._end.is_set():
            with contextlib.suppress(OSError, ValueError):
                status = self.service.chat(self.message).status
                self.answered += 1
                self.failed += status >= 500
            time.sleep(0.005)

    def __enter__(self) -> Traffic:
        self._thread.start()
        wait_until("there are answers", lambda: self.answered > 3)
        return self

    def __exit__(self, *_error: object) -> None:
        self._end.set()
        self._thread.join(10)


def metrics(service: ServiceProcess, resident_bytes: float = 1e12) -> list[dict[str, t.Any]]:
    """What the profile of these tests measures; counters over a window, figures of the service itself, its memory against what is usual."""
    page = {"type": "prometheus", "url": f"http://127.0.0.1:{service.port}/metrics", "timeout_s": 5}
    grown = {**page, "aggregate": "increase", "window_s": WINDOW_S, "every_s": 0.3}
    # An injected error ends a request before its route is known, so it is told by the method.
    chat = '{method="POST"}'
    return [
        {
            **grown, "name": "error_rate", "title": "Error rate",
            "metric": 'http_requests_total{method="POST",status=~"5.."}', "empty": "zero",
            "divided_by": f"http_requests_total{chat}", "minimum_samples": 10, "unit": "ratio", "warn_above": 0.05, "fail_above": 0.3,
        },
        {
            **grown, "name": "response_time", "title": "Response time", "metric": f"http_request_duration_seconds_sum{chat}",
            "divided_by": f"http_request_duration_seconds_count{chat}", "unit": "s", "warn_above": 0.25, "fail_above": 0.6,
        },
        {**page, "name": "open_breakers", "metric": "circuit_breaker_open", "unit": "count", "fail_above": 0},
        {
            **page, "name": "memory", "title": "Memory", "metric": "process_resident_memory_bytes", "unit": "bytes",
            "baseline": {"value": resident_bytes, "warn_ratio_above": 1.4, "fail_ratio_above": 2.2},
        },
    ]  # fmt: skip


CHECKS = {"name": "database", "type": "json", "conditions": ["ready"], "timeout_s": 5}
SEVERITIES = [
    {"name": "P1", "title": "Down", "respond_within_s": 300, "notify": "critical"},
    {"name": "P2", "title": "Impaired", "respond_within_s": 1800, "notify": "critical"},
    {"name": "P3", "title": "Slow", "respond_within_s": 7200, "notify": "warning"},
]
RULES: list[dict[str, t.Any]] = [
    {"severity": "P1", "when": "the database is gone", "check": "database", "verdict": ["fail"]},
    {"severity": "P1", "when": "more than three of four fail", "metric": "error_rate", "above": 0.75},
    {"severity": "P2", "when": "many fail", "metric": "error_rate", "verdict": ["fail"]},
    {"severity": "P2", "when": "a breaker is open", "metric": "open_breakers", "verdict": ["fail"]},
    {"severity": "P2", "when": "out of memory soon", "metric": "memory", "verdict": ["fail"]},
    {"severity": "P3", "when": "some fail", "metric": "error_rate", "verdict": ["warn"]},
    {"severity": "P3", "when": "slow", "metric": "response_time", "verdict": ["warn", "fail"]},
    {"severity": "P3", "when": "memory grows", "metric": "memory", "verdict": ["warn"]},
]


def judged(service: ServiceProcess, resident_bytes: float = 1e12, **options: t.Any) -> dict[str, t.Any]:
    """Health check and gate under traffic."""
    defaults = {name: option.get("default") for name, option in CHECK_OPTIONS.items()}
    asked = {**defaults, "checks": [{**CHECKS, "url": f"http://127.0.0.1:{service.port}/ready"}], "fail_on": []}
    with Traffic(service):
        checks = ask_checks(asked, False)["results"]
        return gate(*metrics(service, resident_bytes), checks=checks, severities=SEVERITIES, severity_rules=RULES, fail_on=[], **options)


def named(said: dict[str, t.Any], verdict: str) -> set[str]:
    """The metrics with this verdict."""
    return {one["name"] for one in said["metrics"] if one["verdict"] == verdict}


@pytest.mark.parametrize(
    ("faults", "warned", "failed", "severity"),
    [
        ({}, set(), set(), None),
        ({"error_rate": 0.15}, {"error_rate"}, set(), "P3"),
        ({"error_rate": 0.5}, set(), {"error_rate"}, "P2"),
        ({"error_rate": 0.9}, set(), {"error_rate"}, "P1"),
        ({"slow_ms": 350}, {"response_time"}, set(), "P3"),
        ({"slow_ms": 800}, set(), {"response_time"}, "P3"),
        ({"open_breaker": "search_statute"}, set(), {"open_breakers"}, "P2"),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else "",
)
def test_each_threshold_that_is_crossed_gives_its_verdict_and_its_severity(
    service: ServiceProcess, faults: dict[str, t.Any], warned: set[str], failed: set[str], severity: str | None
) -> None:
    # An answer that is kept is given out also while the breaker is open: then the breaker alone is wrong.
    assert service.chat("court").status == 200
    if faults:
        assert service.ask("POST", "/faults", faults).status == 200
    said = judged(service)
    expected_unknown = {"error_rate"} if faults.get("slow_ms", 0) > 100 else set()
    assert (named(said, "warn"), named(said, "fail")) == (warned, failed), said["table"]
    # One user who waits for slow answers gives too few of them for a share.
    assert named(said, "unknown") == expected_unknown, said["table"]
    assert (said["severity"] and said["severity"]["name"]) == severity, said["summary"]


def test_an_error_rate_is_the_one_that_the_users_saw(service: ServiceProcess) -> None:
    service.ask("POST", "/faults", {"error_rate": 0.4})
    (error_rate, *_rest) = judged(service)["metrics"]
    assert error_rate["value"] == pytest.approx(0.4, abs=0.1)
    assert error_rate["samples"] > 20
    assert "Error rate is " in error_rate["reason"]
    assert " observations), more than 30 %" in error_rate["reason"]


@pytest.mark.parametrize(("leak_mb", "verdict", "severity"), [(0, "pass", None), (8, "warn", "P3"), (32, "fail", "P2")])
def test_memory_that_leaks_is_seen_against_what_is_usual(stack: Stack, leak_mb: int, verdict: str, severity: str | None) -> None:
    """A service of its own: what it keeps beyond its usual memory is real."""
    service = stack.service("green").start()
    try:
        for _question in range(5):
            service.chat("court")
        (usual,) = [
            float(line.split()[1]) for line in service.get("/metrics").body.splitlines() if line.startswith("process_resident_memory_bytes")
        ]
        if leak_mb:
            service.ask("POST", "/faults", {"leak_mb": leak_mb})
            need = {"warn": 1.7, "fail": 2.6}[verdict] * usual
            while (
                float(next(line.split()[1] for line in service.get("/metrics").body.splitlines() if line.startswith("process_res"))) < need
            ):
                service.chat("leak")
            service.ask("POST", "/faults", {"leak_mb": 0})
        said = judged(service, usual)
    finally:
        service.stop()
    (memory,) = [one for one in said["metrics"] if one["name"] == "memory"]
    assert memory["verdict"] == verdict, memory["reason"]
    assert (said["severity"] and said["severity"]["name"]) == severity


def test_a_lost_database_is_the_gravest_whatever_the_numbers_say(service: ServiceProcess) -> None:
    service.ask("POST", "/faults", {"lost_database": True})
    said = judged(service)
    assert said["severity"]["name"] == "P1"
    assert "the database is gone (database: answered 503" in said["severity"]["reason"]


def test_without_traffic_nothing_can_be_told_and_nothing_passes(service: ServiceProcess) -> None:
    (error_rate, response_time, *_rest) = gate(*metrics(service), fail_on=[])["metrics"]
    assert (error_rate["verdict"], response_time["verdict"]) == ("unknown", "unknown")
    assert error_rate["samples"] == 0
    assert "too few" in error_rate["reason"]


@pytest.mark.parametrize("answer", ["error", "text", "gone"])
def test_a_service_that_lies_or_is_gone_is_unknown(stack: Stack, service: ServiceProcess, answer: str) -> None:
    """200 with an error body in the page's place."""
    if answer != "gone":
        body = {"success": False, "error": "internal error"} if answer == "error" else "<html>sorry</html>"
        assert service.ask("POST", "/faults", {"answers": {"/metrics": {"status": 200, "body": body}}}).status == 200
        said = gate(*metrics(service))
    else:
        other = stack.service("green")
        said = gate(*metrics(other))
    assert named(said, "unknown") == {"error_rate", "response_time", "open_breakers", "memory"}, said["table"]
    assert said["failed"]


def test_a_service_that_is_killed_within_the_window_is_counted_on_from_nothing(stack: Stack) -> None:
    service = stack.service("green").start()
    port = service.port
    try:
        service.ask("POST", "/faults", {"error_rate": 0.5})
        (one, *_rest) = metrics(service)
        with ThreadPoolExecutor(1) as pool, Traffic(service) as traffic:
            wait_until("there is something to lose", lambda: traffic.answered > 100)
            before = traffic.answered
            asked = pool.submit(gate, {**one, "window_s": 6, "every_s": 0.2, "timeout_s": 1}, fail_on=[])
            time.sleep(1)
            assert service.process is not None
            os.kill(service.process.pid, signal.SIGKILL)
            service.process.wait()
            service.port = port
            service.start()
            service.ask("POST", "/faults", {"error_rate": 0.5})
            (error_rate,) = asked.result(30)["metrics"]
            seen = traffic.answered - before
        assert error_rate["verdict"] == "fail", error_rate["reason"]
        # What was counted between the last reading and the kill is lost, and a little of the new life had no faults yet.
        assert error_rate["value"] == pytest.approx(0.5, abs=0.12)
        assert "the counter began again once" in error_rate["reason"]
        assert "readings gave no number" in error_rate["reason"]
        assert seen * 0.5 < error_rate["samples"] <= seen + 1
    finally:
        service.stop()


@pytest.fixture(scope="module")
def prometheus(running: ServiceProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    with running_prometheus(tmp_path_factory.mktemp("prometheus"), targets={"service": running.port}) as server:
        server.wait_for("http_requests_total")
        yield server


def test_prometheus_and_two_readings_of_the_page_tell_the_same_error_rate(service: ServiceProcess, prometheus: Prometheus) -> None:
    service.ask("POST", "/faults", {"error_rate": 0.4})
    everything = 'sum(rate(http_requests_total{method="POST"}[4s]))'
    errors = 'sum(rate(http_requests_total{method="POST",status=~"5.."}[4s]))'
    promql = {
        "name": "promql", "type": "promql", "url": prometheus.url, "query": f"{errors} / {everything}", "unit": "ratio",
        "samples": 'sum(increase(http_requests_total{method="POST"}[4s]))', "minimum_samples": 20, "fail_above": 0.3,
    }  # fmt: skip
    with Traffic(service):
        wait_until("Prometheus has seen enough", lambda: bool(prometheus.query(f"{errors} > 5")), 20)
        time.sleep(3)
        (page, *_rest) = metrics(service)
        said = gate({**page, "window_s": 3}, promql, fail_on=[])
    page_s, promql_s = said["metrics"]
    assert (page_s["verdict"], promql_s["verdict"]) == ("fail", "fail"), said["table"]
    assert page_s["value"] == pytest.approx(promql_s["value"], abs=0.08)
    assert promql_s["samples"] > 20


def test_a_number_of_prometheus_that_stands_on_too_few_requests_is_unknown(service: ServiceProcess, prometheus: Prometheus) -> None:
    said = gate(
        {
            "type": "promql", "url": prometheus.url, "query": "vector(0.9)", "samples": 'sum(increase(nothing_total[4s])) or vector(3)',
            "minimum_samples": 20, "fail_above": 0.3, "unit": "ratio",
        },
        {"type": "promql", "url": prometheus.url, "query": "nothing", "empty": "pass", "fail_above": 0.3},
        {"type": "promql", "url": prometheus.url, "query": "nothing", "fail_above": 0.3},
    )  # fmt: skip
    assert [one["verdict"] for one in said["metrics"]] == ["unknown", "pass", "unknown"], said["table"]


def play(repository: Path, folder: Path, *arguments: str, **variables: t.Any) -> subprocess.CompletedProcess[str]:
    """Run metrics_gate.yml with these variables in the profile."""
    variables = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, "service_name": "reference", **variables}
    inventory = folder / "inventory.json"
    inventory.write_text(json.dumps({"operator": {"hosts": {"localhost": variables}}}))
    command = ["ansible-playbook", "playbooks/metrics_gate.yml", "-i", str(inventory), *arguments]
    environment = {**os.environ, "SRE_RUNBOOKS_STATE": str(folder / "state")}
    return subprocess.run(command, cwd=repository, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_the_playbook_stops_with_the_severity_and_the_reason(service: ServiceProcess, repository: Path, tmp_path: Path) -> None:
    profile = {
        "health_metrics": [
            {**metrics(service)[0], "token": "bearer-77-value"},
            {"name": "all", "type": "json", "url": f"http://127.0.0.1:{service.port}/metrics.json", "value": "overview.total_requests"},
        ],
        "health_checks": [{**CHECKS, "url": f"http://127.0.0.1:{service.port}/ready", "user": "me", "password": "swordfish-42"}],
        "incident_severities": SEVERITIES,
        "incident_severity_rules": RULES,
    }  # fmt: skip
    with Traffic(service):
        well = play(repository, tmp_path, **profile)
        rehearsed = play(repository, tmp_path, "--check", "--diff", **profile)
        service.ask("POST", "/faults", {"error_rate": 0.5})
        bad = play(repository, tmp_path, "-vvvv", **profile)
        reported = play(repository, tmp_path, **profile, health_gate_fail_on=[])
        breach = play(repository, tmp_path, **profile, health_gate_fail_on=[], health_gate_events=["a breach"])
    assert well.returncode == rehearsed.returncode == 0, well.stdout + well.stderr
    assert "PASS    error_rate" in well.stdout
    assert bad.returncode == 2
    assert "P2 (Impaired), because many fail (Error rate is " in bad.stdout
    assert reported.returncode == breach.returncode == 0
    assert "FAIL    error_rate" in reported.stdout
    for done in (well, rehearsed, bad, reported, breach):
        assert "Traceback" not in done.stdout + done.stderr
        assert "bearer-77-value" not in done.stdout + done.stderr
        assert "swordfish-42" not in done.stdout + done.stderr
        assert "changed=0" in done.stdout
    assert not (tmp_path / "state").exists()


def test_a_profile_with_mistakes_is_refused_before_anything_is_asked(service: ServiceProcess, repository: Path, tmp_path: Path) -> None:
    wrong = [{**metrics(service)[0], "warn_above": 0.9}, {"name": "x", "type": "http", "url": f"http://127.0.0.1:{service.port}/"}]
    done = play(repository, tmp_path, health_metrics=wrong)
    assert done.returncode == 2
    assert "warn_above is greater than fail_above" in done.stdout
    assert "yields no number" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_the_module_says_the_same_on_a_host_of_its_own(service: ServiceProcess, repository: Path, tmp_path: Path) -> None:
    """With become the module runs in a process of its own, as on a distant host."""
    profile = {"health_metrics": metrics(service)[2:3], "ansible_become": True, "ansible_become_method": "ansible.builtin.su"}
    if os.geteuid() != 0:
        pytest.skip("needs root, to become root without a password")
    done = play(repository, tmp_path, **profile)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASS    open_breakers" in done.stdout
