# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Units as systemd describes them. Pure functions over `systemctl show` and `journalctl`."""

from __future__ import annotations

import json
import re
import shlex
import signal
import time
import typing as t

from .model import MOST_OF_TEXT, RESTARTING, RUNNING, SETTLED_S, Replica

PROPERTIES = (
    "Id,Description,LoadState,LoadError,ActiveState,SubState,Result,UnitFileState,FragmentPath,NeedDaemonReload,Type,NRestarts,"
    "ExecMainCode,ExecMainStatus,ExecMainStartTimestamp,ExecStart,ExecStartPre,EnvironmentFiles,Environment,User,Group,DynamicUser,"
    "WorkingDirectory,RootDirectory,RootImage,MemoryMax,MemoryCurrent,Requires,Requisite,BindsTo,TriggeredBy,Listen,StatusText,"
    "ConditionResult,AssertResult,TimeoutStartUSec,StartLimitBurst,StartLimitIntervalUSec,Restart,StateChangeTimestamp,"
    "ActiveEnterTimestampMonotonic"
)
_EXEC = re.compile(r"path=(\S+) ;.*?(?:code=(\w+) ; status=(\d+))", re.DOTALL)
_LISTEN = re.compile(r"(\S+) \((Stream|SequentialPacket)\)")
_IN_ITS_PLACE = re.compile(r"\S+\.(?:service|socket|mount): ")
"""What systemd says in the place of a program that it could not start."""
_NOT_OURS = (".mount", ".slice", ".target", ".device", ".swap")


def blocks(text: str) -> t.Dict[str, t.Dict[str, str]]:
    """Properties by unit, as `systemctl show` prints them for several units: blocks with an empty line between them."""
    found = {}
    for block in re.split(r"\n\s*\n", text.strip()):
        pairs: t.Dict[str, str] = {}
        for line in block.splitlines():
            name, equals, value = line.partition("=")
            if equals:
                # A property with several values (Listen, EnvironmentFiles) has a line for each.
                pairs[name] = f"{pairs[name]}\n{value}" if pairs.get(name) else value
        if pairs.get("Id"):
            found[pairs["Id"]] = pairs
    return found


def replica(unit: t.Mapping[str, str], log: t.Sequence[str] = (), now_s: t.Optional[float] = None) -> Replica:
    """A unit as a replica, as it is at `now_s` of the monotonic clock."""
    active, sub = unit.get("ActiveState", ""), unit.get("SubState", "")
    if active in ("active", "reloading", "refreshing"):
        state = RESTARTING if _crashed_lately(unit, now_s) else RUNNING
    else:
        state = {"auto-restart": RESTARTING}.get(sub, "starting" if active == "activating" else active or "unknown")
    status = number(unit.get("ExecMainStatus", ""))
    by_signal = unit.get("ExecMainCode") in ("2", "3")
    ran = unit.get("ExecMainCode", "0") != "0"
    limit, used = number(unit.get("MemoryMax", "")), number(unit.get("MemoryCurrent", ""))
    return Replica(
        name=unit.get("Id", ""),
        state=state,
        exit_status=None if not ran or status is None else 128 + status if by_signal else status,
        killed_by=_signal(status) if by_signal else "",
        out_of_memory=unit.get("Result") == "oom-kill",
        restarts=number(unit.get("NRestarts", "")) or 0,
        started=bool(unit.get("ExecMainStartTimestamp")),
        reason=unit.get("Result", "") if unit.get("Result") != "success" else "",
        error=unit.get("StatusText", "")[:MOST_OF_TEXT],
        memory_limit=limit or 0,
        memory_percent=round(100.0 * used / limit, 1) if limit and used is not None and state == RUNNING else None,
        log=tuple(log),
    )


def _crashed_lately(unit: t.Mapping[str, str], now_s: t.Optional[float]) -> bool:
    entered = number(unit.get("ActiveEnterTimestampMonotonic", ""))
    restarts = number(unit.get("NRestarts", ""))
    if not entered or not restarts:
        return False
    return (time.monotonic() if now_s is None else now_s) - entered / 1e6 < SETTLED_S


def number(text: str) -> t.Optional[int]:
    """A count; None for none, and for what systemd says instead of infinity."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None


def _signal(status: t.Optional[int]) -> str:
    try:
        return signal.Signals(status or 0).name
    except ValueError:
        return f"signal {status}"


def programs(text: str) -> t.List[t.Tuple[str, str, int]]:
    """Path, how it ended (`exited`, `killed`) and status of the programs of ExecStart and its like."""
    return [(path.lstrip("-@:+!"), code, int(status)) for path, code, status in _EXEC.findall(text)]


def environment_files(unit: t.Mapping[str, str]) -> t.List[t.Tuple[str, bool]]:
    """Path of each file, and whether it may be missing."""
    found = []
    for line in unit.get("EnvironmentFiles", "").splitlines():
        path, _space, rest = line.rpartition(" (ignore_errors=")
        if path:
            found.append((path, rest.startswith("yes")))
    return found


def environment(text: str) -> t.Dict[str, str]:
    """The variables of the property Environment, or of the lines of a file."""
    try:
        words = shlex.split(text, comments=True)
    except ValueError:
        words = text.split()
    pairs = (word.partition("=") for word in words)
    return {name: value for name, equals, value in pairs if equals and name.isidentifier()}


def required(unit: t.Mapping[str, str]) -> t.List[str]:
    """The services and sockets without which the unit does not start."""
    words = {word for name in ("Requires", "Requisite", "BindsTo") for word in unit.get(name, "").split()}
    return sorted(word for word in words if not word.endswith(_NOT_OURS))


def stream_ports(socket_unit: t.Mapping[str, str]) -> t.List[int]:
    """The TCP ports of a socket unit."""
    ports = {address.rpartition(":")[2] for address, _kind in _LISTEN.findall(socket_unit.get("Listen", "")) if "/" not in address}
    return sorted(int(port) for port in ports if port.isdecimal() and 0 < int(port) < 65536)


def journal(text: str) -> t.Tuple[t.List[str], t.List[str]]:
    """The lines of a unit, and those of systemd about it, from `journalctl --output=json`."""
    own: t.List[str] = []
    about: t.List[str] = []
    for line in text.splitlines():
        try:
            entry = json.loads(line)
            said = entry.get("MESSAGE")
        except (ValueError, AttributeError, RecursionError):
            continue
        if isinstance(said, list):  # what is no UTF-8 comes as numbers
            said = bytes(one for one in said if isinstance(one, int) and 0 <= one < 256).decode("utf-8", "replace")
        if isinstance(said, str):
            by_systemd = entry.get("SYSLOG_IDENTIFIER") == "systemd" or entry.get("_PID") == "1" or _IN_ITS_PLACE.match(said)
            (about if by_systemd else own).append(said[:MOST_OF_TEXT])
    return own, about
