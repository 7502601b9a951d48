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

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_RECENT = 1000
_CIRCUIT_NUMBERS = {"closed": 0, "half-open": 1, "open": 2}


class Metrics:
    """Counters of one instance since its start."""

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
        self.circuits = Gauge("circuit_breaker_state", "0 closed, 1 half-open, 2 open", ["tool"], registry=self.registry)
        self.cache_ratio = Gauge("cache_hit_ratio", "Hits of all look-ups", registry=self.registry)
        Gauge("service_info", "Always 1", ["colour", "version"], registry=self.registry).labels(colour, version).set(1)
        self.active = Gauge("http_requests_active", "Requests being answered", registry=self.registry)
        self.total = self.failed = self.in_flight = 0
        self._recent_ms: deque[float] = deque(maxlen=_RECENT)

    @contextmanager
    def component(self, name: str) -> Iterator[None]:
        """Measure the block as the component's time."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.components.labels(name).observe(time.perf_counter() - began)

    def begin(self) -> None:
        """A request came in."""
        self.in_flight += 1
        self.active.inc()

    def finish(self, method: str, path: str, status: int, seconds: float) -> None:
        """A request was answered; `path` is the route's pattern."""
        self.in_flight -= 1
        self.active.dec()
        self.total += 1
        self.failed += status >= 500
        self.requests.labels(method, path, str(status)).inc()
        self.durations.labels(method, path).observe(seconds)
        self._recent_ms.append(seconds * 1000)

    def prometheus(self, circuit_states: dict[str, str], hit_ratio: float) -> bytes:
        """Everything in the Prometheus text format."""
        for tool, state in circuit_states.items():
            self.circuits.labels(tool).set(_CIRCUIT_NUMBERS[state])
        self.cache_ratio.set(hit_ratio)
        return generate_latest(self.registry)

    @property
    def success_rate(self) -> float:
        """Share of requests that did not end with a server error; 1 before the first."""
        return 1 - self.failed / self.total if self.total else 1.0

    def latency_ms(self) -> dict[str, float]:
        """Average and percentiles of the last 1000 requests, in milliseconds."""
        ordered = sorted(self._recent_ms)
        if not ordered:
            return {"average": 0.0, "p50": 0.0, "p95": 0.0, "p99": 0.0}
        shares = {f"p{share}": ordered[min(len(ordered) - 1, len(ordered) * share // 100)] for share in (50, 95, 99)}
        return {name: round(value, 3) for name, value in {"average": sum(ordered) / len(ordered), **shares}.items()}

    def overview(self, alerts: list[dict[str, str]]) -> dict[str, object]:
        """The figures of a health view; durations in seconds."""
        return {
            "success_rate": round(self.success_rate, 6),
            "avg_duration": round(self.latency_ms()["average"] / 1000, 6),
            "active_workflows": self.in_flight,
            "total_requests": self.total,
            "failed_requests": self.failed,
            "uptime_s": round(time.time() - self.started, 1),
            "alerts": len(alerts),
        }


def resident_bytes() -> int:
    """Memory that this process holds (proc(5), /proc/self/status, VmRSS, in kB)."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0
