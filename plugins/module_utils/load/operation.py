# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The load test as one operation, from the module's options to its result."""

from __future__ import annotations

import sys
import typing as t

from ..checks.redaction import MASK, Redactor, secrets_of
from ..state import utc_now, utc_text
from . import figures
from .generator import send
from .plan import plan, refuse_production

OPTIONS: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "url": {"type": "str", "required": True},
    "requests": {"type": "list", "elements": "dict", "required": True},
    "total": {"type": "int", "default": 100},
    "concurrency": {"type": "int", "default": 10},
    "rate_per_s": {"type": "float", "default": 0.0},
    "timeout_s": {"type": "float", "default": 10.0},
    "duration_s": {"type": "float", "default": 120.0},
    "max_body_kb": {"type": "int", "default": 1024},
    "verify_tls": {"type": "bool", "default": True},
    "ca_file": {"type": "path"},
    "thresholds": {"type": "list", "elements": "dict", "default": []},
    "service_name": {"type": "str", "default": ""},
    "service_environment": {"type": "str", "default": ""},
    "confirm": {"type": "str", "default": ""},
    "python": {"type": "path"},
}
"""The module's argument spec."""


def operate(parameters: t.Mapping[str, t.Any], check_mode: bool) -> t.Dict[str, t.Any]:
    """Make the load test that the options ask for; in check mode only say what it would send.

    Raises:
        BadInput: The options make no sense or are beyond a limit.
        NotConfirmed: It is production, and nobody has named the service.
        ToolMissing: Locust is not installed.
        DeadlineExceeded: The generator had to be ended.
    """
    wanted = plan(parameters)
    refuse_production(parameters["service_environment"], parameters["service_name"], parameters["confirm"])
    if check_mode:
        return {"changed": True, "msg": f"It would send {wanted.sentence()}.", "plan": wanted.shown()}
    began = utc_now()
    ended = send(wanted, parameters["python"] or sys.executable)
    found = figures.figures(wanted, ended)
    thresholds = figures.judge(wanted, found)
    verdict, summary = figures.verdict(wanted, found, thresholds)
    measured, targets = figures.measurements(found, wanted)
    result = {
        "changed": bool(ended),
        "msg": summary,
        "summary": summary,
        "verdict": verdict,
        "began_at": utc_text(began),
        "plan": wanted.shown(),
        **found,
        "thresholds": thresholds,
        "curves": figures.curves(wanted, ended),
        "metrics": figures.metrics(found, thresholds),
        "measurements": measured,
        "targets": targets,
        "table": table(found, thresholds),
    }
    redactor = Redactor(secret for request in parameters["requests"] for secret in secrets_of(request) if secret != MASK)
    return dict(_clean(result, redactor))


def table(found: t.Mapping[str, t.Any], thresholds: t.Sequence[t.Mapping[str, t.Any]]) -> t.List[str]:
    """The figures as lines for a terminal."""
    latency, late = found["latency_ms"], found["late_ms"]
    lines = [
        f"requests    {found['total']} planned, {found['sent']} sent, {found['ok']} ok, {found['failed_requests']} failed",
        *(f"            {count} failed: {kind}" for kind, count in found["failures"].items()),
        f"duration    {found['duration_s']:g} s, {found['throughput_per_s'] or 0:g} good answers a second",
    ]
    if latency["samples"]:
        spread = ", ".join(f"{name} {latency[name]:g}" for name in ("average", "minimum", "p50", "p95", "p99", "maximum"))
        lines.append(f"latency ms  {spread}")
        if found["rate_per_s"]:
            lines.append(f"            counted from the scheduled moment; sent {late['p99']:g} ms late (p99)")
    for one in thresholds:
        lines.append(f"{one['verdict'].upper():<11} {one['reason'] or str(one['metric']) + ' is ' + format(one['value'], 'g')}")
    return lines


def _clean(value: t.Any, redactor: Redactor) -> t.Any:
    if isinstance(value, str):
        return redactor.text(value)
    if isinstance(value, t.Mapping):
        return {redactor.text(str(key)): _clean(item, redactor) for key, item in value.items()}
    return [_clean(item, redactor) for item in value] if isinstance(value, (list, tuple)) else value
