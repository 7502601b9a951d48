# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A history of some days, and reports made from it, for tests."""

from __future__ import annotations

import json
import math
from datetime import datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.sre.runbooks.plugins.module_utils.history.store import History
from ansible_collections.sre.runbooks.plugins.module_utils.report.operation import OPTIONS, operate

AT = "2026-11-18T12:26:40Z"
NOW = datetime.fromisoformat(AT).timestamp()
KINDS = ("capacity_report", "evening_summary", "morning_check", "performance_report", "recovery_report", "slo_report", "weekly_report")
HOSTILE = "<script>alert(1)</script>\"'&`|*_[x](http://evil.example)\n# heading </svg><img src=x onerror=alert(1)>"
VOID = {"meta", "br", "!doctype", "path", "rect"}

CHECKS: list[dict[str, Any]] = [
    {"name": "api", "title": "API health", "type": "json", "component": "api", "url": "http://127.0.0.1:1/health"},
    {"name": "database", "title": "PostgreSQL", "type": "postgresql", "component": "database"},
]
METRICS: list[dict[str, Any]] = [
    {"name": "latency_p95", "title": "95th percentile", "type": "json", "component": "api", "unit": "ms", "fail_above": 1000},
    {"name": "error_rate", "title": "Failed requests", "type": "json", "component": "api", "unit": "ratio", "fail_above": 0.01},
    {"name": "disk", "title": "Disk usage", "type": "disk", "unit": "percent", "warn_above": 75, "fail_above": 85},
]
OBJECTIVES: list[dict[str, Any]] = [
    {"title": "API available", "check": "api", "objective": 0.999, "window_days": 10},
    {"title": "Answers in time", "metric": "latency_p95", "objective": 1000, "unit": "ms", "window_days": 10},
]


def result(defined: dict[str, Any], verdict: str = "pass", value: float | None = None, reason: str = "") -> dict[str, Any]:
    """A result as health_check and metrics_gate give them."""
    return {
        "name": defined["name"], "title": defined.get("title", ""), "type": defined["type"], "component": defined.get("component", ""),
        "target": "http://127.0.0.1:1/", "verdict": verdict, "latency_ms": 12.5, "attempts": 1, "reason": reason, "observed": {},
        "value": value, "unit": defined.get("unit", ""), "weight": 1.0,
    }  # fmt: skip


def readings(day: float) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What checks and metrics say `day` days before now: down for an hour two days ago, and a disk that fills by 2 % a day."""
    down = 2.0 <= day < 2.0 + 1 / 24
    checks = [result(CHECKS[0], "fail" if down else "pass", reason="answered 503" if down else ""), result(CHECKS[1])]
    values = (300 + 100 * math.sin(day * 7), 0.002, 70 - 2 * day)
    return checks, [result(metric, "pass", value) for metric, value in zip(METRICS, values, strict=True)]


def remember(state: Path, days: float = 10, every_s: float = 900) -> None:
    """Write the history of the last days."""
    state.mkdir(mode=0o700, exist_ok=True)
    with History.open(str(state), "paralegal", write=True) as history:
        for number in range(int(days * 86_400 / every_s), -1, -1):
            history.record(NOW - number * every_s, f"RUN-{number}", "alert_check", *readings(number * every_s / 86_400))


def make(state: Path, kind: str = "morning_check", *, check_mode: bool = False, **options: Any) -> dict[str, Any]:
    """A report at `NOW`; `options` take the place of those of a service that is well."""
    checks, metrics = readings(0)
    given = {
        "kind": kind, "service": "paralegal", "title": "AI Paralegal", "environment": "production", "state_folder": str(state), "until": AT,
        "checks": CHECKS, "metrics": METRICS, "objectives": OBJECTIVES, "health": {"results": checks},
        "metric_results": {"metrics": metrics},
        "burn_rates": [{"window_s": 3600, "warn_above": 14.4}], **options,
    }  # fmt: skip
    validated = ArgumentSpecValidator(dict(OPTIONS)).validate(given)
    assert not validated.error_messages, validated.error_messages
    return operate(validated.validated_parameters, check_mode)


def report_of(made: dict[str, Any]) -> dict[str, Any]:
    """The document that was written."""
    found: dict[str, Any] = json.loads(Path(made["json"]).read_text())
    return found


def section(report: dict[str, Any], title: str) -> dict[str, Any]:
    """One of its sections."""
    return dict(next(one for one in report["sections"] if one["title"] == title))


def rows(found: dict[str, Any]) -> dict[str, list[str]]:
    """First cell -> texts of the others, of all tables of a section."""
    return {
        row[0]["text"]: [cell["text"] for cell in row[1:]]
        for block in found["blocks"]
        for row in block.get("rows", [])
        if isinstance(row, list)
    }


class Page(HTMLParser):
    """Tags, texts and attributes of a page; complains of tags that are not closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        """Everything that is to be read, blanks put together."""
        return " ".join(" ".join(self.words).split())
