# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Background processes of this host: started together, waited for until they are ready, found again and stopped.

A process is known by its number and the moment of its start, so that a number given to another program since is never taken for it.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import time
import typing as t
from dataclasses import dataclass, field

from .command import Command
from .errors import BadInput, RunbookError
from .files import write_atomically, write_json

_POLL_S = 0.03


@dataclass(frozen=True)
class Process:
    """A program that shall run in the background.

    Attributes:
        name: What to call it.
        argv: Program and arguments.
        folder: Working folder; its pid file `<name>.pid.json` and log `<name>.log` are there.
        environment: Variables beside our own.
        account: Account to run it as when we are root; empty for our own.
        port: Loopback port on which it answers when it is ready.
        http_path: Path that must answer, with any status, when it is ready; empty to be content with a connection.
        own_pid_file: Pid file that the program writes itself, in its working folder (PostgreSQL: postmaster.pid), for programs that
            others restart.
        files: Configuration files in its folder, name -> content; written with mode 0600 before it is started.
        stop_signal: Signal that asks it to end.
        timeout_s: Seconds until it must be ready, and until it must have ended.
    """

    name: str
    argv: t.Sequence[str]
    folder: str
    port: int
    environment: t.Mapping[str, str] = field(default_factory=dict)
    account: str = ""
    http_path: str = ""
    own_pid_file: str = ""
    files: t.Mapping[str, str] = field(default_factory=dict)
    stop_signal: str = "TERM"
    timeout_s: float = 60.0

    @property
    def pid_file(self) -> str:
        """Where we note its number and start."""
        return os.path.join(self.folder, f"{self.name}.pid.json")

    @property
    def log_file(self) -> str:
        """Where its output goes."""
        return os.path.join(self.folder, f"{self.name}.log")

    def pid(self) -> int:
        """Its number; 0 when it does not run."""
        try:
            with open(self.pid_file, encoding="ascii") as stream:
                noted = json.load(stream)
            if start_of(int(noted["pid"])) == noted["start"]:
                return int(noted["pid"])
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return self._restarted_pid()

    def _restarted_pid(self) -> int:
        if not self.own_pid_file:
            return 0
        try:
            with open(self.own_pid_file, encoding="ascii", errors="replace") as stream:
                pid = int(stream.readline())
            # The number may be another program's by now; ours works in the folder of its pid file.
            return pid if os.path.samefile(f"/proc/{pid}/cwd", os.path.dirname(self.own_pid_file)) else 0
        except (OSError, ValueError):
            return 0

    def is_ready(self) -> bool:
        """Whether it answers on its port."""
        try:
            if not self.http_path:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return True
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
            connection.request("GET", self.http_path)
            connection.getresponse().read(1)
            connection.close()
            return True
        except (OSError, http.client.HTTPException):
            return False

    def last_words(self, lines: int = 5) -> str:
        """The end of its log on one line."""
        try:
            with open(self.log_file, encoding="utf-8", errors="replace") as stream:
                return "; ".join(line.strip() for line in stream.readlines()[-lines:] if line.strip())
        except OSError:
            return ""


def start_of(pid: int) -> str:
    """When a process was started, in clock ticks since the machine was (proc(5), /proc/pid/stat, field 22); empty when there is none."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stream:
            fields = stream.read().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in ("Z", "X") else fields[19]


def start(processes: t.Sequence[Process]) -> t.List[str]:
    """Start those that do not run, wait until all are ready, and return the names of the started ones.

    Raises:
        BadInput: A port is taken by another program; nothing was started.
        RunbookError: One ended, or was not ready in time; those started by this call were stopped again.
    """
    idle = [process for process in processes if not process.pid()]
    for process in idle:
        refuse_busy_port(process)
    begun: t.List[t.Tuple[Process, "subprocess.Popen[bytes]"]] = []
    try:
        for process in idle:
            begun.append((process, _launch(process)))
        _wait_until_ready(begun, [process for process in processes if process not in idle])
    except BaseException:
        stop([process for process, _popen in begun])
        raise
    return [process.name for process in idle]


def _launch(process: Process) -> "subprocess.Popen[bytes]":
    os.makedirs(process.folder, mode=0o755, exist_ok=True)
    for name, content in process.files.items():
        write_atomically(os.path.join(process.folder, name), content.encode())
    command = Command(process.argv, environment=process.environment, account=process.account, folder=process.folder, outlives=True)
    with open(process.log_file, "ab") as log:
        popen = command.start(stdout=log, stderr=log)
    write_json(process.pid_file, {"pid": popen.pid, "start": start_of(popen.pid)})
    return popen


def _wait_until_ready(begun: t.Sequence[t.Tuple[Process, "subprocess.Popen[bytes]"]], running: t.Sequence[Process]) -> None:
    began = time.monotonic()
    waiting: t.List[t.Tuple[Process, "t.Optional[subprocess.Popen[bytes]]"]] = [*begun, *((process, None) for process in running)]
    while waiting:
        for process, popen in list(waiting):
            if popen is not None and popen.poll() is not None:
                raise _not_ready(process, f"it ended with status {popen.returncode}")
            if process.is_ready():
                waiting.remove((process, popen))
            elif time.monotonic() - began > process.timeout_s:
                raise _not_ready(process, f"it does not answer on port {process.port} after {process.timeout_s:g} s")
        if waiting:
            time.sleep(_POLL_S)


def _not_ready(process: Process, why: str) -> RunbookError:
    words = process.last_words()
    return RunbookError(
        f"{process.name} did not start", where=process.log_file, why=f"{why}; its last words: {words or 'none'}", next_step="read its log"
    )


def stop(processes: t.Sequence[Process]) -> t.List[str]:
    """Ask those that run to end, all at once; end them for good after their time; returns their names."""
    running = [(process, process.pid()) for process in processes]
    running = [(process, pid) for process, pid in running if pid]
    for process, pid in running:
        _signal(pid, getattr(signal, f"SIG{process.stop_signal}"))
    began = time.monotonic()
    starts = {pid: start_of(pid) for _process, pid in running}
    for process, pid in running:
        while starts[pid] and start_of(pid) == starts[pid]:
            _reap(pid)
            if time.monotonic() - began > process.timeout_s:
                _signal(pid, signal.SIGKILL)
            time.sleep(_POLL_S)
    for process in processes:
        if os.path.exists(process.pid_file):
            os.unlink(process.pid_file)
    return [process.name for process, _pid in running]


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        pass


def refuse_busy_port(process: Process) -> None:
    """Raise BadInput when another program has the process's port; says which, where that can be seen."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", process.port))
        except OSError:
            raise BadInput(
                f"Port {process.port}, which {process.name} needs, is taken",
                where=f"127.0.0.1:{process.port}",
                why=f"by {owner_of_port(process.port) or 'a program that cannot be seen from this account'}",
                next_step="end that program, or give the stack another port; nothing was started",
                facts={"port": process.port, "process": process.name},
            ) from None


def owner_of_port(port: int) -> str:
    """The program that listens on a port, as `name (process number)`; empty when it cannot be seen (proc(5), /proc/net/tcp)."""
    inodes: t.Set[str] = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(table, encoding="ascii") as stream:
                rows = [line.split() for line in stream.readlines()[1:]]
        except OSError:
            continue
        inodes.update(f"socket:[{row[9]}]" for row in rows if row[3] == "0A" and int(row[1].rpartition(":")[2], 16) == port)
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            links = {os.readlink(f"/proc/{pid}/fd/{number}") for number in os.listdir(f"/proc/{pid}/fd")}
            if links & inodes:
                with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as stream:
                    return f"{stream.read().strip()} (process {pid})"
        except OSError:
            continue
    return ""
