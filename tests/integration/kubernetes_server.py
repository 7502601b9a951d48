# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An API server of Kubernetes on a loopback port: kmock, with what it lacks, and with controllers that let rollouts go on.

kmock brings the server, the reading of requests and the discovery. Mended here: lists with kind, version and selectors, watches from a
resource version and with an end, generations and resource versions, the three kinds of patches, the scale subresource, logs, exec, and
NotFound as Kubernetes says it. Faults are answers that take the place of the real ones.
"""

from __future__ import annotations

import asyncio
import copy
import json
import re
import threading
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp.web
import kmock
import yaml

from integration.kubernetes_answers import command_output, refusal, scale_of
from integration.kubernetes_objects import KINDS, Body, Key, Objects, TestFailedError, UnknownFieldError, fits_fields, fits_labels, patched


@dataclass
class Fault:
    """An answer that takes the place of the real one.

    Attributes:
        request: Regular expression of `METHOD path`.
        status: The HTTP status.
        times: How often; negative for always.
        after: How many such requests are served first.
        message: What the Status object says.
        headers: Headers of the answer.
        lost: Whether the request is served first, and only its answer is lost.
    """

    request: str
    status: int
    times: int = 1
    after: int = 0
    message: str = "injected"
    headers: dict[str, str] = field(default_factory=dict)
    lost: bool = False


class Handler(kmock.KubernetesEmulator):
    """kmock's emulator with another way to keep objects."""

    # kmock's classes have slots; this one is set by KubernetesServer.
    owner: KubernetesServer

    async def _handle(self, request: t.Any) -> aiohttp.web.StreamResponse:
        return await self.owner.answer(request, super()._handle)

    async def _serve_version(self, request: t.Any) -> t.Any:
        found = t.cast("Body", await super()._serve_version(request))
        found["groupVersion"] = found["groupVersion"].lstrip("/")
        for one in found["resources"]:
            if "/" in one["name"]:
                one["shortNames"] = []
            if one["name"].endswith("/scale"):
                one.update(kind="Scale", group="autoscaling", version="v1")
        return found


class KubernetesServer:
    """The server, in a thread of its own.

    Args:
        port: A free port.

    Attributes:
        objects: What it holds; to be touched by `do` only.
        faults: Answers that take the place of real ones.
        seen: `METHOD path?query` of all requests, in order.
        bodies: Their bodies.
        accepted: Their headers `Accept`.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.objects = Objects()
        self.faults: list[Fault] = []
        self.seen: list[str] = []
        self.bodies: list[t.Any] = []
        self.accepted: list[str] = []
        self._loop = asyncio.new_event_loop()
        self._ready, self._stop = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> KubernetesServer:
        self._thread.start()
        assert self._ready.wait(20), "the API server does not start"
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(20)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        from integration.kubernetes_controllers import Controllers

        handler = Handler()
        handler.owner = self
        handler.resources.load_bundled()
        async with handler, kmock.Server(handler, host="127.0.0.1", port=self.port):
            controllers = asyncio.create_task(Controllers(self.objects).run())
            self._ready.set()
            await self._stop.wait()
            controllers.cancel()

    def do(self, function: t.Callable[[Objects], t.Any]) -> t.Any:
        """Call `function` with the objects between two requests, and return a copy of what it returns."""

        async def called() -> t.Any:
            return copy.deepcopy(function(self.objects))

        return asyncio.run_coroutine_threadsafe(called(), self._loop).result(20)

    def get(self, plural: str, name: str, namespace: str = "default") -> Body:
        """An object as it is now."""
        return t.cast("Body", self.do(lambda objects: objects[(plural, namespace, name)]))

    def create(self, plural: str, document: Body, namespace: str = "default") -> None:
        """Put an object there."""
        self.do(lambda objects: objects.create((plural, namespace, document["metadata"]["name"]), copy.deepcopy(document)))

    def change(self, plural: str, name: str, patch: Body, namespace: str = "default") -> None:
        """Change an object, as somebody else would."""
        self.do(lambda objects: objects.put((plural, namespace, name), patched(objects[(plural, namespace, name)], patch, "merge")))

    def pods(self) -> list[Body]:
        """All pods."""
        return t.cast("list[Body]", self.do(lambda objects: [one for key, one in objects.items() if key[0] == "pods"]))

    def clear(self) -> None:
        """Forget requests and faults."""
        self.faults.clear()
        self.seen.clear()
        self.bodies.clear()
        self.accepted.clear()

    def reset(self) -> None:
        """As at the beginning: no objects, pods fare as their images say and end soon, nothing is asked or injected."""
        self.do(Objects.reset)
        self.clear()

    def kubeconfig(self, path: Path) -> str:
        """A kubeconfig for it, written to `path`."""
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": {"server": f"http://127.0.0.1:{self.port}"}}],
            "users": [{"name": "operator", "user": {"token": "of-the-operator"}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "operator", "namespace": "default"}}],
            "current-context": "test",
        }
        path.write_text(yaml.safe_dump(content))
        return str(path)

    async def answer(self, request: t.Any, rest: t.Callable[[t.Any], t.Awaitable[t.Any]]) -> aiohttp.web.StreamResponse:
        """The answer to a request; `rest` serves what is about no object."""
        line = f"{request.method.value.upper()} {request.url.path}"
        self.seen.append(f"{line}?{request.url.query_string}".rstrip("?"))
        self.bodies.append(request.data)
        self.accepted.append(request.headers.get("Accept", ""))
        for fault in self.faults:
            if fault.times and re.search(fault.request, line):
                if fault.after:
                    fault.after -= 1
                    continue
                fault.times -= 1
                if fault.lost:
                    await self._serve_one(request, rest)
                return refusal(fault.status, fault.message, fault.headers)
        return await self._serve_one(request, rest)

    async def _serve_one(self, request: t.Any, rest: t.Callable[[t.Any], t.Awaitable[t.Any]]) -> aiohttp.web.StreamResponse:
        plural = request.resource.plural if request.resource else None
        if plural not in KINDS:
            return t.cast("aiohttp.web.StreamResponse", await rest(request))
        key = (plural, request.namespace or "default", request.name)
        if request.name is None:
            try:
                return await self._collection(request, plural)
            except UnknownFieldError as error:
                return refusal(400, str(error))
        if request.subresource == "exec":
            return await command_output(request)
        if key not in self.objects:
            return refusal(404, f'{plural}{"." if request.resource.group else ""}{request.resource.group} "{request.name}" not found')
        if request.subresource == "log":
            return self._log(request, key)
        return self._one(request, key)

    async def _collection(self, request: t.Any, plural: str) -> aiohttp.web.StreamResponse:
        if request.method.value.upper() == "POST":
            key = (plural, request.namespace or "default", request.data["metadata"]["name"])
            if key in self.objects:
                return refusal(409, f'{plural} "{key[2]}" already exists')
            return aiohttp.web.json_response(self.objects.create(key, request.data), status=201)
        namespace, query = request.namespace, request.params

        def wanted(key: Key, one: Body) -> bool:
            here = key[0] == plural and namespace in (None, key[1])
            return here and fits_labels(one, query.get("labelSelector", "")) and fits_fields(one, query.get("fieldSelector", ""))

        if query.get("fieldSelector"):
            fits_fields({"kind": KINDS[plural], "metadata": {"name": "", "namespace": ""}, "spec": {}}, query["fieldSelector"])
        if query.get("watch") in ("true", "1"):
            return await self._watch(request, wanted)
        group, version = request.resource.group, request.resource.version
        return aiohttp.web.json_response(
            {
                "kind": f"{KINDS[plural]}List",
                "apiVersion": f"{group}/{version}" if group else version,
                "metadata": {"resourceVersion": str(self.objects.version)},
                "items": [one for key, one in self.objects.items() if wanted(key, one)],
            }
        )

    async def _watch(self, request: t.Any, wanted: t.Callable[[Key, Body], bool]) -> aiohttp.web.StreamResponse:
        answer = aiohttp.web.StreamResponse(headers={"Content-Type": "application/json"})
        await answer.prepare(request._raw_request)
        since = int(request.params.get("resourceVersion") or 0)
        place = next((number for number, event in enumerate(self.objects.events) if event[0] > since), len(self.objects.events))
        first = request.params.get("sendInitialEvents") == "true"
        if not since or first:
            place = len(self.objects.events)
            for key, one in self.objects.items():
                if wanted(key, one):
                    await answer.write(json.dumps({"type": "ADDED", "object": one}).encode() + b"\n")
        if first:
            end = {"resourceVersion": str(self.objects.version), "annotations": {"k8s.io/initial-events-end": "true"}}
            mark = {"kind": KINDS[request.resource.plural], "apiVersion": request.resource.version, "metadata": end}
            if request.resource.group:
                mark["apiVersion"] = f"{request.resource.group}/{request.resource.version}"
            await answer.write(json.dumps({"type": "BOOKMARK", "object": mark}).encode() + b"\n")
        until = self._loop.time() + float(request.params.get("timeoutSeconds") or 3600)
        while self._loop.time() < until and not self._stop.is_set():
            while place < len(self.objects.events):
                _version, kind, key, one = self.objects.events[place]
                place += 1
                if wanted(key, one):
                    await answer.write(json.dumps({"type": kind, "object": one}).encode() + b"\n")
            changed = self.objects.changed
            try:
                await asyncio.wait_for(changed.wait(), min(0.5, max(0.01, until - self._loop.time())))
            except TimeoutError:
                pass
        await answer.write_eof()
        return answer

    def _one(self, request: t.Any, key: Key) -> aiohttp.web.StreamResponse:
        method, one = request.method.value.upper(), self.objects[key]
        if method == "DELETE":
            wanted = ((request.data or {}).get("preconditions") or {}).get("uid")
            if wanted and wanted != one["metadata"]["uid"]:
                return refusal(409, "the UID in the precondition does not match")
            return aiohttp.web.json_response(self.objects.delete(key))
        if request.subresource == "scale":
            if method == "PATCH":
                self.objects.put(key, patched(one, {"spec": {"replicas": request.data["spec"]["replicas"]}}, "merge"))
                one = self.objects[key]
            return aiohttp.web.json_response(scale_of(one))
        if method == "PATCH":
            content = request.headers.get("Content-Type", "")
            body = request.data if request.data is not None else json.loads(request.text)
            if (
                isinstance(body, dict)
                and (body.get("metadata") or {}).get("resourceVersion", one["metadata"]["resourceVersion"])
                != (one["metadata"]["resourceVersion"])
            ):
                return refusal(409, "the object has been modified; please apply your changes to the latest version and try again")
            kind = "json" if "json-patch" in content else "merge" if "/merge-patch" in content else "strategic"
            try:
                changed = patched(one, body, kind)
            except TestFailedError:
                return refusal(422, "the server rejected our request due to an error in our request")
            if request.params.get("dryRun"):
                return aiohttp.web.json_response(changed)
            self.objects.put(key, changed)
        elif method == "PUT":
            self.objects.put(key, request.data)
        elif "as=PartialObjectMetadata" in request.headers.get("Accept", ""):
            metadata = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": one["metadata"]}
            return aiohttp.web.json_response(metadata)
        return aiohttp.web.json_response(self.objects[key])

    def _log(self, request: t.Any, key: Key) -> aiohttp.web.StreamResponse:
        lines = self.objects.logs.get(key[2], [f"{key[2]} listens on port 8080"])
        tail = int(request.params.get("tailLines") or len(lines))
        return aiohttp.web.Response(text="".join(f"{line}\n" for line in lines[-tail:]))
