# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A scripted engine and a scripted proxy, which together watch that a rolling action never takes more than one replica out."""

from __future__ import annotations

import typing as t
from collections.abc import Sequence

from ansible_collections.sre.runbooks.plugins.module_utils.errors import CommandFailed, Unreachable
from ansible_collections.sre.runbooks.plugins.module_utils.service.compose.containers import Container, parse
from ansible_collections.sre.runbooks.plugins.module_utils.service.compose.engine import NoSuchContainer
from ansible_collections.sre.runbooks.plugins.module_utils.service.proxy import Reach


def inspected(number: int, state: str = "running", health: str = "healthy", **changes: t.Any) -> dict[str, t.Any]:
    """What the engine says of a replica."""
    return {
        "Id": f"{number:064x}",
        "Name": f"/shop-app-{number}",
        "Image": "sha256:1",
        "RestartCount": 0,
        "Config": {
            "Image": "app:1",
            "Labels": {"com.docker.compose.container-number": str(number), "com.docker.compose.config-hash": "old"},
        },
        "HostConfig": {"NetworkMode": "shop_default"},
        "State": {
            "Status": state,
            "StartedAt": "2026-01-01T00:00:00Z" if state != "created" else "0001-01-01T00:00:00Z",
            "ExitCode": 0 if state in ("running", "created") else 1,
            **({"Health": {"Status": health, "Log": []}} if health else {}),
        },
        "NetworkSettings": {"Networks": {"shop_default": {"IPAddress": f"10.0.0.{number}"}} if state == "running" else {}},
        "Mounts": [],
        **changes,
    }


def container(number: int, state: str = "running", health: str = "healthy", **changes: t.Any) -> Container:
    """A replica."""
    return parse(inspected(number, state, health, **changes))


class Killed(BaseException):
    """The run was killed; nothing of it may be done any more."""


class FakeEngine:
    """Containers in memory.

    Attributes:
        containers: By identity.
        calls: What was asked that changes something.
        bad: Names of replicas that do not become well when they are started.
        health_of_bad: `unhealthy`, or `exited` for those that end at once.
        watch: Called after each change.
    """

    def __init__(self, replicas: Sequence[dict[str, t.Any]], bad: t.Collection[str] = (), health_of_bad: str = "unhealthy") -> None:
        self.containers = {one["Id"]: one for one in replicas}
        self.calls: list[str] = []
        self.bad, self.health_of_bad = set(bad), health_of_bad
        self.watch: t.Callable[[], None] = lambda: None

    def running(self) -> set[str]:
        """Names of those that run."""
        return {one["Name"].lstrip("/") for one in self.containers.values() if one["State"]["Status"] == "running"}

    def another(self) -> t.Self:
        return self

    def __enter__(self) -> t.Self:
        return self

    def __exit__(self, *_error: object) -> None:
        pass

    def log(self, _container: str, _lines: int = 10) -> list[str]:
        return ["the last word"]

    def ask(self, method: str, path: str, query: t.Any = None, body: t.Any = None, timeout_s: float = 0) -> t.Any:
        if path == "/containers/json":
            return [{"Id": identity} for identity in self.containers]
        key, _, verb = path.removeprefix("/containers/").partition("/")
        found = next((one for one in self.containers.values() if key in (one["Id"], one["Name"].lstrip("/"))), None)
        if method == "GET":
            if found is None:
                raise NoSuchContainer("none", facts={"status": 404})
            return found
        if (method, key) == ("POST", "create"):
            return self._create(query["name"], body)
        if found is None:
            raise NoSuchContainer("none", facts={"status": 404})
        name = found["Name"].lstrip("/")
        self.calls.append(f"{verb or 'remove'} {name}")
        if method == "DELETE":
            del self.containers[found["Id"]]
        elif verb == "rename":
            found["Name"] = f"/{query['name']}"
        elif verb == "stop":
            found["State"].update(Status="exited", ExitCode=0)
        elif verb == "start":
            self._start(found, name)
        self.watch()
        return None

    def _create(self, name: str, body: dict[str, t.Any]) -> dict[str, str]:
        self.calls.append(f"create {name}")
        if any(one["Name"] == f"/{name}" for one in self.containers.values()):
            raise CommandFailed("the name is taken", facts={"status": 409})
        number = int(body["Labels"]["com.docker.compose.container-number"])
        made = inspected(number, "created", Id=f"{number + 1000:064x}", Name=f"/{name}", Config=body, HostConfig=body["HostConfig"])
        self.containers[made["Id"]] = made
        self.watch()
        return {"Id": made["Id"]}

    def _start(self, found: dict[str, t.Any], name: str) -> None:
        # The container that a new one replaces was well, and is so again.
        is_bad = name in self.bad and not (found["Config"]["Labels"]["com.docker.compose.config-hash"] == "old" and "new" in self.hashes())
        found["State"].update(Status="running", StartedAt="2026-01-02T00:00:00Z")
        if is_bad and self.health_of_bad == "exited":
            found["State"].update(Status="exited", ExitCode=3)
        elif "Health" in found["State"]:
            found["State"]["Health"]["Status"] = self.health_of_bad if is_bad else "healthy"
        number = int(found["Config"]["Labels"]["com.docker.compose.container-number"])
        found["NetworkSettings"]["Networks"] = {"shop_default": {"IPAddress": f"10.0.0.{number}"}}

    def hashes(self) -> set[str]:
        """What the containers were made from that there have been."""
        return {"new"} if any(call.startswith("create ") for call in self.calls) else set()


class FakeProxy:
    """A proxy that has one server for each address.

    Attributes:
        drained: Servers that get no requests.
        held: Addresses that somebody else keeps from requests.
        left: Requests at a server that has been drained; one ends with each question.
        keeps: Whether it has not noticed that a replica is gone.
        is_down: Whether it cannot be asked.
    """

    def __init__(self, engine: FakeEngine, left: int = 0, never_up: bool = False, keeps: bool = False) -> None:
        self._engine, self.drained, self.held, self.left, self.never_up = engine, set[str](), set[str](), left, never_up
        self.keeps, self.is_down = keeps, False
        self.calls: list[str] = []

    def __str__(self) -> str:
        return "the proxy"

    def _alive(self) -> dict[str, str]:
        parsed = [parse(one) for one in self._engine.containers.values()]
        return {address: one.name for one in parsed if one.is_running for address in one.reach.addresses}

    def _answer(self) -> None:
        if self.is_down:
            raise Unreachable("the proxy does not answer")

    def servers(self, reach: Reach) -> list[str]:
        self._answer()
        return sorted(reach.addresses - self.held)

    def is_held_back(self, reach: Reach) -> bool:
        return bool(reach.addresses & self.held)

    def drain(self, servers: Sequence[str]) -> None:
        self.calls += [f"drain {one}" for one in servers]
        self.drained |= set(servers)
        self._engine.watch()

    def in_flight(self, servers: Sequence[str]) -> int:
        self.left = max(0, self.left - 1)
        return self.left

    def ready(self, servers: Sequence[str], reach: Reach) -> list[str]:
        self._answer()
        if self.keeps:
            return list(servers)
        self.calls += [f"ready {one}" for one in servers]
        self.drained -= set(servers)
        self._engine.watch()
        return []

    def is_up(self, reach: Reach) -> bool:
        return not self.never_up and bool(reach.addresses & set(self._alive())) and not reach.addresses & self.drained

    def others_up(self, servers: Sequence[str]) -> int:
        return len(set(self._alive()) - self.drained - self.held - set(servers))

    def is_checked(self, servers: Sequence[str]) -> bool:
        self._answer()
        return True

    def serving(self) -> set[str]:
        """Names of the replicas that get requests and run."""
        return {name for address, name in self._alive().items() if address not in self.drained | self.held}
