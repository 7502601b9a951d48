# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Checks that must pass before a service counts as healthy, asked again until they do."""

from __future__ import annotations

import typing as t

from ..errors import CommandFailed
from ..progress import Progress
from .deadline import Deadline, pauses

_TIMEOUT_S = 5.0
_SHORTEST_S = 0.5


def require_sense(checks: t.Sequence[t.Mapping[str, t.Any]]) -> None:
    """Raise BadInput where there are mistakes in the checks, which are as the module health_check takes them; nothing is asked."""
    if checks:
        from ..checks.plan import plan

        plan(checks, timeout_s=_TIMEOUT_S)


def until_ready(checks: t.Sequence[t.Mapping[str, t.Any]], deadline: Deadline, still: t.Callable[[], object], progress: Progress) -> None:
    """Ask checks until all pass, at least once. Before each further round `still` is called, which raises where asking on is of no use.

    Raises:
        CommandFailed: They did not pass before the deadline; the last answers are the cause.
    """
    if not checks:
        return
    from ..checks.engine import ask
    from ..checks.plan import plan, redactor_for

    redactor = redactor_for(checks)
    for _again in pauses():
        timeout_s = max(_SHORTEST_S, min(_TIMEOUT_S, deadline.left_s))
        results = ask(plan(checks, timeout_s=timeout_s, retries=0), redactor=redactor)
        wrong = [result for result in results if result.verdict in ("fail", "unknown")]
        if not wrong:
            return
        still()
        if not deadline.left_s:
            said = "; ".join(f"{result.name}: {result.reason}" for result in wrong[:3])
            raise CommandFailed(f"Its ready checks do not pass within {deadline.seconds:g} s", why=said, facts={"unready": True})
        progress.say(f"waiting for its ready checks ({wrong[0].reason})", len(results) - len(wrong), len(results), "checks")
