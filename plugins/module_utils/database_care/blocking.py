# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Who waits for whom: the sessions that hold others up, each with those that wait for it, at any depth."""

from __future__ import annotations

import typing as t

from .sessions import Activity, One
from .sql_text import without_values

PREPARED = 0
"""pg_blocking_pids() gives 0 for a lock that a prepared transaction holds (PostgreSQL manual, 9.27.3)."""


def waiting_for(sessions: t.Iterable[One]) -> t.Dict[int, t.Set[int]]:
    """Process -> the processes that wait for it directly."""
    found: t.Dict[int, t.Set[int]] = {}
    for one in sessions:
        for blocker in one.blocked_by:
            found.setdefault(blocker, set()).add(one.pid)
    return found


def roots(sessions: t.Sequence[One]) -> t.List[int]:
    """The processes that hold others up and wait for nobody: to end these helps, to end one that waits itself does not.

    In a circle everybody waits (a deadlock, which the server ends by itself after deadlock_timeout); of such a circle the lowest process
    stands for all, unless somebody outside holds it up, too.
    """
    waiters = waiting_for(sessions)
    blocked_by = {one.pid: set(one.blocked_by) for one in sessions if one.blocked_by}
    found = sorted(pid for pid in waiters if pid not in blocked_by)
    reached = _below(found, waiters)
    for pid in sorted(blocked_by):
        if pid in waiters and pid not in reached:
            behind = _below([pid], waiters)
            if pid in behind and all(blocker in behind for blocker in _above(pid, blocked_by)):
                found.append(pid)
                reached |= behind | {pid}
    return found


def trees(activity: Activity) -> t.List[t.Dict[str, t.Any]]:
    """What holds others up, those first that hold up most.

    Returns:
        For each what `described` gives, `holds_up` (how many wait for it, directly or not) and `waiting`, a list of the same shape.
    """
    known = {one.pid: one for one in activity.sessions}
    waiters = waiting_for(activity.sessions)

    def node(pid: int, above: t.FrozenSet[int]) -> t.Dict[str, t.Any]:
        told = described(known[pid]) if pid in known else unknown(pid, activity)
        below = sorted(waiters.get(pid, set()) - above - {pid})
        return {**told, "holds_up": len(_below([pid], waiters) - {pid}), "waiting": [node(one, above | {pid}) for one in below]}

    found = [node(pid, frozenset()) for pid in roots(activity.sessions)]
    return sorted(found, key=lambda one: (-one["holds_up"], one["pid"]))


def described(one: One) -> t.Dict[str, t.Any]:
    """A session, as it may be shown."""
    return {
        "pid": one.pid,
        "database": one.database,
        "user": one.user,
        "application": one.application,
        "client": one.client,
        "state": one.state or ("not visible" if not one.visible else one.kind),
        "state_s": one.state_s,
        "transaction_s": one.transaction_s,
        "waits_for": one.waits_for,
        "query": without_values(one.query) if one.visible else "",
    }


def unknown(pid: int, activity: Activity) -> t.Dict[str, t.Any]:
    """What can be said of a blocker that is no session: a prepared transaction, or one that has ended since."""
    named = ", ".join(f"{one['name']!r} in {one['database']}" for one in activity.prepared)
    state = f"prepared transaction ({named or 'gone since'})" if pid == PREPARED else "gone since"
    return {**described(One(pid, state=state)), "database": "", "query": ""}


def _below(pids: t.Iterable[int], waiters: t.Mapping[int, t.Set[int]]) -> t.Set[int]:
    """Everybody who waits for one of these, directly or not; these themselves only where they wait, too."""
    found: t.Set[int] = set()
    rest = list(pids)
    while rest:
        new = waiters.get(rest.pop(), set()) - found
        found |= new
        rest += new
    return found


def _above(pid: int, blocked_by: t.Mapping[int, t.Set[int]]) -> t.Set[int]:
    return _below([pid], blocked_by)
