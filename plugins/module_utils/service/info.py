# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The operation of the module service_info: what runs of a service, and waiting until all of it is well."""

from __future__ import annotations

import time
import typing as t

from ..errors import CommandFailed, DeadlineExceeded, RunbookError, Unreachable
from ..progress import Progress
from .compose import state as compose_state
from .state import State
from .systemd import state as systemd_state

_READERS: t.Mapping[str, t.Callable[[t.Mapping[str, t.Any]], State]] = {"compose": compose_state.read, "systemd": systemd_state.read}
"""How the state is read, by runtime."""
OPTIONS: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "runtime": {"type": "str", "choices": sorted(_READERS), "required": True},
    **compose_state.OPTIONS,
    **systemd_state.OPTIONS,
    "wanted": {"type": "int"},
    "wait_s": {"type": "float", "default": 0},
}
"""Described in plugins/modules/service_info.py."""
SETTLE_S = 1.0
"""Seconds that a replica without a health check must go on running to count as well; as `service_systemd_settle_s` is."""
_INTERVAL_S = 0.3
_ENDED = ("exited", "dead", "failed", "inactive")
"""States that a runtime does not leave by itself."""


def operate(parameters: t.Mapping[str, t.Any], check_mode: bool = False) -> t.Dict[str, t.Any]:
    """Tell the state, after waiting for at most `wait_s` seconds until it is well; `parameters` are valid for OPTIONS.

    Raises:
        BadInput: They name no service.
        CommandFailed: The runtime does not answer, or something of the service has ended.
        DeadlineExceeded: It did not become well in time.
    """
    read = _READERS[parameters["runtime"]]
    wait_s = parameters["wait_s"]
    state = wait_until_well(lambda: read(parameters), wait_s) if wait_s > 0 else read(parameters)
    return {"changed": False, "state": state.as_dict()}


def wait_until_well(read: t.Callable[[], State], timeout_s: float, what: str = "Waiting until the service is healthy") -> State:
    """Read the state until it is well, and stays so for SETTLE_S seconds where no health check says so.

    Raises:
        CommandFailed: Something of it has ended and nobody starts it again, its health check has failed from its start on, or nothing of
            it is there; or the runtime gives no answer.
        DeadlineExceeded: It did not become well within `timeout_s` seconds; the facts hold the state.
    """
    progress, give_up, was_hopeless, silence = Progress(what), time.monotonic() + timeout_s, False, _Silence()
    starting: t.Set[str] = set()
    runs: t.Optional[t.List[t.Tuple[str, str, int]]] = None
    since = 0.0
    while True:
        now = time.monotonic()
        try:
            state = read()
        except (CommandFailed, DeadlineExceeded, Unreachable) as error:
            # The engine may be starting again, and systemd reading itself again; one that never answered may not be there at all.
            if now >= give_up or (runs is None and isinstance(error, Unreachable)):
                raise
            silence.goes_on(now, error)
        else:
            silence.ends(time.monotonic())
            unjudged = [(one.name, one.started_at, one.restarts) for one in state.replicas if one.is_running and not one.health]
            if unjudged != runs:
                runs, since = unjudged, now
            if state.is_well and (not unjudged or now - since >= SETTLE_S):
                return state
            facts, why = {"state": state.as_dict()}, state.conclusion + silence.told
            has_failed = any(one.name in starting and one.health == "unhealthy" for one in state.replicas)
            starting |= {one.name for one in state.replicas if one.health == "starting"}
            hopeless = not state.is_well and (has_failed or is_hopeless(state))
            if hopeless and was_hopeless:
                raise CommandFailed("The service does not become healthy", why=why, facts=facts)
            was_hopeless = hopeless
            if state.is_well and now >= give_up + SETTLE_S:
                why = f"{state.conclusion}, but not for {SETTLE_S:g} s without a new start{silence.told}"
                raise DeadlineExceeded(f"The service does not go on running within {timeout_s:g} s", why=why, facts=facts)
            if not state.is_well and now >= give_up:
                raise DeadlineExceeded(f"The service is not healthy within {timeout_s:g} s", why=why, facts=facts)
            progress.say(state.conclusion, state.healthy, max(len(state.replicas), state.wanted or 0) + 0.5, "replicas")
        time.sleep(_INTERVAL_S)


class _Silence:
    """The times in which the runtime did not answer while it was waited for; an engine that was restarted explains replicas that ended.

    Attributes:
        told: The last of them, as the end of a sentence; empty when there was none.
    """

    def __init__(self) -> None:
        self._since: t.Optional[float] = None
        self._what, self.told = "", ""

    def goes_on(self, now: float, error: RunbookError) -> None:
        self._since, self._what = now if self._since is None else self._since, error.what

    def ends(self, now: float) -> None:
        if self._since is not None:
            self.told = f"; meanwhile, for {now - self._since:.1f} s: {self._what}"
            self._since = None


def is_hopeless(state: State) -> bool:
    """Whether waiting cannot help: nothing is there, too few are, or one has ended for good."""
    if len(state.replicas) < max(state.wanted or 0, 1):
        return True
    return any(replica.state in _ENDED and not replica.has_finished for replica in state.replicas)
