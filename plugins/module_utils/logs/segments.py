# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The pieces of which a scan consists, in order, and the work on them in one process."""

from __future__ import annotations

import os
import typing as t
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace

from ..command import Command, Place
from ..errors import BadInput, RunbookError
from .answers import Answer, Totals, answers_of
from .files import copy_of
from .model import Plan
from .reading import Clock, Late, gzipped, lines_of, output, plain, without_first, zstandard
from .search import Watch
from .stream import Stream

if t.TYPE_CHECKING:
    from .pods import Clusters


@dataclass
class Segment:
    """A piece of a stream: part of a file, or the output of a program.

    Attributes:
        stream: Number of the stream; pieces of one stream follow each other.
        source: Place of the log among the plan's.
        format: How it is written, found out from the stream's beginning; `auto` when that is not known yet.
        label: What it is, for the reader.
        path: Path of the file by which it is opened.
        name: Path of the file as a person knows it.
        begin: Where to begin in it.
        skip: Lines at the beginning of what a packed file holds that are not read.
        end: Where to end.
        packed: `gzip`, `zstd` or empty.
        beginning: The file's first bytes, as text of Latin-1.
        newest: Time about which it was written last.
        argv: The program and its arguments; empty for what no program is asked for.
        pod: The log of a container of a pod, as `pods.request_for` describes it; empty for all else.
        place: Where the program runs, as arguments of `Place`.
        both: Whether its standard error belongs to the log.
        stamped: Whether each line begins with a time of the container engine's.
        whole: Whether it is read to the end of the file.
    """

    stream: int
    source: int
    format: str
    label: str
    path: str = ""
    name: str = ""
    begin: int = 0
    skip: int = 0
    end: int = 0
    packed: str = ""
    beginning: str = ""
    newest: t.Optional[float] = None
    argv: t.List[str] = field(default_factory=list)
    pod: t.Dict[str, t.Any] = field(default_factory=dict)
    place: t.Dict[str, str] = field(default_factory=dict)
    folder: str = ""
    both: bool = False
    stamped: bool = False
    whole: bool = True

    @property
    def is_file(self) -> bool:
        """Whether it is part of a file of this host."""
        return not (self.argv or self.pod)

    @property
    def weight(self) -> int:
        """How much work it is, roughly in bytes; a packed log is about ten times as long, that of a program is not known."""
        if not self.is_file:
            return 32 << 20
        return (self.end - self.begin) * (8 if self.packed else 1)

    def as_dict(self) -> t.Dict[str, t.Any]:
        """For another process."""
        return asdict(self)


class Work:
    """The answers of one process.

    Attributes:
        answers: To all questions.
        totals: Of all logs.
        complete: Whether everything was read within the time.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.watch = Watch()
        self.answers: t.List[Answer] = answers_of(plan, self.watch)
        self.totals = [Totals() for _source in plan.sources]
        self.complete = True
        self._clusters: t.Optional[Clusters] = None

    def do(self, segments: t.Sequence[Segment], clock: Clock) -> None:
        """Read all segments, in order."""
        stream: t.Optional[Stream] = None
        try:
            with self.watch.on():
                for segment in segments:
                    if stream is None or stream.number != segment.stream:
                        if stream is not None:
                            stream.finish()
                        stream = self._stream(segment)
                    self._read(segment, stream, clock)
        except Late:
            self.complete = False
        if stream is not None:
            stream.finish()

    def _stream(self, segment: Segment) -> Stream:
        source = self.plan.sources[segment.source]
        if segment.format != "auto":
            source = replace(source, format=segment.format)
        return Stream(
            self.plan,
            source,
            segment.stream,
            self.answers,
            self.totals[segment.source],
            self.watch,
            newest=segment.newest,
            stamped=segment.stamped,
        )

    def _read(self, segment: Segment, stream: Stream, clock: Clock) -> None:
        totals = self.totals[segment.source]
        with self._portions(segment, clock, totals.note) as portions:
            try:
                last = stream.take_last if segment.whole else lambda line: stream.take(b"\n" + line + b"\n")
                lines_of(portions, stream.take, stream.take_cut, last, clock)
            except RunbookError as error:
                if segment.pod and isinstance(error, BadInput):
                    totals.lost.append(f"{segment.label} has no log: {error.why or error.message}")
                    totals.note(totals.lost[-1])
                else:
                    totals.note(f"{segment.label} could not be read: {error.message}")
                    totals.problem = totals.problem or error.message

    @contextmanager
    def _portions(self, segment: Segment, clock: Clock, note: t.Callable[[str], None]) -> t.Iterator[t.Iterable[bytes]]:
        if segment.pod:
            if self._clusters is None:
                from .pods import Clusters  # its package takes half a second to load

                self._clusters = Clusters(clock)
            yield self._clusters.portions(segment.pod)
            return
        if segment.argv:
            yield output(Command(segment.argv, place=Place(**segment.place), folder=segment.folder), clock, both=segment.both)
            return
        descriptor = os.open(segment.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if segment.packed == "gzip":
                yield without_first(gzipped(descriptor, segment.name, note), segment.skip)
            elif segment.packed == "zstd":
                yield without_first(zstandard(descriptor, segment.name, clock, note), segment.skip)
            else:
                beginning = segment.beginning.encode("latin-1")
                yield plain(descriptor, segment.begin, segment.end, beginning, lambda: copy_of(segment.name, beginning, segment.end), note)
        finally:
            os.close(descriptor)
