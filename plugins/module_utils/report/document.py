# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What a report is made of, before anybody has decided how it looks: sections of facts, tables, lines and charts, in JSON types.

The HTML page, the Markdown page and the JSON file show the same document, so that they cannot disagree.
"""

from __future__ import annotations

import typing as t

from ..checks.model import FAIL, PASS, UNKNOWN, WARN, worst
from ..readable import quantity

Block = t.Dict[str, t.Any]
Cell = t.Dict[str, t.Any]
Section = t.Dict[str, t.Any]
Points = t.Sequence[t.Tuple[float, float]]
MARKS: t.Mapping[str, str] = {PASS: "good", WARN: "other", UNKNOWN: "unknown", FAIL: "bad"}
"""Verdict -> how it is marked in a report."""
_ENORMOUS = 1e18
"""No number of a service is so large; it would bend every axis."""


def cell(text: t.Any, mark: str = "", value: t.Optional[float] = None, unit: str = "") -> Cell:
    """A cell of a table or a fact: what the reader sees, and for programs the number behind it."""
    found: Cell = {"text": str(text)}
    if mark:
        found["mark"] = mark
    if value is not None:
        found.update(value=value, unit=unit)
    return found


def number(value: t.Optional[float], unit: str, mark: str = "") -> Cell:
    """A number with its unit."""
    return cell(quantity(value, unit), mark if value is not None else "unknown", value, unit)


def verdict_cell(verdict: str) -> Cell:
    """A verdict."""
    return cell(verdict, MARKS.get(verdict, "unknown"))


def text(said: str, mark: str = "") -> Block:
    """A paragraph."""
    return {"type": "text", "text": said, "mark": mark}


def not_configured(what: str, how: str) -> Block:
    """Says that nobody looks at this, so that its absence is not taken for a good sign."""
    return {"type": "text", "text": f"Not configured: {what}. {how}", "mark": "unknown"}


def facts(*pairs: t.Tuple[str, t.Union[str, Cell]]) -> Block:
    """Names and values."""
    return {"type": "facts", "facts": [{"name": name, **(value if isinstance(value, dict) else cell(value))} for name, value in pairs]}


def table(columns: t.Sequence[str], rows: t.Sequence[t.Sequence[t.Union[str, Cell]]], caption: str = "", empty: str = "None.") -> Block:
    """A table; numbers are the cells that have a value."""
    return {
        "type": "table",
        "caption": caption,
        "columns": list(columns),
        "rows": [[one if isinstance(one, dict) else cell(one) for one in row] for row in rows],
        "empty": empty,
    }


def lines(caption: str, found: t.Sequence[str], empty: str = "None.") -> Block:
    """Lines of a log, as they are."""
    return {"type": "lines", "caption": caption, "lines": list(found), "empty": empty}


def chart(
    title: str,
    unit: str,
    series: t.Sequence[t.Tuple[str, Points]],
    window: t.Tuple[float, float],
    *,
    about: str = "",
    limits: t.Sequence[t.Tuple[float, str, str]] = (),
    valid_s: float = 0.0,
    projection: t.Optional[t.Mapping[str, Points]] = None,
    summary: bool = True,
) -> Block:
    """Lines over time.

    Args:
        title: What is shown.
        unit: Unit of the numbers, one of those of metrics.
        series: Name and points (seconds since 1970-01-01 UTC, number) of each line.
        window: Begin and end of the time axis.
        about: What the reader should see in it, for who cannot see it.
        limits: Horizontal lines: value, label, mark (`other` or `bad`).
        valid_s: Points further apart than this are not joined; 0 joins all.
        projection: `middle`, `low` and `high`: where it goes from here.
        summary: Whether newest, lowest, mean and highest of the points mean something.
    """
    return {
        "type": "chart",
        "title": title,
        "about": about,
        "unit": unit,
        "since": window[0],
        "until": window[1],
        "series": [{"name": name, "points": [[at, value] for at, value in points if abs(value) < _ENORMOUS]} for name, points in series],
        "limits": [{"value": value, "label": label, "mark": mark} for value, label, mark in limits if abs(value) < _ENORMOUS],
        "valid_s": valid_s,
        "summary": summary,
        "projection": {name: [[at, value] for at, value in points] for name, points in (projection or {}).items()},
    }


def strips(title: str, window: t.Tuple[float, float], rows: t.Sequence[t.Mapping[str, t.Any]]) -> Block:
    """A bar of time for each check; a row has `name`, `pieces` (begin, end, verdict), and `said`, a few words on it."""
    return {"type": "strips", "title": title, "since": window[0], "until": window[1], "rows": [dict(row) for row in rows]}


def counts(title: str, by_verdict: t.Mapping[str, int]) -> Block:
    """One bar, divided by verdict."""
    return {
        "type": "counts",
        "title": title,
        "counts": {verdict: int(by_verdict.get(verdict, 0)) for verdict in (PASS, WARN, FAIL, UNKNOWN)},
    }


def section(title: str, *blocks: Block, verdict: t.Optional[str] = None, summary: str = "", steps: t.Sequence[str] = ()) -> Section:
    """A part of a report with its heading.

    Args:
        title: The heading.
        blocks: What is in it.
        verdict: Counts for the whole report; None for parts that only tell.
        summary: What it comes to, a part of a sentence for the head of the report; empty for nothing worth the reader's first minute.
        steps: What the reader should do because of it.
    """
    return {"title": title, "verdict": verdict, "summary": summary, "steps": list(steps), "blocks": list(blocks)}


def whole(sections: t.Sequence[t.Mapping[str, t.Any]]) -> str:
    """The verdict of a report: the worst of its sections'; `unknown` when no section could say anything."""
    found = [one["verdict"] for one in sections if one["verdict"]]
    return worst(found) if found else UNKNOWN
