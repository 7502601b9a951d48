# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Programs that a recovery starts (playbooks, Terraform, scripts of the user's own), several at once, each with a deadline that holds.

Ansible's workers have sessions of their own, so neither a process group nor a time limit of Ansible's ends what a playbook has started.
Each call is marked by a variable in its environment, which everything below it inherits, and is ended by that mark. A server that was
started to stay lacks the mark of the run (`command.RUN_MARK`) and is left alone.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import time
import typing as t
from dataclasses import dataclass, field

from ..command import RUN_MARK, Command
from ..errors import RunbookError
from ..process_tree import end_all, start_of

CALL_MARK = "SRE_RUNBOOKS_CALL_ID"
_GRACE_S = 30.0
"""Between SIGTERM and SIGKILL. Enough to stop and start a database server; what does not ignore SIGTERM ends at once."""
_LOOK_EVERY_S = 0.05
_TAIL_BYTES, _TAIL_LINES = 20_000, 12


@dataclass(frozen=True)
class Call:
    """A program to run.

    Attributes:
        name: For messages.
        argv: Program and arguments.
        deadline_s: Seconds after which it is ended.
        log: File for its output; it must not exist.
        folder: Its working folder; empty for ours.
        environment: Further variables.
        without: Variables of our own environment that it must not see.
    """

    name: str
    argv: t.Sequence[str]
    deadline_s: float
    log: str
    folder: str = ""
    environment: t.Mapping[str, str] = field(default_factory=dict)
    without: t.Sequence[str] = ()


@dataclass
class Ended:
    """What became of a call.

    Attributes:
        name: As in the call.
        ok: Whether it ended by itself, with status 0.
        status: Its exit status; None when it was ended or could not be started.
        duration_s: How long it ran.
        problem: Why it is not ok, with its own last words; empty when it is.
        log: File with its output.
    """

    name: str
    ok: bool
    status: t.Optional[int]
    duration_s: float
    problem: str
    log: str

    def as_dict(self) -> t.Dict[str, t.Any]:
        """For results."""
        return dict(vars(self))


@dataclass
class _Running:
    call: Call
    mark: str
    process: "subprocess.Popen[bytes]"
    began: float


def run_calls(
    calls: t.Sequence[Call], *, at_once: int = 1, stop_at_failure: bool = True, on_end: t.Optional[t.Callable[[Ended], None]] = None
) -> t.List[Ended]:
    """Run the calls, `at_once` at the same time, and return what became of each, in their order; those not begun are left out.

    When the process that started us is gone (its run was killed), everything is ended and RunbookError raised.

    Args:
        calls: What to run.
        at_once: How many may run at the same time.
        stop_at_failure: Whether no further call begins after one that failed; those under way go on.
        on_end: Called after each.
    """
    waiting, running, parent = list(calls), t.cast("t.List[_Running]", []), os.getppid()
    done: t.Dict[int, Ended] = {}
    place = {id(call): number for number, call in enumerate(calls)}

    def note(call: Call, ended: Ended) -> None:
        done[place[id(call)]] = ended
        if on_end is not None:
            on_end(ended)

    try:
        while waiting or running:
            while waiting and len(running) < max(1, at_once):
                call = waiting.pop(0)
                started = _start(call)
                if isinstance(started, Ended):
                    note(call, started)
                else:
                    running.append(started)
            for one in list(running):
                ended = _look(one)
                if ended is not None:
                    running.remove(one)
                    note(one.call, ended)
            if stop_at_failure and any(not ended.ok for ended in done.values()):
                waiting.clear()
            if os.getppid() != parent:
                raise RunbookError(
                    "The run that started this was ended", next_step="run the procedure again; it goes on where it was ended"
                )
            if running:
                time.sleep(_LOOK_EVERY_S)
    finally:
        for one in running:
            _end(one)
    return [done[number] for number in sorted(done)]


def last_words(path: str, lines: int = _TAIL_LINES) -> str:
    """The end of a log on one line, from the last failed task of a playbook on where there is one."""
    try:
        with open(path, "rb") as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - _TAIL_BYTES))
            text = stream.read().decode(errors="replace")
    except OSError:
        return ""
    # The role procedure says last, and in full, what failed.
    _before, found, after = text.rpartition("\nfatal: ")
    kept = [line.strip() for line in (found.strip() + " " + after if found else text).splitlines() if line.strip()]
    told = kept[:lines] if found else kept[-lines:]
    return " ".join(told)[:2000]


def _start(call: Call) -> t.Union[_Running, Ended]:
    mark = secrets.token_hex(8)
    # Command speaks C, which Ansible refuses; these programs are to speak as we were called.
    speech = {"LC_ALL": os.environ.get("LC_ALL", "")}
    environment = {**speech, CALL_MARK: mark, RUN_MARK: os.environ.get(RUN_MARK) or mark, **call.environment}
    began = time.monotonic()
    try:
        descriptor = os.open(call.log, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            command = Command(list(call.argv), environment=environment, folder=call.folder, without=call.without)
            process = command.start(stdout=descriptor, stderr=descriptor)
        finally:
            os.close(descriptor)
    except (RunbookError, OSError) as error:
        return Ended(call.name, False, None, 0.0, f"it could not be started: {error}", call.log)
    return _Running(call, mark, process, began)


def _look(one: _Running) -> t.Optional[Ended]:
    status, took = one.process.poll(), time.monotonic() - one.began
    if status is None and took < one.call.deadline_s:
        return None
    if status is None:
        _end(one)
        problem = f"it did not end within {one.call.deadline_s:g} s and was ended"
        return Ended(one.call.name, False, None, round(time.monotonic() - one.began, 2), problem, one.call.log)
    # What it left running in the background may be just what it was to start.
    problem = "" if status == 0 else (last_words(one.call.log) or f"exit status {status}")
    return Ended(one.call.name, status == 0, status, round(took, 2), problem, one.call.log)


def _end(one: _Running) -> None:
    """End a call with everything below it: politely, after a while for good, until nothing carries its mark."""
    end_all({one.process.pid: start_of(one.process.pid)}, _GRACE_S)
    end_all(_marked(one.mark), _GRACE_S)
    end_all(_marked(one.mark), _GRACE_S)
    try:
        one.process.wait(5)
    except subprocess.TimeoutExpired:
        pass  # it hangs in the kernel; nothing more can be done from here


def _marked(mark: str) -> t.Dict[int, str]:
    wanted, run = f"{CALL_MARK}={mark}".encode(), f"{RUN_MARK}=".encode()
    found = {}
    for entry in os.listdir("/proc") if os.path.isdir("/proc") else ():
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        try:
            with open(f"/proc/{entry}/environ", "rb") as stream:
                variables = stream.read().split(b"\0")
        except OSError:
            continue
        if wanted in variables and any(one.startswith(run) for one in variables):
            found[int(entry)] = start_of(int(entry))
    return found
