# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The answers as JSON values for people and programs: no secret, nothing endless."""

from __future__ import annotations

import typing as t

from .answers import Answer, Kept, Totals
from .model import Source
from .scan import Outcome
from .shown import Shown
from .times import iso

_SERIES = 2000


def result_of(answer: Answer, lines_in_window: int, shown: Shown) -> t.Dict[str, t.Any]:
    """What a question's entry in the result is."""
    question = answer.question
    kept = answer.last_lines() if answer.wants_lines else []
    result: t.Dict[str, t.Any] = {
        "name": question.name,
        "problem": answer.problem,
        "count": answer.count,
        "share": answer.count / lines_in_window if lines_in_window else None,
    }
    if answer.wants_lines:
        times = [line[0] for line in kept if line[0] is not None]
        result["first"], result["last"] = iso(answer.first), iso(max(times)) if times else None
    if question.lines:
        result["lines"] = [_line(line, shown) for line in kept]
    if question.group_by or question.per:
        result.update(_groups(answer, shown))
    if question.every_s:
        result["series"] = series_of(answer)
    if question.number:
        numbers = answer.numbers.result(question.percentiles)
        highest = sorted(answer.highest, key=lambda entry: (-entry[0], -entry[1]))
        result["numbers"] = {**numbers, "highest": [{"value": number, **_line(line, shown)} for number, _order, line in highest]}
    if question.distinct:
        result["distinct"], result["distinct_error"] = answer.distinct.count()
    if question.last_value:
        result["value"] = shown.value(kept[-1][3], question.last_value) if kept else None
        result["last_values"] = [{"at": iso(line[0]), "value": shown.value(line[3], question.last_value)} for line in kept]
    return result


def _line(line: Kept, shown: Shown) -> t.Dict[str, t.Any]:
    when, source, text, _value = line
    return {"at": iso(when), "source": source, "text": shown.line(text)}


def _groups(answer: Answer, shown: Shown) -> t.Dict[str, t.Any]:
    question = answer.question
    names = ([question.per] if question.per else []) + list(question.group_by)
    counts = answer.groups.counts

    def order(item: t.Tuple[t.Tuple[t.Optional[str], ...], int]) -> t.Tuple[t.Any, ...]:
        group, lines = item
        # By period in the order of time, within it and otherwise the largest first.
        return (group[0] or "" if question.per else "", -lines, tuple(value or "" for value in group))

    rows = sorted(counts.items(), key=order)
    rows = _top_of_each(rows, question.top) if question.per else rows[: question.top]
    return {
        "groups": [{**{name: shown.value(value, name) for name, value in zip(names, group)}, "count": lines} for group, lines in rows],
        "groups_all": len(counts),
        "groups_others": answer.groups.others,
    }


def _top_of_each(
    rows: t.List[t.Tuple[t.Tuple[t.Optional[str], ...], int]], top: int
) -> t.List[t.Tuple[t.Tuple[t.Optional[str], ...], int]]:
    """The largest groups of each period."""
    taken: t.Dict[t.Optional[str], int] = {}
    found = []
    for group, lines in rows:
        taken[group[0]] = taken.get(group[0], 0) + 1
        if taken[group[0]] <= top:
            found.append((group, lines))
    return found[-_SERIES:]


def series_of(answer: Answer) -> t.List[t.Dict[str, t.Any]]:
    """Counts by period, oldest first, periods without a line included between them where they are few."""
    every = answer.question.every_s
    counts = {int(group[0] or 0): lines for group, lines in answer.series.counts.items()}
    if not counts:
        return []
    begin, end = min(counts), max(counts)
    periods = range(begin, end + every, every) if (end - begin) // every < _SERIES else sorted(counts)[-_SERIES:]
    return [{"at": iso(float(period)), "count": counts.get(period, 0), "per_second": counts.get(period, 0) / every} for period in periods]


def result_of_log(source: Source, totals: Totals, shown: Shown) -> t.Dict[str, t.Any]:
    """What a log's entry in the result is."""
    return {
        "name": source.name,
        "title": source.title or source.name,
        **{name: getattr(totals, name) for name in Totals.NUMBERS},
        "errors": totals.errors,
        "levels": dict(sorted(totals.levels.items(), key=lambda item: -item[1])[:50]),
        "first": iso(totals.first),
        "last": iso(totals.last),
        "problem": shown.line(totals.problem),
        "notes": [shown.line(note) for note in totals.notes],
    }


def lines_asked(answer: Answer, outcome: Outcome) -> int:
    """Lines in the window of the logs that a question is put to."""
    wanted = answer.question.sources
    plan = zip(outcome.sources, outcome.totals)
    return sum(totals.lines for source, totals in plan if not wanted or source.name in wanted)
