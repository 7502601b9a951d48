# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""A unit is taken out of the proxy before it stops, and waited for until the proxy has it again."""

from __future__ import annotations

import contextlib
import re
import typing as t

from ... import socket_table
from ...errors import BadInput, DeadlineExceeded, RunbookError
from ...progress import Progress
from .. import draining
from ..deadline import Deadline
from ..journal import Journal
from ..proxy import Proxy, Reach
from .state import Unit

_GROUPS = ("/sys/fs/cgroup", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified")
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
    """TCP ports at which the processes of a unit listen."""
    own = {inode for pid in processes_of(unit) for inode in socket_table.inodes_of(pid)}
    try:
        return frozenset(one.port for one in socket_table.listening() if one.inode in own)
    except OSError:
        return frozenset()


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
    """The units behind a proxy. Those that are taken out of it are noted in a journal, so that a run after a kill lets them in again.

    Args:
        proxy: The proxy; None for none, with which nothing is done.
        drain_s: How long requests in flight may take to their end.
        journal: Where it is noted.

    Attributes:
        touched: Whether the proxy was told anything.
        notes: What the reader should know.
    """

    def __init__(self, proxy: t.Optional[Proxy], drain_s: float, journal: Journal, progress: Progress) -> None:
        self.proxy, self.drain_s, self._journal, self._progress = proxy, drain_s, journal, progress
        self.touched = False
        self.notes: t.List[str] = []

    def require_answer(self) -> None:
        """Raise RunbookError where the proxy does not answer, or has no such backend, before anything is changed."""
        if self.proxy is not None:
            self.proxy.servers(Reach())

    def held(self) -> t.ContextManager[None]:
        """Keep other runs from these units meanwhile."""
        return self._journal.held() if self.proxy is not None else contextlib.nullcontext()

    def out(self, units: t.Sequence[Unit]) -> t.List[Unit]:
        """Those that were taken out of the proxy, by this run or one that was killed, and are not in again."""
        noted = self._journal.read() if self.proxy is not None else {}
        return [unit for unit in units if unit.name in noted]

    def take_out(self, unit: Unit, *, needs_others: bool) -> None:
        """Drain a unit that runs, and wait for the end of its requests.

        Raises:
            RunbookError: No other server is up, and one is needed; this one was not drained.
        """
        if self.proxy is None or not unit.active:
            return
        servers = self.proxy.servers(reach_of(unit))
        if not servers and self.out([unit]):
            return
        if not servers:
            self.notes.append(f"{unit.name}: {self.proxy} has no server that leads to it, or one that was drained before, which stays so")
            return
        if needs_others:
            step = "bring the other instances up first, or restart all at once (service_restart_way=all)"
            draining.wait_for_others(self.proxy, servers, unit.name, step)
        self._journal.note(**{unit.name: {"servers": servers, "run": unit.get("InvocationID", "")}})
        self.touched = True
        self.proxy.drain(servers)
        left = draining.wait_drained(self.proxy, servers, unit.name, self.drain_s, self._progress)
        if left:
            self.notes.append(f"{unit.name}: {left} requests had not ended {self.drain_s:g} s after it was taken out of {self.proxy}")

    def bring_in(self, unit: Unit, deadline: Deadline) -> None:
        """Let a unit that is well and was taken out have requests again, and wait until it has.

        Raises:
            DeadlineExceeded: The proxy does not send it any.
        """
        if self.proxy is None or not self.out([unit]):
            return
        if not draining.wait_let_in(self.proxy, self._servers(unit), lambda: reach_of(unit), unit.name, deadline, self._progress):
            raise DeadlineExceeded(
                f"{unit.name} is well, but {self.proxy} does not send it requests within {deadline.seconds:g} s",
                next_step="see the proxy's health check",
            )
        self._journal.forget(unit.name)

    def releasable(self, units: t.Sequence[Unit]) -> t.List[Unit]:
        """Those of them that run and may have requests: they are as they were then, or the proxy checks them itself.

        Raises:
            RunbookError: The proxy does not answer.
        """
        return [unit for unit in self.out(units) if unit.active and self._may_serve(unit)]

    def let_go(self, units: t.Sequence[Unit]) -> t.List[str]:
        """Let those that were taken out have requests again, where they are as they were then, or where the proxy checks them itself.

        Returns:
            What could not be done; a later run tries again.
        """
        return [told for unit in self.out(units) for told in [self._let_go(unit)] if told]

    def _let_go(self, unit: Unit) -> str:
        proxy, left = t.cast(Proxy, self.proxy), self._servers(unit)
        try:
            if not self._may_serve(unit):
                return f"{unit.name} stays out of {proxy}, which does not check it: {', '.join(left)}"
            left = draining.release(proxy, left, reach_of(unit) if unit.active else Reach())
        except RunbookError as error:
            return f"{unit.name} stays drained in {proxy}: {error.message}"
        self.touched = True
        if left:
            return f"{unit.name} stays drained in {proxy}: {', '.join(left)}"
        self._journal.forget(unit.name)
        return ""

    def _servers(self, unit: Unit) -> t.List[str]:
        return list(self._journal.read()[unit.name]["servers"])

    def _may_serve(self, unit: Unit) -> bool:
        is_as_it_was = unit.active and unit.get("InvocationID", "") == self._journal.read()[unit.name]["run"]
        return is_as_it_was or t.cast(Proxy, self.proxy).is_checked(self._servers(unit))
