# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What brings the replicas of a Compose service to what a list says."""

from __future__ import annotations

import typing as t

from ..state import RUNNING, State

ALIVE = (RUNNING, "paused", "restarting")
"""States in which a process of it is there."""
_SAID = {
    "remove": "Removed {}",
    "unpause": "Let {} go on, which was paused",
    "start": "Started {}",
    "stop": "Stopped {}",
    "gone": "Made {} anew, which was gone",
}
"""What is done with the names of each part of a plan."""


class Plan(t.NamedTuple):
    """What brings the replicas there: names to remove, to take out of their pause, to start, to stop, and those that are gone."""

    remove: t.List[str]
    unpause: t.List[str]
    start: t.List[str]
    stop: t.List[str]
    gone: t.List[str]

    def only(self, *fields: str) -> t.List[str]:
        """Sentences for the reader, of these parts."""
        return [_SAID[name].format(", ".join(getattr(self, name))) for name in fields if getattr(self, name)]

    @property
    def steps(self) -> t.List[str]:
        """Sentences for the reader."""
        return self.only(*_SAID)


def plan(before: t.Sequence[t.Mapping[str, t.Any]], now: State) -> Plan:
    """Compare the replicas as they were with those that there are; `before` is `replicas` of a state.

    Compose numbers on: a replica that is gone has come back under another name when there is one that was not there before.
    """
    was_running = {str(one["name"]): one.get("state") == RUNNING for one in before}
    state = {replica.name: replica.state for replica in now.replicas}
    gone = sorted((name for name in was_running if name not in state), key=lambda name: not was_running[name])
    new = [name for name in state if name not in was_running]
    shall_run = {
        **{name: ran for name, ran in was_running.items() if name in state},
        **{name: was_running[old] for name, old in zip(new, gone)},
    }
    return Plan(
        remove=new[len(gone) :],
        unpause=[name for name, run_it in shall_run.items() if run_it and state[name] == "paused"],
        start=[name for name, run_it in shall_run.items() if run_it and state[name] not in ALIVE],
        stop=[name for name, run_it in shall_run.items() if not run_it and state[name] in ALIVE],
        gone=gone[len(new) :],
    )
