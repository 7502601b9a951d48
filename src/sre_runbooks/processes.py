# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""End everything that a run has started.

Ansible puts each worker into a session of its own, and what a worker starts may outlive it: no process group holds them all
(ansible-runner issue 973). So a run marks its processes by a variable in their environment, which children inherit, and they are
found by it and by descent, whoever their parent is by now.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

MARK = "SRE_RUNBOOKS_RUN_ID"
"""Name of the variable. A server that is meant to outlive the run that starts it must be started without it."""
GRACE_S = 30.0
"""Enough to stop and start a database server; what does not ignore SIGTERM ends at once."""
_KILL_WAIT_S = 5.0
_POLL_S = 0.02


@dataclass(frozen=True)
class Survivor:
    """A process that could not be ended, and why it matters: it belongs to another user, or hangs in the kernel."""

    pid: int
    name: str

    def __str__(self) -> str:
        return f"{self.name} (process {self.pid})"


def processes_of(run_id: str) -> list[psutil.Process]:
    """The living processes of a run, ancestors before descendants; never this process itself."""
    marked: list[psutil.Process] = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.environ().get(MARK) == run_id:
                marked.append(process)
    return sorted(filter(_alive, _with_descendants(marked)), key=_started)


def end_processes_of(run_id: str, grace_s: float = GRACE_S) -> list[Survivor]:
    """End all processes of a run: SIGTERM, after `grace_s` seconds SIGKILL, until none is left.

    Ancestors are told first, so that Ansible starts no further task in between. A process that ignores SIGTERM is finishing
    something that must not be cut short, such as an exchange of data folders: it and what it has started get the time until SIGKILL.
    Those that were told stay known after their parents have gone, by process id and start time.

    Returns:
        What could not be ended.
    """
    found = processes_of(run_id)
    finishing = _with_descendants(process for process in found if _ignores_sigterm(process.pid))
    told = [process for process in found if process not in finishing]
    for process in told:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    _wait_for(found, grace_s)
    deadline = time.monotonic() + _KILL_WAIT_S
    while True:
        left = [process for process in dict.fromkeys([*told, *processes_of(run_id)]) if _alive(process)]
        if not left or time.monotonic() > deadline:
            return [Survivor(process.pid, _name(process)) for process in left]
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.kill()
        _wait_for(left, 0.2)


def _with_descendants(processes: Iterable[psutil.Process]) -> dict[psutil.Process, None]:
    found = dict.fromkeys(processes)
    for process in list(found):
        with contextlib.suppress(psutil.Error):
            found.update(dict.fromkeys(process.children(recursive=True)))
    return found


def _ignores_sigterm(pid: int) -> bool:
    """Whether SIGTERM is in the process's mask of ignored signals (proc_pid_status(5), SigIgn); False where there is no /proc."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    mask = next((line.split()[1] for line in status.splitlines() if line.startswith("SigIgn:")), "0")
    return bool(int(mask, 16) >> (signal.SIGTERM - 1) & 1)


def _wait_for(processes: Iterable[psutil.Process], timeout_s: float) -> None:
    # psutil.wait_procs would take the exit status of our own child away from ansible-runner, which waits for it as well.
    deadline = time.monotonic() + timeout_s
    while any(map(_alive, processes)) and time.monotonic() < deadline:
        time.sleep(_POLL_S)


def _alive(process: psutil.Process) -> bool:
    # A zombie has ended; its parent has only not asked yet.
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _started(process: psutil.Process) -> float:
    try:
        return process.create_time()
    except psutil.Error:
        return 0.0


def _name(process: psutil.Process) -> str:
    try:
        return process.name()
    except psutil.Error:
        return "?"
