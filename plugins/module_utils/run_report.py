# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""A run's record for readers: Markdown, and one HTML page that needs nothing else (no script, no network, fit for a phone)."""

from __future__ import annotations

import json
import re
import typing as t
from html import escape

from .state import spoken, utc_time

_RESULT = {"running": "goes on", "succeeded": "succeeded", "failed": "failed", "abandoned": "was ended before it could finish"}
_MARKDOWN = re.compile(r"([\\`*_\[\]<>|#])")
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
_STYLE = """
:root{color-scheme:light dark;--line:#8884;--bar:#3b82c4;--good:#1a7f37;--bad:#c5221f;--other:#9a6700}
@media(prefers-color-scheme:dark){:root{--bar:#5aa2e0;--good:#3fb950;--bad:#ff7b72;--other:#d29922}}
*{box-sizing:border-box}
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:0 auto;padding:1rem;overflow-wrap:anywhere}
h1{font-size:1.5rem;margin:.2em 0}h2{font-size:1.15rem;margin:1.6em 0 .4em}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;vertical-align:top;padding:.35rem .6rem .35rem 0;border-bottom:1px solid var(--line)}
td.n{white-space:nowrap;font-variant-numeric:tabular-nums}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem;margin:.6rem 0}dt{opacity:.75}dd{margin:0}
.good{color:var(--good)}.bad{color:var(--bad)}.other{color:var(--other)}
.bar{display:block;height:.5rem;min-width:2px;background:var(--bar);border-radius:2px;margin-top:.3rem}
.error{border-left:.3rem solid var(--bad);padding:.2rem .8rem}.small{font-size:.9em;opacity:.85}
pre{white-space:pre-wrap;font-size:.85rem;border:1px solid var(--line);padding:.5rem;margin:.3rem 0}
@media(max-width:36rem){
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
            lines.append(f"| {_md(step['name'])} | {_md(_result(step))} | {_md(duration(step['duration_s']))} | {_md(step['summary'])} |")
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
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">',
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        f"<title>{escape(record['run_id'])}: {escape(record['status'])}</title><style>{_STYLE}</style></head><body>",
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
    parts.append(f'<p class="small">Run {escape(record["run_id"])}. {escape(_versions(record))}</p></body></html>\n')
    return "\n".join(parts)


def duration(seconds: t.Optional[float]) -> str:
    """Seconds for a reader: `0.25 s`, `12.3 s`, `1 min 23 s`, `2 h 5 min`; empty for None."""
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours} h", f"{minutes} min"] if hours else [f"{minutes} min", f"{rest} s"]
    return " ".join(part for part in parts if not part.startswith("0 "))


def size(count: float) -> str:
    """Bytes for a reader, in powers of 1000: `512 bytes`, `1.05 GB`."""
    value = float(count)
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if abs(value) < 1000 or unit == "TB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.3g} {unit}" if abs(value) < 999.5 else f"{value:.0f} {unit}"


def measured(value: t.Optional[float], unit: str) -> str:
    """A measurement with its unit, for a reader."""
    if value is None:
        return "not measured"
    if unit == "s":
        return duration(value)
    return size(value) if unit == "bytes" else f"{value:,.6g} {unit}".replace(",", " ").strip()


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


def _step_rows(record: t.Mapping[str, t.Any]) -> str:
    longest = max((step["duration_s"] or 0.0 for step in record["steps"]), default=0.0) or 1.0
    rows = []
    for step in record["steps"]:
        mark = {"failed": "bad", "unreachable": "bad", "ok": "good"}.get(step["status"], "other")
        said = f'<br><span class="small">{escape(step["summary"])}</span>' if step["summary"] else ""
        several = f' <span class="small">({len(step["hosts"])} hosts)</span>' if len(step["hosts"]) > 1 else ""
        width = 100 * (step["duration_s"] or 0.0) / longest
        shown = f'<span class="bar" style="width:{width:.1f}%"></span>' if step["duration_s"] is not None else ""
        rows.append(
            f'<tr><td>{escape(step["name"])}{several}{said}</td><td class="{mark}">{escape(_result(step))}</td>'
            f'<td class="n">{escape(duration(step["duration_s"]))}{shown}</td></tr>'
        )
    return "".join(rows)


def _versions(record: t.Mapping[str, t.Any]) -> str:
    return "Made by " + ", ".join(f"{name} {value}" for name, value in record["versions"].items()) + "." if record["versions"] else ""


def _indented(label: str, value: t.Any) -> t.List[str]:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
    return [f"    {label if number == 0 else ' ' * len(label)}{line}" for number, line in enumerate(text.splitlines() or ["(nothing)"])]


def _md(value: t.Any) -> str:
    return _MARKDOWN.sub(r"\\\1", " ".join(str(value).split()))
