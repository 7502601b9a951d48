# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The report of a load test: what was sent, what came back, and plots of it, as a document like the other reports'."""

from __future__ import annotations

import typing as t
from datetime import datetime, timezone

from ..checks.model import FAIL, PASS, UNKNOWN, WARN
from ..errors import BadInput
from ..readable import quantity
from ..report.document import Block, Cell, Section, chart, facts, number, section, table, verdict_cell, whole
from ..report.kinds import FORMAT
from ..report.store import folder_of, write
from ..state import spoken, state_folder, utc_text, utc_time

OPTIONS: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "service": {"type": "str", "required": True},
    "title": {"type": "str", "default": ""},
    "environment": {"type": "str", "default": ""},
    "result": {"type": "dict", "required": True},
    "keep_days": {"type": "float", "default": 0.0},
    "state_folder": {"type": "path"},
}
"""The argument spec of the module `load_test_report`."""
KIND = "load_test"
_NEEDED = ("began_at", "plan", "latency_ms", "curves", "thresholds", "failures", "verdict", "summary")
_SPREAD = (("average", "average"), ("minimum", "minimum"), ("p50", "p50"), ("p95", "p95"), ("p99", "p99"), ("maximum", "maximum"))
_LIMITS = {"fail_above": (FAIL, "bad"), "warn_above": (WARN, "other")}


def operate(parameters: t.Mapping[str, t.Any], check_mode: bool) -> t.Dict[str, t.Any]:
    """Write the report of a load test's result; in check mode, and for the result of a rehearsal, nothing is written.

    Raises:
        BadInput: It is no result of a load test, or the folder cannot be used.
        NoSpace: The disk is full.
    """
    result = parameters["result"]
    if "plan" in result and "latency_ms" not in result:
        return {
            "changed": False,
            "msg": "Nothing was sent, so there is nothing to report.",
            "html": "",
            "markdown": "",
            "json": "",
            "index": "",
        }
    missing = [name for name in _NEEDED if name not in result]
    if missing:
        raise BadInput(
            "The report needs the result of load_test",
            why=f"it has no {', '.join(missing)}",
            next_step="hand over what the task with sre.runbooks.load_test registered",
        )
    folder = folder_of(state_folder(parameters["state_folder"]), parameters["service"])
    if check_mode:
        return {"changed": False, "msg": f"The report would be written to {folder}", "html": "", "markdown": "", "json": "", "index": ""}
    report = document(
        result, {name: parameters[key] for name, key in (("name", "service"), ("title", "title"), ("environment", "environment"))}
    )
    paths, _removed = write(folder, report, parameters["keep_days"])
    return {"changed": False, "msg": f"Report: {paths['html']}", **paths}


def document(result: t.Mapping[str, t.Any], service: t.Mapping[str, str]) -> t.Dict[str, t.Any]:
    """The report as a document, JSON types only."""
    began = utc_time(result["began_at"]).timestamp()
    at = utc_time(result["began_at"])
    sections = [_figures(result), _limits(result), _over_time(result, began), _kinds(result)]
    return {
        "format": FORMAT,
        "kind": KIND,
        "title": "Load test",
        "service": {"name": service["name"], "title": service["title"] or service["name"], "environment": service["environment"]},
        "at": utc_text(at),
        "since": utc_text(at),
        "verdict": result["verdict"],
        "severity": None,
        "headline": result["summary"],
        "next_steps": _steps(result),
        "facts": [
            {"name": "Began at", "text": spoken(at)},
            {"name": "Sent", "text": result["plan"]["sentence"]},
            {"name": "Environment", "text": service["environment"] or "not named"},
        ],
        "sections": sections,
        "footer": "Times are UTC. Latency counts from the moment at which a request was scheduled, to the end of its answer.",
    }


def _figures(result: t.Mapping[str, t.Any]) -> Section:
    latency, served = result["latency_ms"], result["service_ms"]
    rows: t.List[t.List[t.Union[str, Cell]]] = [
        ["from the scheduled moment", *(number(latency[key], "ms") for key, _name in _SPREAD)],
        ["from the moment of sending", *(number(served[key], "ms") for key, _name in _SPREAD)],
    ]
    failures = [[kind, number(count, "count", "bad")] for kind, count in result["failures"].items()]
    return section(
        "Figures",
        facts(
            ("Planned", number(result["total"], "count")),
            ("Sent", number(result["sent"], "count", "" if result["sent"] == result["total"] else "bad")),
            ("Succeeded", number(result["ok"], "count")),
            ("Failed", number(result["failed_requests"], "count", "bad" if result["failed_requests"] else "")),
            ("Duration", number(result["duration_s"], "s")),
            ("Good answers", number(result["throughput_per_s"], "per_second")),
        ),
        table(["latency", *(name for _key, name in _SPREAD)], rows),
        table(["failure", "requests"], failures, caption="Failures by kind", empty="No request failed."),
    )


def _limits(result: t.Mapping[str, t.Any]) -> Section:
    rows: t.List[t.List[t.Union[str, Cell]]] = []
    for one in result["thresholds"]:
        limits = ", ".join(
            f"{name.replace('_', ' ')} {one[name]:g}" for name in ("warn_above", "fail_above", "warn_below", "fail_below") if name in one
        )
        shown = quantity(one["value"], _unit(one["metric"]))
        rows.append([one["metric"].replace("_", " "), shown, limits, verdict_cell(one["verdict"]), one["reason"]])
    verdict = whole([{"verdict": one["verdict"]} for one in result["thresholds"]]) if rows else None
    return section(
        "Thresholds", table(["figure", "value", "limits", "verdict", "reason"], rows, empty="The profile names none."), verdict=verdict
    )


def _over_time(result: t.Mapping[str, t.Any], began: float) -> Section:
    points = result["curves"]["over_time"]
    end = began + max([result["duration_s"], 1.0])

    def line(key: str) -> t.List[t.Tuple[float, float]]:
        return [(began + point["at_s"], float(point[key])) for point in points if point[key] is not None]

    limits = [
        (float(one[name]), f"{name.replace('_', ' ')} ({one['metric']})", mark)
        for one in result["thresholds"]
        if one["metric"].startswith("latency")
        for name, (_verdict, mark) in _LIMITS.items()
        if name in one
    ]
    blocks: t.List[Block] = [
        chart(
            "Latency of the requests scheduled at that moment",
            "ms",
            [("p50", line("p50_ms")), ("slowest", line("maximum_ms"))],
            (began, end),
            limits=limits,
        ),
        chart("Good answers a second", "per_second", [("good answers", line("answered_per_s"))], (began, end)),
    ]
    if result["failed_requests"]:
        blocks.append(chart("Failed requests", "count", [("failed", line("failed"))], (began, end)))
    shares: t.List[t.List[t.Union[str, Cell]]] = [
        [f"{100 * share:g} %", number(value, "ms")] for share, value in result["curves"]["by_share"]
    ]
    return section("Over time", *blocks, table(["share of requests", "answered within"], shares, caption="How many were answered within"))


def _kinds(result: t.Mapping[str, t.Any]) -> Section:
    rows: t.List[t.List[t.Union[str, Cell]]] = [
        [
            one["name"],
            number(one["sent"], "count"),
            number(one["ok"], "count"),
            number(one["latency_ms"]["p50"], "ms"),
            number(one["latency_ms"]["p95"], "ms"),
            ", ".join(f"{count} x {kind}" for kind, count in one["failures"].items()),
        ]
        for one in result["by_request"]
    ]
    return section("By kind of request", table(["request", "sent", "succeeded", "p50", "p95", "failures"], rows))


def _steps(result: t.Mapping[str, t.Any]) -> t.List[str]:
    if result["verdict"] == PASS:
        return ["Nothing: the service bears this load"]
    steps = [
        f"{one['metric'].replace('_', ' ')}: {one['reason']}" for one in result["thresholds"] if one["verdict"] in (FAIL, WARN, UNKNOWN)
    ]
    if result["failures"]:
        worst = next(iter(result["failures"]))
        steps.append(f"Look for the most frequent failure ({worst}) in the service's log of {spoken(_moment(result['began_at']))}")
    return steps or ["Look at the figures below"]


def _moment(text: str) -> datetime:
    return utc_time(text).astimezone(timezone.utc)


def _unit(metric: str) -> str:
    return {"error_rate": "ratio", "throughput_per_s": "per_second"}.get(metric, "ms" if metric.endswith("_ms") else "count")
