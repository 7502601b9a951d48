# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Lines themselves, out of blocks whose lines were only counted: the last ones of a question, and those of the highest numbers.

Of the last lines only the very last count, so a block waits until it is sure that no later one has enough of them.
"""

from __future__ import annotations

import re
import typing as t
from collections import deque

from .answers import KEPT_CHARACTERS, Answer
from .records import Record

if t.TYPE_CHECKING:
    from .stream import Stream


class Finds:
    """What a question found in a block.

    Attributes:
        block: The block.
        apart: Its lines that were read one by one.
        hits: How many lines of it may have to be kept.
        literals: Texts of which one at least is in each of those that fit a shape.
        own: Those that were read one by one.
        high: Texts of the numbers whose lines may have to be kept.
    """

    def __init__(self, block: bytes, apart: t.Set[bytes]) -> None:
        self.block, self.apart = block, apart
        self.hits = 0
        self.literals: t.Set[bytes] = set()
        self.own: t.Set[bytes] = set()
        self.high: t.Set[bytes] = set()

    def add(self, hits: int, literals: t.Set[bytes], high: t.Set[bytes]) -> None:
        """Add what was found among the lines of one shape."""
        self.hits += hits
        self.high |= high
        if hits:
            self.literals |= literals or {b""}

    def add_line(self, line: bytes) -> None:
        """Add a line that was read by itself."""
        self.hits += 1
        self.own.add(line)


class LateLines:
    """Keeps lines of a stream, as late as possible.

    Args:
        stream: The stream.
    """

    def __init__(self, stream: "Stream") -> None:
        self._stream = stream
        self._waiting: t.Dict[int, Finds] = {}

    def take(self, answer: Answer, finds: Finds) -> None:
        """Take what a question found in the newest block."""
        if finds.high:
            self._push_highest(answer, finds)
        if finds.hits:
            self._keep_later(answer, finds)

    def _keep_later(self, answer: Answer, finds: Finds) -> None:
        """Keep the last lines of a block, as late as possible: a later block with enough of them makes these superfluous."""
        stream = self._stream
        if not answer.has_begun(stream.number):
            for record in self._lines_of(answer, finds, finds.block.split(b"\n")):
                answer.begin(stream.number, record.time)
                break
        if finds.hits >= max(1, answer.question.lines):
            answer.of_stream(stream.number).clear()
        else:
            self._settle(answer)
        self._waiting[id(answer)] = finds

    def _settle(self, answer: Answer) -> None:
        finds = self._waiting.pop(id(answer), None)
        if finds is None:
            return
        found: t.Deque[Record] = deque()
        for record in self._lines_of(answer, finds, reversed(finds.block.split(b"\n"))):
            found.appendleft(record)
            if len(found) >= max(1, answer.question.lines):
                break
        for record in found:
            answer.keep(record, record.time, self._stream.number, self._stream.source.name)

    def _lines_of(self, answer: Answer, finds: Finds, lines: t.Iterable[bytes]) -> t.Iterator[Record]:
        """The records of the lines that the question selects and keeps."""
        marks = any_of(finds.literals)
        every = b"" in finds.literals
        for line in lines:
            if every or line in finds.own or (marks is not None and marks.search(line)):
                record = self._stream.reader.read(line)
                if record is not None and answer.selects(record) and answer.told(record)[0]:
                    yield record

    def _push_highest(self, answer: Answer, finds: Finds) -> None:
        """Keep the lines of a block's highest numbers; those that were read one by one have been looked at."""
        marks = any_of(finds.high)
        block = finds.block
        position = 0
        while marks is not None:
            match = marks.search(block, position)
            if match is None:
                return
            begin, end = block.rfind(b"\n", 0, match.start()) + 1, block.find(b"\n", match.end())
            line = block[begin:end]
            position = end + 1
            record = self._stream.reader.read(line) if line not in finds.apart else None
            number = record.number(answer.question.number) if record is not None else None
            if record is not None and number is not None and answer.selects(record):
                answer.push(number, (record.time, self._stream.source.name, record.text[:KEPT_CHARACTERS], None))

    def settle(self) -> None:
        """Keep the lines that wait, so that what follows comes after them."""
        for answer in self._stream.answers:
            self._settle(answer)


def any_of(literals: t.Iterable[bytes]) -> "t.Optional[t.Pattern[bytes]]":
    """A pattern that finds any of the texts; None when there are none, or when one is empty."""
    texts = sorted(set(literals))
    return None if not texts or b"" in texts else re.compile(b"|".join(map(re.escape, texts)))
