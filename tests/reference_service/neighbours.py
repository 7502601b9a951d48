# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What services lean on and no server can be had of: Grafana, Qdrant, a provider and its status page, as far as checks look at them.

Every path may be given another answer by `POST /faults`, as in the service itself.
Run: uvicorn reference_service.neighbours:app --host 127.0.0.1 --port 8001
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable

from fastapi import FastAPI, HTTPException, Request, Response

from .dressing import Dressing, OtherAnswer

app = FastAPI(title="Neighbours of the reference service")
dressing = Dressing()
COLLECTION = os.environ.get("NEIGHBOURS_COLLECTION", "statutes_prod")
PROVIDER_KEY = os.environ.get("NEIGHBOURS_PROVIDER_KEY", "")


@app.middleware("http")
async def dress(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """Give the other answer where one is asked for."""
    return await dressing.put_on(request.url.path, await call_next(request))


@app.post("/faults")
async def set_answers(answers: dict[str, OtherAnswer]) -> dict[str, object]:
    """Other answers, by path; those that were set before are gone."""
    dressing.answers = answers
    return dressing.show()


@app.get("/api/health")
async def grafana() -> dict[str, str]:
    """Grafana HTTP API, "Health API"."""
    return {"database": "ok", "version": "11.2.0", "commit": "0000000"}


@app.get("/api/v2/status.json")
async def status_page() -> dict[str, object]:
    """Statuspage API v2, "Status"."""
    page = {"id": "0", "name": "Provider", "url": "http://127.0.0.1", "time_zone": "Etc/UTC", "updated_at": "2026-01-01T00:00:00Z"}
    return {"page": page, "status": {"indicator": "none", "description": "All Systems Operational"}}


@app.get("/v1/health")
async def provider(request: Request) -> dict[str, str]:
    """A provider's health, for who has its key."""
    if PROVIDER_KEY and request.headers.get("authorization") != f"Bearer {PROVIDER_KEY}":
        raise HTTPException(401, "the key is not accepted")
    return {"status": "ok"}


@app.get("/healthz")
@app.get("/readyz")
@app.get("/livez")
async def qdrant_ready() -> Response:
    """Qdrant, "Kubernetes health checks"."""
    return Response("all shards are ready", media_type="text/plain")


@app.get("/collections")
async def qdrant_collections() -> dict[str, object]:
    """Qdrant REST API, "List all collections"."""
    return {"result": {"collections": [{"name": COLLECTION}]}, "status": "ok", "time": 0.00001}


@app.get("/collections/{name}")
async def qdrant_collection(name: str) -> dict[str, object]:
    """Qdrant REST API, "Collection details"."""
    if name != COLLECTION:
        raise HTTPException(404, f"Not found: Collection `{name}` doesn't exist!")
    details = {"status": "green", "optimizer_status": "ok", "points_count": 12000, "indexed_vectors_count": 12000, "segments_count": 2}
    return {"result": details, "status": "ok", "time": 0.00002}
