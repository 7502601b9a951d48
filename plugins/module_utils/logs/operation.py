# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The module `log_scan`, whole: from its options to its result."""

from __future__ import annotations

import time
import typing as t

from .options import OPTIONS, plan_of
from .results import lines_asked, result_of, result_of_log
from .scan import run
from .shown import Shown
from .times import iso

__all__ = ["OPTIONS", "operate"]


def operate(parameters: t.Mapping[str, t.Any], check_mode: bool = False) -> t.Dict[str, t.Any]:
    """Put all questions to all logs.

    Args:
        parameters: As `OPTIONS` describes them.
        check_mode: Makes no difference: nothing is ever changed.

    Returns: The result of the module.

    Raises:
        RunbookError: The options make no sense, or a log cannot be read.
    """
    begin = time.monotonic()
    now = time.time()
    plan = plan_of(parameters, now)
    shown = Shown(parameters.get("secrets") or ())
    timeout_s = float(parameters.get("timeout_s") or OPTIONS["timeout_s"]["default"])
    with run(plan, timeout_s, missing_ok=bool(parameters.get("missing_ok"))) as outcome:
        answers = [result_of(answer, lines_asked(answer, outcome), shown) for answer in outcome.answers]
        logs = [result_of_log(source, totals, shown) for source, totals in zip(plan.sources, outcome.totals)]
        complete, processes = outcome.complete, outcome.processes
    notes = [f"{log['name']}: {note}" for log in logs for note in log["notes"]]
    notes += [f"question {answer['name']}: {answer['problem']}" for answer in answers if answer["problem"]]
    if not complete:
        notes.insert(0, f"the scan was ended after {timeout_s:g} s, before everything was read")
    lines, errors = sum(log["lines"] for log in logs), sum(log["errors"] for log in logs)
    return {
        "changed": False,
        "msg": f"{lines} lines in {len(logs)} log{'' if len(logs) == 1 else 's'}, {errors} of them errors",
        "since": iso(plan.since),
        "until": iso(plan.until if plan.until is not None else now),
        "complete": complete,
        "logs": logs,
        "answers": answers,
        "notes": notes[:50],
        "duration_ms": round((time.monotonic() - begin) * 1000, 1),
        "processes": processes,
    }
