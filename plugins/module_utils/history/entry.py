# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What goes into the history: results of checks and metrics, brought to one form."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ..checks.conditions import number
from ..checks.model import SEVERITY, worst
from ..errors import BadInput

CHECK, METRIC = "check", "metric"
KINDS = (CHECK, METRIC)
VERDICTS: t.Mapping[int, str] = {severity: verdict for verdict, severity in SEVERITY.items()}
_NAME_LENGTH, _REASON_LENGTH = 200, 500
_YEAR_10000_S = 253402300800


@dataclass(frozen=True)
class Entry:
    """One result.

    Attributes:
        kind: `check` or `metric`.
        severity: The verdict as a number, as in `checks.model.SEVERITY`.
        value: The number that was measured; None when there is none.
        latency_ms: How long the answer took, in milliseconds; None when there was none.
        reason: Why it is not a plain pass.
    """

    kind: str
    name: str
    component: str
    unit: str
    severity: int
    value: t.Optional[float]
    latency_ms: t.Optional[float]
    reason: str

    @staticmethod
    def worst(found: t.Sequence["Entry"]) -> str:
        """The verdict that outweighs the others; `unknown` when nothing was asked."""
        return worst(VERDICTS[entry.severity] for entry in found) if found else "unknown"


def entries(checks: t.Sequence[t.Mapping[str, t.Any]], metrics: t.Sequence[t.Mapping[str, t.Any]]) -> t.List[Entry]:
    """The results of checks and metrics in one form.

    Raises:
        BadInput: A result has no name, an unknown verdict, or is there twice.
    """
    found: t.Dict[t.Tuple[str, str], Entry] = {}
    mistakes = []
    for kind, results in ((CHECK, checks), (METRIC, metrics)):
        for position, result in enumerate(results, 1):
            mistake = _mistake(result)
            if mistake:
                mistakes.append(f"{kind} number {position} {mistake}")
                continue
            entry = _entry(kind, result)
            if (kind, entry.name) in found:
                mistakes.append(f"{kind} {entry.name!r} is there twice")
            found[kind, entry.name] = entry
    if mistakes:
        raise BadInput(
            "The results cannot be recorded",
            why="; ".join(mistakes[:10]),
            next_step="hand over the results of health_check and metrics_gate as they are; nothing was written",
        )
    return list(found.values())


def moment(at: t.Any) -> float:
    """`at` as seconds since 1970 UTC.

    Raises:
        BadInput: It is no moment.
    """
    found = number(at)
    if found is None or not 0 <= found < _YEAR_10000_S:
        raise BadInput(
            "The moment makes no sense", why=f"{at!r} is no number of seconds since 1970", next_step="give seconds since 1970 UTC"
        )
    return found


def _mistake(result: t.Any) -> str:
    if not isinstance(result, t.Mapping):
        return "is not a dictionary"
    if not isinstance(result.get("name"), str) or not result["name"].strip():
        return "has no name"
    if result.get("verdict") not in SEVERITY:
        return f"({result['name'][:60]}) has no verdict of {', '.join(SEVERITY)}"
    return ""


def _entry(kind: str, result: t.Mapping[str, t.Any]) -> Entry:
    observed = result.get("observed")
    value = number(result.get("value"))
    if value is None and isinstance(observed, t.Mapping):
        value = number(observed.get("value"))
    return Entry(
        kind=kind,
        name=text(result["name"])[:_NAME_LENGTH],
        component=text(result.get("component"))[:_NAME_LENGTH],
        unit=text(result.get("unit"))[:_NAME_LENGTH],
        severity=SEVERITY[result["verdict"]],
        value=value,
        latency_ms=number(result.get("latency_ms")),
        reason=text(result.get("reason"))[:_REASON_LENGTH],
    )


def text(value: t.Any) -> str:
    """Text that SQLite takes: halves of surrogate pairs cannot be written as UTF-8, and NUL ends a text for some readers."""
    return "" if value is None else str(value).encode("utf-8", "replace").decode("utf-8").replace("\0", "\ufffd")
