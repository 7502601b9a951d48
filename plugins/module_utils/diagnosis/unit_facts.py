# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Units as systemd describes them. Pure functions over `systemctl show` and `journalctl`."""

from __future__ import annotations

import json
import re
import time
import typing as t

from ..service.systemd import state
from ..service.systemd.state import Unit, number
from .model import MOST_OF_TEXT, RESTARTING, RUNNING, SETTLED_S, Replica

PROPERTIES = (
    f"{state.PROPERTIES},ExecMainStartTimestamp,ExecStartPre,DynamicUser,RootDirectory,RootImage,Requires,Requisite,BindsTo,TriggeredBy,"
    "Listen,StatusText,ConditionResult,AssertResult,TimeoutStartUSec,StartLimitBurst,StartLimitIntervalUSec"
)
_EXEC = re.compile(r"path=(\S+) ;.*?(?:code=(\w+|\(null\)) ; status=(\d+))", re.DOTALL)
_LISTEN = re.compile(r"(\S+) \((Stream|SequentialPacket)\)")
_IN_ITS_PLACE = re.compile(r"\S+\.(?:service|socket|mount): ")
"""What systemd says in the place of a program that it could not start."""
_NOT_OURS = (".mount", ".slice", ".target", ".device", ".swap")


def replica(unit: t.Mapping[str, str], log: t.Sequence[str] = (), now_s: t.Optional[float] = None) -> Replica:
    """A unit as a replica, as it is at `now_s` of the monotonic clock."""
    active, sub = unit.get("ActiveState", ""), unit.get("SubState", "")
    if active in ("active", "reloading", "refreshing"):
        now = RESTARTING if _crashed_lately(unit, now_s) else RUNNING
    else:
        now = {"auto-restart": RESTARTING}.get(sub, "starting" if active == "activating" else active or "unknown")
    limit, used = number(unit.get("MemoryMax", "")), number(unit.get("MemoryCurrent", ""))
    return Replica(
        name=unit.get("Id", ""),
        state=now,
        exit_status=Unit(unit).exit_status,
        out_of_memory=unit.get("Result") == "oom-kill",
        restarts=Unit(unit).restarts,
        started=bool(unit.get("ExecMainStartTimestamp")),
        reason=unit.get("Result", "") if unit.get("Result") != "success" else "",
        error=unit.get("StatusText", "")[:MOST_OF_TEXT],
        memory_limit=int(limit or 0),
        memory_percent=round(100.0 * used / limit, 1) if limit and used is not None and now == RUNNING else None,
        log=tuple(log),
    )


def _crashed_lately(unit: t.Mapping[str, str], now_s: t.Optional[float]) -> bool:
    entered = number(unit.get("ActiveEnterTimestampMonotonic", ""))
    if not entered or not Unit(unit).restarts:
        return False
    return (time.monotonic() if now_s is None else now_s) - entered / 1e6 < SETTLED_S


def programs(text: str) -> t.List[t.Tuple[str, str, int]]:
    """Path, how it ended (`exited`, `killed`, `(null)` for not yet) and status of the programs of ExecStart and its like."""
    return [(path.lstrip("-@:+!"), code, int(status)) for path, code, status in _EXEC.findall(text)]


def required(unit: t.Mapping[str, str]) -> t.List[str]:
    """The services and sockets without which the unit does not start."""
    words = {word for name in ("Requires", "Requisite", "BindsTo") for word in unit.get(name, "").split()}
    return sorted(word for word in words if not word.endswith(_NOT_OURS))


def stream_ports(socket_unit: t.Mapping[str, str]) -> t.List[int]:
    """The TCP ports of a socket unit."""
    ports = {address.rpartition(":")[2] for address, _kind in _LISTEN.findall(socket_unit.get("Listen", "")) if "/" not in address}
    return sorted(int(port) for port in ports if port.isdecimal() and 0 < int(port) < 65536)


def last_start(unit: t.Mapping[str, str]) -> str:
    """The invocation whose lines count; empty for all, where systemd itself starts it again and again, or has forgotten the last."""
    return "" if replica(unit).state == RESTARTING else unit.get("InvocationID", "")


def journal(text: str, invocation: str = "") -> t.Tuple[t.List[str], t.List[str]]:
    """The lines of a unit, and those of systemd about it, from `journalctl --output=json`; none of another `invocation`."""
    own: t.List[str] = []
    about: t.List[str] = []
    for line in text.splitlines():
        try:
            entry = json.loads(line)
            said = entry.get("MESSAGE")
            of = entry.get("_SYSTEMD_INVOCATION_ID") or entry.get("INVOCATION_ID")
        except (ValueError, AttributeError, RecursionError):
            continue
        if invocation and of and of != invocation:
            continue
        if isinstance(said, list):  # what is no UTF-8 comes as numbers
            said = bytes(one for one in said if isinstance(one, int) and 0 <= one < 256).decode("utf-8", "replace")
        if isinstance(said, str):
            by_systemd = entry.get("SYSLOG_IDENTIFIER") == "systemd" or entry.get("_PID") == "1" or _IN_ITS_PLACE.match(said)
            (about if by_systemd else own).append(said[:MOST_OF_TEXT])
    return own, about
