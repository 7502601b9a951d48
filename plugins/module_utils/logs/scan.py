# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""A whole scan: finds the logs, divides them among processes where that is worth it, brings the answers together."""

from __future__ import annotations

import os
import typing as t
from contextlib import contextmanager
from dataclasses import dataclass, replace

from ..errors import BadInput, RunbookError
from .answers import Answer, Totals
from .files import OpenFile, close_all, opened
from .last_lines import last_of, unpacked
from .model import Plan, Source
from .reading import Clock
from .remote import segments_of
from .search import Watch
from .segments import Segment, Work
from .skipping import middle_line, start_for
from .workers import Workers
from .wrappers import format_of, reader_for

WORTH_A_PROCESS = 24 << 20
"""So many bytes take about as long as a second process needs to start, and two are not in each other's way."""
_MOST_PROCESSES = 2
_SEEN = 1 << 16


@dataclass
class Outcome:
    """What a scan found out.

    Attributes:
        sources: The logs.
        answers: To the questions, in their order.
        totals: Of the logs, in their order.
        complete: Whether everything was read within the time.
        processes: How many processes read.
    """

    sources: t.Sequence[Source]
    answers: t.List[Answer]
    totals: t.List[Totals]
    complete: bool
    processes: int


def scan(plan: Plan, timeout_s: float, *, missing_ok: bool = False, processes: t.Optional[int] = None) -> t.Iterator[Outcome]:
    """Put the plan's questions to its logs; to be used by `with`, as exact percentiles are asked of processes that still run.

    Args:
        plan: What to read, and what is asked.
        timeout_s: Seconds after which reading ends; what was found out until then is told.
        missing_ok: Whether a log that cannot be found or read is only noted.
        processes: How many processes read; None for as many as are worth it.

    Raises:
        RunbookError: A log cannot be found or read, or a program that it needs is missing.
    """
    clock = Clock(timeout_s)
    held: t.List[t.List[OpenFile]] = []
    work = Work(plan)
    try:
        segments = _segments(plan, clock, held, work, missing_ok)
        count = _processes(segments) if processes is None else processes
        outside = count > 1 or (processes is None and not Watch.works_here())
        if not outside:
            work.do(segments, clock)
            _check(work, segments, missing_ok)
            yield Outcome(plan.sources, work.answers, work.totals, work.complete, 1)
            return
        parts = _divided(plan, segments, count)
        with Workers(plan, parts, clock) as workers:
            complete = workers.merge_into(work)
            _check(work, segments, missing_ok)
            yield Outcome(plan.sources, work.answers, work.totals, complete, len(parts))
    finally:
        close_all(held)


run = contextmanager(scan)
"""`with run(plan, timeout_s) as outcome:`"""


def _check(work: Work, segments: t.Sequence[Segment], missing_ok: bool) -> None:
    for place, (totals, source) in enumerate(zip(work.totals, work.plan.sources)):
        # A pod that has no log yet, or none any more, is noted: the log of a workload is what its pods have.
        if totals.lost and len(totals.lost) == sum(segment.source == place for segment in segments):
            totals.problem = totals.problem or totals.lost[0]
        if totals.problem and not missing_ok:
            raise BadInput("A log could not be read", where=source.name, why=totals.problem, next_step="see service_logs in the profile")


def _segments(plan: Plan, clock: Clock, held: t.List[t.List[OpenFile]], work: Work, missing_ok: bool) -> t.List[Segment]:
    segments: t.List[Segment] = []
    for place, source in enumerate(plan.sources):
        stream = segments[-1].stream + 1 if segments else 0
        try:
            if source.paths and not source.container:
                logs = opened(source.paths, source.generations, plan.since)
                held += logs
                for files in logs:
                    segments += _of_files(plan, source, place, stream, files)
                    stream += 1
            else:
                segments += segments_of(source, place, plan, stream, clock, work.totals[place].note)
        except (RunbookError, OSError) as error:
            said = error.message if isinstance(error, RunbookError) else f"{error.filename or ''}: {error.strerror or error}"
            if not missing_ok:
                if isinstance(error, RunbookError):
                    raise
                raise BadInput("A log cannot be read", where=source.name, why=said, next_step="see who may read it") from error
            work.totals[place].problem = said
            work.totals[place].note(f"left out: {said}")
    return segments


def _of_files(plan: Plan, source: Source, place: int, stream: int, files: t.Sequence[OpenFile]) -> t.List[Segment]:
    """The segments of one log; its format is that of its newest file that has lines."""
    kind = source.format
    for file in reversed(files):
        if kind == "auto" and file.size:
            beginning = _beginning(file)
            kind = format_of(beginning) if beginning.strip(b"\0\r\n ") else kind
    segments = []
    for file, begin, skip in last_of(files, plan.last_lines) if plan.last_lines else ((file, 0, 0) for file in files):
        if plan.since is not None and not file.packed and kind in ("json", "plain"):
            reader = reader_for(replace(source, format=kind), Watch(), newest=file.written)
            begin = max(begin, start_for(file.descriptor, file.size, plan.since, reader))
        segments.append(
            Segment(
                stream, place, kind, file.path, path=file.held_path, name=file.path, begin=begin, skip=skip, end=file.size,
                packed=file.packed, beginning=file.beginning.decode("latin-1"), newest=file.written,
            )
        )  # fmt: skip
    return segments


def _beginning(file: OpenFile) -> bytes:
    """The first lines of a file, unpacked."""
    return os.pread(file.descriptor, _SEEN, 0) if not file.packed else next(unpacked(file), b"")[:_SEEN]


def _processes(segments: t.Sequence[Segment]) -> int:
    weight = sum(segment.weight for segment in segments if segment.is_file)
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:
        cores = os.cpu_count() or 1
    return max(1, min(_MOST_PROCESSES, cores, weight // WORTH_A_PROCESS))


def _divided(plan: Plan, segments: t.Sequence[Segment], count: int) -> t.List[t.List[Segment]]:
    """The segments in `count` parts of about the same weight, in order; a large file is divided at a line's end."""
    total = sum(segment.weight for segment in segments)
    parts: t.List[t.List[Segment]] = [[]]
    done = 0
    for segment in segments:
        rest: t.Optional[Segment] = segment
        while rest is not None:
            goal = total * len(parts) // count
            if len(parts) == count or done + rest.weight <= goal:
                parts[-1].append(rest)
                done += rest.weight
                break
            first, rest = _cut(plan, rest, goal - done)
            if first is not None:
                parts[-1].append(first)
                done += first.weight
            parts.append([])
            if (
                rest is not None
                and first is None
                and rest.weight
                and (rest.packed or not rest.is_file or rest.format not in ("json", "plain"))
            ):
                # It cannot be divided: it goes to the next part whole.
                parts[-1].append(rest)
                done += rest.weight
                break
    return [part for part in parts if part] or [[]]


def _is_divisible(segment: Segment) -> bool:
    return segment.is_file and not segment.packed and segment.format in ("json", "plain")


def _cut(plan: Plan, segment: Segment, length: int) -> t.Tuple[t.Optional[Segment], t.Optional[Segment]]:
    """A segment in two parts, the first of about `length` bytes; None for a part of nothing."""
    if not _is_divisible(segment):
        return None, segment
    place = segment.begin + max(0, length)
    if place <= segment.begin:
        return None, segment
    source = replace(plan.sources[segment.source], format=segment.format)
    needs_time = plan.has_window or any(question.needs_time for question in plan.questions)
    descriptor = os.open(segment.path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        place = middle_line(descriptor, place, segment.end, reader_for(source, Watch(), newest=segment.newest), needs_time)
    finally:
        os.close(descriptor)
    if place >= segment.end:
        return segment, None
    return replace(segment, end=place, whole=False), replace(segment, begin=place)
