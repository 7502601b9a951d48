# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Answers of the API server that are no objects: refusals, the number of replicas, logs, and the output of a command."""

from __future__ import annotations

import asyncio
import datetime
import json
import subprocess
import typing as t
from collections.abc import Callable, Sequence

import aiohttp.web

from integration.kubernetes_objects import Body

BREAKS, HANGS = "\0breaks", "\0hangs"
"""Lines of a log at which the connection breaks, and at which nothing more comes; as the first one not even an answer."""


def scale_of(workload: Body) -> Body:
    """The subresource `scale` of a workload."""
    metadata = {name: workload["metadata"][name] for name in ("name", "namespace", "uid", "resourceVersion")}
    spec, status = {"replicas": workload["spec"]["replicas"]}, {"replicas": workload.get("status", {}).get("replicas", 0)}
    return {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": spec, "status": status}


def refusal(code: int, message: str, headers: dict[str, str] | None = None, reason: str = "InternalError") -> aiohttp.web.Response:
    """A Status object that says why not."""
    reasons = {401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 409: "Conflict", 429: "TooManyRequests"}
    body = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "reason": reasons.get(code, reason),
        "message": message,
        "code": code,
    }
    return aiohttp.web.json_response({"metadata": {}, **body}, status=code, headers=headers)


async def log_of(request: t.Any, pod: Body, lines: Sequence[str], goes_on: Callable[[], bool]) -> aiohttp.web.StreamResponse:
    """The log of a pod as the kubelet gives it, of which each line was written a second after the one before it."""
    query = request.params
    containers = {one["name"]: one for one in (pod.get("status") or {}).get("containerStatuses", ())}
    status = containers.get(query.get("container") or next(iter(containers), ""), {})
    waiting = (status.get("state") or {}).get("waiting", {})
    if waiting and "lastState" not in status:
        said = f'container "{status["name"]}" in pod "{pod["metadata"]["name"]}" is waiting to start: {waiting["reason"]}'
        return refusal(400, said, reason="BadRequest")
    begin = datetime.datetime.fromisoformat(pod["metadata"]["creationTimestamp"])
    since = datetime.datetime.fromisoformat(query.get("sinceTime") or "1970-01-01T00:00:00Z")
    place = max(0, len(lines) - int(query.get("tailLines") or len(lines)))
    while lines[:1] == [HANGS] and goes_on():
        await asyncio.sleep(0.02)
    answer = aiohttp.web.StreamResponse(headers={"Content-Type": "text/plain"})
    await answer.prepare(request._raw_request)
    while True:
        for number in range(place, len(lines)):
            if lines[number] == BREAKS:
                request._raw_request.transport.abort()
            while lines[number] == HANGS and goes_on():
                await asyncio.sleep(0.02)
            when = begin + datetime.timedelta(seconds=number)
            stamp = f"{when:%Y-%m-%dT%H:%M:%S}.000000000Z " if query.get("timestamps") == "true" else ""
            if when >= since:
                await answer.write(f"{stamp}{lines[number]}\n".encode())
        place = len(lines)
        if query.get("follow") != "true" or not goes_on():
            break
        await asyncio.sleep(0.02)
    await answer.write_eof()
    return answer


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
