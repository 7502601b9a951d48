# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Status pages of the tests' own: a service with a history, its log, and the real server on a free port."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import sys
import time
import typing as t
from pathlib import Path

from ansible_collections.sre.runbooks.plugins.module_utils.history.store import History
from ansible_collections.sre.runbooks.plugins.module_utils.status_page.process import OPTIONS, operate
from tools.ports import free_port

CHECKS: list[dict[str, t.Any]] = [
    {"name": "gateway", "title": "Gateway answers", "component": "routellm", "password": "hunter2-of-the-profile"},
    {"name": "database", "title": "Database answers", "component": "database"},
]
METRICS: list[dict[str, t.Any]] = [
    {"name": "latency_p50", "title": "Response time, half of them", "component": "routellm", "unit": "ms"},
    {"name": "latency_p95", "title": "Response time, 95 %", "component": "routellm", "unit": "ms", "warn_above": 2000, "fail_above": 5000},
    {"name": "success_rate", "title": "Success", "component": "routellm", "unit": "ratio", "fail_below": 0.95},
    {"name": "active_operations", "title": "Operations", "component": "routellm", "unit": "count"},
    {"name": "connections", "title": "Connections", "component": "database", "unit": "percent", "warn_above": 80, "fail_above": 90},
]
VALUES = {"latency_p50": 180.0, "latency_p95": 900.0, "success_rate": 0.993, "active_operations": 4, "connections": 41.0}


class Service:
    """A service whose state is kept in `folder`, and its page.

    Attributes:
        log: Its log file.
        port: Port of the page.
    """

    def __init__(self, folder: Path, name: str = "wrappers") -> None:
        self.folder, self.name, self.port = folder, name, free_port()
        self.log = folder / "app.jsonl"
        self.log.write_text("")
        self.settings: dict[str, t.Any] = {}

    def record(self, age_s: float = 5, verdicts: t.Mapping[str, str] | None = None, **run: t.Any) -> None:
        """Write what a run found so long ago; what is not named passed."""
        verdicts = verdicts or {}

        def result(subject: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
            verdict = verdicts.get(subject["name"], "pass")
            reason = "" if verdict == "pass" else f"{subject['name']} is not well"
            return {**subject, "verdict": verdict, "reason": reason, "latency_ms": 20.0 + age_s % 17, "value": VALUES.get(subject["name"])}

        with History.open(str(self.folder), self.name, write=True) as history:
            history.record(
                time.time() - age_s, f"run-{age_s}", "monitoring", [*map(result, CHECKS)], [*map(result, METRICS)], **{"score": 1.0, **run}
            )

    def write(self, line: object) -> None:
        """Append a line to the log: text as it is, everything else as JSON."""
        with self.log.open("a") as stream:
            stream.write((line if isinstance(line, str) else json.dumps(line)) + "\n")

    def operate(self, state: str = "started", *, check_mode: bool = False, **changed: t.Any) -> dict[str, t.Any]:
        """Start or stop the page by the library."""
        self.settings = {**self.settings, **changed}
        given = {
            **{name: option.get("default") for name, option in OPTIONS.items()},
            "service": {"name": self.name, "title": "Wrapper integration", "environment": "staging"},
            "components": [
                {"name": "routellm", "title": "RouteLLM", "availability": 0.999},
                {"name": "database", "title": "PostgreSQL", "availability": 0.999},
            ],
            "checks": CHECKS,
            "metrics": METRICS,
            "logs": [{"name": "app", "title": "Application", "path": str(self.log)}],
            "state_folder": str(self.folder),
            "port": self.port,
            "python": sys.executable,
            **{name: value for name, value in self.settings.items() if value is not None},
            "state": state,
        }
        return operate(given, check_mode)

    def __enter__(self) -> Service:
        self.operate()
        return self

    def __exit__(self, *_error: object) -> None:
        self.operate("stopped")

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http{'s' if self.settings.get('tls_certificate') else ''}://127.0.0.1:{self.port}/"

    def ask(
        self, path: str = "/", method: str = "GET", *, password: str = "", context: ssl.SSLContext | None = None, **headers: str
    ) -> tuple[int, dict[str, str], str]:
        """Status, headers (names in lower case) and body of an answer."""
        if context:
            connection: http.client.HTTPConnection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=10, context=context)
        else:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        if password:
            headers["Authorization"] = "Basic " + base64.b64encode(f"sre:{password}".encode()).decode()
        try:
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read().decode()
        finally:
            connection.close()

    def data(self, path: str) -> tuple[int, t.Any]:
        """Status and JSON of an answer."""
        status, _headers, body = self.ask(path)
        return status, json.loads(body)

    def said(self) -> str:
        """What its program has written."""
        return (self.folder / "status_page" / self.name / "status_page.log").read_text()
