# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""A unit is taken out of the proxy before it stops, and waited for until the proxy has it again."""

from __future__ import annotations

import os
import re
import time
import typing as t

from ...errors import BadInput, DeadlineExceeded, RunbookError
from ...progress import Progress
from ..proxy import Proxy, Reach
from .state import Unit

_POLL_S = 0.05
_OTHERS_WAIT_S = 10.0
_DEAD_WAIT_S = 10.0
_GROUPS = ("/sys/fs/cgroup", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified")
_LISTENING = "0A"
"""State TCP_LISTEN of the kernel's table (linux include/net/tcp_states.h)."""
_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
_LOOPBACK = frozenset(("127.0.0.1", "::1", "0.0.0.0", "::"))  # noqa: S104 - compared, and not listened at


def processes_of(unit: Unit) -> t.List[str]:
    """Numbers of the processes of a unit, by its control group; its main process where that cannot be read."""
    group = unit.get("ControlGroup", "")
    for top in _GROUPS if group else ():
        try:
            with open(f"{top}{group}/cgroup.procs", encoding="ascii") as stream:
                found = stream.read().split()
        except OSError:
            continue
        if found:
            return found
    return [unit["MainPID"]] if unit.get("MainPID", "0") != "0" else []


def ports_of(unit: Unit) -> t.FrozenSet[int]:
    """TCP ports at which the processes of a unit listen (proc(5): /proc/net/tcp, columns 2, 4 and 10)."""
    sockets = {target for pid in processes_of(unit) for target in _open_files(pid)}
    found = set()
    for table in _TABLES:
        try:
            with open(table, encoding="ascii") as stream:
                rows = [line.split() for line in stream.readlines()[1:]]
        except OSError:
            continue
        found |= {int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == _LISTENING and f"socket:[{row[9]}]" in sockets}
    return frozenset(found)


def _open_files(pid: str) -> t.Iterator[str]:
    """What a process has open; a busy one closes some while this looks."""
    try:
        names = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return
    for name in names:
        try:
            yield os.readlink(f"/proc/{pid}/fd/{name}")
        except OSError:
            continue


def addresses_here() -> t.FrozenSet[str]:
    """IPv4 addresses of this host (/proc/net/fib_trie: those of kind LOCAL), and the loopback ones."""
    try:
        with open("/proc/net/fib_trie", encoding="ascii") as stream:
            found = re.findall(r"\|-- ([\d.]+)\n\s+/32 host LOCAL", stream.read())
    except OSError:
        found = []
    return _LOOPBACK | frozenset(found)


def reach_of(unit: Unit) -> Reach:
    """Where a unit is reached: at the ports of its processes, under the addresses of this host."""
    return Reach(published=ports_of(unit), hosts=addresses_here())


def no_container(name: str) -> t.Tuple[str, int]:
    """Raise BadInput: the proxy of units is reached from their host."""
    raise BadInput(
        "The proxy of units of systemd cannot be in a container that is named",
        where=f"service_proxy, container {name}",
        next_step="give its socket, or the address of its runtime interface, as the units' host reaches it",
    )


class InProxy:
    """The units behind a proxy.

    Args:
        proxy: The proxy; None for none, with which nothing is done.
        drain_s: How long requests in flight may take to their end.
        health_s: How long the proxy may take until it sends requests again.
    """

    def __init__(self, proxy: t.Optional[Proxy], drain_s: float, health_s: float, progress: Progress) -> None:
        self.proxy, self.drain_s, self.health_s, self._progress = proxy, drain_s, health_s, progress
        self.notes: t.List[str] = []

    def require_answer(self) -> None:
        """Raise RunbookError where the proxy does not answer, or has no such backend, before anything is changed."""
        if self.proxy is not None:
            self.proxy.servers(Reach())

    def take_out(self, unit: Unit, *, needs_others: bool) -> t.List[str]:
        """Drain a unit that runs, and wait for the end of its requests; returns the servers of the proxy that lead to it.

        Raises:
            RunbookError: No other server is up, and one is needed; nothing was changed.
        """
        if self.proxy is None or not unit.active:
            return []
        servers = self.proxy.servers(reach_of(unit))
        if not servers:
            self.notes.append(f"{unit.name}: {self.proxy} has no server that leads to it, or one that was drained before, which stays so")
            return []
        if needs_others:
            self._wait_for_others(self.proxy, servers, unit)
        self.proxy.drain(servers)
        began, quiet = time.monotonic(), 0
        while quiet < 2:
            left, passed = self.proxy.in_flight(servers), time.monotonic() - began
            quiet = 0 if left else quiet + 1
            if left and passed > self.drain_s:
                self.notes.append(f"{unit.name}: {left} requests had not ended {self.drain_s:g} s after it was taken out of {self.proxy}")
                break
            self._progress.say(f"{unit.name}: {left} requests in flight", passed, self.drain_s, "s")
            time.sleep(_POLL_S)
        return servers

    def _wait_for_others(self, proxy: Proxy, servers: t.Sequence[str], unit: Unit) -> None:
        began = time.monotonic()
        while not proxy.others_up(servers):
            if time.monotonic() - began > _OTHERS_WAIT_S:
                raise RunbookError(
                    f"No other server of {proxy} is up beside that of {unit.name}",
                    why="taking it out would leave nobody to serve",
                    next_step="bring the other instances up first, or restart all at once (service_restart_way=all)",
                )
            time.sleep(_POLL_S)

    def bring_in(self, unit: Unit, servers: t.Sequence[str]) -> None:
        """Let a unit have requests again, and wait until it has.

        Raises:
            DeadlineExceeded: The proxy does not send it any.
        """
        if self.proxy is None or not servers:
            return
        reach, left, began = reach_of(unit), list(servers), time.monotonic()
        while True:
            left = self.proxy.ready(left, reach) if left else []
            if not left and self.proxy.is_up(reach):
                return
            passed = time.monotonic() - began
            if passed > self.health_s:
                raise DeadlineExceeded(
                    f"{unit.name} is well, but {self.proxy} does not send it requests within {self.health_s:g} s",
                    next_step="see the proxy's health check",
                )
            self._progress.say(f"{unit.name}: waiting until the proxy sends it requests", passed, self.health_s, "s")
            time.sleep(_POLL_S)

    def let_go(self, unit: Unit, servers: t.Sequence[str]) -> str:
        """After a failure, or for a unit that was stopped: the proxy's own health check decides about it; says what could not be done."""
        if self.proxy is None or not servers:
            return ""
        try:
            if not self.proxy.is_checked(servers):
                return f"{unit.name} stays out of {self.proxy}, which does not check it: {', '.join(servers)}"
            left, began = list(servers), time.monotonic()
            while left and time.monotonic() - began < _DEAD_WAIT_S:
                left = self.proxy.ready(left, reach_of(unit) if unit.active else Reach())
                time.sleep(_POLL_S if left else 0)
            return f"{unit.name} stays drained in {self.proxy}: {', '.join(left)}" if left else ""
        except RunbookError as error:
            return f"{unit.name} stays drained in {self.proxy}: {error.message}"
