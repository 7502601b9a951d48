# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One instance of the service: its parts, made once and shared by all routes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request

from .faults import Faults
from .log import logger_for
from .metrics import Metrics
from .settings import COLOURS, Settings
from .stores import Cache, Database, ServiceUnavailableError
from .tools import Tools


class Service:
    """Settings, stores, tools, faults, metrics and log of one instance."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.faults = Faults()
        self.metrics = Metrics(settings.colour, settings.version)
        self.database = Database(settings, self.faults, self.metrics)
        self.cache = Cache(settings, self.metrics)
        self.tools = Tools(settings, self.faults, self.metrics)
        self.log = logger_for(settings)
        self._number = 0

    def next_number(self) -> int:
        """A number that no row of `response_history` has: nanoseconds since 1970, the last bit telling the colours apart."""
        self._number = max(time.time_ns() & ~1, self._number + 2)
        return self._number | COLOURS.index(self.settings.colour)

    async def components(self) -> list[dict[str, str]]:
        """State of every component, the stores really asked: `name`, `status` (healthy, degraded, unhealthy) and `message`."""
        found = await self.stores()
        for tool in self.tools.by_name.values():
            status = {"closed": "healthy", "half_open": "degraded", "open": "degraded"}[tool.state]
            found.append({"name": tool.name, "status": status, "message": f"circuit {tool.state}"})
        return found

    async def stores(self) -> list[dict[str, str]]:
        """State of the stores alone: without them no request can be served."""
        return list(await asyncio.gather(_asked("database", self.database.probe), _asked("cache", self.cache.ping)))

    def alerts(self) -> list[dict[str, str]]:
        """What the service itself finds worrying."""
        found = [
            {"severity": "critical", "message": f"Circuit of {name} is {state}"}
            for name, state in self.tools.states().items()
            if state != "closed"
        ]
        if len(self.metrics.recent()) >= 20 and self.metrics.success_rate < 0.95:
            found.append({"severity": "critical", "message": f"Success rate {self.metrics.success_rate:.1%}"})
        return found


async def _asked(name: str, question: Callable[[], Awaitable[None]]) -> dict[str, str]:
    try:
        await question()
    except ServiceUnavailableError as error:
        return {"name": name, "status": "unhealthy", "message": error.why}
    return {"name": name, "status": "healthy", "message": "answers"}


def _of(request: Request) -> Service:
    service = request.app.state.service
    assert isinstance(service, Service)
    return service


Here = Annotated[Service, Depends(_of)]
"""The instance that answers a request, as a route's argument."""
