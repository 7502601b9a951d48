# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Following logs while they are written, for a bounded time: the module `log_follow`.

The programs that keep a log follow it themselves: `tail -F` (which goes on with the new file when a log is rotated), `docker logs`
and `journalctl` with `--follow`; of pods the API server is asked.
"""

from __future__ import annotations

import glob
import os
import re
import selectors
import subprocess
import time
import typing as t
from collections import deque
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial

from ..command import Command, Place, end
from ..errors import BadInput, RunbookError
from ..progress import Progress
from .model import Source
from .options import source_of
from .reading import Clock
from .search import TooSlow, Watch
from .shown import Shown

LONGEST_S, MOST_LINES, MOST_PROGRAMS = 3600, 10_000, 100
_CHUNK, _LONGEST_LINE = 1 << 16, 1 << 16
"""Bytes read at once; and of a line that goes on for longer only the beginning is looked at."""
_FINDING_S, _LAST_WORD_S = 30.0, 2.0

OPTIONS: t.Dict[str, t.Dict[str, t.Any]] = {
    "sources": {"type": "list", "elements": "dict", "required": True},
    "follow_s": {"type": "float", "default": 60.0},
    "search": {"type": "str", "default": ""},
    "ignore_case": {"type": "bool", "default": True},
    "lines": {"type": "int", "default": 10},
    "stop_after": {"type": "int", "default": 0},
    "keep": {"type": "int", "default": 1000},
    "secrets": {"type": "list", "elements": "str", "default": [], "no_log": True},
}
"""Described in plugins/modules/log_follow.py."""


class _Follower(t.Protocol):
    """What follows a log.

    Attributes:
        stdout: Where what it says can be read.
    """

    @property
    def stdout(self) -> t.Any:
        """An open file."""

    @property
    def problem(self) -> str:
        """Why the log could not be followed to its end, once there is nothing more to read; empty when it could."""

    def end(self) -> None:
        """No more is wanted."""


class _Program:
    """A program that follows a log."""

    def __init__(self, command: Command) -> None:
        # What tail itself has to say, such as that a log was rotated, is no line of the log; the engines' clients pass on both.
        error = subprocess.DEVNULL if command.name == "tail" else subprocess.STDOUT
        self._process = command.start(stdout=subprocess.PIPE, stderr=error)
        self.stdout = self._process.stdout

    @property
    def problem(self) -> str:
        try:
            status = self._process.wait(_LAST_WORD_S)
        except subprocess.TimeoutExpired:
            return ""
        return f"status {status}" if status else ""

    def end(self) -> None:
        end(self._process)


@dataclass
class _Stream:
    """A log that is followed, and what has come of an unfinished line."""

    label: str
    follower: _Follower
    rest: bytes = b""
    cut: bool = False
    over: bool = False


@dataclass
class _Gathered:
    """What has come."""

    kept: t.Deque[t.Dict[str, str]]
    seen: int = 0
    fitting: int = 0
    by_log: t.Dict[str, int] = field(default_factory=dict)
    problem: str = ""


def operate(parameters: t.Mapping[str, t.Any], check_mode: bool = False) -> t.Dict[str, t.Any]:
    """Follow logs until the time is up, enough lines have come, or all logs have ended.

    Args:
        parameters: As `OPTIONS` describes them.
        check_mode: Makes no difference: nothing is ever changed.

    Returns: `lines` (the last ones that fit), `seen`, `fitting`, `by_log`, `ended_by` (`time`, `lines`, `logs`), `duration_s`, `notes`.

    Raises:
        BadInput: The options make no sense; nothing was read.
    """
    given = {name: parameters.get(name, spec.get("default")) for name, spec in OPTIONS.items()}
    sources, pattern = _checked(given)
    began = time.monotonic()
    shown, progress = Shown(given["secrets"] or ()), Progress("Following logs")
    notes: t.List[str] = []
    gathered = _Gathered(deque(maxlen=given["keep"]))
    with ExitStack() as stack:
        streams: t.List[_Stream] = []
        # A log that says nothing is no broken one, however long others are looked for before the time begins to run.
        quiet_s = float(given["follow_s"]) + len(sources) * 2 * _FINDING_S
        for source in sources:
            try:
                starts = _starts(source, given["lines"], quiet_s, notes)
                room = MOST_PROGRAMS - len(streams)
                if len(starts) > room:
                    notes.append(f"{source.name}: {len(starts) - room} more logs were not followed")
                for label, start in starts[:room]:
                    follower = start()
                    stack.callback(follower.end)
                    streams.append(_Stream(label, follower))
            except RunbookError as error:
                notes.append(f"{source.name}: {error.message}")
        watch, clock = Watch(), Clock(float(given["follow_s"]))
        with watch.on():
            ended_by = _follow(streams, given, clock, gathered, lambda text: _fits(watch, pattern, text, gathered), shown, progress)
        failed = [(stream.label, stream.follower.problem) for stream in streams if stream.over]
    notes += [f"{label} could not be followed to the end ({problem})" for label, problem in failed if problem]
    if gathered.problem:
        notes.append(gathered.problem)
    return {
        "changed": False,
        "msg": f"{gathered.fitting} of {gathered.seen} lines in {time.monotonic() - began:.0f} s",
        "lines": list(gathered.kept),
        "seen": gathered.seen,
        "fitting": gathered.fitting,
        "by_log": gathered.by_log,
        "ended_by": ended_by,
        "duration_s": round(time.monotonic() - began, 3),
        "notes": notes,
    }


def _checked(given: t.Mapping[str, t.Any]) -> t.Tuple[t.List[Source], "t.Optional[t.Pattern[str]]"]:
    mistakes: t.List[str] = []
    sources = [source_of(item, mistakes) for item in given["sources"] or ()]
    if not sources:
        mistakes.append("sources is empty")
    if not 0 < float(given["follow_s"]) <= LONGEST_S:
        mistakes.append(f"follow_s is not above 0 and at most {LONGEST_S}")
    if not 0 < int(given["keep"]) <= MOST_LINES or int(given["lines"]) < 0 or int(given["stop_after"]) < 0:
        mistakes.append(f"keep is not between 1 and {MOST_LINES}, or lines or stop_after is below 0")
    pattern = None
    try:
        pattern = re.compile(given["search"], re.IGNORECASE if given["ignore_case"] else 0) if given["search"] else None
    except (re.error, RecursionError, OverflowError) as error:
        mistakes.append(f"search is no regular expression: {error}")
    if mistakes:
        raise BadInput("The logs cannot be followed so", why="; ".join(mistakes[:20]), next_step="correct the options; nothing was read")
    return sources, pattern


def _starts(source: Source, lines: int, quiet_s: float, notes: t.List[str]) -> t.List[t.Tuple[str, t.Callable[[], _Follower]]]:
    """How each log is begun to be followed, with the name under which its lines are shown; raises as `_commands_of` does."""
    if not source.kubernetes_workload:
        return [(label, partial(_Program, command)) for label, command in _commands_of(source, lines)]
    from .pods import Clusters, Follower, request_for  # its package takes half a second to load

    clusters = Clusters(Clock(_FINDING_S))
    wanted = (
        (log, request_for(source, log, follow="true", tailLines=str(lines)))
        for log in clusters.logs_of(source, lambda text: notes.append(f"{source.name}: {text}"))
    )
    return [(f"{source.name} {log.pod}", partial(Follower, clusters, request, quiet_s)) for log, request in wanted]


def _commands_of(source: Source, lines: int) -> t.List[t.Tuple[str, Command]]:
    """The programs that follow a log, each with the name under which its lines are shown.

    Args:
        source: The log.
        lines: How many lines of the past are shown first.

    Raises:
        RunbookError: The log cannot be found.
    """
    last = str(lines)
    if source.paths and source.container:
        place = Place(container=source.container, engine=source.engine)
        return [(source.name, Command(["tail", "-n", last, "-F", "--", path], place=place)) for path in source.paths]
    if source.paths:
        files = sorted({path for pattern in source.paths for path in glob.glob(pattern, recursive=True) if os.path.isfile(path)})
        # A name without wildcards is waited for: a service that has just been restarted may not have made its log yet.
        files += [pattern for pattern in source.paths if not glob.has_magic(pattern) and pattern not in files]
        if not files:
            raise BadInput("There is no such file", where=", ".join(source.paths), next_step="correct the path of the log")
        return [(source.name, Command(["tail", "-n", last, "-F", "--", path])) for path in files]
    if source.container:
        return [(source.name, Command([source.engine, "logs", "--follow", "--tail", last, "--", source.container]))]
    if source.compose_service:
        chosen = [part for path in source.compose_files for part in ("--file", path)]
        argv = [source.engine, "compose", *chosen, "logs", "--follow", "--no-color", "--no-log-prefix", "--tail", last, "--"]
        return [(source.name, Command([*argv, source.compose_service], folder=source.project_folder))]
    argv = ["journalctl", "--follow", "--lines", last, "--output", "short-iso", "--quiet", "--unit", source.systemd_unit]
    return [(source.name, Command([*argv, *(["--directory", source.journal_folder] if source.journal_folder else [])]))]


def _follow(
    streams: t.Sequence[_Stream],
    given: t.Mapping[str, t.Any],
    clock: Clock,
    gathered: _Gathered,
    fits: t.Callable[[str], bool],
    shown: Shown,
    progress: Progress,
) -> str:
    """Read what comes, whichever log it comes from; returns why it ended."""
    with selectors.DefaultSelector() as selector:
        for stream in streams:
            selector.register(stream.follower.stdout, selectors.EVENT_READ, stream)
        while selector.get_map():
            if clock.left_s <= 0:
                return "time"
            for key, _events in selector.select(min(clock.left_s, 1.0)):
                data = os.read(key.fd, _CHUNK)
                if not data:
                    selector.unregister(key.fileobj)
                    key.data.over = True
                for raw in _lines(key.data, data):
                    _take(key.data.label, raw, gathered, fits, shown, progress)
                    if given["stop_after"] and gathered.fitting >= given["stop_after"]:
                        return "lines"
    return "logs"


def _lines(stream: _Stream, data: bytes) -> t.List[bytes]:
    """The lines that are finished with `data`; of one that is too long the beginning, once. Without data: the end, and what is left."""
    if not data:
        rest, stream.rest = stream.rest, b""
        return [rest] if rest else []
    *finished, stream.rest = (stream.rest + data).split(b"\n")
    if stream.cut and finished:
        finished, stream.cut = finished[1:], False
    if len(stream.rest) > _LONGEST_LINE:
        if not stream.cut:
            finished.append(stream.rest)
        stream.rest, stream.cut = b"", True
    return finished


def _take(label: str, raw: bytes, gathered: _Gathered, fits: t.Callable[[str], bool], shown: Shown, progress: Progress) -> None:
    text = raw[:_LONGEST_LINE].decode("utf-8", "replace").rstrip("\r")
    gathered.seen += 1
    if not fits(text):
        return
    gathered.fitting += 1
    gathered.by_log[label] = gathered.by_log.get(label, 0) + 1
    line = shown.line(text)
    gathered.kept.append({"log": label, "line": line})
    with suppress(OSError):
        progress.show(f"{label}: {line}")


def _fits(watch: Watch, pattern: "t.Optional[t.Pattern[str]]", text: str, gathered: _Gathered) -> bool:
    if pattern is None:
        return True
    try:
        return watch.search(pattern, text) is not None
    except TooSlow:
        gathered.problem = "the regular expression took too long on a line, which was left out"
        return False
