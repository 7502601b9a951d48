# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What the results of many checks come to: one verdict, a score, a table to read."""

from __future__ import annotations

import typing as t

from .model import FAIL, PASS, SEVERITY, UNKNOWN, WARN, Result, worst
from .redaction import clip

_POINTS = {PASS: 1.0, WARN: 0.5, FAIL: 0.0, UNKNOWN: 0.0}
_NAMED = 10
_TABLE_LINES = 200


def report(results: t.Sequence[Result], duration_ms: float) -> t.Dict[str, t.Any]:
    """The report of a run, JSON types only.

    Args:
        results: What came back, in the order of the checks.
        duration_ms: How long the whole took, in milliseconds.
    """
    counts = dict.fromkeys((PASS, WARN, FAIL, UNKNOWN), 0)
    for result in results:
        counts[result.verdict] += 1
    return {
        "verdict": worst(result.verdict for result in results),
        "score": score(results),
        "counts": counts,
        "duration_ms": round(duration_ms, 1),
        "summary": summary(results),
        "table": table(results),
        "results": [
            {
                "name": result.name,
                "title": result.title or result.name,
                "component": result.component,
                "type": result.type,
                "target": result.target,
                "verdict": result.verdict,
                "latency_ms": result.latency_ms,
                "attempts": result.attempts,
                "reason": result.reason,
                "value": result.value,
                "observed": dict(result.observed),
                "weight": result.weight,
            }
            for result in results
        ],
    }


def score(results: t.Sequence[Result]) -> float:
    """The weighted share of what is well, from 0 to 1: a warning counts half, a failure and an unknown nothing.

    When nothing has any weight, all count the same.
    """
    weights = [result.weight for result in results]
    if not any(weights):
        weights = [1.0] * len(results)
    total = sum(weights)
    return round(sum(weight * _POINTS[result.verdict] for weight, result in zip(weights, results)) / total, 4) if total else 0.0


def summary(results: t.Sequence[Result]) -> str:
    """One sentence for all, and one for each that is not well, the worst first."""
    bad = [result for result in _worst_first(results) if result.verdict != PASS]
    if not bad:
        return f"All {len(results)} checks passed." if len(results) != 1 else "The check passed."
    named = "; ".join(f"{result.verdict} {result.name} ({result.target}): {result.reason}" for result in bad[:_NAMED])
    more = f"; and {len(bad) - _NAMED} more" if len(bad) > _NAMED else ""
    return f"{len(bad)} of {len(results)} checks did not pass: {named}{more}."


def table(results: t.Sequence[Result]) -> t.List[str]:
    """A line for each check, the worst first: verdict, name, latency, reason."""
    ordered = _worst_first(results)
    shown = ordered[:_TABLE_LINES]
    width = min(40, max((len(result.name) for result in shown), default=0))
    lines = []
    for result in shown:
        latency = "        -" if result.latency_ms is None else f"{result.latency_ms:6.0f} ms"
        lines.append(f"{result.verdict.upper():7} {clip(result.name, 40):{width}} {latency}  {result.reason}".rstrip())
    if len(ordered) > len(shown):
        rest = ordered[len(shown) :]
        counts = {verdict: sum(result.verdict == verdict for result in rest) for verdict in SEVERITY}
        lines.append("and " + ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count) + " more")
    return lines


def _worst_first(results: t.Sequence[Result]) -> t.List[Result]:
    return sorted(results, key=lambda result: -SEVERITY[result.verdict])
