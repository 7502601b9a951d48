# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The service's dependencies, each behind a circuit breaker."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pybreaker

from .faults import Faults
from .metrics import Metrics
from .settings import Settings
from .stores import ServiceUnavailableError

NAMES = ("search_statute", "routellm", "calendar")


@dataclass
class Tool:
    """One dependency: its breaker, and what became of its calls."""

    name: str
    breaker: pybreaker.CircuitBreaker
    calls: int = 0
    failed_calls: int = 0
    rejected_calls: int = 0
    seconds: float = 0.0
    slowest_s: float = field(default=0.0)

    @property
    def state(self) -> str:
        """`closed`, `half-open` or `open`."""
        return str(self.breaker.current_state)

    @property
    def success_rate(self) -> float:
        """Share of calls that went well; 1 before the first."""
        return 1 - (self.failed_calls + self.rejected_calls) / self.calls if self.calls else 1.0

    def metrics(self) -> dict[str, float | int]:
        """Figures since the start."""
        made = self.calls - self.rejected_calls
        return {
            "total_calls": self.calls,
            "failed_calls": self.failed_calls,
            "rejected_calls": self.rejected_calls,
            "success_rate": round(self.success_rate, 6),
            "average_latency_ms": round(self.seconds / made * 1000, 3) if made else 0.0,
            "max_latency_ms": round(self.slowest_s * 1000, 3),
        }

    def circuit(self) -> dict[str, object]:
        """The breaker as it is."""
        return {"tool": self.name, "state": self.state, "failures_in_a_row": self.breaker.fail_counter, "metrics": self.metrics()}


class Tools:
    """All tools by name."""

    def __init__(self, settings: Settings, faults: Faults, metrics: Metrics) -> None:
        self._faults, self._metrics = faults, metrics
        self.by_name = {
            name: Tool(
                name,
                pybreaker.CircuitBreaker(
                    fail_max=settings.breaker_failures, reset_timeout=settings.breaker_reset_s, name=name, throw_new_error_on_trip=False
                ),
            )
            for name in NAMES
        }

    def states(self) -> dict[str, str]:
        """State of every circuit."""
        return {name: tool.state for name, tool in self.by_name.items()}

    @contextmanager
    def use(self, name: str) -> Iterator[None]:
        """Run the block as a call of the tool.

        Raises:
            ServiceUnavailableError: The circuit is open, or the tool is made to fail.
        """
        tool = self.by_name[name]
        tool.calls += 1
        began = time.perf_counter()
        try:
            with tool.breaker.calling(), self._metrics.component(name):
                if self._faults.failing_tool == name:
                    raise ServiceUnavailableError(name, "injected fault")
                yield
        except pybreaker.CircuitBreakerError as error:
            tool.rejected_calls += 1
            raise ServiceUnavailableError(name, "circuit breaker is open") from error
        except Exception:
            tool.failed_calls += 1
            self._metrics.tool_errors.labels(name).inc()
            self._note(tool, began)
            raise
        self._note(tool, began)

    @staticmethod
    def _note(tool: Tool, began: float) -> None:
        seconds = time.perf_counter() - began
        tool.seconds, tool.slowest_s = tool.seconds + seconds, max(tool.slowest_s, seconds)
