# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The page itself, in the style of the reports. Every text in it is escaped; it loads nothing but its own three files."""

from __future__ import annotations

import typing as t
from datetime import datetime, timezone
from html import escape

from ..checks.model import FAIL, SEVERITY, UNKNOWN, WARN
from ..readable import percent, quantity, span
from ..report.document import MARKS
from ..report.html import SIGNS, pill
from ..state import spoken
from .drawn import WINDOWS_H, WORDS
from .settings import Settings
from .snapshot import Row

_HEADLINES = {
    "pass": "All is well",
    WARN: "Works, with warnings",
    FAIL: "Something has failed",
    UNKNOWN: "Not everything is known",
}
_MOST_ALERTS = 30
_HALF_A_DAY_S = 43200.0


def render(
    settings: Settings,
    state: Row,
    charts: t.Mapping[str, str],
    hours: str,
    version: str,
    lines: t.Mapping[str, t.Sequence[t.Mapping[str, str]]],
) -> str:
    """The whole page.

    Args:
        settings: The page's.
        state: As `snapshot` gives it.
        charts: As `drawn` gives them.
        hours: The window of the charts, one of `WINDOWS_H`.
        version: Version of the files that the page loads.
        lines: Latest lines of each log by its name, for browsers without scripts.
    """
    title = state["service"]["title"] or state["service"]["name"]
    said = SIGNS[state["verdict"]]
    parts = [
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">',
        f"<title>{said} {escape(title)}: {escape(state['status'].lower())}</title>",
        f'<link rel="stylesheet" href="static/page.css?v={version}"><link rel="icon" href="static/icon.svg?v={version}">',
        f'<script src="static/page.js?v={version}" defer></script>',
        '<noscript><meta http-equiv="refresh" content="30"></noscript></head><body>',
        f'<header class="mast"><h1>{escape(title)}</h1>{_environment(state)}<nav><a href="#state">Overview</a><a href="#alerts">Alerts</a>'
        '<a href="#components">Components</a><a href="#charts">Charts</a><a href="#logs">Logs</a></nav></header>',
        f'<main data-now="{state["now"]:.3f}" data-stale="{settings.stale_after_s:g}">',
        '<p class="error" id="lost" role="alert"><strong>No connection to this page since <time></time>.</strong> '
        "What is shown is what was known then.</p>",
        f'<section id="state">{_state(state)}</section>',
        f'<section id="alerts"><h2>Active alerts</h2>{_alerts(state)}</section>',
        f'<section id="components">{_components(state)}</section>',
        f'<section id="charts"><h2>Over time</h2>{_charts(state, charts, hours)}</section>',
        f'<section id="logs"><h2>Latest log lines</h2>{_logs(settings, lines)}</section>',
        f'</main><footer class="small quiet"><p>{_footer(settings)}</p></footer></body></html>\n',
    ]
    return "\n".join(parts)


def aged(at: t.Optional[float], now: float, *, past: bool = False) -> str:
    """When something was found, and how long ago; `past` for what does not grow stale."""
    if at is None:
        return '<span class="age old">never</span>'
    moment = spoken(datetime.fromtimestamp(at, timezone.utc))
    css = "age past" if past else "age"
    shown = moment[11:] if now - at < _HALF_A_DAY_S else moment
    return f'<span class="{css}" data-at="{at:.3f}" title="{moment}">as of {shown}, <i>{span(max(0.0, now - at))} old</i></span>'


def _environment(state: Row) -> str:
    environment = state["service"]["environment"]
    return f'<span class="quiet small">{escape(environment)}</span>' if environment else ""


def _state(state: Row) -> str:
    mark, counts = MARKS[state["verdict"]], state["counts"]
    score = "?" if state["score"] is None else f"{percent(state['score'])} %"
    severity = f' <span class="pill bad">{escape(state["severity"])}</span>' if state["severity"] else ""
    problem = f'<p class="error" role="alert">{escape(state["problem"])}</p>' if state["problem"] else ""
    stale = (
        '<p class="error" role="alert">Nothing newer is known: whatever is too old is shown as unknown, however good it was.</p>'
        if state["is_stale"] and not state["problem"]
        else ""
    )
    headline = _HEADLINES[state["verdict"]] if any(counts[word] for word in counts if word != UNKNOWN) else "Nothing is known"
    said = ", ".join(f"{counts[word]} {word}" for word in sorted(SEVERITY, key=SEVERITY.__getitem__, reverse=True) if counts[word])
    return (
        f"{problem}{stale}"
        f'<div class="top {mark}"><div class="score {mark}">{score}<small>health score</small></div><div>'
        f'<p class="verdict"><span class="{mark}">{SIGNS[state["verdict"]]} {headline}</span>{severity}</p>'
        f"<p>{escape(said or 'No check has been made.')}</p><p>{aged(state['at'], state['now'])}</p></div></div>"
        f"{_tiles(state)}{_cards(state)}"
    )


def _tiles(state: Row) -> str:
    measured = [one for one in state["components"] if one["is_measured"]]
    overview = state["overview"]
    tiles = [
        (f"{sum(one['is_healthy'] for one in measured)} of {len(measured)}", "components healthy"),
        (str(len(state["alerts"])), "active alerts"),
        (state["severity"] or ("?" if state["is_stale"] else "none"), "severity"),
    ]
    if overview["success_rate"] is not None:
        tiles.append((quantity(overview["success_rate"], "ratio"), "of requests succeed"))
    if overview["active_operations"] is not None:
        tiles.append((quantity(overview["active_operations"], "count"), "operations under way"))
    return (
        '<div class="tiles">' + "".join(f'<div class="tile"><b>{escape(b)}</b><span>{escape(s)}</span></div>' for b, s in tiles) + "</div>"
    )


def _cards(state: Row) -> str:
    cards = []
    for number, one in enumerate(state["components"]):
        wrong = [item["title"] for item in (*one["checks"], *one["metrics"]) if item["counts"] and item["verdict"] != "pass"]
        said = ", ".join(wrong[:3]) + (f" and {len(wrong) - 3} more" if len(wrong) > 3 else "")
        cards.append(
            f'<li><a class="{MARKS[one["verdict"]]}" href="#component-{number}"><span class="head">{escape(one["title"])}'
            f"{pill(one['verdict'])}</span><p>{escape(said or _available(one) or 'no availability known yet')}</p></a></li>"
        )
    return f'<ul class="cards">{"".join(cards)}</ul>'


def _available(one: Row) -> str:
    known = _windows(one)
    return f"{percent(known[-1]['share'])} % available over {_days(known[-1])}" if known else ""


def _windows(one: Row) -> t.List[Row]:
    """Windows of which the availability is known; a longer one without further answers says nothing new."""
    found: t.List[Row] = []
    for item in one["availability"]:
        if item["share"] is not None and (not found or item["samples"] > found[-1]["samples"]):
            found.append(item)
    return found


def _days(item: Row) -> str:
    return "24 hours" if item["days"] == 1 else f"{item['days']} days"


def _alerts(state: Row) -> str:
    if not state["alerts"]:
        return "<p>None.</p>"
    rows = "".join(
        f'<tr><td>{escape(alert["name"])}</td><td data-label="verdict">{pill(alert["verdict"])}</td>'
        f'<td data-label="found">{escape(alert["text"] or "-")}</td>'
        f'<td data-label="source">{escape(" ".join(filter(None, (alert["source"], alert["severity"]))))}</td>'
        f'<td data-label="age">{aged(alert["at"], state["now"])}</td></tr>'
        for alert in state["alerts"][:_MOST_ALERTS]
    )
    more = len(state["alerts"]) - _MOST_ALERTS
    left = f"<p>{more} more are not shown.</p>" if more > 0 else ""
    return f'<table class="stack">{_head("alert", "verdict", "found", "source", "age")}<tbody>{rows}</tbody></table>{left}'


def _components(state: Row) -> str:
    return "".join(_component(number, one, state["now"]) for number, one in enumerate(state["components"]))


def _component(number: int, one: Row, now: float) -> str:
    promised = "" if one["promised"] is None else f"; {percent(one['promised'])} % is promised"
    shares = []
    for item in _windows(one):
        mark = "" if one["promised"] is None else "bad" if item["share"] < one["promised"] else "good"
        shares.append(f'<span class="{mark}">{percent(item["share"])} %</span> over {_days(item)} ({item["samples"]} answers)')
    available = f"<p>Available {', '.join(shares)}{promised}.</p>" if shares else ""
    body = ""
    if one["checks"]:
        body += _results("check", one["checks"], now)
    if one["metrics"]:
        body += _results("metric", one["metrics"], now)
    if not body:
        body = '<p class="unknown">Nobody looks at it: no check and no metric names this component.</p>'
    return (
        f'<h2 id="component-{number}">{pill(one["verdict"])}{escape(one["title"])}</h2>'
        f"<p>{aged(one['at'], now) if one['is_measured'] else ''}</p>{available}{body}"
    )


def _results(kind: str, results: t.Sequence[Row], now: float) -> str:
    rows = []
    for one in results:
        shown = quantity(one["value"], one["unit"]) if one["value"] is not None else "-"
        took = quantity(one["latency_ms"], "ms") if one["latency_ms"] is not None else "-"
        figure = shown if kind == "metric" else took
        old = ' class="n unknown"' if one["is_stale"] and one["counts"] else ' class="n"'
        rows.append(
            f'<tr><td>{escape(one["title"])}</td><td data-label="verdict">{pill(one["verdict"])}</td>'
            f'<td data-label="{_FIGURES[kind]}"{old}>{escape(figure)}</td><td data-label="reason">{escape(one["reason"])}</td>'
            f'<td data-label="age">{aged(one["at"], now, past=not one["counts"])}</td></tr>'
        )
    return f'<table class="stack">{_head(kind, "verdict", _FIGURES[kind], "reason", "age")}<tbody>{"".join(rows)}</tbody></table>'


_FIGURES = {"check": "answered in", "metric": "value"}


def _head(*names: str) -> str:
    cells = "".join(f'<th scope="col"{_NUMERIC if name in _FIGURES.values() else ""}>{name}</th>' for name in names)
    return f"<thead><tr>{cells}</tr></thead>"


_NUMERIC = ' class="n"'


def _charts(state: Row, charts: t.Mapping[str, str], hours: str) -> str:
    links = "".join(
        f'<b aria-current="true">{WORDS[one]}</b>' if one == hours else f'<a href="?hours={one}#charts">{WORDS[one]}</a>'
        for one in WINDOWS_H
    )
    parts = [f'<nav class="windows" aria-label="window">{links}</nav>', charts.get("") or "<p>There is nothing to draw yet.</p>"]
    for one in state["components"]:
        if charts.get(one["name"]):
            parts.append(f'<h3>{escape(one["title"])}</h3><div class="columns">{charts[one["name"]]}</div>')
    return "".join(parts)


def _logs(settings: Settings, lines: t.Mapping[str, t.Sequence[t.Mapping[str, str]]]) -> str:
    if not settings.logs:
        return "<p>Not configured: no log file of this service is shown. Name some in service_logs, each with its path.</p>"
    tabs = "".join(
        f'<button type="button" data-log="{escape(one["name"])}" aria-pressed="{"true" if number == 0 else "false"}">'
        f"{escape(one.get('title') or one['name'])}</button>"
        for number, one in enumerate(settings.logs)
    )
    shown = "".join(
        f'<li class="{escape(line["level"])}"><span class="at">{escape(line["at"])} </span><span class="lv">{escape(line["level"])} </span>'
        f'<span class="tx">{escape(line["text"])}</span></li>'
        for line in lines.get(settings.logs[0]["name"], ())
    )
    return (
        f'<div class="tabs" hidden>{tabs}'
        '<span class="small quiet" role="status">stream: <span id="stream">not connected</span></span></div>'
        f'<ol id="lines" tabindex="0" aria-label="log lines, the newest last">{shown}</ol>'
    )


def _footer(settings: Settings) -> str:
    return (
        f"Results older than {escape(span(settings.stale_after_s))} count as unknown. Times are UTC. As JSON: "
        '<a href="api/system/health">health</a>, <a href="api/wrappers/health">components</a>, <a href="api/metrics/export">everything</a>.'
    )
