# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Which ansible-playbook process carries out a run, and whether it still lives.

A process id alone says little: it is used again, and in a container it counts from 1. So a process is known by its id and start
time, within a boot of a machine and a process-id namespace; whatever differs in these cannot be judged from here.
"""

from __future__ import annotations

import getpass
import os
import socket
import typing as t
from dataclasses import asdict, dataclass

_FIRST_PID_NAMESPACE = "pid:[4026531836]"
"""The namespace of the host itself: PROC_PID_INIT_INO in linux/proc_ns.h, as /proc/<pid>/ns/pid shows it."""
_START_TIME_FIELD = 22
"""proc_pid_stat(5): field 3 is the state, field 22 the start time in clock ticks since boot."""


@dataclass(frozen=True)
class Machine:
    """A machine, as far as it can be told from another.

    Attributes:
        host: Its name.
        machine_id: Content of /etc/machine-id; empty when there is none.
        boot_id: Changes with every boot; empty when it cannot be read.
        pid_namespace: In which process ids count.
    """

    host: str = ""
    machine_id: str = ""
    boot_id: str = ""
    pid_namespace: str = ""

    @classmethod
    def here(cls) -> Machine:
        """The machine on which this code runs."""
        try:
            namespace = os.readlink("/proc/self/ns/pid")
        except OSError:
            namespace = ""
        return cls(socket.gethostname(), _read("/etc/machine-id").strip(), _read("/proc/sys/kernel/random/boot_id").strip(), namespace)


@dataclass(frozen=True)
class Controller:
    """The process that runs the playbook.

    Attributes:
        machine: Where it runs.
        pid: Its process id.
        started: Its start time in clock ticks since boot; 0 when it cannot be read.
        user: The person, as far as the machine knows.
    """

    machine: Machine
    pid: int
    started: int
    user: str

    @classmethod
    def of(cls, pid: int) -> Controller:
        """The process `pid` of this machine."""
        return cls(Machine.here(), pid, _start_time(pid) or 0, os.environ.get("SUDO_USER") or _user())

    @classmethod
    def from_dict(cls, value: t.Optional[t.Mapping[str, t.Any]]) -> t.Optional[Controller]:
        """What `as_dict` gave; None for nothing or for what is not such a mapping."""
        try:
            if not value:
                return None
            machine = Machine(**{name: str(value["machine"][name]) for name in ("host", "machine_id", "boot_id", "pid_namespace")})
            return cls(machine, int(value["pid"]), int(value["started"]), str(value["user"]))
        except (KeyError, TypeError, ValueError):
            return None

    def as_dict(self) -> t.Dict[str, t.Any]:
        """JSON types only."""
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.user}@{self.machine.host}"

    def alive(self, here: t.Optional[Machine] = None) -> t.Optional[bool]:
        """Whether the process still lives: True, False, or None when that cannot be known from `here` (default: this machine)."""
        here = Machine.here() if here is None else here
        if not (self.machine.boot_id and here.boot_id):
            return None
        if self.machine.boot_id != here.boot_id:
            return False if self._rebooted(here) else None
        if self.machine.pid_namespace != here.pid_namespace:
            return None
        return _lives(self.pid, self.started)

    def _rebooted(self, here: Machine) -> bool:
        # Images of containers share machine ids; a process in the first namespace was in no container.
        then = self.machine
        return bool(
            then.machine_id
            and (then.machine_id, then.host) == (here.machine_id, here.host)
            and then.pid_namespace == here.pid_namespace == _FIRST_PID_NAMESPACE
        )


def _lives(pid: int, started: int) -> t.Optional[bool]:
    if pid <= 0:
        return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    now = _start_time(pid)
    # Not readable: /proc hides other users' processes (hidepid), or there is no /proc.
    if now is None or not started:
        return None
    return now == started


def _start_time(pid: int) -> t.Optional[int]:
    """Start time of a process; 0 for a dead one that its parent has not collected yet, None when it cannot be read."""
    fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    if len(fields) < _START_TIME_FIELD - 2:
        return None
    return 0 if fields[0] in "ZX" else int(fields[_START_TIME_FIELD - 3])


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:
        return ""


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return f"uid {os.getuid()}"
