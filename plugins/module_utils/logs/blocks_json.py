# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Blocks of JSON lines at once: lines of known shapes by one regular expression, all others one by one, the answers the same.

Why they are the same: a line that fits a shape is valid JSON with just the shape's members (see `shapes`). Lines with a backslash are
taken out first. A match that ran across a line's end would make the number of lines come out wrong; then, and whenever an answer
depends on the order of lines in a way that columns do not tell, the block is read line by line. tests/unit/test_logs_fast.py holds
both ways against each other.
"""

from __future__ import annotations

import typing as t
from collections import Counter

from .answers import Answer
from .columns import NumberTexts, Raw, Unfit
from .late_lines import Finds, LateLines
from .model import LEVEL
from .programs import LevelColumn, Program, shape_time
from .records import Record
from .shapes import TEXT, Outline, Shape, outline_of

if t.TYPE_CHECKING:
    from .stream import Stream

_MOST_SHAPES = 12
_SAMPLE_LINES = 200
_USUAL = 0.5
_MANY_ESCAPED = 3
"""From so many lines with a backslash in a block on, these go through the shapes, too."""


class _Ready:
    """A shape with the programs of all questions."""

    def __init__(
        self,
        stream: "Stream",
        outline: Outline,
        wanted: t.Sequence[str],
        fixed: t.Mapping[str, bytes],
        texts: t.Mapping[int, NumberTexts],
    ) -> None:
        times = [name for name in stream.reader.source.time_fields if name in outline.names] if stream.needs_time else []
        self.shape = Shape(outline, wanted, times[0] if times and times[0] not in wanted else "", fixed)
        source = stream.reader.source
        if stream.needs_time and not self.shape.time:
            raise Unfit
        self.level = LevelColumn(self.shape, source)
        self.programs = [
            Program(answer, self.shape, self.level, source, stream.reader.times, texts[id(answer)])
            for answer in stream.answers
            if answer.search is None
        ]


class JsonBlocks:
    """Takes blocks of a stream of JSON lines.

    Args:
        stream: The stream.
    """

    def __init__(self, stream: "Stream") -> None:
        self._stream = stream
        names = [name for answer in stream.answers if answer.search is None for name in answer.question.fields]
        self._wanted = list(dict.fromkeys(other for name in (LEVEL, *names) for other in stream.reader.source.names_of(name)))
        self._outlines: t.Dict[t.Tuple[t.Any, ...], Outline] = {}
        self._levels: t.Dict[t.Tuple[t.Any, ...], t.Counter[t.Tuple[str, bytes]]] = {}
        self._ready: t.List[_Ready] = []
        self._ready_for_escaped: t.List[_Ready] = []
        self._texts = {id(answer): NumberTexts() for answer in stream.answers}
        self._learn_at = 1
        self._blocks = 0
        self._late = LateLines(stream)
        times = (stream.plan.since, stream.plan.until, *(answer.question.since for answer in stream.answers))
        self._bounds = [when for when in times if when is not None]

    def take(self, block: bytes) -> bool:
        """Put a block (see `Stream.take`) to all questions; False, and nothing is changed, when that must be done line by line."""
        if b"\0" in block:
            return False
        self._blocks += 1
        if not self._ready and self._blocks >= self._learn_at:
            self._learn(block.split(b"\n"))
        matched, rest = self._split(block)
        lines = sum(count for _ready, _columns, count in matched)
        if lines + len(rest) != block.count(b"\n") - 1:
            return False
        records = [(line, record) for line in rest for record in (self._stream.reader.read(line),) if record is not None]
        active = self._stream.answers
        if self._stream.needs_time and (matched or records):
            span = self._span(matched, records)
            if span is None or any(span[0] < bound <= span[1] for bound in self._bounds):
                return False
            if not self._stream.plan.within(span[0]):
                self._stream.remember(self._last_of(block))
                return True
            active = [answer for answer in active if answer.question.within(span[0])]
        self._count(block, matched, records, active)
        if len(rest) > lines // 8 and self._blocks >= self._learn_at:
            # Only now, as the shapes of this block's columns give way to new ones.
            self._learn(rest)
        return True

    def _learn(self, lines: t.Sequence[bytes]) -> None:
        """Learn shapes from lines, the most frequent first; the next time only after twice as many blocks."""
        self._learn_at = self._blocks * 2
        for line in lines[:: len(lines) // _SAMPLE_LINES + 1]:
            # What a shape says of a line is true only of valid ones.
            record = self._stream.reader.read(line) if line else None
            outline = outline_of(line) if record is not None and record.members is not None else None
            if outline is None:
                continue
            key = (outline.parts, outline.names)
            self._note_level(key, outline)
            if key in self._outlines:
                self._outlines[key].widen(outline)
            elif len(self._outlines) < 200:
                self._outlines[key] = outline
        self._flush_programs()
        self._ready = []
        most_frequent = sorted(self._outlines.items(), key=lambda item: -item[1].seen)[:_MOST_SHAPES]
        for key, outline in most_frequent:
            usual = self._usual_level(key, outline)
            try:
                if usual:
                    self._ready.append(_Ready(self._stream, outline, self._wanted, usual, self._texts))
                self._ready.append(_Ready(self._stream, outline, self._wanted, {}, self._texts))
            except Unfit:
                continue
        # A text with escapes is dear to match in vain: shapes that never had one come last.
        self._ready_for_escaped = sorted(self._ready, key=lambda ready: -ready.shape.outline.escaped)

    def _note_level(self, key: t.Tuple[t.Any, ...], outline: Outline) -> None:
        for name, sample in zip(outline.names, outline.samples):
            if name in self._stream.reader.source.level_fields:
                self._levels.setdefault(key, Counter())[(name, sample)] += 1

    def _usual_level(self, key: t.Tuple[t.Any, ...], outline: Outline) -> t.Dict[str, bytes]:
        """The level that most lines of an outline have: as part of the shape it needs neither be taken out nor counted."""
        for (name, sample), seen in self._levels.get(key, Counter()).most_common(1):
            if seen >= outline.seen * _USUAL and outline.kinds[outline.names.index(name)] == {TEXT} and b"\\" not in sample:
                return {name: sample[1:-1]}
        return {}

    def _split(self, block: bytes) -> t.Tuple[t.List[t.Tuple[_Ready, t.Dict[str, t.Sequence[Raw]], int]], t.List[bytes]]:
        """The lines of a block by shape, as columns, and those that fit none."""
        matched: t.List[t.Tuple[_Ready, t.Dict[str, t.Sequence[Raw]], int]] = []
        escaped = b""
        if b"\\" in block:
            block, escaped = _apart(block)
        for portion, is_escaped in ((block, False), (escaped, True)):
            left = portion
            if not is_escaped or portion.count(b"\n") > _MANY_ESCAPED:
                for ready in self._ready_for_escaped if is_escaped else self._ready:
                    if len(left) <= 1:
                        break
                    left = self._match(ready, left, is_escaped, matched)
            if is_escaped:
                escaped = left
            else:
                block = left
        rest = block[1:-1].split(b"\n") if len(block) > 1 else []
        return matched, rest + (escaped[1:-1].split(b"\n") if len(escaped) > 1 else [])

    @staticmethod
    def _match(ready: _Ready, block: bytes, escaped: bool, matched: t.List[t.Any]) -> bytes:
        """Take the lines of one shape out of a block; what is left."""
        shape = ready.shape
        pieces = (shape.escaped_pattern if escaped else shape.pattern).split(block)
        count = (len(pieces) - 1) // shape.width
        if not count:
            return block
        columns = {name: pieces[place + 1 :: shape.width] for name, place in shape.columns.items()}
        columns.update((name, [value] * count) for name, value in shape.fixed.items())
        matched.append((ready, columns, count))
        return b"".join(pieces[:: shape.width])

    def _span(self, matched: t.Sequence[t.Any], records: t.Sequence[t.Tuple[bytes, Record]]) -> t.Optional[t.Tuple[float, float]]:
        """Times between which all lines lie; None when one has none."""
        times = self._stream.reader.times
        lowest, highest = float("inf"), float("-inf")
        for ready, columns, _count in matched:
            column = columns[ready.shape.time]
            first, last = shape_time(ready.shape, times, min(column)), shape_time(ready.shape, times, max(column))
            if first is None or last is None:
                return None
            # Texts are compared up to the second.
            lowest, highest = min(lowest, first), max(highest, last + 1)
        for _line, record in records:
            if record.time is None:
                return None
            lowest, highest = min(lowest, record.time), max(highest, record.time)
        return lowest, highest

    def _count(
        self, block: bytes, matched: t.Sequence[t.Any], records: t.Sequence[t.Tuple[bytes, Record]], active: t.Sequence[Answer]
    ) -> None:
        """Put the lines of a block, taken apart, to the questions in `active`."""
        stream = self._stream
        finds = {id(answer): Finds(block, {line for line, _record in records}) for answer in active if answer.search is None}
        for ready, columns, count in matched:
            levels = ready.level.counts(columns, count)
            stream.totals.lines += count
            for raw, lines in levels.items():
                stream.count_level(ready.level.level[raw], lines)
            for program in ready.programs:
                found = finds.get(id(program.answer))
                if found is not None:
                    found.add(*program.take(columns, count, levels))
        for line, record in records:
            stream.count(record)
            for answer in active:
                if answer.search is None and answer.selects(record):
                    answer.add(record, record.time, stream.number, stream.source.name)
                    if answer.wants_lines and answer.told(record)[0]:
                        finds[id(answer)].add_line(line)
        self._see_ends(block)
        text = ""
        for answer in active:
            if answer.search is None:
                self._late.take(answer, finds[id(answer)])
            elif not answer.problem:
                text = text or block.decode("utf-8", "replace")
                stream.search(answer, text)

    def _see_ends(self, block: bytes) -> None:
        """Note the times of the block's ends, and lines that are not UTF-8."""
        stream = self._stream
        stream.totals.see(self._time_of_line(block, block.find(b"\n", 1)))
        last = self._last_of(block)
        stream.totals.see(last)
        stream.remember(last)
        if not block.isascii():
            try:
                block.decode("utf-8")
            except UnicodeDecodeError:
                stream.totals.not_utf8 += sum(not _is_utf8(line) for line in block.split(b"\n"))

    def _time_of_line(self, block: bytes, end: int) -> t.Optional[float]:
        record = self._stream.reader.read(block[block.rfind(b"\n", 0, end) + 1 : end])
        return record.time if record is not None else None

    def _last_of(self, block: bytes) -> t.Optional[float]:
        """The time of the last line; one that is empty counts for nothing."""
        end = len(block) - 1
        while end > 0:
            begin = block.rfind(b"\n", 0, end)
            record = self._stream.reader.read(block[begin + 1 : end])
            if record is not None:
                return record.time
            end = begin
        return None

    def settle(self) -> None:
        """Keep the lines that wait to be read, so that what follows comes after them."""
        self._late.settle()

    def flush(self) -> None:
        """Bring everything that was counted by raw texts into the answers."""
        self._flush_programs()

    def _flush_programs(self) -> None:
        for ready in self._ready:
            for program in ready.programs:
                program.flush()


def _apart(block: bytes) -> t.Tuple[bytes, bytes]:
    """The lines of a block without a backslash, and those with one; both begin and end with a line's end."""
    without: t.List[bytes] = []
    with_: t.List[bytes] = [b"\n"]
    begin, place = 0, block.find(b"\\")
    while place >= 0:
        start, end = block.rfind(b"\n", 0, place), block.find(b"\n", place)
        without.append(block[begin:start])
        with_.append(block[start + 1 : end + 1])
        begin, place = end, block.find(b"\\", end)
    without.append(block[begin:])
    return b"".join(without), b"".join(with_)


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
