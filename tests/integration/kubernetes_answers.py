# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Answers of the API server that are no objects: refusals, the number of replicas, and the output of a command."""

from __future__ import annotations

import asyncio
import json
import subprocess
import typing as t

import aiohttp.web

from integration.kubernetes_objects import Body


def scale_of(workload: Body) -> Body:
    """The subresource `scale` of a workload."""
    metadata = {name: workload["metadata"][name] for name in ("name", "namespace", "uid", "resourceVersion")}
    spec, status = {"replicas": workload["spec"]["replicas"]}, {"replicas": workload.get("status", {}).get("replicas", 0)}
    return {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": spec, "status": status}


def refusal(code: int, message: str, headers: dict[str, str] | None = None) -> aiohttp.web.Response:
    """A Status object that says why not."""
    reasons = {401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 409: "Conflict", 429: "TooManyRequests"}
    body = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "reason": reasons.get(code, "InternalError"),
        "message": message,
        "code": code,
    }
    return aiohttp.web.json_response({"metadata": {}, **body}, status=code, headers=headers)


async def command_output(request: t.Any) -> aiohttp.web.StreamResponse:
    """Run the command on this machine, and answer in the channels of Kubernetes (protocols v4 and v5)."""
    socket = aiohttp.web.WebSocketResponse(protocols=("v5.channel.k8s.io", "v4.channel.k8s.io"))
    await socket.prepare(request._raw_request)
    command = request.url.query.getall("command")
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, check=False)
    for channel, data in ((1, done.stdout), (2, done.stderr)):
        if data:
            await socket.send_bytes(bytes([channel]) + data)
    ended: Body = {"metadata": {}, "status": "Success"}
    if done.returncode:
        causes = [{"reason": "ExitCode", "message": str(done.returncode)}]
        ended = {"metadata": {}, "status": "Failure", "reason": "NonZeroExitCode", "details": {"causes": causes}}
    await socket.send_bytes(bytes([3]) + json.dumps(ended).encode())
    await socket.close()
    return socket
