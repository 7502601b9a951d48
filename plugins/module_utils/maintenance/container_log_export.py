# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The operation of the module container_log_export: what containers have written since the last run goes to the files of its days."""

from __future__ import annotations

import glob
import heapq
import os
import time
import typing as t
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field

from ..errors import BadInput, LeaseHeld, RunbookError
from ..files import locked
from ..progress import Progress
from ..readable import size
from ..service.compose.containers import Container, look, parse
from ..service.compose.engine import Engine, NoSuchContainer
from ..service.compose.project import containers_of, project_of
from ..state import make_folder, state_folder
from .export_files import Writer, point, require_writable
from .export_lines import Bookmark, Days, Found, Line, Window, lines_of, new_lines
from .export_rules import CONTAINER, SERVICE, Export, exports_of
from .export_state import State, read_state

OPTIONS: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "rules": {"type": "list", "elements": "dict", "required": True},
    "logs": {"type": "list", "elements": "dict", "default": []},
    "state_folder": {"type": "path"},
}
"""Described in plugins/modules/container_log_export.py."""
_CHUNK = 4 << 20
"""Bytes that are promised at once: few enough for memory and for the reserve, many enough that flushing takes little of the time."""


@dataclass
class Told:
    """What became of a rule.

    Attributes:
        files: Lines and bytes by file.
        gaps: What is lost, or may be, in sentences.
        notes: What else the reader should know.
        link: Where the link points now, when that was changed.
    """

    export: Export
    containers: t.List[str]
    changed: bool = False
    files: t.Dict[str, t.List[int]] = field(default_factory=dict)
    gaps: t.List[str] = field(default_factory=list)
    notes: t.List[str] = field(default_factory=list)
    link: str = ""

    def count(self, path: str, lines: int, count_bytes: int) -> None:
        """Lines that were written, or would be."""
        counts = self.files.setdefault(path, [0, 0])
        counts[0] += lines
        counts[1] += count_bytes


def operate(parameters: t.Mapping[str, t.Any], check_mode: bool) -> t.Dict[str, t.Any]:
    """Export what is new by the rules in `parameters`, valid for OPTIONS; in check mode only tell what that would be.

    Raises:
        BadInput, NoSuchContainer, Unreachable: A rule, a container, the engine or a file is not as it must be; nothing was changed.
        LeaseHeld: Another run writes the same log.
        NoSpace: The disk is almost full; what was written is whole lines, and the next run goes on behind them.
    """
    exports = exports_of(parameters["rules"], parameters["logs"])
    if not exports:
        return _result([], check_mode)
    home = os.path.join(state_folder(parameters["state_folder"]), "log_exports")
    now = time.time()
    told: t.List[Told] = []
    with Engine() as engine:
        containers = [_containers(engine, export) for export in exports]
        for export in exports:
            require_writable(time.strftime(export.write_to, time.localtime(now)))
        try:
            for export, several in zip(exports, containers):
                with _state(home, export, check_mode) as (path, state):
                    told.append(Told(export, [one.name for one in several]))
                    _Work(engine, told[-1], several, now).carry_out(Writer(path, state, export.write_to), check_mode)
        except RunbookError as error:
            _tell(error, _result(told, check_mode))
            raise
        except OSError as error:
            refused = RunbookError("The operating system refused", where=str(error.filename or ""), why=error.strerror or str(error))
            _tell(refused, _result(told, check_mode))
            raise refused from error
    return _result(told, check_mode)


def _tell(error: RunbookError, result: t.Mapping[str, t.Any]) -> None:
    """With the failure of a run, what it has done until then, and what it has found to be lost."""
    error.changed = result["changed"]
    error.facts.update({key: result[key] for key in ("files", "gaps", "notes")})
    error.why = ". ".join([part for part in (error.why.rstrip("."), *result["gaps"]) if part])


def _containers(engine: Engine, export: Export) -> t.List[Container]:
    """The containers of a log, which the engine can read."""
    if export.log.get(CONTAINER):
        try:
            found = [look(engine, str(export.log[CONTAINER]))]
        except NoSuchContainer as error:
            raise BadInput("There is no such container", where=str(export.log[CONTAINER]), why=error.why, next_step="correct it") from error
    else:
        asked = {"environment_file": "", "project_name": "", "project_folder": "", "compose_files": [], **export.log}
        project = project_of({**asked, "service": export.log[SERVICE]})
        engine.ask("GET", "/version")  # says best why it cannot be reached
        found = [parse(one) for one in containers_of(project)]
    for one in found:
        # A log driver that keeps nothing is refused here.
        for _portion in engine.whole_log(one.id, {"stdout": 1, "stderr": 1, "tail": 0}):
            pass
    return found


@contextmanager
def _state(home: str, export: Export, check_mode: bool) -> t.Iterator[t.Tuple[str, State]]:
    """The state of a rule, for this run alone."""
    path = os.path.join(home, f"{export.key}.bookmarks")
    if check_mode:
        yield path, read_state(path)
        return
    make_folder(home)
    with locked(os.path.join(home, f"{export.key}.lock")) as is_free:
        if not is_free:
            raise LeaseHeld("Another run writes this log to its files", where=export.write_to, next_step="wait until it is over")
        for left in glob.glob(os.path.join(glob.escape(home), f".{glob.escape(export.key)}.bookmarks.*.partial")):
            os.unlink(left)  # a killed run has left it
        yield path, read_state(path)


class _Work:
    """The export of one rule."""

    def __init__(self, engine: Engine, told: Told, containers: t.Sequence[Container], now: float) -> None:
        self._engine, self._told, self._containers, self._now = engine, told, containers, now
        width = max((len(_short(one)) for one in containers), default=0)
        named = bool(told.export.log.get(SERVICE))
        self._prefix = [f"{_short(one):{width}}  | ".encode() if named else b"" for one in containers]
        self._progress = Progress(f"Writing the log of {told.export.source} to files")

    def carry_out(self, writer: Writer, check_mode: bool) -> None:
        told, state = self._told, writer.state
        told.gaps = state.gaps  # kept with the bookmarks from now on, until a run is not stopped
        try:
            for path, lines in writer.redeem(check_mode).items():
                told.count(path, lines.count(b"\n"), len(lines))
            self._leave(state)
            for new in self._new(state):
                if not check_mode:
                    writer.add(new)
            state.gaps = []
            if not check_mode:
                writer.close()
        finally:
            told.changed = writer.changed or (check_mode and bool(told.files))
            told.notes += writer.notes
        if told.export.follow_to and state.newest and (os.path.exists(state.newest) or (check_mode and told.files)):
            points, note = point(told.export.follow_to, state.newest, check_mode, told.export.write_to)
            told.link = state.newest if points else ""
            told.changed = told.changed or points
            told.notes += [note] if note else []

    def _leave(self, state: State) -> None:
        """Forget containers that are not there any more, and say what went with them."""
        present = {one.id for one in self._containers}
        for key in sorted(set(state.marks) - present):
            mark, name = state.marks.pop(key), state.names.pop(key, key[:12])
            self._told.gaps.append(f"The container {name} was removed; what it wrote after {mark.newest or 'the last run'} went with it")
        for one in self._containers:
            state.marks.setdefault(one.id, Bookmark())
            state.names[one.id] = one.name

    def _new(self, state: State) -> t.Iterator[t.Mapping[str, bytearray]]:
        """The new lines by file, as many as are written at once; the bookmarks are moved with them."""
        pending: t.Dict[str, bytearray]
        days, pending, waiting, done = Days(self._told.export.write_to), defaultdict(bytearray), 0, 0
        marks = [state.marks[one.id] for one in self._containers]
        newest = max((mark.newest for mark in marks), default="").encode()
        sources = [self._of(number, one, mark) for number, (one, mark) in enumerate(zip(self._containers, marks))]
        for stamp, number, found in heapq.merge(*sources, key=lambda one: one[0]):
            marks[number].move(found)
            if not found.is_new:
                continue
            path, line = days.path(stamp), b"%b%b\n" % (self._prefix[number], found.line.text)
            if stamp >= newest:
                newest, state.newest = stamp, path
            pending[path] += line
            waiting += len(line)
            if waiting >= _CHUNK:
                done += waiting
                self._progress.say("writing", done, None, "bytes")
                yield self._counted(pending)
                pending, waiting = defaultdict(bytearray), 0
        if pending:
            yield self._counted(pending)

    def _counted(self, pending: t.Dict[str, bytearray]) -> t.Dict[str, bytearray]:
        for path, content in pending.items():
            self._told.count(path, content.count(b"\n"), len(content))
        return pending

    def _of(self, number: int, container: Container, mark: Bookmark) -> t.Iterator[t.Tuple[bytes, int, Found]]:
        terminal = bool((container.details.get("Config") or {}).get("Tty"))
        # The bookmark moves while the log is read.
        former = Bookmark(mark.at, mark.newest, list(mark.cut))

        def read(window: Window) -> t.Iterator[Line]:
            query: t.Dict[str, t.Any] = {"stdout": 1, "stderr": 1, "timestamps": 1}
            query.update({key: f"{value:.6f}" for key, value in window._asdict().items() if value is not None})
            return lines_of(self._engine.whole_log(container.id, query), terminal, lambda stamp: self._has_ended(container, stamp))

        def lost() -> None:
            mark.at = None
            self._told.gaps.append(
                f"The engine has rotated away what {container.name} wrote last before {former.newest}: lines after that may be lost"
            )

        for found in new_lines(read, former, self._now, lost):
            yield found.line.stamp, number, found

    @staticmethod
    def _has_ended(container: Container, stamp: str) -> bool:
        """Whether the process that wrote at that time has ended since."""
        started, _point, fraction = container.started_at.rstrip("Z").partition(".")  # trailing zeros are left out
        return container.state in ("exited", "dead") or stamp < f"{started}.{fraction:0<9}Z"


def _short(container: Container) -> str:
    """Its name as `docker compose logs` shows it: without the project's."""
    project, _service = container.belongs_to
    return container.name[len(project) + 1 :] if project and container.name.startswith(f"{project}-") else container.name


def _result(told: t.Sequence[Told], check_mode: bool) -> t.Dict[str, t.Any]:
    verb, plan = ("append" if check_mode else "appended"), []
    for one in told:
        plan += [
            f"{verb} {lines} lines ({size(count)}) of {one.export.source} to {path}" for path, (lines, count) in sorted(one.files.items())
        ]
        plan += [f"let {one.export.follow_to} show {one.link}"] if one.link else []
    parts = [
        {"rule": one.export.name, "path": path, "lines": lines, "bytes": count}
        for one in told
        for path, (lines, count) in sorted(one.files.items())
    ]
    gaps = [gap for one in told for gap in one.gaps]
    empty = [f"There is no container of {one.export.source} now (rule {one.export.name})" for one in told if not one.containers]
    return {
        "changed": any(one.changed for one in told),
        "plan": plan,
        "files": parts,
        "lines": sum(one["lines"] for one in parts),
        "bytes": sum(one["bytes"] for one in parts),
        "gaps": gaps,
        "containers": [{"rule": one.export.name, "names": one.containers} for one in told],
        "notes": [*gaps, *empty, *(note for one in told for note in one.notes)],
        "diff": {"before": "", "after": "".join(f"{line}\n" for line in plan)},
    }
