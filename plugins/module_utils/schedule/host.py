# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The programs that carry a schedule out on a host: cron or systemd, what they know, and how they are told."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import typing as t
from datetime import datetime, timezone, tzinfo

from ..command import Command, run
from ..errors import BadInput, RunbookError, ToolMissing
from .moments import zone_of

CRON, SYSTEMD, AWX, SEMAPHORE, AUTO = "cron", "systemd", "awx", "semaphore", "auto"
_TIMEOUT_S = 60.0
_RUNS = "/run/systemd/system"
"""This folder is there when systemd is process 1 (sd_booted(3))."""


def chosen(wanted: str) -> str:
    """The scheduler of this host: the one that is asked for, else systemd where it runs, else cron."""
    return wanted if wanted != AUTO else SYSTEMD if systemd_runs() else CRON


def systemd_runs() -> bool:
    """Whether systemd is process 1 here."""
    return os.path.isdir(_RUNS)


def knows_named_zones() -> bool:
    """Whether the cron of this host knows CRON_TZ: cronie does (its crond tells its name), Debian's does not."""
    program = shutil.which("crond")
    if program is None:
        return False
    try:
        done = run(Command([program, "-V"], timeout_s=_TIMEOUT_S), check=False)
    except RunbookError:
        return False
    return "cronie" in (done.stdout + done.stderr).lower()


def clock_of_host(localtime: str = "/etc/localtime") -> t.Tuple[tzinfo, str]:
    """The time zone that daemons of this host go by, and its name; UTC and no name where it cannot be told.

    Without a name nothing is taken to be the same, which costs idle starts and no run.
    """
    if not os.path.lexists(localtime):
        return timezone.utc, "UTC"
    found = re.search(r"/zoneinfo/(?:posix/|right/)?(.+)\Z", os.path.realpath(localtime))
    name = (
        "UTC" if found and found.group(1) in ("Etc/UTC", "UTC", "Etc/UCT", "UCT", "Zulu", "Etc/Zulu") else found.group(1) if found else ""
    )
    try:
        return (zone_of(name), name) if name else (datetime.now().astimezone().tzinfo or timezone.utc, "")
    except RunbookError:
        return timezone.utc, ""


def verify_units(units: t.Mapping[str, str]) -> t.List[str]:
    """What `systemd-analyze` says against units before they are put in place; nothing where they are right.

    Args:
        units: Texts by file name.

    Raises:
        ToolMissing: There is no systemd-analyze.
    """
    if shutil.which("systemd-analyze") is None:
        raise ToolMissing("The program systemd-analyze is missing", next_step="install systemd")
    said: t.List[str] = []
    with tempfile.TemporaryDirectory(prefix="sre-runbooks-") as folder:
        for name, text in units.items():
            with open(os.path.join(folder, name), "w", encoding="utf-8") as stream:
                stream.write(text)
        calendars = sorted(
            {line.partition("=")[2] for text in units.values() for line in text.splitlines() if line.startswith("OnCalendar=")}
        )
        commands = [["systemd-analyze", "calendar", *calendars]] if calendars else []
        commands.append(
            ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *(os.path.join(folder, name) for name in sorted(units))]
        )
        for argv in commands:
            done = run(Command(argv, timeout_s=_TIMEOUT_S), check=False)
            if done.status != 0:
                said.append(" ".join((done.stderr or done.stdout).split())[-600:])
    return said


def systemctl(*arguments: str) -> None:
    """Call systemctl.

    Raises:
        RunbookError: It failed.
    """
    run(Command(["systemctl", "--no-ask-password", *arguments], timeout_s=_TIMEOUT_S))


def asleep(timers: t.Sequence[str]) -> t.List[str]:
    """Which timers do not run, though systemd does; they are to be begun."""
    if not timers or not systemd_runs():
        return []
    said = run(Command(["systemctl", "is-active", *timers], timeout_s=_TIMEOUT_S), check=False).stdout.split()
    return [name for name, state in zip(timers, said) if state != "active"]


def account_id(name: str) -> t.Optional[int]:
    """User id of an account; None for our own.

    Raises:
        BadInput: There is none of this name, or only root could start something for it.
    """
    import pwd

    if not name:
        return None
    try:
        found = pwd.getpwnam(name).pw_uid
    except KeyError:
        raise BadInput(f"There is no account {name!r} here", next_step="correct schedule_account") from None
    if found == os.geteuid():
        return None
    if os.geteuid() != 0:
        raise BadInput(f"Only root can schedule runs of {name!r}", next_step="run it as root (become), or leave schedule_account empty")
    return found


def account_name() -> str:
    """Our own account's name."""
    import pwd

    return pwd.getpwuid(os.geteuid()).pw_name
