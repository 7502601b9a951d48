# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Letting two data folders of a stopped server change places, so that neither a failure nor a kill leaves it without one.

The folders change places in a single system call (renameat2, RENAME_EXCHANGE). Stopping the server, the exchange and the start run in a
process of their own session, which goes on when the run that asked for them is killed. A journal beside the folder says what was meant;
should even that process die, the next run completes it.
"""

from __future__ import annotations

import glob
import json
import os
import time
import typing as t
from contextlib import contextmanager
from dataclasses import dataclass

from ..command import Command, run
from ..errors import LeaseHeld, RunbookError
from ..files import exchange, fsync_path, locked, write_json
from ..restoring.own_session import in_own_session
from .scratch import pg_ctl


@dataclass(frozen=True)
class Service:
    """How the server of a data folder is stopped and started.

    Attributes:
        data_folder: The folder in use.
        account: Account that the server runs as; empty for our own.
        tool_folder: Folder of pg_ctl; empty for the search path.
        stop_command: Argument list that stops it, e.g. of systemctl; empty for pg_ctl.
        start_command: Argument list that starts it; empty for pg_ctl.
        log_file: Where a server that pg_ctl starts writes its messages.
        timeout_s: Seconds for either.
    """

    data_folder: str
    account: str = ""
    tool_folder: str = ""
    stop_command: t.Sequence[str] = ()
    start_command: t.Sequence[str] = ()
    log_file: str = ""
    timeout_s: int = 120

    def is_running(self) -> bool:
        """Whether the postmaster that the folder's pid file names is alive."""
        try:
            with open(f"/proc/{abs(int(self._pid_file()[0]))}/stat", encoding="ascii", errors="replace") as stream:
                name, _parenthesis, rest = stream.read().partition("(")[2].rpartition(")")
        except (OSError, ValueError, IndexError):
            return False
        # A dead process whose parent has not looked after it yet (Z) is still listed (proc(5)).
        return name in ("postgres", "postmaster") and rest.split()[0] not in ("Z", "X")

    def _pid_file(self) -> t.List[str]:
        with open(os.path.join(self.data_folder, "postmaster.pid"), encoding="ascii", errors="replace") as stream:
            return stream.read().splitlines()

    def _is_stopping(self) -> bool:
        try:
            return self.is_running() and self._pid_file()[7].strip() == "stopping"  # LOCK_FILE_LINE_PM_STATUS, pidfile.h
        except (OSError, IndexError):
            return False

    def stop(self) -> None:
        """Stop it, ending its clients; nothing happens when it does not run."""
        if not self.is_running():
            return
        if self.stop_command:
            run(Command(list(self.stop_command), timeout_s=self.timeout_s))
        else:
            pg_ctl(self.tool_folder, self.account, "stop", self.data_folder, "--mode=fast", timeout_s=self.timeout_s)

    def start(self) -> None:
        """Start it and wait until it accepts connections; nothing happens when it runs. One that is just going down is waited for."""
        give_up = time.monotonic() + self.timeout_s
        while self._is_stopping() and time.monotonic() < give_up:
            time.sleep(0.1)
        if self.is_running():
            return
        if self.start_command:
            run(Command(list(self.start_command), timeout_s=self.timeout_s, outlives=True))
            return
        log = self.log_file or os.path.join(self.data_folder, "server.log")
        pg_ctl(self.tool_folder, self.account, "start", self.data_folder, f"--log={log}", timeout_s=self.timeout_s)


@contextmanager
def nobody_else_in(data_folder: str) -> t.Iterator[None]:
    """Hold the lock of everything that replaces, puts back or removes data folders of this name.

    Raises:
        LeaseHeld: Another run holds it.
    """
    live = os.path.abspath(data_folder)
    with locked(live + ".restore.lock") as free:
        if not free:
            raise LeaseHeld("Another restore of this data folder is running", where=live, next_step="wait for it, or end it")
        yield


def journal_path(data_folder: str) -> str:
    """Where the journal of an exchange lies: beside the folder."""
    head, tail = os.path.split(os.path.abspath(data_folder))
    return os.path.join(head, f".{tail}.exchange.json")


def exchange_folders(service: Service, other: str, kept_as: str) -> float:
    """Let the data folder in use and `other` change places; the one that was in use is then called `kept_as`.

    Args:
        service: The server; it is stopped meanwhile, and runs afterwards.
        other: A complete data folder on the same file system.
        kept_as: New name of the folder that was in use.

    Returns:
        Seconds for which the server did not serve.

    Raises:
        RunbookError: It failed; the server runs on the folder that it ran on before.
    """
    live = service.data_folder
    exists = os.path.isdir(live)
    journal = {
        "live": live,
        "other": other,
        "kept_as": kept_as if exists else "",
        "inode_of_other": os.stat(other).st_ino,
    }
    write_json(journal_path(live), journal)
    outcome = f"{journal_path(live)[: -len('.json')]}.{os.getpid()}.json"
    return in_own_session(
        lambda: complete(service, journal),
        outcome,
        what="The exchange of the data folders",
        where=live,
        next_step="the server runs on its former data folder; look at its log, or choose another set",
    )


def complete(service: Service, journal: t.Mapping[str, t.Any]) -> None:
    """Do what the journal says, or the rest of it: stop, exchange, start, rename, remove the journal. May be repeated.

    A folder on which the server does not start is exchanged back.
    """
    live, other, kept_as = journal["live"], journal["other"], journal["kept_as"]
    exchanged = os.path.isdir(live) and os.stat(live).st_ino == journal["inode_of_other"]
    if not exchanged:
        try:
            service.stop()
            if kept_as:
                exchange(live, other)
            else:
                os.rename(other, live)
        except (RunbookError, OSError):
            time.sleep(0.5)  # it may have been asked to go down and not have begun yet
            service.start()
            os.unlink(journal_path(live))
            raise
        fsync_path(os.path.dirname(live))
    try:
        service.start()
    except RunbookError:
        if kept_as and os.path.isdir(other):
            service.stop()
            exchange(live, other)
            fsync_path(os.path.dirname(live))
            os.unlink(journal_path(live))
            service.start()
        raise
    if kept_as and os.path.isdir(other):
        os.rename(other, kept_as)
    fsync_path(os.path.dirname(live))
    os.unlink(journal_path(live))


def complete_interrupted(service: Service) -> str:
    """Complete an exchange whose process died; returns a sentence about it, or nothing when there was none."""
    path = journal_path(service.data_folder)
    for untold in glob.glob(glob.escape(path[: -len("json")]) + "*.json"):
        os.unlink(untold)  # the run that asked was killed before it was told
    try:
        with open(path, encoding="utf-8") as stream:
            journal = json.load(stream)
    except FileNotFoundError:
        return ""
    begun = os.path.isdir(journal["live"]) and os.stat(journal["live"]).st_ino == journal["inode_of_other"]
    if begun or not os.path.isdir(journal["live"]):
        complete(service, journal)
        return "completed the exchange of data folders that an earlier run had begun"
    service.start()
    os.unlink(path)
    return "an earlier run was killed before it exchanged the data folders; the server runs on its former one"
