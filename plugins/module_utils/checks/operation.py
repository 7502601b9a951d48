# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The operation of the module health_check: plan, ask, report. It runs on the controller or on a managed host."""

from __future__ import annotations

import time
import typing as t

from ..errors import BadInput
from ..progress import Progress
from .engine import ask
from .model import Check
from .plan import plan, redactor_for
from .report import report

OPTIONS: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "checks": {"type": "list", "elements": "dict", "required": True},
    "timeout_s": {"type": "float", "default": 10.0},
    "retries": {"type": "int", "default": 1},
    "concurrency": {"type": "int", "default": 100},
    "fail_on": {"type": "list", "elements": "str", "choices": ["warn", "fail", "unknown"], "default": ["fail", "unknown"]},
    "from_controller": {"type": "bool", "default": False},
    "hold_s": {"type": "float", "default": 0.0},
    "every_s": {"type": "float", "default": 1.0},
}
"""Described in plugins/modules/health_check.py."""
_LIMITS: t.Mapping[str, t.Tuple[float, float]] = {
    "timeout_s": (0.01, 3600),
    "retries": (0, 10),
    "concurrency": (1, 1000),
    "hold_s": (0, 86400),
    "every_s": (0.1, 3600),
}


def operate(parameters: t.Mapping[str, t.Any], check_mode: bool) -> t.Dict[str, t.Any]:
    """Ask the checks of `parameters` (valid for OPTIONS); asking changes nothing, so check mode does the same.

    Returns:
        The report, with `failed` when a verdict of `fail_on` is among the answers.

    Raises:
        BadInput: The list or the terms have mistakes; nothing was asked.
        ToolMissing: An expression needs the library jmespath, and it is not installed.
    """
    wrong = [f"{name} is not between {low:g} and {high:g}" for name, (low, high) in _LIMITS.items() if not low <= parameters[name] <= high]
    if wrong:
        raise BadInput(
            "The checks cannot be asked on these terms", why="; ".join(wrong), next_step="correct the options; nothing was asked"
        )
    raw = parameters["checks"]
    checks = plan(raw, timeout_s=parameters["timeout_s"], retries=parameters["retries"])
    if parameters["from_controller"]:
        _see_that_any_host_can_ask(checks)
    begin, progress = time.monotonic(), Progress("Watching the checks")
    while True:
        asked = time.monotonic()
        results = ask(checks, concurrency=parameters["concurrency"], redactor=redactor_for(raw))
        said = report(results, (time.monotonic() - asked) * 1000)
        held_s = time.monotonic() - begin
        outcome = {"changed": False, "msg": said["summary"], "held_s": round(held_s, 1), **said}
        if any(said["counts"][verdict] for verdict in parameters["fail_on"]):
            outcome["failed"] = True
            return outcome
        if held_s >= parameters["hold_s"]:
            return outcome
        progress.say("all are well", held_s, parameters["hold_s"], "s")
        time.sleep(min(parameters["every_s"], parameters["hold_s"] - held_s))


def _see_that_any_host_can_ask(checks: t.Sequence[Check]) -> None:
    own = [check for check in checks if check.question.of_host]
    if own:
        named = ", ".join(f"{check.name} ({check.type})" for check in own[:10])
        raise BadInput(
            "Not all of these checks can be asked from the controller",
            why=f"they look at the host itself: {named}" + (f" and {len(own) - 10} more" if len(own) > 10 else ""),
            next_step="leave from_controller out, or ask them in a task of their own; nothing was asked",
        )
