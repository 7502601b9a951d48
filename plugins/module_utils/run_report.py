# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""A run's record for readers: Markdown, and one HTML page that needs nothing else (no script, no network, fit for a phone)."""

from __future__ import annotations

import json
import re
import typing as t
from html import escape

from .page import FOOT, head
from .readable import duration, measured, size
from .readable import markdown as _md
from .state import spoken, utc_time

__all__ = ["as_html", "as_markdown", "duration", "headline", "measured", "size"]

_RESULT = {"running": "goes on", "succeeded": "succeeded", "failed": "failed", "abandoned": "was ended before it could finish"}
_NAMES = {"rto_s": "RTO (time to restore)", "rpo_s": "RPO (data lost, as time)"}
_WHO_AND_WHAT = (
    ("Procedure", "procedure"),
    ("Target", "target"),
    ("Profile", "profile"),
    ("Reason", "reason"),
    ("Incident", "incident"),
    ("Who", "who"),
    ("Started", "started_at"),
    ("Finished", "finished_at"),
)
_STYLE = """@media(max-width:36rem){
table.steps thead{display:none}table.steps tr{display:block;border-bottom:1px solid var(--line);padding:.3rem 0}
table.steps td{display:block;border:0;padding:.05rem 0}}
"""


def as_markdown(record: t.Mapping[str, t.Any]) -> str:
    """The record as a Markdown page; what comes from outside cannot become markup."""
    lines = [f"# {_md(_title(record))}", "", f"**{_md(headline(record))}**", ""]
    lines += [f"- {name}: {_md(value)}" for name, value in _facts(record)]
    if record.get("error"):
        lines += ["", "## What went wrong", "", _md(_error(record))]
    if record["measurements"]:
        lines += ["", "## Measured", "", "| measurement | value | target | |", "|---|---|---|---|"]
        lines += [
            f"| {_md(name)} | {_md(value)} | {_md(target)} | {_md(verdict)} |" for name, value, target, verdict, _mark in _measured(record)
        ]
    if record["steps"]:
        lines += ["", "## Steps", "", "| step | result | time | |", "|---|---|---|---|"]
        for step in record["steps"]:
            name = step["name"] + _where(record, step)
            lines.append(f"| {_md(name)} | {_md(_result(step))} | {_md(duration(step['duration_s']))} | {_md(step['summary'])} |")
    if record["decisions"]:
        lines += ["", "## Decisions", "", *(f"- {_md(decision)}" for decision in record["decisions"])]
    if record["diffs"]:
        lines += ["", "## Changes", ""]
        for diff in record["diffs"]:
            shown = [*_indented("before: ", diff["before"]), *_indented("after:  ", diff["after"])]
            lines += [_md(diff["step"]), "", *shown, ""]
    lines += ["", f"Run {_md(record['run_id'])}. {_md(_versions(record))}"]
    return "\n".join(lines) + "\n"


def as_html(record: t.Mapping[str, t.Any]) -> str:
    """The record as one HTML page in UTF-8; every text in it is escaped, its content security policy allows nothing but its own style."""
    mark = {"succeeded": "good", "failed": "bad", "abandoned": "bad"}.get(record["status"], "other")
    parts = [
        head(f"{record['run_id']}: {record['status']}", _STYLE),
        f'<h1>{escape(_title(record))}</h1><p class="{mark}"><strong>{escape(headline(record))}</strong></p>',
        "<dl>" + "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in _facts(record)) + "</dl>",
    ]
    if record.get("error"):
        parts.append(f'<h2>What went wrong</h2><p class="error">{escape(_error(record))}</p>')
    if record["measurements"]:
        rows = "".join(
            f'<tr><td>{escape(name)}</td><td class="n">{escape(value)}</td><td class="n">{escape(target)}</td>'
            f'<td class="{css}">{escape(verdict)}</td></tr>'
            for name, value, target, verdict, css in _measured(record)
        )
        parts.append(f"<h2>Measured</h2><table><thead><tr><th>Measurement<th>Value<th>Target<th></tr></thead><tbody>{rows}</tbody></table>")
    if record["steps"]:
        parts.append(
            '<h2>Steps</h2><table class="steps"><thead><tr><th>Step<th>Result<th>Time</tr></thead>'
            f"<tbody>{_step_rows(record)}</tbody></table>"
        )
    if record["decisions"]:
        parts.append("<h2>Decisions</h2><ul>" + "".join(f"<li>{escape(decision)}</li>" for decision in record["decisions"]) + "</ul>")
    if record["diffs"]:
        parts.append("<h2>Changes</h2>")
        for diff in record["diffs"]:
            shown = "\n".join([*_indented("before: ", diff["before"]), *_indented("after:  ", diff["after"])])
            parts.append(f"<p>{escape(diff['step'])}</p><pre>{escape(shown)}</pre>")
    parts.append(f'<p class="small">Run {escape(record["run_id"])}. {escape(_versions(record))}</p>{FOOT}')
    return "\n".join(parts)


def _title(record: t.Mapping[str, t.Any]) -> str:
    return f"{record['title']}: {record['target']}" if record["target"] else str(record["title"])


def headline(record: t.Mapping[str, t.Any]) -> str:
    """One sentence on how the run went, without its full stop."""
    result = _RESULT.get(record["status"], record["status"])
    took = f" in {duration(record['duration_s'])}" if record["duration_s"] is not None else ""
    missed = [name for name, _value, _target, _verdict, mark in _measured(record) if mark == "bad"]
    return f"{record['run_id']} {result}{took}" + (f", but missed its target: {', '.join(missed)}" if missed else "")


def _facts(record: t.Mapping[str, t.Any]) -> t.List[t.Tuple[str, str]]:
    found = [(name, _said(key, str(record[key]))) for name, key in _WHO_AND_WHAT if record.get(key)]
    return [*found, ("Lease on", ", ".join(record["resources"]))] if record.get("resources") else found


def _said(key: str, value: str) -> str:
    return spoken(utc_time(value)) if key.endswith("_at") else value


def _error(record: t.Mapping[str, t.Any]) -> str:
    error = record["error"]
    where = f" on {error['host']}" if error.get("host") else ""
    return str(error.get("message") or "") + (f" (step: {error['step']}{where})" if error.get("step") else "")


def _measured(record: t.Mapping[str, t.Any]) -> t.List[t.Tuple[str, str, str, str, str]]:
    rows = []
    for name, item in record["measurements"].items():
        target = (
            ""
            if item["target"] is None
            else ("at least " if item["better"] == "higher" else "at most ") + measured(item["target"], item["unit"])
        )
        verdict, mark = {True: ("target met", "good"), False: ("target missed", "bad")}.get(
            item["met"], ("no target" if not target else "unknown", "other")
        )
        plain = re.sub(r"_(s|ms|bytes|percent)$", "", name).replace("_", " ")
        rows.append((_NAMES.get(name, plain), measured(item["value"], item["unit"]), target, verdict, mark))
    return rows


def _result(step: t.Mapping[str, t.Any]) -> str:
    return "changed" if step["changed"] and step["status"] == "ok" else str(step["status"])


def _where(record: t.Mapping[str, t.Any], step: t.Mapping[str, t.Any]) -> str:
    """The host of a step where the run had several, or how many hosts it had."""
    hosts = step["hosts"]
    if len(hosts) > 1:
        return f" ({len(hosts)} hosts)"
    return f" ({hosts[0]})" if hosts and len({host for one in record["steps"] for host in one["hosts"]}) > 1 else ""


def _step_rows(record: t.Mapping[str, t.Any]) -> str:
    longest = max((step["duration_s"] or 0.0 for step in record["steps"]), default=0.0) or 1.0
    rows = []
    for step in record["steps"]:
        mark = {"failed": "bad", "unreachable": "bad", "ok": "good"}.get(step["status"], "other")
        said = f'<br><span class="small">{escape(step["summary"])}</span>' if step["summary"] else ""
        where = f'<span class="small">{escape(_where(record, step))}</span>'
        width = 100 * (step["duration_s"] or 0.0) / longest
        shown = f'<span class="bar" style="width:{width:.1f}%"></span>' if step["duration_s"] is not None else ""
        rows.append(
            f'<tr><td>{escape(step["name"])}{where}{said}</td><td class="{mark}">{escape(_result(step))}</td>'
            f'<td class="n">{escape(duration(step["duration_s"]))}{shown}</td></tr>'
        )
    return "".join(rows)


def _versions(record: t.Mapping[str, t.Any]) -> str:
    return "Made by " + ", ".join(f"{name} {value}" for name, value in record["versions"].items()) + "." if record["versions"] else ""


def _indented(label: str, value: t.Any) -> t.List[str]:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
    return [f"    {label if number == 0 else ' ' * len(label)}{line}" for number, line in enumerate(text.splitlines() or ["(nothing)"])]
