# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The states in which each profile's service is put: healthy, over each of its thresholds in turn, partly down, lying, slow, gone.

What the right answer is stands in REQUIREMENTS of the source runbooks (A1, A6, C3, C5, D3, D5, D8, E1, E4), not in the profile.
"""

from __future__ import annotations

import contextlib
import typing as t
from collections.abc import Callable, Iterator

from integration.dressed import Dressed

Arrangement = Callable[[Dressed], contextlib.AbstractContextManager[None]]


class State(t.NamedTuple):
    """A state of the service.

    Attributes:
        words: What it is.
        arrange: Puts the service into it while a block runs.
        severity: The severity that must come out; empty for none.
        verdicts: Verdicts that checks and metrics must have, by name.
    """

    words: str
    arrange: Arrangement
    severity: str = ""
    verdicts: t.Mapping[str, str] = {}


def well() -> Arrangement:
    """Nothing is wrong."""
    return _of(lambda _one: None)


def figure(path: str, name: str, value: float) -> Arrangement:
    """The answer of a path tells this figure, and otherwise those of a healthy service."""
    return _of(lambda one: one.faults(figures={path: HEALTHY_FIGURES.get(one.profile, {}).get(path, {}) | {name: value}}))


def host(**figures: float) -> Arrangement:
    """The host is as busy, or as full."""
    return _of(lambda one: vars(one.host).update(figures))


def neighbour(path: str, **other: t.Any) -> Arrangement:
    """A neighbour answers otherwise."""
    return _of(lambda one: one.neighbours.answer(**{path: other}))


def answers(path: str, **other: t.Any) -> Arrangement:
    """The service answers otherwise on a path."""
    return _of(lambda one: one.faults(figures=HEALTHY_FIGURES.get(one.profile, {}), answers={path: other}))


def slow(path: str) -> Arrangement:
    """A path answers later than any check waits; their own patience is cut short, as that of one profile is waited out in whole."""

    @contextlib.contextmanager
    def arranged(one: Dressed) -> Iterator[None]:
        with one.impatient(4.0), answers(path, delay_ms=5000)(one):
            yield

    return arranged


def fault(**wanted: t.Any) -> Arrangement:
    """A fault of the reference service."""
    return _of(lambda one: one.faults(**wanted))


def sessions(count: int) -> Arrangement:
    """So many sessions more in the database."""
    return lambda one: one.sessions(count)


def measured(requests: int, **wanted: t.Any) -> Arrangement:
    """Prometheus sees so many requests, with these faults."""

    @contextlib.contextmanager
    def arranged(one: Dressed) -> Iterator[None]:
        figures = HEALTHY_FIGURES.get(one.profile, {})
        one.faults(**{"figures": figures, **wanted})
        # A counter that Prometheus first sees when it has counted already has grown by nothing: it must be there before.
        one.work(requests)
        with one.measured():
            one.work(requests)
            one.faults(slow_ms=0, error_rate=0.0)
            one.read_by_prometheus()
            yield

    return arranged


def alert(severity: str) -> Arrangement:
    """An alert is active, in a healthy service."""

    @contextlib.contextmanager
    def arranged(one: Dressed) -> Iterator[None]:
        assert one.alertmanager is not None
        one.alertmanager.raise_alert("OfTheTest", severity=severity)
        with measured(20)(one):
            yield
        one.alertmanager.stop()
        one.alertmanager.start()

    return arranged


def database_gone() -> Arrangement:
    """The database server is stopped."""

    @contextlib.contextmanager
    def arranged(one: Dressed) -> Iterator[None]:
        one.stores.database.stop("immediate")
        try:
            yield
        finally:
            one.stores.database.start()

    return arranged


def cache_gone() -> Arrangement:
    """The cache is killed."""

    @contextlib.contextmanager
    def arranged(one: Dressed) -> Iterator[None]:
        one.stores.cache.stop()
        try:
            yield
        finally:
            one.stores.cache.start()

    return arranged


def gone() -> Arrangement:
    """The service does not run."""

    @contextlib.contextmanager
    def arranged(one: Dressed) -> Iterator[None]:
        one.service.stop()
        try:
            yield
        finally:
            one.service.start()

    return arranged


def both(first: Arrangement, second: Arrangement) -> Arrangement:
    """Two things at once."""

    @contextlib.contextmanager
    def arranged(one: Dressed) -> Iterator[None]:
        with first(one), second(one):
            yield

    return arranged


def _of(do: Callable[[Dressed], object]) -> Arrangement:
    @contextlib.contextmanager
    def arranged(one: Dressed) -> Iterator[None]:
        one.faults(figures=HEALTHY_FIGURES.get(one.profile, {}))
        do(one)
        yield

    return arranged


HEALTHY_FIGURES: t.Mapping[str, dict[str, dict[str, float]]] = {
    # What these services measure and the reference service does not.
    "insighthub": {"/metrics.json": {"avg_duration": 3.0, "api_quota": 0.4, "cost_per_hour": 2.0}},
    "paralegal": {"/metrics": {"cache_hit_rate": 0.93, "request_latency_p95": 120.0, "error_rate": 0.0}},
    "rag7": {"/metrics": {'container_memory_usage_bytes{pod="langgraph-api-1"}': 4e8}},
    "calendar_api": {"/metrics": {"parsing_accuracy": 0.93}},
    "wrapper_system": {},
}

_DASHBOARD, _EXPORT, _SYSTEM = "/metrics.json", "/api/metrics/export", "/api/system/health"

STATES: t.Mapping[str, tuple[State, ...]] = {
    "insighthub": (
        State("healthy", well()),
        # A1, strict >; A6.
        State(
            "5 % of the workflows fail, which is allowed", figure(_DASHBOARD, "overview.success_rate", 0.95), "P4", {"error_rate": "pass"}
        ),
        State("6 % of the workflows fail", figure(_DASHBOARD, "overview.success_rate", 0.94), "P3", {"error_rate": "warn"}),
        State("16 % of the workflows fail", figure(_DASHBOARD, "overview.success_rate", 0.84), "P2", {"error_rate": "fail"}),
        State("26 % of the workflows fail", figure(_DASHBOARD, "overview.success_rate", 0.74), "P1", {"error_rate": "fail"}),
        State("answers take 30 s, which is allowed", figure(_DASHBOARD, "avg_duration", 30.0), "", {"response_time": "pass"}),
        State("answers take 31 s", figure(_DASHBOARD, "avg_duration", 31.0), "P3", {"response_time": "warn"}),
        State("answers take 61 s", figure(_DASHBOARD, "avg_duration", 61.0), "P2", {"response_time": "fail"}),
        State("81 % of the quota are used", figure(_DASHBOARD, "api_quota", 0.81), "P4", {"api_quota": "warn"}),
        State("96 % of the quota are used", figure(_DASHBOARD, "api_quota", 0.96), "P2", {"api_quota": "fail"}),
        State("it costs 10.5 dollars an hour", figure(_DASHBOARD, "cost_per_hour", 10.5), "P4", {"cost_per_hour": "warn"}),
        State("it costs 26 dollars an hour", figure(_DASHBOARD, "cost_per_hour", 26.0), "P3", {"cost_per_hour": "fail"}),
        State("lying: 200 with an error for a number", answers(_DASHBOARD, body={"error": "internal"}), "P1", {"error_rate": "unknown"}),
        State("slow", slow(_DASHBOARD), "P1", {"dashboard": "fail"}),
        State("gone", gone(), "P1", {"dashboard": "fail"}),
    ),
    "rag7": (
        State("healthy", measured(60)),
        State("8 % of the requests fail", measured(100, error_rate=0.08), "P2", {"error_rate": "fail"}),
        State("3 % of the requests fail", measured(100, error_rate=0.03), "P3", {"error_rate": "warn"}),
        State("answers take 2.5 s", measured(20, slow_ms=2500), "P2", {"latency_p95": "fail"}),
        State("calls of a provider fail", measured(30, failing_tool="llm_provider"), "P2", {"provider_errors": "warn"}),
        State("a provider is down", both(measured(20), neighbour("/v1/health", status=503)), "P2", {"kiro.ai": "fail"}),
        State("Grafana has lost its database", both(measured(20), neighbour("/api/health", status=503)), "P3", {"grafana": "fail"}),
        State("the database is gone", both(measured(20), database_gone()), "P1", {"database": "fail", "ready": "unknown"}),
        State("slow", both(measured(20), slow("/health")), "P1", {"api": "fail"}),
        State("gone", both(measured(20), gone()), "P1", {"api": "fail"}),
    ),
    "paralegal": (
        State("healthy", well()),
        # C3, C5.
        State("1.1 % of the requests fail", figure("/metrics", "error_rate", 0.011), "P3", {"error_rate": "fail"}),
        State("51 % of the requests fail", figure("/metrics", "error_rate", 0.51), "P2", {"error_rate": "fail"}),
        State("exactly 1 % of the requests fail, which is allowed", figure("/metrics", "error_rate", 0.01), "", {"error_rate": "pass"}),
        State("slow queries", figure("/metrics", "request_latency_p95", 1001.0), "P3", {"request_latency_p95": "fail"}),
        State("an open circuit breaker", fault(open_breaker="search_statute"), "P2", {"circuit_breaker_open": "fail"}),
        State("the cache misses too often", figure("/metrics", "cache_hit_rate", 0.79), "P3", {"cache_hit_rate": "fail"}),
        State("busy processors", host(cpu_percent=71.0), "P4", {"cpu": "warn"}),
        State("processors at their end", host(cpu_percent=86.0), "P2", {"cpu": "fail"}),
        State("memory is short", host(memory_percent=81.0), "P4", {"memory": "warn"}),
        State("memory is out", host(memory_percent=91.0), "P2", {"memory": "fail"}),
        State("many database sessions", sessions(82), "P4", {"database_connections": "warn"}),
        State("nearly out of database sessions", sessions(91), "P2", {"database_connections": "fail"}),
        State("the provider has minor trouble", neighbour("/api/v2/status.json", body={"status": {"indicator": "minor"}}), "P4"),
        State(
            "the provider is down",
            neighbour("/api/v2/status.json", body={"status": {"indicator": "major"}}),
            "P3",
            {"provider status": "fail"},
        ),
        State("the vector store is gone", neighbour("/readyz", status=503), "P2", {"vector": "fail"}),
        State("the cache is gone", cache_gone(), "P2", {"cache": "fail"}),
        State("the database is gone", database_gone(), "P1", {"database": "fail", "api": "unknown"}),
        State("lying: 200 with an error for a body", answers("/health", body={"error": "internal"}), "P2", {"api": "fail"}),
        State("it says itself that it is not healthy", answers("/health", body={"healthy": False}), "P2", {"api": "fail"}),
        # Later than the profile itself waits.
        State("slow", answers("/health", delay_ms=11_000), "P2", {"api": "fail"}),
        State("gone", gone(), "P1", {"api": "fail", "root page": "fail"}),
    ),
    "calendar_api": (
        State("healthy", measured(60)),
        # D3, D5, D8.
        State("15 % of the requests fail", measured(100, error_rate=0.15), "P2", {"error_rate": "fail"}),
        State("3 % of the requests fail", measured(100, error_rate=0.03), "P3", {"error_rate": "warn"}),
        State("answers take 2.5 s", measured(20, slow_ms=2500), "P2", {"latency_p95": "fail"}),
        State(
            "84 % are parsed rightly", measured(20, figures={"/metrics": {"parsing_accuracy": 0.84}}), "P3", {"parsing_accuracy": "warn"}
        ),
        State(
            "69 % are parsed rightly", measured(20, figures={"/metrics": {"parsing_accuracy": 0.69}}), "P2", {"parsing_accuracy": "fail"}
        ),
        State("an alert is active", alert(severity="warning"), "P3", {"active alerts": "warn"}),
        State("Grafana has lost its database", both(measured(20), neighbour("/api/health", status=503)), "P3", {"grafana": "fail"}),
        State("the database is gone", both(measured(20), database_gone()), "P2", {"database": "fail"}),
        State("the cache is gone", both(measured(20), cache_gone()), "P3", {"cache": "fail"}),
        State(
            "lying: 200 with an error for metrics", both(measured(20), answers("/metrics", body="error")), "P3", {"metrics page": "fail"}
        ),
        State("slow", both(measured(20), slow("/healthz")), "P1", {"api": "fail"}),
        State("gone", both(measured(20), gone()), "P1", {"api": "fail"}),
    ),
    "wrapper_system": (
        State("healthy", well()),
        # E1, E4.
        State("94 % succeed", figure(_EXPORT, "data.success_rate", 0.94), "critical", {"success_rate": "fail"}),
        State("6 % fail", figure(_EXPORT, "data.error_rate", 0.06), "critical", {"error_rate": "fail"}),
        State("a score of 49 %", figure(_SYSTEM, "data.overall_health_score", 0.49), "critical", {"health_score": "fail"}),
        State("a score of 79 %", figure(_SYSTEM, "data.overall_health_score", 0.79), "warning", {"health_score": "warn"}),
        State("answers take 5.1 s", figure(_EXPORT, "data.latency_ms.average", 5100.0), "warning", {"response_time": "warn"}),
        State("busy processors", host(cpu_percent=71.0), "warning", {"cpu": "warn"}),
        State("memory is short", host(memory_percent=81.0), "warning", {"memory": "warn"}),
        State("one wrapper is out", fault(open_breaker="llm_provider"), "warning", {"system health": "warn"}),
        State(
            "lying: 200 with success false", answers(_SYSTEM, body={"success": False, "data": {}}), "critical", {"system health": "fail"}
        ),
        State("lying: 200 with a page", answers("/api/wrappers/health", body="<html>sorry</html>"), "warning", {"wrappers health": "fail"}),
        State("slow", slow(_SYSTEM), "critical", {"system health": "fail"}),
        State("gone", gone(), "critical", {"system health": "fail", "dashboard": "fail"}),
    ),
}
