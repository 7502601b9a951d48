# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The questions that a report puts to the logs: which of the profile's own, and what every report wants to know."""

from __future__ import annotations

import typing as t

ERRORS, ERROR_TYPES, DURATIONS = "errors", "errors by type", "durations"
"""Questions of every report; the last one of performance reports whose profile asks no question about numbers."""
SECURITY = "security"
"""What the profile's questions about refused requests and the like are used by."""
_ERROR_LEVELS = ["ERROR", "CRITICAL"]
_LINES, _TOP = 20, 10
_ALSO: t.Mapping[str, t.Tuple[str, ...]] = {
    "evening_summary": (SECURITY,),
    "weekly_report": (SECURITY,),
    "performance_report": ("latency", "slow_answers"),
}
"""Reports put these questions, too: they belong to procedures for what the reports are about."""


def used_by(kind: str) -> t.List[str]:
    """The words by which the profile's questions are chosen for a report of this kind."""
    return [kind, *_ALSO.get(kind, ())]


def chosen(questions: t.Iterable[t.Any], kind: str) -> t.List[t.Mapping[str, t.Any]]:
    """The profile's questions that are used by a report of this kind."""
    wanted = set(used_by(kind))
    return [one for one in questions if isinstance(one, t.Mapping) and one.get("name") and wanted & set(_words(one.get("used_by")))]


def own_questions(questions: t.Iterable[t.Any], kind: str) -> t.List[t.Dict[str, t.Any]]:
    """What a report of this kind asks besides the profile's questions, as `questions` of log_scan.

    Args:
        questions: `service_log_questions` of the profile.
        kind: Name of the report.
    """
    found: t.List[t.Dict[str, t.Any]] = [
        {"name": ERRORS, "levels": _ERROR_LEVELS, "lines": _LINES},
        {"name": ERROR_TYPES, "levels": _ERROR_LEVELS, "group_by": ["type"], "top": _TOP},
    ]
    if kind == "performance_report" and not any(one.get("numeric_field") for one in chosen(questions, kind)):
        found.append({"name": DURATIONS, "number": "duration_ms", "top": _TOP})
    return found


def longest_s(questions: t.Iterable[t.Any], kind: str, window_s: float) -> float:
    """How far back the logs must be read, in seconds: as far as the report looks, or the question that looks furthest."""
    return max([window_s, *(float(one["since_s"]) for one in chosen(questions, kind) if one.get("since_s"))])


def _words(value: t.Any) -> t.List[str]:
    return [str(one) for one in value] if isinstance(value, (list, tuple)) else [str(value)] if value else []
