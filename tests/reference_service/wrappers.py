# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The same instance seen as a system of wrappers: one around every tool."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, HTTPException

from .metrics import resident_bytes
from .service import Here, Service
from .tools import Tool

router = APIRouter(prefix="/api")

WRAPPERS = {"routellm": "llm_provider", "poml": "vector_search", "external_tools": "search_statute"}
"""Names by which the wrapper system knows the tools."""


@router.get("/system/health")
async def system_health(service: Here) -> dict[str, Any]:
    """Score from 0 to 1 over all components, and how many wrappers work."""
    return {"success": True, "data": await _system(service)}


@router.get("/wrappers/health")
async def wrappers_health(service: Here) -> dict[str, Any]:
    """Every wrapper with its state."""
    return {"success": True, "data": {name: _health(tool) for name, tool in _wrappers(service).items()}}


@router.get("/wrappers/{name}/metrics")
async def wrapper_metrics(service: Here, name: str) -> dict[str, Any]:
    """Figures of one wrapper."""
    tool = _wrappers(service).get(name)
    if tool is None:
        raise HTTPException(404, f"no wrapper {name!r}; there are {', '.join(WRAPPERS)}")
    return {"success": True, "data": {"name": name, **_health(tool), **tool.metrics()}}


@router.get("/metrics/export")
async def export(service: Here) -> dict[str, Any]:
    """Everything at once."""
    return {
        "success": True,
        "data": {
            "system": await _system(service),
            "wrappers": {name: {**_health(tool), **tool.metrics()} for name, tool in _wrappers(service).items()},
            "latency_ms": service.metrics.latency_ms(),
            "success_rate": round(service.metrics.success_rate, 6),
            "error_rate": round(1 - service.metrics.success_rate, 6),
            "memory_bytes": resident_bytes(),
        },
    }


def _wrappers(service: Service) -> dict[str, Tool]:
    return {name: service.tools.by_name[tool] for name, tool in WRAPPERS.items()}


async def _system(service: Service) -> dict[str, Any]:
    worth = {"healthy": 1.0, "degraded": 0.5, "unhealthy": 0.0}
    components = await service.components()
    score = sum(worth[component["status"]] for component in components) / len(components)
    tools = service.tools.by_name.values()
    return {
        "overall_health_score": round(score, 4),
        "system_status": "Healthy" if score > 0.95 else "Degraded" if score >= 0.5 else "Unhealthy",
        "active_wrappers": len(tools),
        "healthy_wrappers": sum(tool.state == "closed" for tool in tools),
        "active_operations": service.metrics.in_flight,
    }


def _health(tool: Tool) -> dict[str, Any]:
    return {"healthy": tool.state == "closed", "status": "healthy" if tool.state == "closed" else "unhealthy", "circuit": tool.state}
