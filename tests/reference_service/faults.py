# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Faults on demand, so that runbooks can be rehearsed on something that is really broken."""

from __future__ import annotations

import asyncio
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from .dressing import Dressing, OtherAnswer

WORK = ("/chat", "/parse", "/cases/")
"""Paths that slow answers and errors hit; slow answers hit the health endpoints as well."""
_ALSO_SLOW = ("/health", "/healthz", "/ready")
_LEAK_LIMIT_MB = 512


class FaultRequest(BaseModel):
    """What `POST /faults` takes; what is not named stays as it is."""

    model_config = ConfigDict(extra="forbid")

    slow_ms: int | None = Field(None, ge=0, le=60_000, description="delay of every answer")
    error_rate: float | None = Field(None, ge=0, le=1, description="share of requests for work that fail with 500")
    leak_mb: int | None = Field(None, ge=0, le=64, description="memory that every request for work keeps, up to 512 MB in all")
    lost_database: bool | None = Field(None, description="whether the database seems to be gone")
    failing_tool: str | None = Field(None, description="tool whose every call fails; empty for none")
    open_breaker: str | None = Field(None, description="tool whose circuit is opened once")
    figures: dict[str, dict[str, Any]] | None = Field(
        None, description="by path: figures that its answer tells instead of the measured ones"
    )
    answers: dict[str, OtherAnswer] | None = Field(None, description="by path: what it answers instead")


class InjectedError(Exception):
    """The error that `error_rate` asks for."""


class Faults:
    """The faults of this instance."""

    def __init__(self) -> None:
        self.dressing = Dressing()
        self.clear()

    def clear(self) -> None:
        """No fault any more; leaked memory is let go."""
        self.slow_ms, self.error_rate, self.leak_mb = 0, 0.0, 0
        self.lost_database, self.failing_tool = False, ""
        self._leaked: list[bytearray] = []
        self._error_debt = 0.0
        self.dressing.clear()

    def set(self, wanted: FaultRequest) -> None:
        """Take over what was asked for; opening a circuit is for who knows the circuits."""
        for name, value in wanted.model_dump(exclude={"open_breaker", "figures", "answers"}, exclude_none=True).items():
            setattr(self, name, value)
        self.dressing.figures = self.dressing.figures if wanted.figures is None else wanted.figures
        self.dressing.answers = self.dressing.answers if wanted.answers is None else wanted.answers

    def show(self) -> dict[str, object]:
        """The faults as they are."""
        return {
            "slow_ms": self.slow_ms,
            "error_rate": self.error_rate,
            "leak_mb": self.leak_mb,
            "leaked_mb": self.leaked_mb,
            "lost_database": self.lost_database,
            "failing_tool": self.failing_tool,
            **self.dressing.show(),
        }

    @property
    def leaked_mb(self) -> int:
        """Memory that is kept for nothing."""
        return sum(len(block) for block in self._leaked) >> 20

    async def strike(self, path: str) -> None:
        """Do to a request what was asked for.

        Raises:
            InjectedError: This request shall fail.
        """
        work = path.startswith(WORK)
        if self.slow_ms and (work or path in _ALSO_SLOW):
            await asyncio.sleep(self.slow_ms / 1000)
        if not work:
            return
        if self.leak_mb and self.leaked_mb + self.leak_mb <= _LEAK_LIMIT_MB:
            self._leaked.append(bytearray(b"\1") * (self.leak_mb << 20))
        # Spread evenly, not by chance: of 20 requests at a rate of 0.1 always two fail.
        self._error_debt += self.error_rate
        if self._error_debt >= 1 - 1e-9:
            self._error_debt -= 1
            raise InjectedError("injected fault")
