# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Background processes of this host: started together, waited for until they are ready, and stopped."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import time
import typing as t
from dataclasses import dataclass

from . import local_ports
from .command import RUN_MARK
from .errors import BadInput, RunbookError
from .files import write_atomically, write_json
from .local_process import Process
from .process_tree import start_of

_POLL_S = 0.03
_LOG_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True)
class StartPlan:
    """What a start has to do: `missing` processes are started, `outdated` ones stopped before, `running` ones only waited for."""

    missing: t.Sequence[Process]
    outdated: t.Sequence[Process]
    running: t.Sequence[Process]

    @property
    def names(self) -> t.List[str]:
        """The processes that are started."""
        return [process.name for process in (*self.outdated, *self.missing)]


def plan_start(processes: t.Sequence[Process]) -> StartPlan:
    """Look at every process, and make sure that those that have to be started can have their ports.

    Raises:
        BadInput: A port is taken by another program, two processes want the same, or a file that another account's process left is in
            the way. Nothing was changed.
    """
    missing = [process for process in processes if not process.pid()]
    outdated = [process for process in processes if process not in missing and process.is_outdated()]
    _refuse_busy_ports([*missing, *outdated])
    _refuse_foreign_leftovers([*missing, *outdated])
    return StartPlan(missing, outdated, [process for process in processes if process not in missing and process not in outdated])


def _refuse_busy_ports(processes: t.Sequence[Process]) -> None:
    taken: t.List[str] = []
    seen: t.Dict[int, str] = {}
    for process in processes:
        for setting, port in (process.ports or {process.name: process.port}).items():
            if port in seen:
                taken.append(f"port {port} ({setting} of {process.name}) by {seen[port]} of the same stack")
            elif not local_ports.is_free(port, process.address) and local_ports.listener(port) != (process.pid() or -1):
                by = local_ports.owner(port) or "a program that this account cannot see"
                taken.append(f"port {port} ({setting} of {process.name}) by {by}")
            seen[port] = process.name
    if taken:
        raise BadInput(
            "A port that is needed is taken",
            where=", ".join(sorted({process.address for process in processes})),
            why="; ".join(taken),
            next_step="end that program, or choose other ports by the settings named; nothing was started",
            facts={"taken": taken},
        )


def _refuse_foreign_leftovers(processes: t.Sequence[Process]) -> None:
    foreign = [path for process in processes for path in process.leftovers if not _may_remove(path)]
    if foreign:
        raise BadInput(
            "A file that another account's process left is in the way",
            where=", ".join(foreign),
            next_step="let its owner, or root, remove it, or choose other ports; nothing was started",
            facts={"files": foreign},
        )


def _may_remove(path: str) -> bool:
    try:
        return os.geteuid() in (0, os.lstat(path).st_uid)
    except FileNotFoundError:
        return True


def start(processes: t.Sequence[Process]) -> t.List[str]:
    """Start those that do not run, start those anew that were started with something else, and wait until all are ready.

    Returns:
        Names of the processes that were started.

    Raises:
        BadInput: A port is taken by another program; nothing was started.
        RunbookError: One ended, or was not ready in time; those started by this call were stopped again.
    """
    plan = plan_start(processes)
    stop(plan.outdated)
    begun: t.List[t.Tuple[Process, "subprocess.Popen[bytes]"]] = []
    try:
        for process in (*plan.outdated, *plan.missing):
            begun.append((process, _launch(process)))
        _wait_until_ready(begun, plan.running)
    except BaseException:
        stop([process for process, _popen in begun])
        raise
    return plan.names


def _launch(process: Process) -> "subprocess.Popen[bytes]":
    if not process.argv:
        raise BadInput(f"{process.name} cannot be started", why="no program is named", next_step="give its argv")
    os.makedirs(process.folder, mode=0o755, exist_ok=True)
    _remove(process.leftovers)
    for name, content in process.files.items():
        write_atomically(os.path.join(process.folder, name), content.encode())
    identity: t.Dict[str, t.Any] = {}
    environment = {**os.environ, **process.environment, **process.secrets}
    environment.pop(RUN_MARK, None)  # it outlives the run that starts it
    log = os.open(process.log_file, _LOG_FLAGS, 0o640)
    try:
        if process.account and os.geteuid() == 0:
            entry = pwd.getpwnam(process.account)
            identity = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
            environment["HOME"] = process.folder
            os.fchown(log, entry.pw_uid, entry.pw_gid)
        popen = subprocess.Popen(  # pylint: disable=ansible-bad-function
            list(process.argv),
            cwd=process.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            **identity,
        )
    except OSError as error:
        raise RunbookError(f"{process.name} could not be started", where=process.argv[0], why=str(error.strerror)) from error
    finally:
        os.close(log)
    write_json(process.pid_file, {"pid": popen.pid, "start": start_of(popen.pid), "definition": process.definition})
    return popen


def _wait_until_ready(begun: t.Sequence[t.Tuple[Process, "subprocess.Popen[bytes]"]], running: t.Sequence[Process]) -> None:
    began = time.monotonic()
    waiting = [process for process in (*(process for process, _popen in begun), *running) if process.wait]
    while True:
        for process, popen in begun:
            if popen.poll() is not None:
                raise _not_ready(process, f"it ended with status {popen.returncode}")
        if not waiting:
            return
        for process in running:
            if not process.pid():
                raise _not_ready(process, "it ended")
        wrong = [(process, process.answer()) for process in waiting]
        waiting = [process for process, answer in wrong if answer]
        for process, answer in wrong:
            if answer and time.monotonic() - began > process.timeout_s:
                raise _not_ready(process, f"{answer} after {process.timeout_s:g} s")
        time.sleep(_POLL_S)


def _not_ready(process: Process, why: str) -> RunbookError:
    words = process.last_words()
    return RunbookError(
        f"{process.name} did not start",
        where=process.log_file,
        why=f"{why}; its last words: {words or 'none'}",
        next_step="read its log",
        facts={"process": process.name},
    )


def running(processes: t.Sequence[Process]) -> t.Dict[str, int]:
    """Numbers of those that run, by name."""
    found = {process.name: process.pid() for process in processes}
    return {name: pid for name, pid in found.items() if pid}


def stop(processes: t.Sequence[Process]) -> t.List[str]:
    """Ask those that run to end, all at once; end them for good after their time.

    Returns:
        Names of those that ran.
    """
    began = time.monotonic()
    alive = [(process, pid, start_of(pid)) for process, pid in ((process, process.pid()) for process in processes) if pid]
    for process, pid, _born in alive:
        _signal(pid, getattr(signal, f"SIG{process.stop_signal}"))
    for process, pid, born in alive:
        while born and start_of(pid) == born:
            _reap(pid)
            if time.monotonic() - began > process.timeout_s:
                _signal(pid, signal.SIGKILL, whole_group=True)
            time.sleep(_POLL_S)
    for process in processes:
        _remove([process.pid_file, *(path for path in process.leftovers if _may_remove(path))])
    return [process.name for process, _pid, _born in alive]


def _remove(paths: t.Iterable[str]) -> None:
    for path in paths:
        try:
            os.unlink(path)
        except FileNotFoundError:
            continue


def _signal(pid: int, number: int, *, whole_group: bool = False) -> None:
    """Send a signal; to the children as well when the process leads a group of its own, as all that we start do."""
    try:
        if whole_group and os.getpgid(pid) == pid:
            os.killpg(pid, number)
        else:
            os.kill(pid, number)
    except ProcessLookupError:
        pass


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        pass
