# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The proxy in front of the replicas of a service, as far as a rolling action needs it; which proxies there are says proxies.py."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass


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
