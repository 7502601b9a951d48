# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""One replica's turn in a rolling action: out of the proxy, its requests to their end, renewed, well again, back in the proxy."""

from __future__ import annotations

import contextlib
import time
import typing as t
from dataclasses import dataclass, field, replace
from urllib.parse import quote

from ...errors import CommandFailed, DeadlineExceeded, RunbookError
from ...progress import Progress
from .. import draining
from ..deadline import Deadline
from ..journal import Journal
from ..proxy import Proxy
from .containers import FORMER, Container, evidence, look, spoken
from .engine import Engine
from .rolling_model import TURN, Limits, Outcome, Unwell
from .successor import Pattern, remove

_POLL_S = 0.1
_MOST_RESTARTS = 3
_UNKNOWN_WAIT_S = 10.0
"""How long a replica that the proxy did not know before may take until it has it."""
_STOP_MARGIN_S = 30.0


@dataclass
class Turns:
    """The turns of replicas, one after the other.

    Attributes:
        engine: The engine.
        proxy: The proxy; None where none is named.
        journal: Where what is under way is noted.
        limits: Times.
        progress: Says what is done.
        steps: What was done, in sentences.
        notes: What the reader should know.
        touched: Whether anything was changed.
    """

    engine: Engine
    proxy: t.Optional[Proxy]
    journal: Journal
    limits: Limits
    progress: Progress
    steps: t.List[str] = field(default_factory=list)
    notes: t.List[str] = field(default_factory=list)
    touched: bool = False

    @contextlib.contextmanager
    def beside(self) -> t.Iterator["Turns"]:
        """The same with a connection of its own to the engine, for a thread."""
        with self.engine.another() as engine:
            yield replace(self, engine=engine)

    def servers_of(self, container: Container) -> t.List[str]:
        """The servers of the proxy that lead to a replica and are to be drained."""
        if self.proxy is None or not container.is_running:
            return []
        servers = self.proxy.servers(container.reach)
        if not servers:
            held = self.proxy.is_held_back(container.reach)
            why = "was told before to send it no requests, and that stays so" if held else "has no server that leads to it"
            self.notes.append(f"{container.name}: {self.proxy} {why}")
        return servers

    def take_out(self, container: Container, servers: t.Sequence[str], *, needs_others: bool) -> None:
        """Drain a replica and wait for the end of its requests.

        Raises:
            RunbookError: No other server is up, and one is needed; nothing was changed.
        """
        self.journal.note(replica=container.name, servers=[])
        if self.proxy is None or not servers:
            return
        if needs_others:
            self.wait_for_others(servers, container.name)
        self.journal.note(servers=list(servers))
        self.touched = True
        self.proxy.drain(servers)
        self.wait_drained(container, servers)

    def wait_drained(self, container: Container, servers: t.Sequence[str]) -> None:
        """Wait for the end of the requests at a replica whose servers are drained."""
        if self.proxy is None or not servers:
            return
        left = draining.wait_drained(self.proxy, servers, container.name, self.limits.drain_s, self.progress)
        if left:
            self.notes.append(
                f"{container.name}: {left} requests had not ended {self.limits.drain_s:g} s after it was taken out of the proxy, "
                f"and had {self.limits.stop_s} s more until it was killed"
            )

    def wait_for_others(self, servers: t.Sequence[str], name: str) -> None:
        """See that another server of the proxy is up beside those of a replica, or several.

        Raises:
            RunbookError: None is.
        """
        if self.proxy is not None:
            draining.wait_for_others(self.proxy, servers, name, "bring the other replicas up first")

    def stop(self, container: Container) -> None:
        """Stop a replica, with its time to end by itself."""
        self.touched = True
        if container.state == "paused":
            self.engine.ask("POST", f"/containers/{quote(container.id)}/unpause")
        if container.state in ("running", "restarting", "paused"):
            self.progress.say(f"{container.name}: stopping")
            path, grace = f"/containers/{quote(container.id)}/stop", self.limits.stop_s
            self.engine.ask("POST", path, {"t": grace}, timeout_s=grace + _STOP_MARGIN_S)

    def restart(self, container: Container, *, needs_others: bool) -> None:
        """The turn of a replica that is restarted.

        Raises:
            Unwell: It did not become well, or the proxy does not send it requests. It runs, if it can.
        """
        servers, began = self.servers_of(container), time.monotonic()
        try:
            self.take_out(container, servers, needs_others=needs_others)
            self.stop(container)
            self.start(container.id, container.name)
            self.wait_well(container.name, container.id)
            self.back_in(container.id, servers)
        except RunbookError as error:
            problem = self.unwell(container, error, container.id)
            raise self._ended(problem, self.let_serve(container.id, container.name, servers)) from error
        act = "restarted" if container.is_running else "started"
        self.steps.append(f"{container.name} was {act} and is well after {time.monotonic() - began:.1f} s")
        self.journal.forget(*TURN)

    def recreate(self, container: Container, pattern: Pattern, *, needs_others: bool) -> None:
        """The turn of a replica that is made anew; the container before it goes when the new one is well and serves, and else comes back.

        Raises:
            Unwell: The new one did not become well; the one before it is back.
        """
        servers, began, identity = self.servers_of(container), time.monotonic(), ""
        aside, renamed = container.name + FORMER, False
        try:
            self.take_out(container, servers, needs_others=needs_others)
            self.stop(container)
            self.journal.note(former=aside)
            self.engine.ask("POST", f"/containers/{quote(container.id)}/rename", {"name": aside})
            renamed = True
            identity = pattern.put_in_place_of(container)
            self.start(identity, container.name)
            self.wait_well(container.name, identity)
            self.back_in(identity, servers)
        except RunbookError as error:
            problem = self.unwell(container, error, identity)
            go_back = self.bring_back if renamed else self.let_serve
            raise self._ended(problem, go_back(container.id, container.name, servers)) from error
        remove(self.engine, container.id)
        self.steps.append(f"{container.name} was made anew and is well after {time.monotonic() - began:.1f} s")
        self.journal.forget(*TURN)

    def _ended(self, problem: Unwell, outcome: Outcome) -> Unwell:
        """The error of a turn, with what was brought back; the turn stays noted where that could not be done as a whole."""
        problem.facts["back"], is_done = outcome
        if is_done:
            self.journal.forget(*TURN)
        return problem

    def bring_back(self, former: str, name: str, servers: t.Sequence[str]) -> Outcome:
        """Put the container `former` back in its place, `name`."""
        try:
            remove(self.engine, name)
            self.engine.ask("POST", f"/containers/{quote(former)}/rename", {"name": name})
        except RunbookError as error:
            return Outcome(f"The container before it could not be brought back as {name}: {error.message.rstrip('.')}", False)
        self.journal.forget("former")
        said, is_done = self.run_again(former, name, servers)
        return Outcome(f"The container before it is back as {name}: {said}", is_done)

    def run_again(self, identity: str, name: str, servers: t.Sequence[str]) -> Outcome:
        """Start a replica that was stopped, wait until it is well, and let it have requests."""
        try:
            self.start(identity, name)
            self.wait_well(name, identity)
            self.back_in(identity, servers)
        except RunbookError as error:
            said, is_done = self.let_serve(identity, name, servers)
            return Outcome(f"{error.what}; {said}", is_done)
        return Outcome(look(self.engine, identity).sentence, True)

    def start(self, identity: str, name: str) -> None:
        """Start a container; one that runs is left alone.

        Raises:
            RunbookError: The engine cannot start it, for example because its port is taken.
        """
        self.progress.say(f"{name}: starting")
        try:
            self.engine.ask("POST", f"/containers/{quote(identity)}/start")
        except CommandFailed as error:
            raise RunbookError(f"{name} cannot be started", why=error.why) from error

    def wait_well(self, name: str, identity: str) -> None:
        """Wait until a container that was just started is well: healthy, or without a health check running for some time.

        Raises:
            DeadlineExceeded: It is not within its time.
            RunbookError: It has ended, ends again and again, or its health check has failed.
        """
        now = look(self.engine, identity)
        at_first, restarts, began = now.restarts, now.restarts, time.monotonic()
        steady = began
        while True:
            if now.state in ("exited", "dead", "removing"):
                raise RunbookError(f"{name} ended after its start")
            if now.health == "unhealthy":
                raise RunbookError(f"{name} is unhealthy")
            if now.restarts - at_first >= _MOST_RESTARTS:
                raise RunbookError(f"{name} ends again and again")
            if not now.is_running or now.restarts != restarts:
                steady, restarts = time.monotonic(), now.restarts
            elif now.health == "healthy" or (not now.health and time.monotonic() - steady >= self.limits.settle_s):
                return
            passed = time.monotonic() - began
            if passed > self.limits.health_s:
                raise DeadlineExceeded(f"{name} is not well within {self.limits.health_s:g} s")
            self.progress.say(f"{name}: waiting until it is well", passed, self.limits.health_s, "s")
            time.sleep(_POLL_S)
            now = look(self.engine, identity)

    def back_in(self, identity: str, servers: t.Sequence[str]) -> None:
        """Let the proxy send requests to a replica again, and wait until it does.

        Raises:
            DeadlineExceeded: It does not within the time.
        """
        if self.proxy is None:
            return
        container = look(self.engine, identity)
        if not servers and self.proxy.is_held_back(container.reach):
            return
        limit = self.limits.health_s if servers else min(_UNKNOWN_WAIT_S, self.limits.health_s)
        if draining.wait_let_in(self.proxy, servers, lambda: container.reach, container.name, Deadline(limit), self.progress):
            return
        if servers:
            raise DeadlineExceeded(
                f"{container.name} is well, but {self.proxy} does not send it requests within {limit:g} s",
                next_step="see the proxy's health check, and that it resolves the service's name again (resolvers)",
            )
        self.notes.append(f"{container.name}: {self.proxy} has no server up that leads to it")

    def let_serve(self, identity: str, name: str, servers: t.Sequence[str]) -> Outcome:
        """After a failure: let the replica run if it can, and let the proxy's own health check decide about it."""
        try:
            now = look(self.engine, identity)
            if now.state in ("exited", "created"):
                self.start(identity, name)
                now = look(self.engine, identity)
            if self.proxy and servers and not now.is_well and not self.proxy.is_checked(servers):
                return Outcome(f"{now.sentence}, and stays out of the proxy, which does not check it", False)
            left = self.proxy.ready(servers, now.reach) if self.proxy and servers else []
            return Outcome(now.sentence, not left)
        except RunbookError as error:
            return Outcome(f"{name} could not be brought back: {error.message.rstrip('.')}", False)

    def unwell(self, container: Container, error: RunbookError, identity: str) -> Unwell:
        """The error of a turn that failed with `error`, with what the container `identity` tells of it."""
        found: t.Dict[str, t.Any] = {}
        if identity:
            with contextlib.suppress(RunbookError):  # what went wrong first is what the reader is told
                found = evidence(self.engine, look(self.engine, identity))
        is_its_fault = bool(found) and not (found["state"] == "running" and found["health"] in ("", "healthy"))
        said = "; ".join(part for part in (error.why.rstrip("."), spoken(found) if is_its_fault else "") if part)
        ill = "was not well before either" if container.is_running else "did not run before"
        before = "" if container.is_well else f" (it {ill}: {container.sentence})"
        facts = {"failed": container.name, "evidence": found}
        return Unwell(error.what + before, where=error.where, why=said, next_step=error.next_step, facts=facts)
