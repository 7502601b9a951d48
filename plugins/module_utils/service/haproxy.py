# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""HAProxy by its runtime interface: which server leads to a replica, draining it, and waiting until it is up again.

Sources: HAProxy's management guide, section 9.3 "Unix Socket commands" (`show servers state`, `show stat`, `set server`), version 2.6.
"""

from __future__ import annotations

import os
import socket
import typing as t

from ..errors import CommandFailed, Unreachable
from .proxy import Reach

_TIMEOUT_S = 5.0
_MOST_BYTES = 20_000_000
_LONGEST_PATH = 100
"""A socket's path holds 107 characters (unix(7))."""
_RUNNING = (1, 2)
"""srv_op_state: warming up, fully up."""
_FORCED_MAINTENANCE, _FORCED_DRAIN = 0x01, 0x08
_CHECK_CONFIGURED = 0x02


class Server(t.NamedTuple):
    """A server of a backend, as HAProxy has it at this moment.

    Attributes:
        name: Its name.
        address: Its IP address; empty while its name is not resolved.
        port: Its port.
        op_state: 0 stopped, 1 starting, 2 running, 3 stopping.
        admin_state: Bits of maintenance and draining; 0 for none.
        check_state: Bits of its health check.
        is_named: Whether its address comes from a name, which HAProxy may resolve again.
    """

    name: str
    address: str
    port: int
    op_state: int
    admin_state: int
    check_state: int
    is_named: bool

    @property
    def is_up(self) -> bool:
        """Whether it gets requests."""
        return self.op_state in _RUNNING and self.admin_state == 0

    @property
    def is_held_back(self) -> bool:
        """Whether it was drained or put into maintenance by a command."""
        return bool(self.admin_state & (_FORCED_MAINTENANCE | _FORCED_DRAIN))

    @property
    def is_dead(self) -> bool:
        """Whether it would get none, were it not drained: HAProxy holds it for down, or its name resolves to nothing."""
        return self.op_state not in _RUNNING or bool(self.admin_state & ~_FORCED_DRAIN)


def parse_servers(text: str) -> t.List[Server]:
    """What `show servers state <backend>` answered: a version, the names of the columns behind a sharp, a line for each server.

    Raises:
        ValueError: It is nothing of the kind.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    heads = [line.lstrip("# ").split() for line in lines if line.startswith("#")]
    if not lines or not lines[0].strip().isdigit() or not heads or "srv_name" not in heads[0]:
        raise ValueError(text.strip()[:200] or "nothing")
    rows = [dict(zip(heads[0], line.split())) for line in lines[1:] if not line.startswith("#")]
    try:
        return [
            Server(
                name=row["srv_name"],
                address="" if row["srv_addr"] == "-" else row["srv_addr"],
                port=int(row.get("srv_port", "0")),
                op_state=int(row["srv_op_state"]),
                admin_state=int(row["srv_admin_state"]),
                check_state=int(row["srv_check_state"]),
                is_named=row.get("srv_fqdn", "-") != "-",
            )
            for row in rows
        ]
    except KeyError as error:
        raise ValueError(f"the column {error} is missing") from None


def parse_sessions(text: str, backend: str) -> t.Dict[str, int]:
    """How many requests are at each server of a backend or wait for it, from what `show stat` answered.

    Raises:
        ValueError: It is no such table.
    """
    lines = text.strip().splitlines()
    if not lines or not lines[0].startswith("# pxname,svname,"):
        raise ValueError(text.strip()[:200] or "nothing")
    head = lines[0].lstrip("# ").split(",")
    rows = [dict(zip(head, line.split(","))) for line in lines[1:] if line.startswith(f"{backend},")]
    try:
        return {row["svname"]: int(row["scur"] or 0) + int(row["qcur"] or 0) for row in rows}
    except KeyError as error:
        raise ValueError(f"the column {error} is missing") from None


class Runtime:
    """The runtime interface: a Unix socket on this host, or a TCP port.

    Args:
        path: Path of the socket; empty for a TCP port.
        host: Host of the port.
        port: The port.
    """

    def __init__(self, path: str = "", host: str = "", port: int = 0) -> None:
        self._path, self._host, self._port = path, host, port

    def __str__(self) -> str:
        return self._path or f"{self._host}:{self._port}"

    def ask(self, command: str) -> str:
        """What HAProxy answers to a command.

        Raises:
            Unreachable: It does not answer.
        """
        try:
            with self._connected() as connection:
                connection.sendall(f"{command}\n".encode())
                parts, size = [], 0
                while size < _MOST_BYTES:
                    part = connection.recv(65536)
                    if not part:
                        break
                    parts.append(part)
                    size += len(part)
                return b"".join(parts).decode(errors="replace")
        except OSError as error:
            raise Unreachable(
                "HAProxy does not answer at its runtime interface",
                where=str(self),
                why=error.strerror or str(error),
                next_step="see that it runs, and that its `stats socket` is there and may be used by this account",
            ) from error

    def _connected(self) -> socket.socket:
        if not self._path:
            return socket.create_connection((self._host, self._port), _TIMEOUT_S)
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(_TIMEOUT_S)
        try:
            if len(self._path) <= _LONGEST_PATH:
                connection.connect(self._path)
            else:
                folder = os.open(os.path.dirname(self._path), os.O_PATH | os.O_DIRECTORY)
                try:
                    connection.connect(f"/proc/self/fd/{folder}/{os.path.basename(self._path)}")
                finally:
                    os.close(folder)
        except OSError:
            connection.close()
            raise
        return connection


def _nearest(address: str, others: t.Iterable[str]) -> str:
    """That of `others` which has most of its beginning in common with `address`, so that a server stays in its network."""
    return max(
        sorted(others), key=lambda other: next((at for at, pair in enumerate(zip(address, other)) if pair[0] != pair[1]), len(other))
    )


class HAProxy:
    """The proxy of module_utils/service/proxy.py, for one backend of HAProxy.

    Args:
        runtime: Its runtime interface, of level `admin`.
        backend: Name of the backend with the replicas.
    """

    def __init__(self, runtime: Runtime, backend: str) -> None:
        self._runtime, self._backend = runtime, backend

    def __str__(self) -> str:
        return f"HAProxy (backend {self._backend})"

    def servers(self, reach: Reach) -> t.List[str]:
        """The servers with the address of the replica, without those that were drained or put into maintenance by hand."""
        return [server.name for server in self._look() if reach.is_at(server.address, server.port) and not server.is_held_back]

    def is_held_back(self, reach: Reach) -> bool:
        """Whether a server of the replica was drained or put into maintenance by hand."""
        return any(server.is_held_back for server in self._look() if reach.is_at(server.address, server.port))

    def drain(self, servers: t.Sequence[str]) -> None:
        """Send them no new requests."""
        for name in servers:
            self._set(name, "state drain")

    def in_flight(self, servers: t.Sequence[str]) -> int:
        """How many requests are at them."""
        text = self._runtime.ask("show stat")
        try:
            found = parse_sessions(text, self._backend)
            return sum(found[name] for name in servers)
        except ValueError as error:
            raise self._strange("show stat", str(error)) from None
        except KeyError as error:
            raise self._strange("show stat", f"the server {error} is missing") from None

    def ready(self, servers: t.Sequence[str], reach: Reach) -> t.List[str]:
        """Let requests to them again.

        A server that HAProxy found by a name may have been given to another replica, or to none, since the replica came back under another
        address: it is set ready as soon as it leads to the replica or is dead. One with a fixed address is given the new address.
        """
        left = []
        for server in self._look():
            if server.name not in servers:
                continue
            if not reach.is_at(server.address, server.port) and not server.is_named and reach.addresses:
                self._set(server.name, f"addr {_nearest(server.address, reach.addresses)}")
            elif not reach.is_at(server.address, server.port) and not server.is_dead:
                left.append(server.name)
                continue
            self._set(server.name, "state ready")
        return left

    def is_up(self, reach: Reach) -> bool:
        """Whether one of its servers is up."""
        return any(server.is_up for server in self._look() if reach.is_at(server.address, server.port))

    def others_up(self, servers: t.Sequence[str]) -> int:
        """How many of the backend's other servers are up."""
        return sum(server.is_up for server in self._look() if server.name not in servers)

    def is_checked(self, servers: t.Sequence[str]) -> bool:
        """Whether one of them has a health check in HAProxy."""
        return any(server.check_state & _CHECK_CONFIGURED for server in self._look() if server.name in servers)

    def _look(self) -> t.List[Server]:
        command = f"show servers state {self._backend}"
        text = self._runtime.ask(command)
        try:
            return parse_servers(text)
        except ValueError as error:
            raise self._strange(command, str(error)) from None

    def _set(self, name: str, what: str) -> None:
        command = f"set server {self._backend}/{name} {what}"
        said = self._runtime.ask(command).strip()
        # A change of an address is answered with what has changed; other commands say nothing when they succeed.
        if said and not (what.startswith("addr ") and ("changed" in said or "no need to change" in said)):
            raise self._strange(command, said)

    def _strange(self, command: str, said: str) -> CommandFailed:
        return CommandFailed(
            "HAProxy does not do what is needed for a rolling action",
            where=f"{self._runtime}, {command}",
            why=said,
            next_step="see that the backend is named right and that its `stats socket` has `level admin`",
        )
