# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The service's dependencies, each behind a circuit breaker."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pybreaker

from .faults import Faults
from .metrics import Metrics
from .settings import Settings
from .stores import ServiceUnavailableError, StoreUnavailableError

NAMES = ("search_statute", "llm_provider", "vector_search")


@dataclass
class Tool:
    """One dependency: its breaker, and what became of its calls."""

    name: str
    breaker: pybreaker.CircuitBreaker
    memory: pybreaker.CircuitMemoryStorage
    calls: int = 0
    failed_calls: int = 0
    rejected_calls: int = 0
    seconds: float = 0.0
    slowest_s: float = 0.0

    @property
    def state(self) -> str:
        """`closed`, `half_open` (the next call decides) or `open`."""
        return "half_open" if self.breaker.current_state == "open" and self._waited() else self.breaker.current_state.replace("-", "_")

    def _waited(self) -> bool:
        """Whether an open circuit has been open for so long that it lets the next call through."""
        opened = self.memory.opened_at  # the library tells the state as of the last call
        return opened is None or datetime.now(UTC) >= opened + timedelta(seconds=self.breaker.reset_timeout)

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
        self.by_name = {name: _tool(name, settings) for name in NAMES}

    def aggregate(self) -> dict[str, float | int]:
        """The figures of all tools together."""
        tools = self.by_name.values()
        calls, rejected = sum(tool.calls for tool in tools), sum(tool.rejected_calls for tool in tools)
        failed = sum(tool.failed_calls for tool in tools)
        made = calls - rejected
        return {
            "total_calls": calls,
            "failed_calls": failed,
            "rejected_calls": rejected,
            "success_rate": round(1 - (failed + rejected) / calls, 6) if calls else 1.0,
            "average_latency_ms": round(sum(tool.seconds for tool in tools) / made * 1000, 3) if made else 0.0,
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


def _tool(name: str, settings: Settings) -> Tool:
    memory = pybreaker.CircuitMemoryStorage(pybreaker.STATE_CLOSED)
    breaker = pybreaker.CircuitBreaker(
        fail_max=settings.breaker_failures,
        reset_timeout=settings.breaker_reset_s,
        exclude=[StoreUnavailableError],
        state_storage=memory,
        name=name,
        throw_new_error_on_trip=False,
    )
    return Tool(name, breaker, memory)
