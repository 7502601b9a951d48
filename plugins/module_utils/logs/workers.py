# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Reading in processes of their own: two are faster than one, and each can end a search that takes too long.

A process is started anew, not forked: the caller may have threads. It finds this library by the folder of the running copy (in a
module's archive, too), takes its work as one line of JSON, and gives its answers as another. After that it waits: percentiles need
the numbers of a few classes, which stay where they are until they are asked for by further lines.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import typing as t
from dataclasses import asdict

from ..command import Command, end
from ..errors import CommandFailed
from .model import Plan, Question, Source
from .reading import Clock, Late
from .segments import Segment, Work
from .tallies import Pairs

_GRACE_S = 5.0
_MEMORY = {"MALLOC_MMAP_THRESHOLD_": "33554432", "MALLOC_TRIM_THRESHOLD_": "67108864"}
"""For the C library (mallopt(3)): blocks are taken and given back thousands of times; each would be mapped anew, page by page."""
_START = (
    "import sys; sys.path.insert(0, sys.argv[1]); import importlib; "
    "importlib.import_module(sys.argv[2]).serve(sys.stdin.buffer, sys.stdout.buffer)"
)


def _library() -> t.Tuple[str, str]:
    """A folder for the search path, and this module's name when it is found from there."""
    folder = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    return folder, "module_utils.logs.workers"


class Workers:
    """Processes that read a part of the segments each.

    Args:
        plan: The scan.
        parts: The segments of each process.
        clock: The time that there is.
    """

    def __init__(self, plan: Plan, parts: t.Sequence[t.Sequence[Segment]], clock: Clock) -> None:
        self._plan, self._parts, self._clock = plan, parts, clock
        self._processes: t.List[t.Any] = []

    def __enter__(self) -> "Workers":
        folder, module = _library()
        command = Command([sys.executable, "-I", "-S", "-c", _START, folder, module], environment=_MEMORY)
        try:
            for part in self._parts:
                process = command.start(stdin=-1)
                self._processes.append(process)
                work = {
                    "plan": plan_as_dict(self._plan), "segments": [segment.as_dict() for segment in part], "timeout_s": self._clock.left_s,
                    # The client of Kubernetes is no part of this library, nor of Python.
                    "path": sys.path if any(segment.pod for segment in part) else [],
                }  # fmt: skip
                self._send(process, work)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_error: t.Any) -> None:
        self._end()

    def merge_into(self, work: Work) -> bool:
        """Bring the processes' answers into `work`; whether everything was read within the time."""
        complete = True
        for process in self._processes:
            told = self._receive(process)
            if told is None:
                complete = False
                continue
            complete = complete and told["complete"]
            for place, (answer, other) in enumerate(zip(work.answers, told["answers"])):
                answer.merge(other, self._picker(process, place))
            for totals, other in zip(work.totals, told["totals"]):
                totals.merge(other)
        return complete

    def _picker(self, process: t.Any, place: int) -> t.Callable[[t.List[int]], Pairs]:
        def pick(wanted: t.List[int]) -> Pairs:
            self._send(process, {"answer": place, "wanted": wanted})
            return t.cast(Pairs, self._receive(process, always=True) or [])

        return pick

    def _send(self, process: t.Any, work: t.Mapping[str, t.Any]) -> None:
        try:
            process.stdin.write(json.dumps(work).encode() + b"\n")
            process.stdin.flush()
        except BrokenPipeError:
            raise self._died(process) from None

    def _receive(self, process: t.Any, *, always: bool = False) -> t.Any:
        """A line from a process; None when the time is up."""
        pieces: t.List[bytes] = []
        while not pieces or not pieces[-1].endswith(b"\n"):
            left_s = max(self._clock.left_s, 0.0) + _GRACE_S
            if not select.select([process.stdout], [], [], 60.0 if always else left_s)[0]:
                return None
            piece = os.read(process.stdout.fileno(), 1 << 20)
            if not piece:
                raise self._died(process)
            pieces.append(piece)
        return json.loads(b"".join(pieces))

    @staticmethod
    def _died(process: t.Any) -> CommandFailed:
        try:
            process.wait(1.0)
        except subprocess.TimeoutExpired:
            pass  # it goes on without a pipe, and is ended with the others
        return CommandFailed(
            "A process that reads the logs ended too early",
            why=f"exit status {process.returncode}",
            next_step="see whether the machine ran out of memory, then scan again",
        )

    def _end(self) -> None:
        for process in self._processes:
            end(process, 0.2)


def plan_as_dict(plan: Plan) -> t.Dict[str, t.Any]:
    """A plan as JSON values."""
    return t.cast("t.Dict[str, t.Any]", _plain(asdict(plan)))


def _plain(value: t.Any) -> t.Any:
    if isinstance(value, t.Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return sorted(value) if isinstance(value, frozenset) else value


def plan_from_dict(told: t.Mapping[str, t.Any]) -> Plan:
    """The plan that `plan_as_dict` gave."""
    sources = tuple(Source(**{name: _tuple(value) for name, value in source.items()}) for source in told["sources"])
    questions = tuple(
        Question(
            **{
                **{name: _tuple(value) for name, value in question.items()},
                "levels": frozenset(question["levels"]),
                "where": tuple((name, frozenset(values)) for name, values in question["where"]),
            }
        )
        for question in told["questions"]
    )
    return Plan(**{**told, "sources": sources, "questions": questions})


def _tuple(value: t.Any) -> t.Any:
    return tuple(value) if isinstance(value, list) else value


def serve(stdin: t.IO[bytes], stdout: t.IO[bytes]) -> None:
    """Do the work that comes in, and answer; the process's only task."""
    told = json.loads(stdin.readline())
    sys.path.extend(folder for folder in told["path"] if folder not in sys.path)
    work = Work(plan_from_dict(told["plan"]))
    clock = Clock(told["timeout_s"])
    try:
        work.do([Segment(**segment) for segment in told["segments"]], clock)
    except Late:
        work.complete = False
    _answer(
        stdout,
        {
            "complete": work.complete,
            "answers": [answer.dump() for answer in work.answers],
            "totals": [totals.dump() for totals in work.totals],
        },
    )
    for line in stdin:
        asked = json.loads(line)
        _answer(stdout, work.answers[asked["answer"]].numbers.pick(asked["wanted"]))


def _answer(stdout: t.IO[bytes], told: t.Any) -> None:
    stdout.write(json.dumps(told).encode() + b"\n")
    stdout.flush()
