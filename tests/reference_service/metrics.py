# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the service measures about itself, for Prometheus and as JSON."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_RECENT = 5000
_WINDOW_S = 300


class Answered(NamedTuple):
    """A request for work that was answered: when (monotonic), how long it took, and whether it ended with a server error."""

    at: float
    ms: float
    failed: bool


class Metrics:
    """Counters of one instance since its start, and its last five minutes of work."""

    def __init__(self, colour: str, version: str) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.started = time.time()
        self.requests = Counter("http_requests", "Requests answered", ["method", "path", "status"], registry=self.registry)
        self.durations = Histogram(
            "http_request_duration_seconds", "Time to answer", ["method", "path"], buckets=_BUCKETS, registry=self.registry
        )
        self.components = Histogram(
            "component_latency_seconds", "Time that a component took", ["component"], buckets=_BUCKETS, registry=self.registry
        )
        self.tool_errors = Counter("provider_api_errors", "Failed calls of a tool", ["provider"], registry=self.registry)
        self.circuits = Gauge("circuit_breaker_open", "Whether calls of a tool are turned away", ["tool"], registry=self.registry)
        self.cache_lookups = Counter("cache_lookups", "Look-ups in the cache", ["cache", "result"], registry=self.registry)
        Gauge("service_info", "Always 1", ["colour", "version"], registry=self.registry).labels(colour, version).set(1)
        self.active = Gauge("http_requests_active", "Requests being answered", registry=self.registry)
        self.total = self.failed = self.in_flight = 0
        self._recent: deque[Answered] = deque(maxlen=_RECENT)

    @contextmanager
    def component(self, name: str) -> Iterator[None]:
        """Measure the block as the component's time."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.components.labels(name).observe(time.perf_counter() - began)

    def begin(self, *, work: bool) -> None:
        """A request came in; `work` tells it from health checks and the like."""
        self.in_flight += work
        self.active.inc()

    def finish(self, method: str, path: str, status: int, seconds: float, *, work: bool) -> None:
        """A request was answered; `path` is the route's pattern."""
        self.in_flight -= work
        self.active.dec()
        self.total += 1
        self.failed += status >= 500
        self.requests.labels(method, path, str(status)).inc()
        self.durations.labels(method, path).observe(seconds)
        if work:
            self._recent.append(Answered(time.monotonic(), seconds * 1000, status >= 500))

    def prometheus(self, circuit_states: dict[str, str]) -> bytes:
        """Everything in the Prometheus text format."""
        for tool, state in circuit_states.items():
            self.circuits.labels(tool).set(state == "open")
        return generate_latest(self.registry)

    def recent(self) -> list[Answered]:
        """The requests for work of the last five minutes, at most 5000 of them."""
        since = time.monotonic() - _WINDOW_S
        while self._recent and self._recent[0].at < since:
            self._recent.popleft()
        return list(self._recent)

    @property
    def success_rate(self) -> float:
        """Share of the last five minutes' requests for work that did not end with a server error; 1 when there were none."""
        recent = self.recent()
        return 1 - sum(one.failed for one in recent) / len(recent) if recent else 1.0

    def latency_ms(self) -> dict[str, float]:
        """Average and percentiles (nearest rank) of the last five minutes' requests for work, in milliseconds; 0 when there were none."""
        ordered = sorted(one.ms for one in self.recent())
        if not ordered:
            return {"average": 0.0, "p50": 0.0, "p95": 0.0, "p99": 0.0}
        shares = {f"p{share}": ordered[-(-len(ordered) * share // 100) - 1] for share in (50, 95, 99)}
        return {name: round(value, 3) for name, value in {"average": sum(ordered) / len(ordered), **shares}.items()}

    def overview(self) -> dict[str, float | int]:
        """The figures of a health view; durations in seconds. `recent_requests` says on how many the rates stand."""
        return {
            "success_rate": round(self.success_rate, 6),
            "avg_duration": round(self.latency_ms()["average"] / 1000, 6),
            "active_workflows": self.in_flight,
            "recent_requests": len(self.recent()),
            "total_requests": self.total,
            "failed_requests": self.failed,
            "uptime_s": round(time.time() - self.started, 1),
        }


def resident_bytes() -> int:
    """Memory that this process holds (proc(5), /proc/self/status, VmRSS, in kB)."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0
