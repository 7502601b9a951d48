# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The proxy in front of the replicas of a service, as far as a rolling action needs it; which proxies there are says `proxy_from`."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ..errors import BadInput

PROXY_OPTIONS: t.Dict[str, t.Dict[str, t.Any]] = {
    "kind": {"type": "str", "choices": ["haproxy"], "default": "haproxy"},
    "backend": {"type": "str"},
    "socket": {"type": "path"},
    "address": {"type": "str"},
    "container": {"type": "str"},
}
"""The suboptions of `proxy`; all empty means that there is none."""


@dataclass(frozen=True)
class Reach:
    """Where a replica is reached at this moment.

    Attributes:
        addresses: Its own addresses, in any network.
        published: Ports of the host that lead to it.
        hosts: Addresses under which those ports are reached from this host and from its containers.
    """

    addresses: t.FrozenSet[str] = frozenset()
    published: t.FrozenSet[int] = frozenset()
    hosts: t.FrozenSet[str] = frozenset()

    def is_at(self, address: str, port: int) -> bool:
        """Whether a server at this address and port is the replica."""
        return address in self.addresses or (port in self.published and address in self.hosts)


class Proxy(t.Protocol):
    """What a rolling action asks of a proxy. Servers are named as the proxy names them; each question may raise a RunbookError."""

    def __str__(self) -> str:
        """What it is, for messages."""

    def servers(self, reach: Reach) -> t.List[str]:
        """The servers that lead to a replica, without those that somebody keeps from requests."""

    def is_held_back(self, reach: Reach) -> bool:
        """Whether somebody has told the proxy to send the replica no requests."""

    def drain(self, servers: t.Sequence[str]) -> None:
        """Send these servers no new requests; those in flight end in peace."""

    def in_flight(self, servers: t.Sequence[str]) -> int:
        """How many requests are at these servers."""

    def ready(self, servers: t.Sequence[str], reach: Reach) -> t.List[str]:
        """Let requests to these servers again, which were drained for a replica that is now at `reach`.

        Returns:
            Those of which this could not be done yet, because they still lead to where the replica was; ask again.
        """

    def is_up(self, reach: Reach) -> bool:
        """Whether the replica gets requests: its server is not drained, and the proxy holds it for alive."""

    def others_up(self, servers: t.Sequence[str]) -> int:
        """How many servers get requests beside these."""

    def is_checked(self, servers: t.Sequence[str]) -> bool:
        """Whether the proxy finds out by itself that any of these does not answer."""


def proxy_from(options: t.Optional[t.Mapping[str, t.Any]], address_of: t.Callable[[str], t.Tuple[str, int]]) -> t.Optional[Proxy]:
    """The proxy that `options` (as PROXY_OPTIONS has them) name; None where they are empty.

    Args:
        options: The options.
        address_of: Says of a container, by name, its first address, and the number of its first process.

    Raises:
        BadInput: They make no sense.
    """
    from .haproxy import HAProxy, Runtime

    given = {name: value for name, value in (options or {}).items() if value}
    if not set(given) - {"kind"}:
        return None
    unknown = sorted(set(given) - set(PROXY_OPTIONS))
    ways = [name for name in ("socket", "address") if given.get(name)]
    problem = ""
    if unknown:
        problem = f"it has no {', '.join(unknown)}"
    elif given.get("kind", "haproxy") != "haproxy":
        problem = f"it is no {given['kind']}: only haproxy can be asked"
    elif not given.get("backend"):
        problem = "backend is missing"
    elif len(ways) != 1:
        problem = "it needs either socket or address"
    if problem:
        raise BadInput("The proxy of the service is not described well", where="proxy", why=problem, next_step="correct service_proxy")
    if "address" in given:
        host, port = _address(str(given["address"]), needs_host="container" not in given)
        return HAProxy(Runtime(host=host or address_of(given["container"])[0], port=port), given["backend"])
    path = str(given["socket"])
    if "container" in given:
        # The file system of a process of this host, container or not: proc(5), /proc/pid/root.
        path = f"/proc/{address_of(given['container'])[1]}/root/{path.lstrip('/')}"
    return HAProxy(Runtime(path=path), given["backend"])


def _address(text: str, needs_host: bool) -> t.Tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not port.isdigit() or not 0 < int(port) < 65536 or (needs_host and not host):
        raise BadInput(
            "The address of the proxy's runtime interface is none",
            where=f"address {text}",
            next_step="write it as host:port, or as port where container names the proxy",
        )
    return host.strip("[]"), int(port)
