# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What is waited for when a replica is taken out of its proxy, and when it is let in again; the same for every runtime."""

from __future__ import annotations

import time
import typing as t

from ..errors import RunbookError
from ..progress import Progress
from .deadline import Deadline
from .proxy import Proxy, Reach

_POLL_S = 0.05
_OTHERS_WAIT_S = 10.0
_NOTICES_S = 10.0
"""Seconds within which a proxy notices that a replica is gone."""
_QUIET = 2
"""A request may be on its way from the proxy to the replica between two questions: so many answers of none in a row count as the end."""


def wait_for_others(proxy: Proxy, servers: t.Sequence[str], name: str, next_step: str) -> None:
    """See that a server of the proxy is up beside those of the replica `name`.

    Raises:
        RunbookError: None is; `next_step` says what to do about it.
    """
    deadline = Deadline(_OTHERS_WAIT_S)
    while not proxy.others_up(servers):
        if not deadline.left_s:
            raise RunbookError(
                f"No other server of {proxy} is up beside that of {name}",
                why="taking it out would leave nobody to serve",
                next_step=next_step,
            )
        time.sleep(_POLL_S)


def wait_drained(proxy: Proxy, servers: t.Sequence[str], name: str, drain_s: float, progress: Progress) -> int:
    """Wait for the end of the requests at the replica `name`, whose servers are drained.

    Returns:
        How many had not ended within `drain_s` seconds; 0 where all had.
    """
    deadline, quiet = Deadline(drain_s), 0
    while quiet < _QUIET:
        left = proxy.in_flight(servers)
        quiet = 0 if left else quiet + 1
        if left and not deadline.left_s:
            return left
        progress.say(f"{name}: {left} requests in flight", deadline.passed_s, drain_s, "s")
        time.sleep(_POLL_S)
    return 0


def wait_let_in(
    proxy: Proxy, servers: t.Sequence[str], reach: t.Callable[[], Reach], name: str, deadline: Deadline, progress: Progress
) -> bool:
    """Let the proxy send requests to the replica `name` again, whose servers were drained, and wait until it does.

    Args:
        proxy: The proxy.
        servers: Its servers that were drained.
        reach: Says where the replica is now; a new process listens only after a while.
        name: For the progress.
        deadline: Until when.
        progress: Says what is waited for.

    Returns:
        Whether it does in time.
    """
    left = list(servers)
    while True:
        now = reach()
        left = proxy.ready(left, now) if left else []
        if not left and proxy.is_up(now):
            return True
        if not deadline.left_s:
            return False
        progress.say(f"{name}: waiting until the proxy sends it requests", deadline.passed_s, deadline.seconds, "s")
        time.sleep(_POLL_S)


def release(proxy: Proxy, servers: t.Sequence[str], reach: Reach, wait_s: t.Optional[float] = None) -> t.List[str]:
    """Let servers of a replica that is gone be used for others, as soon as the proxy has noticed.

    Returns:
        Those of which it has not within `wait_s` seconds, by default as many as it may need.
    """
    left, deadline = list(servers), Deadline(_NOTICES_S if wait_s is None else wait_s)
    while left:
        left = proxy.ready(left, reach)
        if not left or not deadline.left_s:
            break
        time.sleep(_POLL_S)
    return left
