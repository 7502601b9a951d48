# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What the sessions of a server mean: how full it is, what is open for long, what holds others up."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ..postgresql.connection import Connection
from ..readable import duration, size
from .blocking import described, trees
from .sessions import CLIENT, Activity, Asking, activity

PASS, WARN, FAIL, UNKNOWN = "pass", "warn", "fail", "unknown"
_GRAVITY = (PASS, UNKNOWN, WARN, FAIL)


@dataclass(frozen=True)
class Limits:
    """From which numbers on something is told.

    Attributes:
        warn_percent: Connections in use, in percent of those that the service can have.
        fail_percent: The same.
        long_transaction_s: Seconds after which an open transaction is long.
        long_query_s: Seconds after which a running query is long.
        slot_bytes: Bytes of write-ahead log that an inactive replication slot may keep.
    """

    warn_percent: float = 80
    fail_percent: float = 90
    long_transaction_s: float = 300
    long_query_s: float = 60
    slot_bytes: int = 1 << 30


def usage(now: Activity, limits: Limits) -> t.Dict[str, t.Any]:
    """How full the server is: `connections`, `available` (without those that are reserved), `percent`, `verdict`, and each own limit.

    The session that asks counts, too: it takes a place like any other.
    """
    used = sum(1 for one in now.sessions if one.kind == CLIENT)
    available = max(now.max_connections - now.reserved_connections, 1)
    own = [
        {
            **limit,
            "percent": _percent(limit["used"], limit["allowed"]),
            "verdict": _judge(_percent(limit["used"], limit["allowed"]), limits),
        }
        for limit in now.limits
    ]
    percent = _percent(used, available)
    return {
        "connections": used,
        "max_connections": now.max_connections,
        "reserved_connections": now.reserved_connections,
        "available": available,
        "percent": percent,
        "verdict": _judge(percent, limits),
        "limits": own,
    }


def _percent(used: int, available: int) -> float:
    return round(100.0 * used / available, 1)


def _judge(percent: float, limits: Limits) -> str:
    return FAIL if percent > limits.fail_percent else WARN if percent > limits.warn_percent else PASS


def counted(now: Activity) -> t.Dict[str, t.Any]:
    """How many sessions of clients there are by state, database, role and application; what may not be seen counts as `not visible`."""
    found: t.Dict[str, t.Dict[str, int]] = {"by_state": {}, "by_database": {}, "by_user": {}, "by_application": {}}
    for one in now.clients:
        state = one.state or ("unknown" if one.visible else "not visible")
        for key, value in (
            ("by_state", state),
            ("by_database", one.database),
            ("by_user", one.user),
            ("by_application", one.application or "(no name)"),
        ):
            found[key][value] = found[key].get(value, 0) + 1
    return {key: dict(sorted(values.items(), key=lambda item: (-item[1], item[0]))) for key, values in found.items()}


def report(now: Activity, limits: Limits) -> t.Dict[str, t.Any]:
    """Everything that is told of the sessions: numbers, verdict, and `findings` in sentences, the gravest first."""
    used, blockers = usage(now, limits), trees(now)
    transactions = sorted(
        (one for one in now.clients if (one.transaction_s or 0) > limits.long_transaction_s), key=lambda one: -(one.transaction_s or 0)
    )
    queries = sorted((one for one in now.clients if (one.query_s or 0) > limits.long_query_s), key=lambda one: -(one.query_s or 0))
    hidden = sum(1 for one in now.clients if not one.visible)
    slots = [one for one in now.slots if not one["active"] and _wastes(one, limits)]
    prepared = [one for one in now.prepared if one["age_s"] > limits.long_transaction_s]

    findings: t.List[t.Tuple[str, str]] = []
    if used["verdict"] != PASS:
        said = f"{used['connections']} of {used['available']} connections are in use ({used['percent']} %)"
        findings.append((used["verdict"], said + f", {used['reserved_connections']} more are reserved for administration"))
    for limit in used["limits"]:
        if limit["verdict"] != PASS:
            findings.append(
                (limit["verdict"], f"the {limit['kind']} {limit['name']} uses {limit['used']} of its {limit['allowed']} connections")
            )
    for blocker in blockers:
        who = f"process {blocker['pid']} ({blocker['user'] or 'no role'}, {blocker['state']})"
        since = f" for {duration(blocker['state_s'])}" if blocker["state_s"] is not None else ""
        findings.append((WARN, f"{who}{since} holds up {blocker['holds_up']} sessions"))
    findings += [(WARN, f"a transaction of {one.label} is open for {duration(one.transaction_s)}, {one.state}") for one in transactions]
    findings += [
        (WARN, f"the prepared transaction {one['name']!r} is open for {duration(one['age_s'])} and keeps its locks") for one in prepared
    ]
    findings += [(WARN, f"the replication slot {one['name']} is used by nobody and keeps {_kept(one)}") for one in slots]
    if hidden:
        findings.append((UNKNOWN, f"{hidden} sessions may not be looked at by our role; grant it pg_monitor"))
    findings.sort(key=lambda one: -_GRAVITY.index(one[0]))
    return {
        "verdict": findings[0][0] if findings else PASS,
        "findings": [{"verdict": verdict, "text": text} for verdict, text in findings],
        "usage": used,
        **counted(now),
        "blockers": blockers,
        "long_transactions": [described(one) for one in transactions],
        "long_queries": [{**described(one), "query_s": one.query_s} for one in queries],
        "prepared_transactions": [dict(one) for one in now.prepared],
        "replication_slots": [dict(one) for one in now.slots],
        "not_visible": hidden,
    }


def _wastes(slot: t.Mapping[str, t.Any], limits: Limits) -> bool:
    return (
        float(slot["retained_bytes"] or 0) > limits.slot_bytes
        or slot["wal_status"] in ("unreserved", "lost")
        or bool(slot["held_back_transactions"])
    )


def _kept(slot: t.Mapping[str, t.Any]) -> str:
    kept = f"{size(float(slot['retained_bytes'] or 0))} of write-ahead log"
    held = slot["held_back_transactions"]
    return kept + (f", and dead rows of the last {held} transactions" if held else "")


def summary(told: t.Mapping[str, t.Any]) -> t.List[str]:
    """A report in lines for a reader: the numbers, what was found, and who holds up whom."""
    used = told["usage"]
    states = ", ".join(f"{count} {state}" for state, count in told["by_state"].items()) or "none but ours"
    lines = [f"{used['connections']} of {used['available']} connections are in use ({used['percent']} %): {states}"]
    lines += [f"{one['verdict']}: {one['text']}" for one in told["findings"]]
    for blocker in told["blockers"]:
        lines += _branch(blocker, 0)
    return lines


def _branch(node: t.Mapping[str, t.Any], depth: int) -> t.List[str]:
    verb = "waits" if depth else "holds others up"
    line = f"{'    ' * depth}{node['pid']} {verb}: {node['user']} {node['application']}, {node['state']}, {node['query']}"
    return [line, *(below for one in node["waiting"] for below in _branch(one, depth + 1))]


def information(connection: Connection, limits: Limits, expected_identifier: str = "") -> t.Dict[str, t.Any]:
    """What the sessions of a server mean, as the module pg_sessions_info tells it.

    Raises:
        Unreachable: No connection is to be had.
        WrongTarget: The server is not the one that the inventory means.
    """
    with Asking(connection, expected_identifier=expected_identifier) as (session, info):
        told = report(activity(session), limits)
        return {
            "changed": False,
            **told,
            "summary": summary(told),
            "server": {"version": info.version, "system_identifier": info.system_identifier},
        }
