# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Ending sessions: gently first, and only while they still are what they were when it was decided."""

from __future__ import annotations

import time
import typing as t
from dataclasses import dataclass

from ..errors import BadInput
from ..postgresql.connection import Connection, Session, literal
from .blocking import described
from .session_choice import ACTIVE, IDLE, STATES, Choice, Wanted, choose
from .session_report import Limits, counted, usage
from .sessions import Activity, Asking, One, activity

POLL_S = 0.05
ENDED, CANCELLED, MOVED_ON, STILL_THERE = "ended", "cancelled", "went on by itself", "still there"


@dataclass(frozen=True)
class EndRequest:
    """What `end_sessions` shall do.

    Attributes:
        connection: The server.
        wanted: Which sessions.
        cancel_wait_s: Seconds that a running query has to stop after it was cancelled, before its session is ended.
        terminate: Whether sessions are ended at all, or running queries only cancelled.
        terminate_wait_s: Seconds that a session has to end.
        expected_identifier: `system_identifier` that the inventory names; empty for none.
    """

    connection: Connection
    wanted: Wanted
    cancel_wait_s: float = 5
    terminate: bool = True
    terminate_wait_s: float = 5
    expected_identifier: str = ""


def end_sessions(request: EndRequest, dry_run: bool = False) -> t.Dict[str, t.Any]:
    """End the sessions that fit, each only if it is still in the state in which it was found.

    Returns:
        `changed`, `found` (how many fit), `ended` (each with `outcome`), `spared` (each with `reason`), `beyond_limit`, `usage_before`,
        `usage_after`, `plan`, `notes`, `diff`.

    Raises:
        BadInput: A number or a state makes no sense.
        Unreachable: No connection is to be had.
        WrongTarget: The server is not the one that the inventory means.
    """
    _check(request)
    with Asking(request.connection, expected_identifier=request.expected_identifier) as (session, _info):
        before = activity(session)
        choice = choose(before, request.wanted)
        outcomes = {} if dry_run else _carry_out(session, choice.chosen, request)
        after = before if dry_run else activity(session)
    ended = [{**described(one), **({"outcome": outcomes[one.pid]} if outcomes else {})} for one in choice.chosen]
    return {
        "changed": bool(choice.chosen) if dry_run else any(outcome != MOVED_ON for outcome in outcomes.values()),
        "found": len(choice.chosen) + choice.beyond + len(choice.spared),
        "ended": ended,
        "spared": [{**described(one), "reason": reason} for one, reason in choice.spared],
        "beyond_limit": choice.beyond,
        "usage_before": usage(before, Limits()),
        "usage_after": usage(after, Limits()),
        "plan": choice.plan,
        "notes": _notes(choice, outcomes, request.wanted),
        "diff": _difference(before, after, choice, dry_run),
    }


def _check(request: EndRequest) -> None:
    wanted = request.wanted
    strange = [state for state in wanted.states if state not in STATES]
    if not request.terminate and any(state != ACTIVE for state in wanted.states):
        raise BadInput(
            "Only a running query can be cancelled", next_step="name the state active alone, or allow sessions to be ended (terminate)"
        )
    numbers = (wanted.older_than_s, wanted.most, request.cancel_wait_s, request.terminate_wait_s)
    if strange or any(number < 0 for number in numbers):
        raise BadInput(
            "Which sessions are meant makes no sense",
            why=f"there is no state {strange[0]!r}" if strange else f"{min(numbers)} is below nought",
            next_step=f"name states of {', '.join(STATES)}, and numbers from 0 on",
        )


def _carry_out(session: Session, chosen: t.Sequence[One], request: EndRequest) -> t.Dict[int, str]:
    """What became of each, by process."""
    outcomes: t.Dict[int, str] = {}
    active = [one for one in chosen if one.state == ACTIVE]
    reached = _signal(session, "pg_cancel_backend", active)
    outcomes.update({one.pid: CANCELLED if one.pid in reached else MOVED_ON for one in active})
    stubborn = _wait(session, [one for one in active if one.pid in reached], _UNMOVED, request.cancel_wait_s)
    outcomes.update({one.pid: STILL_THERE for one in stubborn})
    if request.terminate:
        due = [one for one in chosen if one.state != ACTIVE] + stubborn
        reached = _signal(session, "pg_terminate_backend", due)
        outcomes.update({one.pid: ENDED if one.pid in reached else MOVED_ON if one not in stubborn else CANCELLED for one in due})
        remaining = _wait(session, [one for one in due if one.pid in reached], _CONNECTED, request.terminate_wait_s)
        outcomes.update({one.pid: STILL_THERE for one in remaining})
    return outcomes


_UNMOVED = "(pid, backend_start::text, state_change::text)"
_CONNECTED = "(pid, backend_start::text)"


def _rows(sessions: t.Iterable[One], columns: str) -> str:
    """The sessions as a list of rows for IN."""
    rows = []
    for one in sessions:
        values = [str(int(one.pid)), literal(one.connected_at), *([literal(one.state_since)] if columns == _UNMOVED else [])]
        rows.append(f"({', '.join(values)})")
    return ", ".join(rows)


def _signal(session: Session, function: str, sessions: t.Sequence[One]) -> t.Set[int]:
    """Send a signal to those that have not moved since they were looked at; looking again and sending are one statement."""
    if not sessions:
        return set()
    reached = f"SELECT coalesce(json_agg(pid) FILTER (WHERE {function}(pid)), '[]') FROM pg_stat_activity"
    return set(session.ask_json(f"{reached} WHERE {_UNMOVED} IN ({_rows(sessions, _UNMOVED)})"))


def _wait(session: Session, sessions: t.Sequence[One], columns: str, wait_s: float) -> t.List[One]:
    """Wait until they are gone, or have moved on; returns those that did not in time."""
    deadline, rest = time.monotonic() + wait_s, list(sessions)
    while rest:
        sql = f"SELECT coalesce(json_agg(pid), '[]') FROM pg_stat_activity WHERE {columns} IN ({_rows(rest, columns)})"
        there = set(session.ask_json(sql))
        rest = [one for one in rest if one.pid in there]
        if not rest or time.monotonic() > deadline:
            break
        time.sleep(POLL_S)
    return rest


def _notes(choice: Choice, outcomes: t.Mapping[int, str], wanted: Wanted) -> t.List[str]:
    notes = []
    if choice.beyond:
        notes.append(f"{choice.beyond} more sessions fit; at most {wanted.most} are ended at once")
    superusers = sum(1 for _one, reason in choice.spared if "is a superuser" in reason)
    if superusers and not choice.chosen:
        notes.append(
            f"{superusers} sessions fit and stay because their role is a superuser; "
            "where the service itself logs in as one, say spare_superusers: false"
        )
    there = [str(pid) for pid, outcome in outcomes.items() if outcome == STILL_THERE]
    if there:
        notes.append(f"still there: processes {', '.join(there)}")
    return notes


def _difference(before: Activity, after: Activity, choice: Choice, dry_run: bool) -> t.Dict[str, str]:
    def lines(counts: t.Mapping[str, int]) -> str:
        return "".join(f"{state}: {count}\n" for state, count in sorted(counts.items()))

    states = counted(before)["by_state"]
    if not dry_run:
        return {"before": lines(states), "after": lines(counted(after)["by_state"])}
    predicted = dict(states)
    for one in choice.chosen:
        predicted[one.state] -= 1
        if one.state == ACTIVE:  # cancelled, and there
            predicted[IDLE] = predicted.get(IDLE, 0) + 1
    return {"before": lines(states), "after": lines({state: count for state, count in predicted.items() if count})}
