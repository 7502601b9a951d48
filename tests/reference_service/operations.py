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
async def health(service: Here) -> dict[str, object]:
    """Every component with its state. The answer is 200 even when `healthy` is false: who asks wants to read it."""
    components = await service.components()
    healthy = all(component["status"] != "unhealthy" for component in components)
    return {"healthy": healthy, "colour": service.settings.colour, "version": service.settings.version, "services": components}


@router.get("/ready")
async def ready(service: Here) -> JSONResponse:
    """Whether requests can be served: database and cache are asked; 503 when one does not answer."""
    stores = await service.stores()
    reasons = [f"{store['name']}: {store['message']}" for store in stores if store["status"] != "healthy"]
    body = {"ready": not reasons, "reason": "; ".join(reasons), "services": stores}
    return JSONResponse(body, status_code=503 if reasons else 200)


@router.get("/metrics")
async def metrics(service: Here, request: Request) -> Response:
    """Prometheus text, or JSON for who asks for it (`Accept: application/json`)."""
    if "application/json" in request.headers.get("accept", ""):
        return JSONResponse(_figures(service))
    return Response(service.metrics.prometheus(service.tools.states()), media_type=CONTENT_TYPE_LATEST)


@router.get("/metrics.json")
async def metrics_json(service: Here) -> dict[str, object]:
    """The same figures as JSON."""
    return _figures(service)


def _figures(service: Service) -> dict[str, object]:
    latency_ms, ratio = service.metrics.latency_ms(), service.cache.hit_ratio
    return {
        "overview": service.metrics.overview(),
        "alerts": service.alerts(),
        "request_latency_p95": latency_ms["p95"],
        "error_rate": round(1 - service.metrics.success_rate, 6),
        "cache_hit_rate": None if ratio is None else round(ratio, 6),
        "latency_ms": latency_ms,
        "tools": {
            "circuit_states": service.tools.states(),
            "aggregate_metrics": service.tools.aggregate(),
            "circuits": [tool.circuit() for tool in service.tools.by_name.values()],
        },
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
async def cache_stats(service: Here) -> dict[str, object]:
    """Look-ups of this instance since its start or the last clearing, and the answers that are kept by all instances."""
    cache, kept = service.cache, await service.cache.count()
    ratio = None if cache.hit_ratio is None else round(cache.hit_ratio, 6)
    return {"hit_ratio": ratio, "hits": cache.hits, "misses": cache.misses, "keys": sum(kept.values()), "caches": kept}


@router.delete("/cache/clear")
async def clear_cache(service: Here, name: str = "") -> dict[str, object]:
    """Forget all kept answers, or those of the cache that is named."""
    if name and name not in CACHES:
        raise HTTPException(404, f"no cache {name!r}; there are {', '.join(CACHES)}")
    caches = await service.cache.clear((name,) if name else CACHES)
    return {"cleared": sum(caches.values()), "caches": caches}


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
