# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Lines of one log, in order, put to all questions."""

from __future__ import annotations

import typing as t
from dataclasses import replace

from .answers import KEPT_CHARACTERS, Answer, Totals
from .blocks_json import JsonBlocks
from .model import Plan, Source
from .records import Record
from .search import TooSlow, Watch
from .wrappers import format_of, reader_for

_NO_LEVEL = "NONE"


class Stream:
    """Reads the blocks of one stream: a log's files in order, or the output of one container.

    Args:
        plan: The scan.
        source: The log.
        number: The stream's number; of lines of the same time those of lower numbers come first.
        answers: The answers to all questions.
        totals: What is known about the log.
        watch: Ends searches that take too long.
        newest: Time about which it was written last.
        stamped: Whether the container engine put a time before each line.
    """

    def __init__(
        self,
        plan: Plan,
        source: Source,
        number: int,
        answers: t.Sequence[Answer],
        totals: Totals,
        watch: Watch,
        *,
        newest: t.Optional[float] = None,
        stamped: bool = False,
    ) -> None:
        self.plan, self.source, self.number, self.totals = plan, source, number, totals
        self.answers = [answer for answer in answers if answer.wants(source.name)]
        self.needs_time = plan.has_window or any(answer.question.needs_time for answer in self.answers)
        self._watch, self._newest, self._stamped = watch, newest, stamped
        self._blocks: t.Optional[JsonBlocks] = None
        self._last_time: t.Optional[float] = None
        self._known = False

    def begin(self, beginning: bytes) -> None:
        """Learn how the log is written, from its first lines."""
        if self._known:
            return
        self._known = True
        source = self.source
        if source.format == "auto":
            source = replace(source, format=format_of(beginning, self._stamped))
        self.reader = reader_for(source, self._watch, newest=self._newest, stamped=self._stamped)
        if self.plan.fast and source.format == "json" and not self._stamped:
            self._blocks = JsonBlocks(self)

    def take(self, block: bytes) -> None:
        """Put a block to all questions: a line's end, then whole lines with their ends."""
        self.begin(block)
        self.totals.bytes_read += len(block) - 1
        if b"\r" in block:
            block = block.replace(b"\r\n", b"\n")
        if self._blocks is not None:
            if self._blocks.take(block):
                return
            self._blocks.settle()
        for line in block[1:-1].split(b"\n"):
            self.take_line(line)

    def take_last(self, line: bytes) -> None:
        """Put the last line, which has no end, to all questions, unless its writer has only begun with it."""
        self.begin(line)
        record = self.reader.read(line.rstrip(b"\r"))
        if record is not None and record.broken and line.lstrip(b"\0").startswith(b"{"):
            self.totals.note("the last line was not complete yet and is left out")
        elif line:
            self.take(b"\n" + line + b"\n")

    def take_cut(self, line: bytes, length: int) -> None:
        """Put the beginning of a line that is too long to be read whole to all questions."""
        self.begin(line)
        self.totals.bytes_read += length
        if self._blocks is not None:
            self._blocks.settle()
        self.take_line(line, cut=True)

    def take_line(self, line: bytes, *, cut: bool = False) -> None:
        """Put one line to all questions; `cut` says that it is longer than this."""
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError:
            text = line.decode("utf-8", "replace")
            self.totals.not_utf8 += 1
        record = self.reader.read_text(text)
        if record is None:
            return
        if cut:
            self.totals.cut += 1
            record.broken = False
        when = self.time_of(record)
        if not self.plan.within(when):
            self.totals.untimed += when is None
            return
        self.count(record)
        self.totals.see(record.time)
        for answer in self.answers:
            if not answer.problem and answer.question.within(when) and answer.selects(record):
                answer.add(record, when, self.number, self.source.name)
                if answer.wants_lines:
                    answer.keep(record, when, self.number, self.source.name)

    def time_of(self, record: Record) -> t.Optional[float]:
        """The time with which a line counts: its own, else, where times matter, that of the line before it."""
        if record.time is not None:
            self._last_time = record.time
        elif self.needs_time:
            return self._last_time
        return record.time

    def remember(self, when: t.Optional[float]) -> None:
        """Take note of the time of the last line of a block."""
        self._last_time = when if when is not None else self._last_time

    def count(self, record: Record) -> None:
        """Count a line in the log's totals."""
        self.totals.lines += 1
        self.totals.broken += record.broken
        self.totals.levels[record.level or _NO_LEVEL] += 1

    def count_level(self, level: t.Optional[str], lines: int) -> None:
        """Count lines of a level in the log's totals."""
        self.totals.levels[level or _NO_LEVEL] += lines

    def search(self, answer: Answer, block: str) -> None:
        """Put a block of lines that all count to a question with a pattern."""
        question = answer.question
        only_counts = not (question.levels or question.where or question.group_by or question.number or question.distinct)
        only_counts = only_counts and not (question.last_value or self.needs_time)
        try:
            for line in answer.search.lines(block) if answer.search is not None else ():
                if not line or line.isspace():
                    continue
                if only_counts and answer.has_begun(self.number):
                    answer.count += 1
                    answer.of_stream(self.number).append((None, self.source.name, line[:KEPT_CHARACTERS], _UNREAD))
                    continue
                record = self.reader.read_text(line)
                if record is not None and answer.selects(record, searched=True):
                    when = record.time
                    answer.add(record, when, self.number, self.source.name)
                    answer.keep(record, when, self.number, self.source.name)
        except TooSlow:
            answer.give_up(block)

    def finish(self) -> None:
        """Bring everything into the answers."""
        if self._blocks is not None:
            self._blocks.settle()
            self._blocks.flush()
        for answer in self.answers:
            lines = answer.kept.get(self.number)
            if lines is not None and any(line[3] is _UNREAD for line in lines):
                read = [(self._own_time(line[2]), *line[1:3], None) if line[3] is _UNREAD else line for line in lines]
                lines.clear()
                lines.extend(t.cast("t.Any", read))
        for name in sorted(self.reader.too_slow) if self._known else ():
            self.totals.note(f"the regular expression of the field {name} takes too long and was given up")

    def _own_time(self, text: str) -> t.Optional[float]:
        record = self.reader.read_text(text)
        return record.time if record is not None else None


_UNREAD = object()
"""In place of a line's value: its time is still to be read."""
