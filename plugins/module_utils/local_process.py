# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""A background process of this host: how it is described, found again, and asked whether it is ready.

A process is known by its number and the moment of its start, so that a number given to another program since is never taken for it.
Where the note of both is lost, the program that listens on the process's port from within its folder is the one.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import re
import socket
import typing as t
from dataclasses import dataclass, field

from . import local_ports
from .process_tree import start_of

_SERVER_ERROR = 500
_GO_TRACE = re.compile(r"goroutine \d+ \[")
_GO_TRACE_LINES = 60
"""Lines from the trace on, above which the log has gone on without it."""


@dataclass(frozen=True)
class Process:
    """A program that shall run in the background.

    Attributes:
        name: What to call it.
        folder: Working folder; its pid file `<name>.pid.json` and log `<name>.log` are there.
        port: Loopback port on which it answers when it is ready.
        argv: Program and arguments; may be empty for a process that is only looked for or stopped.
        ports: Every loopback port that it takes, by the name of the setting that decides it.
        environment: Variables beside our own.
        secrets: Further variables, which must not be shown.
        account: Account to run it as when we are root; empty for our own.
        http_path: Path that must answer with a status below 500 when it is ready; empty to be content with a connection.
        own_pid_file: Pid file that the program writes itself, in its working folder (PostgreSQL: postmaster.pid), for programs that
            others restart.
        ready_word: Word that is in `own_pid_file` once it is ready, for programs that listen before they serve (PostgreSQL: `ready`).
        files: Configuration files in its folder, name -> content; written with mode 0600 before it is started.
        leftovers: Files outside its folder that it leaves when it is killed; removed before it starts and after it has ended.
        stop_signal: Signal that asks it to end.
        wait: Whether a start waits until it is ready; one that is not waited for is named again in a later start.
        timeout_s: Seconds until it must be ready, and until it must have ended.
        address: Address on which it listens, where that is not the loopback address.
    """

    name: str
    folder: str
    port: int
    argv: t.Sequence[str] = ()
    ports: t.Mapping[str, int] = field(default_factory=dict)
    environment: t.Mapping[str, str] = field(default_factory=dict)
    secrets: t.Mapping[str, str] = field(default_factory=dict, repr=False)
    account: str = ""
    http_path: str = ""
    own_pid_file: str = ""
    ready_word: str = ""
    files: t.Mapping[str, str] = field(default_factory=dict, repr=False)
    leftovers: t.Sequence[str] = ()
    stop_signal: str = "TERM"
    wait: bool = True
    timeout_s: float = 60.0
    address: str = "127.0.0.1"

    @property
    def pid_file(self) -> str:
        """Where we note its number and start."""
        return os.path.join(self.folder, f"{self.name}.pid.json")

    @property
    def log_file(self) -> str:
        """Where its output goes."""
        return os.path.join(self.folder, f"{self.name}.log")

    @property
    def definition(self) -> str:
        """Digest of all that it is started with."""
        parts = [list(self.argv), dict(self.environment), dict(self.secrets), dict(self.files), self.account]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def pid(self) -> int:
        """Its number; 0 when it does not run."""
        noted = self._noted()
        return int(noted["pid"]) if noted else self._restarted_pid() or self._listening_pid()

    def is_outdated(self) -> bool:
        """Whether it runs, but was started with other arguments, variables or files. Not known of one that others restarted."""
        noted = self._noted()
        return bool(noted and self.argv and noted.get("definition", self.definition) != self.definition)

    def _noted(self) -> t.Optional[t.Dict[str, t.Any]]:
        try:
            with open(self.pid_file, encoding="ascii") as stream:
                noted = json.load(stream)
            return dict(noted) if start_of(int(noted["pid"])) == noted["start"] else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

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

    def _listening_pid(self) -> int:
        pid = local_ports.listener(self.port)
        try:
            works_in = os.readlink(f"/proc/{pid}/cwd").replace(" (deleted)", "") + "/"
        except OSError:
            return 0
        return pid if works_in.startswith(os.path.realpath(self.folder) + "/") else 0

    def answer(self) -> str:
        """How it answers on its port: empty when it is ready, else what is wrong."""
        try:
            if not self.http_path:
                socket.create_connection((self._reached_at, self.port), timeout=1).close()
                return self._waits_for_ready_word()
            connection = http.client.HTTPConnection(self._reached_at, self.port, timeout=2)
            connection.request("GET", self.http_path)
            status = connection.getresponse().status
            connection.close()
        except (OSError, http.client.HTTPException) as error:
            return f"port {self.port} does not answer ({error})"
        return "" if status < _SERVER_ERROR else f"{self.http_path} on port {self.port} answers with status {status}"

    @property
    def _reached_at(self) -> str:
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.address, self.address)  # noqa: S104 (it is compared, not listened on)

    def _waits_for_ready_word(self) -> str:
        if not self.ready_word:
            return ""
        try:
            # It listens, so the file is no longer that of a process before it.
            with open(self.own_pid_file, encoding="ascii", errors="replace") as stream:
                return "" if self.ready_word in stream.read().split() else f"{self.own_pid_file} does not say {self.ready_word!r}"
        except OSError as error:
            return f"{self.own_pid_file} cannot be read ({error.strerror})"

    def last_words(self, lines: int = 5) -> str:
        """The end of its log on one line; up to the trace where it is that of a Go program that gave up, which says why before."""
        try:
            with open(self.log_file, encoding="utf-8", errors="replace") as stream:
                said = [line.strip() for line in stream if line.strip()]
        except OSError:
            return ""
        traces = [number for number, line in enumerate(said) if _GO_TRACE.match(line)]
        end = traces[-1] + 1 if traces and len(said) - traces[-1] < _GO_TRACE_LINES else len(said)
        return "; ".join(said[max(end - lines, 0) : end])
