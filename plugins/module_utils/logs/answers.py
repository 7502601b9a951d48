# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What has been found out so far about each question and each log; can be merged with what another process found out."""

from __future__ import annotations

import datetime
import heapq
import typing as t
from collections import Counter, deque

from .levels import ERROR_LEVELS
from .model import PERIODS_S, SOURCE, Plan, Question
from .records import Record
from .search import LineSearch, TooSlow, Watch
from .tallies import Distinct, Groups, Numbers, Pairs

KEPT_CHARACTERS = 20000
"""Of a line that is kept; more is never shown."""
_PERIOD_FORMS = {"minute": "%Y-%m-%dT%H:%MZ", "hour": "%Y-%m-%dT%HZ", "day": "%Y-%m-%d"}

Kept = t.Tuple[t.Optional[float], str, str, t.Any]
"""A line that is kept: its time, its log's name, its text, and the value of the field that the question tells."""


def period_of(when: float, per: str) -> str:
    """The period in UTC to which a time belongs."""
    begin = when // PERIODS_S[per] * PERIODS_S[per]
    return datetime.datetime.fromtimestamp(begin, datetime.timezone.utc).strftime(_PERIOD_FORMS[per])


class Answer:
    """What is known about one question.

    Attributes:
        question: The question.
        search: Finds the lines of its pattern; None without one.
        problem: Why it cannot be answered; empty when it can.
        count: Number of its lines.
        first: Time of the first of them, where lines, a last value or a pattern are asked for.
    """

    def __init__(self, question: Question, watch: Watch, numbers_kept: int) -> None:
        self.question = question
        self.search = LineSearch(question.pattern, question.ignore_case, watch) if question.pattern else None
        self.problem = ""
        self.count = 0
        self.first: t.Optional[float] = None
        self.groups = Groups()
        self.series = Groups()
        self.numbers = Numbers(numbers_kept, question.above)
        self.distinct = Distinct()
        self.highest: t.List[t.Tuple[float, int, Kept]] = []
        self.kept: t.Dict[int, t.Deque[Kept]] = {}
        self._pushed = 0
        self._begun: t.Set[int] = set()

    @property
    def wants_lines(self) -> bool:
        """Whether lines are kept, be it for their times only."""
        return self.question.keeps_lines or self.search is not None

    def wants(self, source: str) -> bool:
        """Whether the question is put to this log, and can be answered."""
        return not self.problem and (not self.question.sources or source in self.question.sources)

    def selects(self, record: Record, *, searched: bool = False) -> bool:
        """Whether the question is about this line; `searched` says that its pattern was found in it."""
        question = self.question
        if question.levels and record.level not in question.levels:
            return False
        if self.search is not None and not searched and not self.found_in(record.text):
            return False
        return all(record.scalar(name) in values for name, values in question.where)

    def found_in(self, text: str) -> bool:
        """Whether the pattern is found in a line; one that takes too long is given up for good."""
        try:
            return self.search is not None and not self.problem and self.search.found_in(text)
        except TooSlow:
            self.give_up(text)
            return False

    def give_up(self, text: str) -> None:
        """The pattern is too slow for this line."""
        self.problem = (
            f"the regular expression takes too long on a line of {len(text)} characters and was given up; "
            "write it without repetitions within repetitions"
        )

    def add(self, record: Record, when: t.Optional[float], stream: int, source: str) -> None:
        """Count a line that the question selects; lines are kept by `keep` or by the caller."""
        question = self.question
        self.count += 1
        if question.group_by or question.per:
            self._add_group(record, when, source)
        if question.every_s and when is not None:
            self.series.add((str(int(when // question.every_s * question.every_s)),))
        if question.distinct:
            value = record.scalar(question.distinct)
            if value is not None:
                self.distinct.add((value,))
        if question.number:
            number = record.number(question.number)
            if number is not None:
                self.numbers.extend((number,))
                self.push(number, (when, source, record.text[:KEPT_CHARACTERS], None))

    def _add_group(self, record: Record, when: t.Optional[float], source: str) -> None:
        question = self.question
        group = tuple(source if name == SOURCE else record.scalar(name) for name in question.group_by)
        if question.per:
            group = (period_of(when, question.per) if when is not None else None, *group)
        self.groups.add(group)

    def told(self, record: Record) -> t.Tuple[bool, t.Any]:
        """Whether the line has the field whose last value is told (true without one), and its value."""
        name = self.question.last_value
        if not name:
            return True, None
        value = record.value(name)
        return value is not None, value

    def keep(self, record: Record, when: t.Optional[float], stream: int, source: str) -> None:
        """Keep a line that the question selects, if it wants lines."""
        has, value = self.told(record)
        if has:
            self.keep_text((when, source, record.text[:KEPT_CHARACTERS], value), stream)

    def keep_text(self, line: Kept, stream: int) -> None:
        """The same for a line of which no more is to be known."""
        self.begin(stream, line[0])
        self.of_stream(stream).append(line)

    def begin(self, stream: int, when: t.Optional[float]) -> None:
        """Take note of the time of a stream's first line."""
        if stream not in self._begun:
            self._begun.add(stream)
            self._see_first(when)

    def has_begun(self, stream: int) -> bool:
        """Whether the time of the stream's first line is known."""
        return stream in self._begun

    def _see_first(self, when: t.Optional[float]) -> None:
        if when is not None and (self.first is None or when < self.first):
            self.first = when

    def of_stream(self, stream: int) -> "t.Deque[Kept]":
        """The last lines of one stream, in its order."""
        lines = self.kept.get(stream)
        if lines is None:
            if len(self.kept) > 16:
                self._fold()
            lines = self.kept[stream] = deque(maxlen=max(1, self.question.lines))
        return lines

    def _fold(self) -> None:
        """Bring many streams' lines together: no more lines than asked for stay."""
        together = self.last_lines()
        self.kept = {-1: deque(together, maxlen=max(1, self.question.lines))}

    def last_lines(self) -> t.List[Kept]:
        """The last lines of all streams by their times; lines of one stream stay in its order."""
        lines = [line for stream in sorted(self.kept) for line in self.kept[stream]]
        if len(self.kept) > 1:
            lines.sort(key=lambda line: line[0] if line[0] is not None else float("-inf"))
        return lines[-max(1, self.question.lines) :]

    @property
    def threshold(self) -> float:
        """What a number must be above to be among the highest."""
        if self.question.top == 0:
            return float("inf")
        return self.highest[0][0] if len(self.highest) >= self.question.top else float("-inf")

    def push(self, number: float, line: Kept) -> None:
        """Keep the line of a number if that is among the highest."""
        if number > self.threshold:
            self._pushed += 1
            entry = (number, -self._pushed, line)
            if len(self.highest) >= self.question.top:
                heapq.heapreplace(self.highest, entry)
            else:
                heapq.heappush(self.highest, entry)

    def dump(self) -> t.Dict[str, t.Any]:
        """What another process needs to merge it, as JSON values."""
        return {
            "problem": self.problem, "count": self.count, "first": self.first, "groups": self.groups.dump(),
            "series": self.series.dump(), "numbers": self.numbers.dump(), "distinct": self.distinct.dump(),
            "highest": [[number, list(line)] for number, _order, line in sorted(self.highest, reverse=True)],
            "kept": [[stream, [list(line) for line in lines]] for stream, lines in self.kept.items()],
        }  # fmt: skip

    def merge(self, other: t.Mapping[str, t.Any], pick: t.Callable[[t.List[int]], Pairs]) -> None:
        """Add what `dump` gave of a later part of the logs."""
        self.problem = self.problem or other["problem"]
        self.count += other["count"]
        self._see_first(other["first"])
        self.groups.merge(other["groups"])
        self.series.merge(other["series"])
        self.numbers.merge(other["numbers"], pick)
        self.distinct.merge(other["distinct"])
        for number, line in other["highest"]:
            self.push(number, t.cast(Kept, tuple(line)))
        for stream, lines in other["kept"]:
            self.of_stream(stream).extend(t.cast(Kept, tuple(line)) for line in lines)


class Totals:
    """What is known about one log as a whole.

    Attributes:
        lines: Lines in the window.
        bytes_read: Bytes read, unpacked.
        broken: Lines that should be JSON and are not.
        not_utf8: Lines that are no UTF-8.
        cut: Lines that are longer than is read of one.
        untimed: Lines left out because their time is not known.
        levels: Lines by level.
        first: Time of the first line in the window.
        last: Time of the last one.
        notes: What a reader must know about what was read.
        problem: Why it could not be read, or not to its end; empty when it could.
        lost: Why containers of pods have no log, such as one that waits for its image: one message each.
    """

    NUMBERS = ("lines", "bytes_read", "broken", "not_utf8", "cut", "untimed")

    def __init__(self) -> None:
        self.lines = self.bytes_read = self.broken = self.not_utf8 = self.cut = self.untimed = 0
        self.levels: t.Counter[str] = Counter()
        self.first: t.Optional[float] = None
        self.last: t.Optional[float] = None
        self.notes: t.List[str] = []
        self.problem = ""
        self.lost: t.List[str] = []

    def see(self, when: t.Optional[float]) -> None:
        """Take note of a line's time."""
        if when is not None:
            self.first = when if self.first is None else min(self.first, when)
            self.last = when if self.last is None else max(self.last, when)

    def note(self, text: str) -> None:
        """Take note of something, once."""
        if text not in self.notes and len(self.notes) < 20:
            self.notes.append(text)

    @property
    def errors(self) -> int:
        """Lines of the levels that mean an error."""
        return sum(self.levels[level] for level in ERROR_LEVELS)

    def dump(self) -> t.Dict[str, t.Any]:
        """What another process needs to merge it, as JSON values."""
        return {
            **{name: getattr(self, name) for name in self.NUMBERS},
            "levels": dict(self.levels), "first": self.first, "last": self.last, "notes": self.notes,
            "problem": self.problem, "lost": self.lost,
        }  # fmt: skip

    def merge(self, other: t.Mapping[str, t.Any]) -> None:
        """Add what `dump` gave."""
        for name in self.NUMBERS:
            setattr(self, name, getattr(self, name) + other[name])
        self.levels.update(other["levels"])
        self.see(other["first"])
        self.see(other["last"])
        self.problem = self.problem or other["problem"]
        self.lost += other["lost"]
        for text in other["notes"]:
            self.note(text)


def answers_of(plan: Plan, watch: Watch) -> t.List[Answer]:
    """An empty answer for each question."""
    share = plan.numbers_kept // max(1, sum(1 for question in plan.questions if question.number))
    return [Answer(question, watch, share) for question in plan.questions]
