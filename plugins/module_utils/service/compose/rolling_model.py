# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What the parts of a rolling action share: its times, what its journal holds, its error."""

from __future__ import annotations

import contextlib
import typing as t
from dataclasses import dataclass

from ...errors import RunbookError

TURN = ("replica", "servers", "former")
"""What the journal holds of a turn."""
SIDE_BY_SIDE = "side_by_side"
"""Under which the journal holds the turns, `replica` and `servers` of each, that are taken at the same time."""


@dataclass(frozen=True)
class Limits:
    """Times of a rolling action.

    Attributes:
        drain_s: How long requests in flight may take to their end.
        stop_s: How long a replica has to end by itself before it is killed.
        health_s: How long a replica may take from its start until it is well, and then until the proxy has it.
        settle_s: How long a replica without a health check must run.
    """

    drain_s: float
    stop_s: int
    health_s: float = 100.0
    settle_s: float = 5.0


class Outcome(t.NamedTuple):
    """What came of bringing a replica back.

    Attributes:
        said: What it is now, as a sentence without its full stop.
        is_done: Whether nothing of it is left to be done, well or not; else a note of it must stay, for the next run.
    """

    said: str
    is_done: bool


@contextlib.contextmanager
def owning_up(has_changed: t.Callable[[], bool], facts: t.Mapping[str, t.Any]) -> t.Iterator[None]:
    """Let each error say whether anything had been changed before it, and carry `facts` beside its own."""
    try:
        yield
    except RunbookError as error:
        error.changed = error.changed or has_changed()
        error.facts = {**facts, **error.facts}
        raise


class Unwell(RunbookError):
    """A replica's turn did not end well; `facts` hold its name (`failed`), the evidence, and what was brought `back`."""
