# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""From the old schedule to the new one, so that one of the two is in place, whole, at whatever moment this is cut off.

What fires starts a run only if the file of the jobs says so (start.py): a time that fires for nothing does no harm. So first everything
is made to fire that the old schedule or the new one needs; then the file of the jobs is replaced, which is one step; then goes what fires
for the old one alone.
"""

from __future__ import annotations

import hashlib
import os
import typing as t
from dataclasses import replace

from ..errors import RunbookError
from ..files import fsync_path
from ..state import make_folder
from . import host, placing
from .job import jobs_path
from .placing import File, Plan
from .systemd import widened

TIMER = ".timer"
UNITS = (".service", TIMER)
_PENDING = "pending"
"""There, in the folder of the jobs, while systemd has not been told of what was written."""


def carry_out(plan: Plan, files: t.Sequence[File], timers: t.Sequence[str], asleep: t.Sequence[str], folder: str) -> None:
    """Put the new schedule in the place of the old one.

    Args:
        plan: What differs.
        files: All files of the new schedule.
        timers: The timers among them, by name.
        asleep: Those of them that are there and do not run.
        folder: Where the jobs are.

    Raises:
        NoSpace: A disk is full.
        OSError: A file cannot be written.
        RunbookError: systemd does not take the units (nothing was changed), or does not start the timers.
    """
    jobs, pending = jobs_path(folder), os.path.join(folder, _PENDING)
    units = {os.path.basename(one.path): one.text for one in files if one.path.endswith(UNITS)}
    changed = [os.path.basename(one.path) for one, _before in plan.write if one.path.endswith(UNITS)]
    said = host.verify_units(units) if changed else []
    if said:
        raise RunbookError("systemd does not take the units", why="; ".join(said), next_step="report it; nothing was changed")
    early = meanwhile([(one, before) for one, before in plan.write if one.path != jobs])
    late = [one for one, _before in plan.write if one.path != jobs and one not in early]
    gone = [path for path, _text in plan.remove if path != jobs]
    gone += [one.path for one in early if one.path not in {wanted.path for wanted in files} | set(gone)]
    systemd = _Systemd(pending, timers, [path for path in gone if path.endswith(UNITS)])
    told = host.systemd_runs() and bool(changed or systemd.gone or asleep or os.path.exists(pending))
    if told:
        systemd.begin()
    placing.write(early)
    if told:
        # A run was killed between writing and telling: systemd is told of all.
        systemd.take(sorted(units) if systemd.was_cut_off else [os.path.basename(one.path) for one in early])
    placing.write(one for one, _before in plan.write if one.path == jobs)
    placing.remove(path for path, _text in plan.remove if path == jobs)
    if told:
        systemd.forget()
    placing.write(late)
    placing.remove(gone)
    if told:
        if systemd.gone or any(one.path.endswith(UNITS) for one in late):
            systemd.take([os.path.basename(one.path) for one in late])
        os.unlink(pending)


def meanwhile(differing: t.Iterable[t.Tuple[File, t.Optional[str]]]) -> t.List[File]:
    """The files that make everything fire that the old schedule or the new one needs.

    Args:
        differing: Files of the new schedule, each with its text now.
    """
    found = []
    for one, before in differing:
        if before is None:
            found.append(one)
        elif one.path.endswith(TIMER):
            both = replace(one, text=widened(one.text, before))
            if both.text != before or one.text == before:
                found.append(both)
        elif "." in os.path.basename(one.path):
            found.append(one)
        else:
            digest = hashlib.sha256(one.text.encode()).hexdigest()
            found.append(replace(one, path=f"{beside(one.path)}{digest[:8]}"))
    return found


def beside(path: str) -> str:
    """How the path of a file begins that cron reads beside another; cron would pass over a name with a dot (cron(8))."""
    return f"{path}--"


class _Systemd:
    """What systemd is told. A note lies in `pending` until it has been told of all."""

    def __init__(self, pending: str, timers: t.Sequence[str], gone: t.Sequence[str]) -> None:
        self._pending, self._timers, self.gone = pending, timers, gone
        self.was_cut_off = os.path.exists(pending)

    def begin(self) -> None:
        """Note that it is to be told of something."""
        make_folder(os.path.dirname(os.path.dirname(self._pending)))
        make_folder(os.path.dirname(self._pending))
        with open(self._pending, "wb"):
            fsync_path(os.path.dirname(self._pending))

    def take(self, changed: t.Sequence[str]) -> None:
        """Let it read the units anew, and run all timers, those that changed by their new times."""
        host.systemctl("daemon-reload")
        if self._timers:
            host.systemctl("enable", "--now", *self._timers)
        restart = [name for name in changed if name.endswith(TIMER)]
        if restart:
            host.systemctl("restart", *restart)

    def forget(self) -> None:
        """End the timers that go."""
        timers = [os.path.basename(path) for path in self.gone if path.endswith(TIMER)]
        if timers:
            host.systemctl("disable", "--now", *timers)
