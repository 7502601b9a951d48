# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Charts as inline SVG: geometry in SVG, which stretches; words and numbers in HTML, which stay readable at every width.

Why no chart library: pygal 3.1 puts a script and the paths of its own files into every chart, even without JavaScript, gives each a
random id, neither role nor description, and letters that shrink with the chart; matplotlib is large and slow to load, and its colours do
not follow a dark page. Each would have to be installed wherever reports are written. Lines, bands and bars are all that is needed.
"""

from __future__ import annotations

import math
import typing as t
from datetime import datetime, timezone
from html import escape

from ..checks.model import FAIL, PASS, UNKNOWN, WARN
from ..readable import quantity, span
from .axes import thinned, time_ticks, value_range, value_ticks

_WIDTH, _HEIGHT = 1000.0, 300.0
_TABLE_ROWS = 24
_LINES = 6
"""Lines that can be told apart: by colour, and by their dashes for who sees no colours."""
_WORDS = {PASS: "passed", WARN: "warned", FAIL: "failed", UNKNOWN: "unknown"}

Chart = t.Mapping[str, t.Any]


def as_svg(chart: Chart, identity: str) -> str:
    """The chart with its legend and its numbers; `identity` is unique in the page."""
    since, until = float(chart["since"]), float(max(chart["until"], *_ends(chart)))
    low, high = value_range(chart)
    drawn = [line for line in chart["series"] if line["points"]]

    def x(at: float) -> float:
        return _WIDTH * (at - since) / (until - since or 1)

    def y(value: float) -> float:
        return _HEIGHT * (high - value) / (high - low or 1)

    marks = [f'<path class="g" d="M0 {y(tick):.1f}H{_WIDTH:g}"/>' for tick in value_ticks(low, high)]
    labels = [
        f'<span class="y" style="bottom:{100 * (tick - low) / (high - low):.1f}%">{escape(quantity(tick, chart["unit"]))}</span>'
        for tick in value_ticks(low, high)
    ]
    labels += [
        f'<span class="x" style="left:{100 * (at - since) / (until - since or 1):.1f}%">{when}</span>'
        for at, when in time_ticks(since, until)
    ]
    for limit in _visible(chart, low, high):
        marks.append(f'<path class="limit {limit["mark"]}" d="M0 {y(limit["value"]):.1f}H{_WIDTH:g}"/>')
        labels.append(
            f'<span class="l {limit["mark"]}" style="bottom:{100 * (limit["value"] - low) / (high - low):.1f}%">'
            f"{escape(limit['label'])}</span>"
        )
    ahead = chart.get("projection") or {}
    if ahead.get("low") and ahead.get("high"):
        edge = [*ahead["high"], *reversed(ahead["low"])]
        marks.append('<path class="band" d="M' + "L".join(f"{x(at):.1f} {_clamped(y(value))}" for at, value in edge) + 'Z"/>')
    for number, line in enumerate(drawn):
        # Where lines cross each other, fewer points make them easier to follow.
        whole = thinned(line["points"], 240 if len(drawn) == 1 else 120)
        apart = float(chart["valid_s"])
        if apart and len(whole) < len(line["points"]):
            # Points that were thinned out lie further apart than they were.
            apart = max(apart, 4 * (whole[-1][0] - whole[0][0]) / len(whole))
        marks.append(f'<path class="s s{number % _LINES}" d="{_path(whole, apart, x, y)}"/>')
    if ahead.get("middle"):
        marks.append('<path class="ahead" d="M' + "L".join(f"{x(at):.1f} {_clamped(y(value))}" for at, value in ahead["middle"]) + '"/>')
    title, about = escape(chart["title"]), escape(chart["about"] or chart["title"])
    picture = (
        f'<svg viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" preserveAspectRatio="none" role="img" aria-labelledby="{identity}t {identity}d">'
        f'<title id="{identity}t">{title}</title><desc id="{identity}d">{about}</desc>{"".join(marks)}</svg>'
    )
    legend = "".join(f"<span>{_sample(number)}{escape(line['name'])}</span>" for number, line in enumerate(drawn)) if len(drawn) > 1 else ""
    said = f'<p class="small">{escape(chart["about"])}</p>' if chart["about"] else ""
    shown = _numbers(drawn, chart["unit"]) if chart["summary"] or not drawn else _all_numbers(drawn, chart["unit"])
    return (
        f'<figure><figcaption>{title}</figcaption><div class="legend">{legend}</div>'
        f'<div class="plot">{picture}{"".join(labels)}</div>{said}{shown}</figure>'
    )


def as_strips(block: Chart, identity: str) -> str:
    """A bar of time for each check."""
    since, until = float(block["since"]), float(block["until"])
    rows = []
    for number, row in enumerate(block["rows"]):
        bars = "".join(
            f'<rect class="{verdict}" x="{_WIDTH * (begin - since) / (until - since or 1):.2f}" '
            f'width="{max(1.5, _WIDTH * (end - begin) / (until - since or 1)):.2f}" {_tall(verdict)}/>'
            for begin, end, verdict in row["pieces"]
        )
        rows.append(
            f'<b>{escape(row["name"])}</b><svg viewBox="0 0 {_WIDTH:g} 10" preserveAspectRatio="none" role="img" '
            f'aria-labelledby="{identity}r{number}"><title id="{identity}r{number}">{escape(row["name"])}: {escape(row["said"])}</title>'
            f"{bars}</svg>"
            f'<span class="said">{escape(row["said"])}</span>'
        )
    ends = f'<span class="ends"><span>{moment(since)}</span><span>{moment(until)} UTC</span></span>'
    return f'<figure><figcaption>{escape(block["title"])}</figcaption><div class="strip">{"".join(rows)}{ends}</div></figure>'


def as_counts(block: Chart, identity: str) -> str:
    """One bar, divided by verdict."""
    total, at, bars, words = sum(block["counts"].values()), 0.0, [], []
    for verdict, count in block["counts"].items():
        if count:
            width = _WIDTH * count / total
            bars.append(f'<rect class="{verdict}" x="{at:.2f}" width="{max(0.0, width - 3):.2f}" y="0" height="10"/>')
            words.append(f"{count} {_WORDS[verdict]}")
            at += width
    said = escape(", ".join(words) or "nothing was asked")
    return (
        f'<figure class="count"><figcaption>{escape(block["title"])}: {said}</figcaption><svg viewBox="0 0 {_WIDTH:g} 10" '
        f'preserveAspectRatio="none" role="img" aria-labelledby="{identity}"><title id="{identity}">{said}</title>'
        f"{''.join(bars)}</svg></figure>"
    )


def moment(at: float) -> str:
    """A moment on a time axis, UTC: `21 Nov 09:00`."""
    return datetime.fromtimestamp(at, timezone.utc).strftime("%d %b %H:%M").lstrip("0")


def numbers(points: t.Sequence[t.Sequence[float]]) -> t.Dict[str, float]:
    """Newest, lowest, mean, highest of a line's points."""
    values = [value for _at, value in points]
    return {"newest": values[-1], "lowest": min(values), "mean": math.fsum(values) / len(values), "highest": max(values)}


def _ends(chart: Chart) -> t.List[float]:
    return [line[-1][0] for line in (chart.get("projection") or {}).values() if line] or [0.0]


def _visible(chart: Chart, low: float, high: float) -> t.List[t.Mapping[str, t.Any]]:
    return [limit for limit in chart["limits"] if low <= limit["value"] <= high]


def _path(points: t.Sequence[t.Sequence[float]], apart: float, x: t.Callable[[float], float], y: t.Callable[[float], float]) -> str:
    """The line; where nobody looked for longer than `apart` seconds it is interrupted, a lonely reading becomes a dot."""
    parts: t.List[str] = []
    for number, (at, value) in enumerate(points):
        joined = number > 0 and not (apart and at - points[number - 1][0] > apart)
        lonely = not joined and (number + 1 == len(points) or (apart and points[number + 1][0] - at > apart))
        parts.append(f"{'L' if joined else 'M'}{x(at):.1f} {y(value):.1f}" + ("h0.01" if lonely else ""))
    return "".join(parts)


def _clamped(value: float) -> str:
    return f"{min(_HEIGHT * 1.02, max(-_HEIGHT * 0.02, value)):.1f}"


def _tall(verdict: str) -> str:
    """What is not well differs in height too, for who sees no colours."""
    return {PASS: 'y="3" height="4"', WARN: 'y="2" height="8"', FAIL: 'y="0" height="10"'}.get(verdict, 'y="4" height="2"')


def _sample(number: int) -> str:
    return f'<svg viewBox="0 0 30 10" aria-hidden="true"><path class="s s{number % _LINES}" d="M1 5H29"/></svg>'


def _numbers(drawn: t.Sequence[t.Mapping[str, t.Any]], unit: str) -> str:
    """The chart in numbers, for who cannot see it or wants them exact."""
    if not drawn:
        return '<p class="unknown">No readings in this window.</p>'
    columns = ("newest", "lowest", "mean", "highest")
    rows = []
    for line in drawn:
        found = numbers(line["points"])
        cells = "".join(f'<td class="n" data-label="{name}">{escape(quantity(found[name], unit))}</td>' for name in columns)
        rows.append(
            f'<tr><th scope="row">{escape(line["name"])}</th>{cells}<td class="n" data-label="readings">{len(line["points"])}</td></tr>'
        )
    head = "".join(f'<th scope="col" class="n">{name}</th>' for name in (*columns, "readings"))
    return (
        f'<table class="numbers"><thead><tr><th></th>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>{_all_numbers(drawn, unit)}'
    )


def _all_numbers(drawn: t.Sequence[t.Mapping[str, t.Any]], unit: str) -> str:
    rows = []
    for line in drawn:
        points = line["points"]
        step = max(1, math.ceil(len(points) / _TABLE_ROWS))
        for at, value in points[::-step]:
            rows.append(
                f'<tr><td>{escape(line["name"])}</td><td class="n">{moment(at)}</td><td class="n">{escape(quantity(value, unit))}</td></tr>'
            )
    length = span(max(line["points"][-1][0] - line["points"][0][0] for line in drawn))
    return (
        f"<details><summary>Numbers over {escape(length)}, the newest first</summary><table><thead><tr><th>what</th>"
        f'<th class="n">UTC</th><th class="n">value</th></tr></thead><tbody>{"".join(rows)}</tbody></table></details>'
    )
