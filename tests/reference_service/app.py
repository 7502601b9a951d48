# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The application. Run: uvicorn reference_service.app:app --host 127.0.0.1 --port 8000"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.routing import Match

from . import operations, work, wrappers
from .faults import WORK, InjectedError
from .service import Service
from .settings import Settings, from_environment
from .stores import ServiceUnavailableError

_MODULES = (operations, work, wrappers)
_ROUTES = [route for module in _MODULES for route in module.router.routes]


def create(settings: Settings) -> FastAPI:
    """An instance with these settings."""
    service = Service(settings)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await service.database.open()
        service.log.info("started", extra={"fields": {"version": settings.version}})
        yield
        await service.database.close()
        await service.cache.close()
        service.log.info("stopped")

    app = FastAPI(title="Reference service", version=settings.version, lifespan=lifespan)
    app.state.service = service
    for module in _MODULES:
        app.include_router(module.router)

    @app.middleware("http")
    async def observe(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        began = time.perf_counter()
        is_work = request.url.path.startswith(WORK)
        service.metrics.begin(work=is_work)
        status, error = 500, ""
        try:
            response = await _answer(service, request, call_next)
            status, error = response.status_code, response.headers.get("x-error", "")
            response.headers["X-Colour"] = settings.colour
            return response
        finally:
            seconds = time.perf_counter() - began
            service.metrics.finish(request.method, _pattern(request), status, seconds, work=is_work)
            _log(service, request, status, error, seconds)

    return app


async def _answer(service: Service, request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    try:
        await service.faults.strike(request.url.path)
        return await service.faults.dressing.put_on(request.url.path, await call_next(request))
    except ServiceUnavailableError as error:
        return _problem(503, "ServiceUnavailableError", str(error))
    except InjectedError as error:
        return _problem(500, "InjectedError", str(error))
    except Exception as error:
        service.log.exception("unexpected error")
        return _problem(500, type(error).__name__, "internal error")


def _problem(status: int, kind: str, message: str) -> JSONResponse:
    return JSONResponse({"error": kind, "message": message}, status_code=status, headers={"X-Error": kind})


def _pattern(request: Request) -> str:
    """The route's pattern, so that a path with a number in it does not become a time series of its own."""
    route = request.scope.get("route") or next((one for one in _ROUTES if one.matches(request.scope)[0] is Match.FULL), None)
    return str(getattr(route, "path", "unknown"))


def _log(service: Service, request: Request, status: int, error: str, seconds: float) -> None:
    fields: dict[str, object] = {
        "method": request.method,
        "path": request.url.path,
        "status": status,
        "duration_ms": round(seconds * 1000, 3),
        "user_id": request.headers.get("x-user-id", ""),
    }
    if error:
        fields["error_type"] = error
    log = service.log.error if status >= 500 else service.log.info
    log(f"{request.method} {request.url.path} {status}", extra={"fields": fields})


app = create(from_environment())
