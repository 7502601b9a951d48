# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""A report as Markdown, for tickets, chats and terminals: the same figures as on the page, charts as numbers."""

from __future__ import annotations

import typing as t

from ..readable import markdown, quantity
from .charts import moment, numbers

_COLUMNS = ("newest", "lowest", "mean", "highest")


def as_markdown(report: t.Mapping[str, t.Any]) -> str:
    """The Markdown page of a report; what comes from outside cannot become markup."""
    severity = report["severity"]
    named = f" ({markdown(severity['name'])} {markdown(severity['title'])})" if severity else ""
    out = [f"# {markdown(report['title'])}: {markdown(report['service']['title'])}", ""]
    out += [f"**{markdown(report['verdict'])}{named}** {markdown(report['headline'])}", ""]
    if report["next_steps"]:
        out += ["What to do next:", "", *(f"{place}. {markdown(step)}" for place, step in enumerate(report["next_steps"], 1)), ""]
    out += [f"- {markdown(fact['name'])}: {markdown(fact['text'])}" for fact in report["facts"]]
    for section in report["sections"]:
        said = f" ({markdown(section['verdict'])})" if section["verdict"] else ""
        out += ["", f"## {markdown(section['title'])}{said}"]
        for block in section["blocks"]:
            out += ["", *_block(block)]
    return "\n".join([*out, "", markdown(report["footer"])]) + "\n"


def _block(block: t.Mapping[str, t.Any]) -> t.List[str]:
    kind = block["type"]
    if kind == "text":
        return [markdown(block["text"])]
    if kind == "facts":
        return [f"- {markdown(fact['name'])}: {markdown(fact['text'])}" for fact in block["facts"]]
    if kind == "table":
        return _headed(block, _table(block["columns"], [[one["text"] for one in row] for row in block["rows"]]))
    if kind == "lines":
        return _headed(block, [f"- {markdown(line)}" for line in block["lines"]])
    if kind == "chart":
        return _chart(block)
    if kind == "strips":
        rows = [[row["name"], row["said"]] for row in block["rows"]]
        return [
            f"**{markdown(block['title'])}**",
            "",
            *_table(("check", f"{moment(block['since'])} to {moment(block['until'])} UTC"), rows),
        ]
    said = ", ".join(f"{count} {verdict}" for verdict, count in block["counts"].items() if count) or "nothing was asked"
    return [f"{markdown(block['title'])}: {said}"]


def _chart(block: t.Mapping[str, t.Any]) -> t.List[str]:
    out = [f"**{markdown(block['title'])}**", ""]
    if block["about"]:
        out += [markdown(block["about"]), ""]
    drawn = [line for line in block["series"] if line["points"]]
    if not drawn:
        return [*out, "No readings in this window."]
    if not block["summary"]:
        return [*out, *(f"- {markdown(line['name'])} now: {quantity(line['points'][-1][1], block['unit'])}" for line in drawn)]
    rows = []
    for line in drawn:
        found = numbers(line["points"])
        rows.append([line["name"], *(quantity(found[name], block["unit"]) for name in _COLUMNS), str(len(line["points"]))])
    limits = [f"Limit {markdown(limit['label'])}" for limit in block["limits"]]
    return [*out, *_table(("", *_COLUMNS, "readings"), rows), *(["", "; ".join(limits)] if limits else [])]


def _headed(block: t.Mapping[str, t.Any], shown: t.List[str]) -> t.List[str]:
    there = block.get("rows") or block.get("lines")
    return ([f"**{markdown(block['caption'])}**", ""] if block["caption"] else []) + (shown if there else [markdown(block["empty"])])


def _table(columns: t.Sequence[str], rows: t.Sequence[t.Sequence[str]]) -> t.List[str]:
    return [
        "| " + " | ".join(markdown(name) for name in columns) + " |",
        "|" + "---|" * len(columns),
        *("| " + " | ".join(markdown(one) for one in row) + " |" for row in rows),
    ]
