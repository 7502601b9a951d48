# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""One number from logs, for metrics of type `log`; the package's docstring tells how to use it."""

from __future__ import annotations

import time
import typing as t
from dataclasses import dataclass, field

from ..errors import BadInput, RunbookError
from .options import plan_of
from .records import number_of
from .results import lines_asked
from .scan import Outcome, run
from .shown import Shown

_OF_VALUES = ("percentile", "mean", "maximum", "minimum", "above", "last", "distinct")
MEASURES = ("share", "count", "per_second", *_OF_VALUES)
SPEC: t.Dict[str, t.Dict[str, t.Any]] = {
    "source": {"type": "raw"},
    "measure": {"type": "str", "required": True, "choices": list(MEASURES)},
    "levels": {"type": "list", "elements": "str"},
    "pattern": {"type": "str"},
    "ignore_case": {"type": "bool", "default": False},
    "where": {"type": "dict"},
    "of_levels": {"type": "list", "elements": "str"},
    "of_pattern": {"type": "str"},
    "of_where": {"type": "dict"},
    "field": {"type": "str"},
    "percentile": {"type": "float", "default": 95.0},
    "limit": {"type": "float"},
}
"""The metric's own keys, in the words of an Ansible argument spec."""
_MEASURED, _WHOLE = "measured", "whole"


@dataclass(frozen=True)
class Measurement:
    """A number, or why there is none.

    Attributes:
        value: The number; None when it cannot be told.
        samples: How many lines or values it stands on.
        reason: Why there is none; empty when there is one.
        observed: What a reader wants to see beside it (JSON types, redacted).
    """

    value: t.Optional[float]
    samples: int = 0
    reason: str = ""
    observed: t.Dict[str, t.Any] = field(default_factory=dict)


def mistakes(options: t.Mapping[str, t.Any], sources: t.Sequence[t.Mapping[str, t.Any]]) -> t.List[str]:
    """What is wrong with the metric's own keys."""
    found: t.List[str] = []
    measure = options.get("measure")
    if measure not in MEASURES:
        found.append(f"measure is not one of {', '.join(MEASURES)}")
    if measure in _OF_VALUES and not options.get("field"):
        found.append(f"measure {measure} needs field")
    if measure == "above" and options.get("limit") is None:
        found.append("measure above needs limit")
    if measure != "share" and any(options.get(name) for name in ("of_levels", "of_pattern", "of_where")):
        found.append("of_levels, of_pattern and of_where belong to the measure share")
    try:
        plan_of(_parameters(options, sources, 0.0, 1.0), time.time())
    except BadInput as error:
        found += [str(mistake) for mistake in error.facts.get("mistakes") or [error.message]]
    return found


def measure(
    options: t.Mapping[str, t.Any],
    sources: t.Sequence[t.Mapping[str, t.Any]],
    window_s: float = 3600.0,
    now: t.Optional[float] = None,
    timeout_s: float = 60.0,
) -> Measurement:
    """One number from logs.

    Args:
        options: The metric's own keys, as `SPEC` describes them.
        sources: The profile's logs, as items of the option `sources` of `log_scan`.
        window_s: How far back lines count, in seconds; 0 for all.
        now: The present in seconds since 1970; None for the clock's.
        timeout_s: Seconds that reading may take.

    Raises:
        BadInput: The options make no sense.
    """
    wrong = mistakes(options, sources)
    if wrong:
        raise BadInput("A metric of a log has mistakes", why="; ".join(wrong), next_step="correct the profile; nothing was read")
    present = time.time() if now is None else now
    plan = plan_of(_parameters(options, sources, window_s, present), present)
    shown = Shown()
    try:
        with run(plan, timeout_s) as outcome:
            return _of(options, outcome, window_s, shown)
    except (RunbookError, OSError) as error:
        return Measurement(None, reason=shown.line(error.message if isinstance(error, RunbookError) else str(error)))


def _of(options: t.Mapping[str, t.Any], outcome: Outcome, window_s: float, shown: Shown) -> Measurement:
    answer, whole = outcome.answers[0], outcome.answers[1]
    observed = {
        "lines": sum(totals.lines for totals in outcome.totals),
        "selected": answer.count,
        "notes": [shown.line(note) for totals in outcome.totals for note in totals.notes],
    }
    problem = answer.problem or whole.problem
    if problem or not outcome.complete:
        return Measurement(None, 0, problem or "the log could not be read to its end in time", observed)
    kind = options["measure"]
    if kind in _OF_VALUES:
        return _of_values(options, answer, shown, observed)
    if kind == "count":
        return Measurement(float(answer.count), lines_asked(answer, outcome), "", observed)
    if kind == "per_second":
        length_s = window_s or _length_s(outcome)
        if not length_s:
            return Measurement(None, 0, "the log's lines do not tell how long it is", observed)
        return Measurement(answer.count / length_s, lines_asked(answer, outcome), "", observed)
    of_all = not any(options.get(name) for name in ("of_levels", "of_pattern", "of_where"))
    base = lines_asked(answer, outcome) if of_all else whole.count
    if not base:
        return Measurement(None, 0, "there is no line of which it would be a share", observed)
    return Measurement(answer.count / base, base, "", observed)


def _of_values(options: t.Mapping[str, t.Any], answer: t.Any, shown: Shown, observed: t.Dict[str, t.Any]) -> Measurement:
    kind, name = options["measure"], options["field"]
    if kind == "distinct":
        count, error = answer.distinct.count()
        return Measurement(float(count), answer.count, "", {**observed, "relative_error": error})
    if kind == "last":
        lines = answer.last_lines()
        value = number_of(lines[-1][3]) if lines else None
        if value is None:
            said = f"its last value is {shown.value(lines[-1][3], name)!r}, no number" if lines else "no line has it"
            return Measurement(None, 0, f"the field {name}: {said}", observed)
        return Measurement(value, 1, "", observed)
    percent = _percent(options)
    numbers = answer.numbers.result([percent])
    count = numbers["count"]
    if not count:
        return Measurement(None, 0, f"no line in the window has a number in the field {name}", observed)
    if kind == "above":
        value = next(iter(numbers["above"].values())) / count
    else:
        value = numbers["percentiles"][f"{percent:g}"] if kind == "percentile" else numbers[kind]
    return Measurement(value, count, "", {**observed, "relative_error": numbers["relative_error"]})


def _percent(options: t.Mapping[str, t.Any]) -> float:
    given = options.get("percentile")
    return 95.0 if given is None else float(given)


def _length_s(outcome: Outcome) -> float:
    times = [when for totals in outcome.totals for when in (totals.first, totals.last) if when is not None]
    return max(times) - min(times) if times else 0.0


def _parameters(
    options: t.Mapping[str, t.Any], sources: t.Sequence[t.Mapping[str, t.Any]], window_s: float, now: float
) -> t.Dict[str, t.Any]:
    """The parameters of a scan with two questions: what is measured, and of what it is a share."""
    source = options.get("source")
    if isinstance(source, t.Mapping):
        wanted = [{"name": "log", **source}]
    elif source:
        wanted = [dict(item) for item in sources if item.get("name") == source]
        if not wanted:
            raise BadInput("There is no such log", where=str(source), next_step="name one of service_logs")
    else:
        wanted = [dict(item) for item in sources]
    kind, name = options.get("measure"), options.get("field") or ""
    selection = {key: options.get(key) for key in ("levels", "pattern", "where", "ignore_case")}
    of = {key: options.get(f"of_{key}") for key in ("levels", "pattern", "where")}
    question: t.Dict[str, t.Any] = {"name": _MEASURED, **selection, "top": 0}
    if kind in ("percentile", "mean", "maximum", "minimum", "above"):
        question["number"] = name
        question["percentiles"] = [_percent(options)]
        question["above"] = [options["limit"]] if kind == "above" and options.get("limit") is not None else []
    elif kind in ("last", "distinct"):
        question["last_value" if kind == "last" else "distinct"] = name
    return {
        "sources": wanted,
        "questions": [question, {"name": _WHOLE, **of, "ignore_case": options.get("ignore_case")}],
        "since": str(now - window_s) if window_s else "",
        "until": str(now) if window_s else "",
    }
