# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""A report as one HTML page that needs nothing else: every text escaped, no script, nothing loaded."""

from __future__ import annotations

import typing as t
from html import escape

from .. import page
from ..state import spoken, utc_time
from . import charts
from .document import MARKS
from .style import CHARTS, PAGE

STYLE = PAGE + CHARTS
SIGNS = {"pass": "✓", "warn": "!", "fail": "✗", "unknown": "?"}
"""Verdicts for who sees no colours."""


def as_html(report: t.Mapping[str, t.Any]) -> str:
    """The page of a report (`kinds.document`)."""
    parts = [
        page.head(f"{report['title']}: {report['service']['title']}, {report['at'][:10]}", STYLE),
        f'<header><p class="quiet">{escape(report["title"])} · <a href="index.html">all reports</a></p>'
        f"<h1>{escape(report['service']['title'])}</h1>{_facts(report['facts'])}</header>",
        _top(report),
    ]
    for number, section in enumerate(report["sections"]):
        said = pill(section["verdict"]) if section["verdict"] else ""
        blocks = "".join(_block(block, f"c{number}-{place}") for place, block in enumerate(section["blocks"]))
        parts.append(f"<section><h2>{said}{escape(section['title'])}</h2>{blocks}</section>")
    parts.append(f'<footer class="small quiet"><p>{escape(report["footer"])}</p></footer>{page.FOOT}')
    return "\n".join(parts)


def pill(verdict: str) -> str:
    """A verdict as a small label."""
    return f'<span class="pill {MARKS.get(verdict, "unknown")}">{SIGNS.get(verdict, "?")} {escape(verdict)}</span>'


def as_index(service: str, entries: t.Sequence[t.Mapping[str, t.Any]]) -> str:
    """The page that lists all reports of a service, the newest first: `file`, `title`, `at`, `verdict`, `headline`."""
    rows = []
    for entry in entries:
        stem = escape(entry["file"])
        rows.append(
            f'<tr><td><a href="{stem}.html">{escape(entry["title"])}</a></td><td data-label="made">{escape(_when(entry["at"]))}</td>'
            f'<td data-label="verdict">{pill(entry["verdict"])}</td><td data-label="found">{escape(entry["headline"])}</td>'
            f'<td data-label="also as"><span><a href="{stem}.md">Markdown</a> <a href="{stem}.json">JSON</a></span></td></tr>'
        )
    listed = "".join(rows) or '<tr><td colspan="5">There is none yet.</td></tr>'
    head = "".join(f'<th scope="col">{name}</th>' for name in ("report", "made", "verdict", "found", "also as"))
    return (
        f"{page.head(f'Reports: {service}', STYLE)}<h1>Reports: {escape(service)}</h1>"
        f'<table class="stack"><thead><tr>{head}</tr></thead><tbody>{listed}</tbody></table>{page.FOOT}'
    )


def _top(report: t.Mapping[str, t.Any]) -> str:
    severity = report["severity"]
    mark = MARKS.get(report["verdict"], "unknown")
    steps = "".join(f"<li>{escape(step)}</li>" for step in report["next_steps"])
    named = f' <span class="pill bad">{escape(severity["name"])} {escape(severity["title"])}</span>' if severity else ""
    heading = '<p class="cap">What to do next</p>' if steps else ""
    return (
        f'<div class="top {mark}"><p class="verdict"><span class="{mark}">{SIGNS.get(report["verdict"], "?")} '
        f"{escape(report['verdict'])}</span>"
        f"{named}</p><p>{escape(report['headline'])}</p>{heading}<ol>{steps}</ol></div>"
    )


def _block(block: t.Mapping[str, t.Any], identity: str) -> str:
    kind = block["type"]
    if kind == "text":
        return f'<p class="{block["mark"]}">{escape(block["text"])}</p>'
    if kind == "facts":
        return _facts(block["facts"])
    if kind == "table":
        return _table(block)
    if kind == "lines":
        shown = "".join(f"<span>{escape(line)}</span>" for line in block["lines"])
        caption = f'<p class="cap">{escape(block["caption"])}</p>' if block["caption"] else ""
        return caption + (f"<pre>{shown}</pre>" if shown else f"<p>{escape(block['empty'])}</p>")
    if kind == "chart":
        return charts.as_svg(block, identity)
    return charts.as_strips(block, identity) if kind == "strips" else charts.as_counts(block, identity)


def _facts(found: t.Sequence[t.Mapping[str, t.Any]]) -> str:
    rows = "".join(f'<dt>{escape(fact["name"])}</dt><dd class="{fact.get("mark", "")}">{escape(fact["text"])}</dd>' for fact in found)
    return f"<dl>{rows}</dl>" if rows else ""


def _table(block: t.Mapping[str, t.Any]) -> str:
    caption = f"<caption>{escape(block['caption'])}</caption>" if block["caption"] else ""
    if not block["rows"]:
        heading = f'<p class="cap">{escape(block["caption"])}</p>' if block["caption"] else ""
        return f"{heading}<p>{escape(block['empty'])}</p>"
    numeric = [all("value" in row[place] for row in block["rows"] if row[place]["text"]) for place in range(len(block["columns"]))]
    head = "".join(f'<th scope="col"{_numeric(number)}>{escape(name)}</th>' for name, number in zip(block["columns"], numeric))
    rows = []
    for row in block["rows"]:
        cells = []
        for name, one, number in zip(block["columns"], row, numeric):
            shown = pill(one["text"]) if one["text"] in SIGNS else f'<span class="{one.get("mark", "")}">{escape(one["text"])}</span>'
            cells.append(f'<td data-label="{escape(name)}"{_numeric(number)}>{shown if one["text"] else ""}</td>')
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return f'<table class="stack">{caption}<thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'


def _numeric(number: bool) -> str:
    return ' class="n"' if number else ""


def _when(at: str) -> str:
    return spoken(utc_time(at))
