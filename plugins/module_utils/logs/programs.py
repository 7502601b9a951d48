# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""A question put to many lines of one shape at once: from columns of raw values to the answer, with as little work a line as can be."""

from __future__ import annotations

import typing as t
from array import array
from collections import Counter
from itertools import compress, repeat

from .answers import Answer, period_of
from .columns import NO_COLUMN, RAW_GROUPS, Columns, Memo, NumberTexts, Raw, Unfit, column_of, value_of
from .levels import level_of
from .model import LEVEL, SOURCE, Source
from .options import scalar_text
from .records import number_of
from .shapes import FRACTION, INTEGER, Shape
from .times import TimeReader


class LevelColumn:
    """The column of the level in one shape.

    Raises:
        Unfit: Which column it is depends on the line.
    """

    def __init__(self, shape: Shape, source: Source) -> None:
        self.column, _is_object = column_of(shape, source, LEVEL)
        self._fixed = shape.fixed
        self.level = Memo(lambda raw: level_of(value_of(shape, self.column, raw)))

    def counts(self, columns: Columns, lines: int) -> t.Counter[Raw]:
        """Lines of a block by the raw text of their level."""
        if not self.column or self.column in self._fixed:
            return Counter({self._fixed.get(self.column): lines})
        return Counter(columns[self.column])


class Field(t.NamedTuple):
    """A field of a question in one shape.

    Attributes:
        column: Its column; empty when the shape has none, None when it is the log's name.
        text: The text by which a raw value is compared and counted.
    """

    column: t.Optional[str]
    text: t.Callable[[Raw], t.Optional[str]]


def _is_one_of(field: Field, values: t.FrozenSet[str]) -> t.Callable[[Raw], bool]:
    return lambda raw: field.text(raw) in values


class Program:
    """A question without a pattern, ready for one shape.

    Args:
        answer: Where the answer is gathered.
        shape: The shape of the lines.
        level: The column of the level in it.
        source: The log.
        times: Reads the log's times.
        texts: Counts the question's numbers, in whichever shape they come.

    Raises:
        Unfit: The question cannot be put to lines of this shape at once.
    """

    def __init__(self, answer: Answer, shape: Shape, level: LevelColumn, source: Source, times: TimeReader, texts: NumberTexts) -> None:
        question = answer.question
        self.answer = answer
        self._shape, self._level, self._source, self._times = shape, level, source, times
        self._where = [(self._field(name), values) for name, values in question.where]
        self._allowed = [Memo(_is_one_of(field, values)) for field, values in self._where]
        self._groups = [Field(None, lambda _raw: source.name) if name == SOURCE else self._field(name) for name in question.group_by]
        self._distinct = self._field(question.distinct) if question.distinct else Field(NO_COLUMN, lambda _raw: None)
        if LEVEL in (question.number, question.last_value):
            raise Unfit
        self._number = column_of(shape, source, question.number)[0] if question.number else NO_COLUMN
        self._told, self._told_object = column_of(shape, source, question.last_value) if question.last_value else (NO_COLUMN, False)
        # What is a number by its kind is finite, and read alike in bytes and in a JSON document.
        self._plain_number = shape.kinds.get(self._number, {""}) <= {INTEGER, FRACTION}
        if question.needs_time and not shape.time:
            raise Unfit
        self._raw_groups: t.Counter[t.Any] = Counter()
        self._raw_series: t.Counter[Raw] = Counter()
        self._raw_distinct: t.Set[Raw] = set()
        self._texts = texts

    def _field(self, name: str) -> Field:
        if name == LEVEL:
            return Field(self._level.column, self._level.level.__getitem__)
        column = column_of(self._shape, self._source, name)[0]
        return Field(column, lambda raw: scalar_text(value_of(self._shape, column, raw)) if column else None)

    def take(self, columns: Columns, lines: int, levels: t.Counter[Raw]) -> t.Tuple[int, t.Set[bytes], t.Set[bytes]]:
        """Count the lines of a block that the question selects.

        Returns: How many of them may have to be kept; texts of which one at least is in each of those; the raw numbers among them
        that are high enough for their lines to be kept.
        """
        literals: t.Set[bytes] = set()
        mask = self._mask(columns, levels, lines, literals)
        if mask is False:
            return 0, literals, set()
        chosen = None if mask is True else mask
        count = lines if chosen is None else sum(chosen)
        if not count:
            return 0, literals, set()
        self.answer.count += count
        question = self.answer.question
        if question.group_by or question.per:
            self._take_groups(columns, chosen, lines)
        if question.every_s:
            length = 16 if question.every_s % 60 == 0 else 19
            self._raw_series.update(text[:length] for text in _chosen(columns[self._shape.time], chosen))
        if self._distinct.column:
            self._raw_distinct.update(_chosen(columns[self._distinct.column], chosen))
        high = self._take_numbers(columns, chosen) if self._number else set()
        if max(len(self._raw_groups), len(self._raw_series), len(self._raw_distinct)) > RAW_GROUPS:
            self.flush()
        return self._kept(columns, chosen, count, literals), literals, high

    def _mask(self, columns: Columns, levels: t.Counter[Raw], lines: int, literals: t.Set[bytes]) -> t.Union[bool, t.List[bool]]:
        """Which lines are selected: all (True), none (False), or some."""
        mask: t.Union[bool, t.List[bool]] = True
        wanted = self.answer.question.levels
        if wanted:
            raws = {raw for raw in levels if self._level.level[raw] in wanted}
            if not raws:
                return False
            literals.update(raw for raw in raws if raw is not None)
            if sum(levels[raw] for raw in raws) < lines:
                mask = list(map(raws.__contains__, columns[self._level.column]))
        for (field, _values), allowed in zip(self._where, self._allowed):
            column = field.column
            if not column:
                return False
            fits = list(map(allowed.__getitem__, columns[column]))
            if not literals:
                literals.update(raw for raw in set(compress(columns[column], fits)) if raw is not None)
            mask = fits if mask is True else [a and b for a, b in zip(t.cast("t.List[bool]", mask), fits)]
        return mask

    def _take_groups(self, columns: Columns, chosen: t.Optional[t.List[bool]], lines: int) -> None:
        keys: t.List[t.Iterable[t.Any]] = [columns[field.column] if field.column else repeat(None, lines) for field in self._groups]
        if self.answer.question.per:
            keys.insert(0, (text[:16] for text in columns[self._shape.time]))
        self._raw_groups.update(_chosen(keys[0] if len(keys) == 1 else zip(*keys), chosen))

    def _take_numbers(self, columns: Columns, chosen: t.Optional[t.List[bool]]) -> t.Set[bytes]:
        """Count the numbers; the raw texts of those that are high enough for their lines to be kept."""
        raws: t.Iterable[t.Any] = _chosen(columns[self._number], chosen)
        threshold, top = self.answer.threshold, self.answer.question.top
        if self._plain_number and not self._texts.seldom_repeated:
            high = self._texts.take(raws, threshold)
            if self._texts.full:
                self._flush_numbers()
        elif self._plain_number:
            raws = list(raws)
            numbers = array("d", map(float, raws))
            self.answer.numbers.extend_array(numbers)
            high = (
                {raw: number for number, raw in zip(numbers, raws) if number > threshold}
                if len(numbers) and max(numbers) > threshold
                else {}
            )
        else:
            raws = [raw for raw in raws if raw is not None]
            values = [(number_of(value_of(self._shape, self._number, raw)), raw) for raw in raws]
            pairs = [(number, raw) for number, raw in values if number is not None]
            self.answer.numbers.extend(number for number, _raw in pairs)
            high = {raw: number for number, raw in pairs if number > threshold}
        # No more than `top` of a block can be among the highest.
        return set(sorted(high, key=lambda raw: -high[raw])[:top])

    def _flush_numbers(self) -> None:
        self.answer.numbers.add_counted(self._texts.empty())

    def _kept(self, columns: Columns, chosen: t.Optional[t.List[bool]], count: int, literals: t.Set[bytes]) -> int:
        """How many lines of the block may have to be kept."""
        question = self.answer.question
        if not question.last_value:
            return count if question.lines else 0
        if self._told_object:
            literals.clear()
            return count
        if not self._told:
            return 0
        place = self._shape.outline.names.index(self._told)
        literals.clear()
        literals.add(self._shape.outline.parts[place])
        null = None if self._told in self._shape.texts else b"null"
        return sum(raw is not None and raw != null for raw in _chosen(columns[self._told], chosen))

    def flush(self) -> None:
        """Bring what was counted by raw texts into the answer."""
        self._flush_numbers()
        groups, self._raw_groups = self._raw_groups, Counter()
        single = len(self._groups) + bool(self.answer.question.per) == 1
        for key, lines in groups.items():
            parts = [key] if single else list(key)
            group: t.List[t.Optional[str]] = []
            if self.answer.question.per:
                group.append(self._period(parts.pop(0)))
            group += [field.text(raw) for field, raw in zip(self._groups, parts)]
            self.answer.groups.add(tuple(group), lines)
        series, self._raw_series = self._raw_series, Counter()
        every = self.answer.question.every_s
        for text, lines in series.items():
            when = self.time_of(text)
            if when is not None:
                self.answer.series.add((str(int(when // every * every)),), lines)
        distinct, self._raw_distinct = self._raw_distinct, set()
        values = map(self._distinct.text, distinct)
        self.answer.distinct.add(value for value in values if value is not None)

    def _period(self, minute: Raw) -> t.Optional[str]:
        when = self.time_of(minute)
        return None if when is None else period_of(when, self.answer.question.per)

    def time_of(self, text: Raw) -> t.Optional[float]:
        """The time that begins with `text`, which is cut at the minute or the second."""
        return shape_time(self._shape, self._times, text)


def shape_time(shape: Shape, times: TimeReader, text: Raw) -> t.Optional[float]:
    """The time that a text of the shape's form, cut at the minute or the second, means."""
    if text is None:
        return None
    form = shape.outline.forms[shape.outline.names.index(shape.time)]
    whole = text + (b":00" if len(text) == 16 else b"") + (form.zone if form is not None else b"")
    return times.text(whole.decode("ascii", "replace"))


def _chosen(values: t.Iterable[t.Any], mask: t.Optional[t.List[bool]]) -> t.Iterable[t.Any]:
    return values if mask is None else compress(values, mask)
