# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Processes that outlive the one that started them.

pg_basebackup, for one, forks a child that receives the log. Killed by a signal it leaves that child behind, which streams for ever and
holds one of the server's `max_wal_senders`. All is read from proc(5); where there is none nothing is found.
"""

from __future__ import annotations

import os
import signal
import time
import typing as t

_WRITES = os.O_WRONLY | os.O_RDWR
_LOOK_EVERY_S = 0.02

Found = t.Dict[int, str]
"""Process id -> when it was started: an id alone may soon be another process's."""


def start_of(pid: int) -> str:
    """When a process was started, in clock ticks since the machine was (proc(5), /proc/pid/stat, field 22); empty when there is none."""
    fields = _fields(pid)
    return "" if not fields or fields[0] in ("Z", "X") else fields[19]


def below(pid: int) -> Found:
    """The children of a process, at any depth, that are in our own session; a server that was started has one of its own."""
    children: t.Dict[int, t.List[int]] = {}
    session = str(os.getsid(0))
    for other in _pids():
        fields = _fields(other)
        if fields and fields[3] == session:
            children.setdefault(int(fields[1]), []).append(other)
    found = list(children.get(pid, []))
    for child in found:  # grows while it is walked
        found += children.get(child, [])
    return {child: start_of(child) for child in found}


def writers_below(folder: str) -> Found:
    """The processes, other than this one, that have a file below a folder open for writing."""
    start = os.path.realpath(folder) + os.sep
    return {pid: start_of(pid) for pid in writers(lambda opened: os.readlink(opened).startswith(start))}


def writers(wanted: t.Callable[[str], bool]) -> t.List[int]:
    """The processes, other than this one, that have a file open for writing that is `wanted`, which is asked with the link in proc(5) that
    leads to it. Only root sees what the processes of others have open."""
    return [pid for pid in _pids() if pid != os.getpid() and _writes(pid, wanted)]


def end_all(processes: Found, grace_s: float = 2.0) -> None:
    """End those of the processes that still run: politely, after `grace_s` seconds for good."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in _alive(processes):
            try:
                os.kill(pid, number)
            except (ProcessLookupError, PermissionError):
                pass
        give_up = time.monotonic() + grace_s
        while _alive(processes) and time.monotonic() < give_up:
            time.sleep(_LOOK_EVERY_S)


def _alive(processes: Found) -> t.List[int]:
    return [pid for pid, born in processes.items() if born and start_of(pid) == born]


def _pids() -> t.List[int]:
    try:
        return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]
    except OSError:
        return []


def _fields(pid: int) -> t.List[str]:
    """The fields of /proc/pid/stat behind the name: state, parent, group, session, ..."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stream:
            return stream.read().rpartition(")")[2].split()
    except OSError:
        return []


def _writes(pid: int, wanted: t.Callable[[str], bool]) -> bool:
    try:
        descriptors = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return False  # it has ended meanwhile, or belongs to somebody else
    for descriptor in descriptors:
        try:
            if wanted(f"/proc/{pid}/fd/{descriptor}"):
                with open(f"/proc/{pid}/fdinfo/{descriptor}", encoding="utf-8") as stream:
                    flags = dict(line.split(":", 1) for line in stream if ":" in line).get("flags", "0")
                if int(flags.strip(), 8) & _WRITES:
                    return True
        except OSError:
            continue  # it was closed meanwhile
    return False


def marked(name: str, value: str) -> t.List[int]:
    """The processes in whose environment the variable `name` has this value: all of a run, whatever session they are in."""
    wanted = f"{name}={value}".encode()
    found = []
    for pid in _pids():
        try:
            with open(f"/proc/{pid}/environ", "rb") as stream:
                if wanted in stream.read().split(b"\0"):
                    found.append(pid)
        except OSError:
            continue
    return found


_FROM_OUTSIDE = (signal.SIGHUP, signal.SIGINT, signal.SIGKILL, signal.SIGTERM)


def was_killed(status: t.Any) -> bool:
    """Whether an exit status says that somebody, or a lack of memory, ended a program: then it has found nothing out.

    In a container it is 128 more than the number of the signal (docker-run(1), exit status).
    """
    return any(status in (-number, 128 + number) for number in _FROM_OUTSIDE)
