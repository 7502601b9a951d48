# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tests of the log library share: bytes in, answers out."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.sre.runbooks.plugins.module_utils.logs.answers import Totals, answers_of
from ansible_collections.sre.runbooks.plugins.module_utils.logs.options import plan_of
from ansible_collections.sre.runbooks.plugins.module_utils.logs.reading import Clock, lines_of
from ansible_collections.sre.runbooks.plugins.module_utils.logs.search import Watch
from ansible_collections.sre.runbooks.plugins.module_utils.logs.stream import Stream

NOW = 1763729000.0
"""2025-11-21T12:43:20Z."""

Answers = dict[str, dict[str, t.Any]]


def answers(
    data: bytes,
    questions: t.Sequence[t.Mapping[str, t.Any]],
    *,
    fast: bool = True,
    portion: int = 4096,
    source: t.Mapping[str, t.Any] | None = None,
    **options: t.Any,
) -> tuple[Answers, dict[str, t.Any]]:
    """Put questions to the bytes of a log; the answers by name, and what is known of the log.

    Args:
        data: The log.
        questions: As the module takes them.
        fast: Whether whole blocks may be read at once.
        portion: How many bytes are read at a time.
        source: Keys of the source besides its name and path.
        options: Other options of the module.
    """
    plan = plan_of({"sources": [{"name": "app", "path": ["x"], **(source or {})}], "questions": list(questions), **options}, NOW)
    plan = dataclasses.replace(plan, fast=fast)
    watch = Watch()
    found, totals = answers_of(plan, watch), Totals()
    stream = Stream(plan, plan.sources[0], 0, found, totals, watch, newest=NOW)
    portions = (data[place : place + portion] for place in range(0, len(data), portion))
    with watch.on():
        lines_of(portions, stream.take, stream.take_cut, stream.take_last, Clock(60))
        stream.finish()
    told: Answers = {}
    for answer in found:
        numbers = answer.numbers.result(answer.question.percentiles)
        numbers["mean"] = None if numbers["mean"] is None else round(numbers["mean"], 6)
        told[answer.question.name] = {
            "count": answer.count,
            "problem": answer.problem,
            "first": answer.first,
            "groups": dict(answer.groups.counts),
            "series": dict(answer.series.counts),
            "numbers": numbers,
            "highest": sorted((number for number, _order, _line in answer.highest), reverse=True),
            "distinct": answer.distinct.count(),
            "lines": [line[2] for line in answer.last_lines()] if answer.wants_lines else [],
            "times": [line[0] for line in answer.last_lines()] if answer.wants_lines else [],
            "values": [line[3] for line in answer.last_lines()] if answer.wants_lines else [],
        }
    return told, totals.dump()
