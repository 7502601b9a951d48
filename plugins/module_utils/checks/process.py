# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Checks of type `process`."""

from __future__ import annotations

import re
import typing as t

from . import conditions, host
from .model import FAIL, UNKNOWN, Answer, Attempt, Finding, NoAnswer, Question
from .network import in_thread
from .redaction import clip

_PID_FILE_BYTES = 64


class Seen(t.NamedTuple):
    """What was seen of a host: the command lines of its processes, or None, and whether the port is listened on, or None."""

    processes: t.Optional[t.List[host.Process]]
    listens: t.Optional[bool]


class ProcessRuns(Question):
    """Processes run, by a pattern on their command line or by a file with their id; a port is listened on."""

    spec = {
        "pattern": {"type": "str"},
        "pid_file": {"type": "path"},
        "minimum": {"type": "int", "default": 1},
        "port": {"type": "int"},
        **conditions.THRESHOLDS,
    }
    of_host = True
    # A pattern is searched in the command lines of hundreds of processes.
    judge_cpu_s = 0.5

    @property
    def has_number(self) -> bool:
        return "pattern" in self.options or "pid_file" in self.options

    def mistakes(self) -> t.List[str]:
        options = self.options
        found = conditions.threshold_mistakes(options)
        if not any(options.get(name) for name in ("pattern", "pid_file", "port")):
            found.append("it names neither a pattern nor a pid_file nor a port")
        if not self.has_number and any(name in options for name in conditions.THRESHOLDS):
            found.append("thresholds need a pattern or a pid_file, whose processes are counted")
        if not 0 < options.get("port", 1) < 65536:
            found.append("port is not between 1 and 65535")
        if options["minimum"] < 0:
            found.append("minimum is less than 0")
        try:
            re.compile(options.get("pattern", ""))
        except (re.error, RecursionError, OverflowError) as error:
            found.append(f"pattern is no regular expression ({error})")
        if "\0" in options.get("pid_file", ""):
            found.append("pid_file has a NUL in it")
        return found

    @property
    def target(self) -> str:
        named = [("processes", "pattern"), ("the process of", "pid_file"), ("port", "port")]
        return ", ".join(f"{what} {clip(str(self.options[name]), 60)}" for what, name in named if name in self.options)

    async def ask(self, attempt: Attempt) -> Seen:
        attempt.stage = "looking at the processes of this host"
        return await in_thread(self._look)

    def _look(self) -> Seen:
        options = self.options
        listens = host.listens(options["port"]) if "port" in options else None
        if "pid_file" in options:
            pid = read_pid(options["pid_file"])
            running = pid is not None and host.is_running(pid)
            if "pattern" not in options:
                return Seen([host.Process(pid, "")] if pid is not None and running else [], listens)
            return Seen([process for process in host.processes() if process.pid == pid], listens)
        return Seen(host.processes() if "pattern" in options else None, listens)

    def judge(self, got: Seen) -> Answer:
        options, answer = self.options, Answer()
        if got.processes is not None:
            pattern = re.compile(options.get("pattern", ""))
            found = [process.pid for process in got.processes if pattern.search(process.command_line)]
            answer.value = float(len(found))
            answer.observed.update(processes=len(found), pids=found[:20])
            if len(found) < options["minimum"]:
                named = f"the process of {options['pid_file']}" if "pid_file" in options else "such a process"
                few = f"{len(found)} such processes run, fewer than {options['minimum']}" if found else f"{named} does not run"
                answer.findings.append(Finding(FAIL, few))
            answer.findings += conditions.judge_number(answer.value, options, "the number of processes")
        if got.listens is not None:
            answer.observed["listens"] = got.listens
            if not got.listens:
                answer.findings.append(Finding(FAIL, f"nothing listens on port {options['port']}"))
        answer.retry = any(finding.verdict == FAIL for finding in answer.findings)
        return answer


def read_pid(path: str) -> t.Optional[int]:
    """The process id in a file, which may have more lines (PostgreSQL's has); None when the file does not exist.

    Raises:
        NoAnswer: It cannot be read, or holds none.
    """
    try:
        with open(path, encoding="ascii", errors="replace") as stream:
            first = stream.read(_PID_FILE_BYTES).strip().partition("\n")[0].strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise NoAnswer(UNKNOWN, f"{path} cannot be read ({error.strerror})") from None
    if not first.isdecimal() or not 0 < int(first) < 1 << 31:
        raise NoAnswer(UNKNOWN, f"{path} holds no process id")
    return int(first)
