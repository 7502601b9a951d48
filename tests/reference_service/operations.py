# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Routes for those who run the service: health, metrics, circuits, cache, faults."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST

from .faults import FaultRequest
from .metrics import resident_bytes
from .service import Here, Service
from .stores import CACHES
from .tools import Tool

router = APIRouter()


@router.get("/")
async def root(service: Here) -> dict[str, str]:
    """What this is."""
    return {"service": "reference", "colour": service.settings.colour, "version": service.settings.version}


@router.get("/version")
async def version(service: Here) -> dict[str, str]:
    """Colour and release of the instance that answers."""
    return await root(service)


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """Whether the process lives; asks nothing else."""
    return {"status": "ok"}


@router.get("/health")
async def health(service: Here) -> JSONResponse:
    """Every component with its state; 503 when one is unhealthy."""
    components = await service.components()
    healthy = all(component["status"] != "unhealthy" for component in components)
    body = {"healthy": healthy, "colour": service.settings.colour, "version": service.settings.version, "services": components}
    return JSONResponse(body, status_code=200 if healthy else 503)


@router.get("/ready")
async def ready(service: Here) -> JSONResponse:
    """Whether requests can be served: database and cache are asked; 503 when one does not answer."""
    stores = await service.stores_ready()
    is_ready = all(store["status"] == "healthy" for store in stores)
    return JSONResponse({"ready": is_ready, "services": stores}, status_code=200 if is_ready else 503)


@router.get("/metrics")
async def metrics(service: Here, request: Request) -> Response:
    """Prometheus text, or JSON for who asks for it (`Accept: application/json`)."""
    if "application/json" in request.headers.get("accept", ""):
        return JSONResponse(_figures(service))
    return Response(service.metrics.prometheus(service.tools.states(), service.cache.hit_ratio), media_type=CONTENT_TYPE_LATEST)


@router.get("/metrics.json")
async def metrics_json(service: Here) -> dict[str, object]:
    """The same figures as JSON."""
    return _figures(service)


def _figures(service: Service) -> dict[str, object]:
    alerts = service.alerts()
    tools = service.tools.by_name
    return {
        "overview": service.metrics.overview(alerts),
        "alerts": alerts,
        "latency_ms": service.metrics.latency_ms(),
        "tools": {
            "circuit_states": service.tools.states(),
            "aggregate_metrics": {name: tool.metrics() for name, tool in tools.items()},
        },
        "cache": _cache_stats(service),
        "memory": {"resident_bytes": resident_bytes()},
    }


@router.get("/admin/circuits")
async def circuits(service: Here) -> list[dict[str, object]]:
    """Every circuit breaker: tool, state, failures in a row, figures."""
    return [tool.circuit() for tool in service.tools.by_name.values()]


@router.post("/admin/reset-circuit/{tool}")
async def reset_circuit(service: Here, tool: str) -> dict[str, object]:
    """Close a circuit."""
    found = _tool(service, tool)
    before = found.state
    found.breaker.close()
    service.log.warning("circuit reset", extra={"fields": {"tool": tool, "before": before}})
    return {"tool": tool, "before": before, "state": found.state}


def _tool(service: Service, name: str) -> Tool:
    try:
        return service.tools.by_name[name]
    except KeyError:
        raise HTTPException(404, f"no tool {name!r}; there are {', '.join(service.tools.by_name)}") from None


@router.get("/cache/stats")
async def cache_stats(service: Here) -> dict[str, float | int]:
    """Look-ups of this instance since its start."""
    return _cache_stats(service)


def _cache_stats(service: Service) -> dict[str, float | int]:
    cache = service.cache
    return {"hits": cache.hits, "misses": cache.misses, "hit_ratio": round(cache.hit_ratio, 6)}


@router.delete("/cache/clear")
async def clear_cache(service: Here, name: str = "") -> dict[str, object]:
    """Forget all kept answers, or those of the cache that is named."""
    if name and name not in CACHES:
        raise HTTPException(404, f"no cache {name!r}; there are {', '.join(CACHES)}")
    cleared = await service.cache.clear((name,) if name else CACHES)
    service.cache.hits = service.cache.misses = 0
    return {"cleared": cleared, "total": sum(cleared.values())}


@router.get("/faults")
async def show_faults(service: Here) -> dict[str, object]:
    """The faults that are injected now."""
    _allow_faults(service)
    return service.faults.show()


@router.post("/faults")
async def set_faults(service: Here, wanted: FaultRequest) -> dict[str, object]:
    """Break something."""
    _allow_faults(service)
    for name in filter(None, (wanted.open_breaker, wanted.failing_tool)):
        _tool(service, name)
    service.faults.set(wanted)
    if wanted.open_breaker:
        _tool(service, wanted.open_breaker).breaker.open()
    service.log.warning("faults injected", extra={"fields": wanted.model_dump(exclude_none=True)})
    return service.faults.show()


@router.delete("/faults")
async def clear_faults(service: Here) -> dict[str, object]:
    """Mend everything; circuits that are open stay open until they are reset or try again by themselves."""
    _allow_faults(service)
    service.faults.clear()
    service.log.warning("faults cleared")
    return service.faults.show()


def _allow_faults(service: Service) -> None:
    if not service.settings.faults:
        raise HTTPException(404, "faults can be injected only where REFERENCE_SERVICE_FAULTS=1 is set")
