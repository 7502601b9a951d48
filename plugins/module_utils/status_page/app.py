# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The application: which path gives what. Starlette and uvicorn are imported only here and in `server`, where a page is served."""

from __future__ import annotations

import asyncio
import importlib
import json
import secrets
import time
import typing as t

from ..state import slug
from . import api, html
from .access import Access, Guard
from .assets import assets, version
from .drawn import WINDOWS_H, drawn
from .settings import Settings
from .snapshot import Row, snapshot
from .tail import Tail

_STATE_S, _CHARTS_S = 2.0, {"1": 10.0, "6": 20.0, "24": 30.0, "168": 120.0}
"""How long an answer is good for others who ask the same; so many readers cost no more than one."""
_POLL_S, _BEAT_S, _STREAM_S = 0.4, 15.0, 1800.0
_SHOWN_LINES = 40
_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")


class Kept:
    """Answers that are worked out once for all who ask within a while, in a thread, so that nobody else has to wait."""

    def __init__(self) -> None:
        self._locks: t.Dict[str, asyncio.Lock] = {}
        self._kept: t.Dict[str, t.Tuple[float, t.Any]] = {}

    async def get(self, key: str, good_for_s: float, work: t.Callable[[], t.Any]) -> t.Any:
        """The answer of `work`, at most `good_for_s` seconds old."""
        async with self._locks.setdefault(key, asyncio.Lock()):
            made, answer = self._kept.get(key, (0.0, None))
            if not made or time.monotonic() - made > good_for_s:
                answer = await asyncio.get_running_loop().run_in_executor(None, work)
                self._kept[key] = (time.monotonic(), answer)
            return answer


class Page:
    """What the paths answer with."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.kept = Kept()
        self.tails = {one["name"]: Tail(one) for one in settings.logs}
        self.streams = 0
        self.boot = secrets.token_hex(4)
        self.version = version()

    async def state(self) -> Row:
        """The service's state, as fresh as it has to be."""
        found: Row = await self.kept.get("state", _STATE_S, lambda: snapshot(self.settings, time.time()))
        return found

    async def tail(self, name: str) -> Tail:
        """A log that has just been looked at."""
        await self.kept.get(f"log {name}", _POLL_S, self.tails[name].poll)
        return self.tails[name]

    async def page(self, hours: str) -> bytes:
        """The page."""
        state = await self.state()
        charts = await self.kept.get(f"charts {hours}", _CHARTS_S[hours], lambda: drawn(self.settings, state, hours))
        lines: t.Dict[str, t.List[t.Dict[str, str]]] = {}
        for name in list(self.tails)[:1]:
            lines[name] = [line for _number, line in (await self.tail(name)).since(0)[1]][-_SHOWN_LINES:]
        text: bytes = await self.kept.get(
            f"page {hours}", _STATE_S, lambda: html.render(self.settings, state, charts, hours, self.version, lines).encode()
        )
        return text

    async def events(self, name: str, after: int) -> t.AsyncIterator[bytes]:
        """The lines of a log after a number as server-sent events (HTML standard, section 9.2), for half an hour at a time."""
        self.streams += 1
        try:
            begin = beat = time.monotonic()
            problem = ""
            while time.monotonic() - begin < _STREAM_S:
                tail = await self.tail(name)
                skipped, found = tail.since(after)
                if skipped and after:
                    yield _event("skipped", str(skipped))
                for after, line in found:
                    yield _event("line", json.dumps(line), f"{self.boot}.{after}")
                if tail.problem != problem:
                    problem = tail.problem
                    yield _event("problem" if problem else "again", json.dumps(problem))
                if found or time.monotonic() - beat > _BEAT_S:
                    beat = time.monotonic()
                    yield b": still here\n\n"
                await asyncio.sleep(_POLL_S)
        finally:
            self.streams -= 1

    def after(self, mark: str) -> int:
        """The number of the last line that a reader has seen; 0 when it was another process that numbered it."""
        boot, _dot, number = mark.partition(".")
        return int(number) if boot == self.boot and number.isdigit() and len(number) < 16 else 0


class Endpoints:
    """What each path does. `Request` and `Response` are Starlette's, which is there only where a page is served."""

    def __init__(self, page: Page) -> None:
        self.page, self.files = page, assets()
        self._responses = importlib.import_module("starlette.responses")

    async def main(self, request: t.Any) -> t.Any:
        """The page."""
        hours = request.query_params.get("hours", "24")
        if hours not in WINDOWS_H:
            return self._text(f"hours is one of {', '.join(WINDOWS_H)}", 400)
        return self._responses.Response(await self.page.page(hours), media_type="text/html; charset=utf-8")

    async def static(self, request: t.Any) -> t.Any:
        """A file that the page loads."""
        found = self.files.get(request.path_params["name"])
        if found is None:
            return self._text("there is no such file", 404)
        return self._responses.Response(found[1], media_type=found[0], headers={"Cache-Control": "private, max-age=3600"})

    def answering(self, make: t.Callable[[Row], api.Answer]) -> t.Callable[[t.Any], t.Awaitable[t.Any]]:
        """A path that answers with the state as JSON."""

        async def answer(_request: t.Any) -> t.Any:
            status, document = make(await self.page.state())
            return self._responses.JSONResponse(document, status)

        return answer

    async def wrapper(self, request: t.Any) -> t.Any:
        """The figures of one component."""
        status, document = api.wrapper_metrics(await self.page.state(), request.path_params["name"])
        return self._responses.JSONResponse(document, status)

    async def stream(self, request: t.Any) -> t.Any:
        """The lines of a log as they come."""
        name = request.query_params.get("log", "")
        if name not in self.page.tails:
            return self._text("there is no such log", 404)
        if self.page.streams >= self.page.settings.streams:
            return self._text("too many readers of log lines at the moment", 503)
        if request.method == "HEAD":
            return self._responses.Response(media_type="text/event-stream")
        mark = request.headers.get("last-event-id") or request.query_params.get("after", "")
        return self._responses.StreamingResponse(self.page.events(name, self.page.after(mark)), media_type="text/event-stream")

    async def there(self, _request: t.Any) -> t.Any:
        """Whether the page is there at all."""
        return self._text("ok", 200)

    def _text(self, text: str, status: int) -> t.Any:
        return self._responses.PlainTextResponse(text + "\n", status)


def create(settings: Settings, guard: Guard) -> Access:
    """The application, as an ASGI callable."""
    starlette, routing, gzip = (importlib.import_module(f"starlette.{name}") for name in ("applications", "routing", "middleware.gzip"))
    ends = Endpoints(Page(settings))
    paths = {
        "/": ends.main,
        "/healthz": ends.there,
        "/static/{name}": ends.static,
        "/logs/stream": ends.stream,
        "/api/system/health": ends.answering(api.system_health),
        "/api/wrappers/health": ends.answering(api.wrappers_health),
        "/api/wrappers/{name}/metrics": ends.wrapper,
        "/api/metrics/export": ends.answering(api.export),
        "/api/overview": ends.answering(api.overview),
    }
    inner = gzip.GZipMiddleware(starlette.Starlette(routes=[routing.Route(*pair) for pair in paths.items()]), minimum_size=2000)
    names = settings.names or (_LOOPBACK_NAMES if settings.is_loopback else ())
    return Access(inner, guard, [*names, *([settings.address] if names else [])], tls=bool(settings.tls_certificate))


def folder_name(service: str) -> str:
    """The folder of a service's page below `status_page` in the state folder."""
    return slug(service) or "service"


def _event(kind: str, data: str, identity: str = "") -> bytes:
    mark = f"id: {identity}\n" if identity else ""
    return f"{mark}event: {kind}\ndata: {data}\n\n".encode()
