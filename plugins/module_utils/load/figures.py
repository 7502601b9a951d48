# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What came of a load test: totals, latencies, throughput, and what the thresholds say to it."""

from __future__ import annotations

import math
import typing as t
from collections import Counter
from dataclasses import dataclass

from ..checks.conditions import judge_number
from ..checks.model import FAIL, PASS, UNKNOWN, worst
from .plan import Plan

_SLICES, _IN_A_SLICE = (10, 60), 20
"""Points of a curve over time: few enough to be told apart on a page, and each stands on some requests."""
_NOT_ANSWERED = ("connection", "name resolution", "tls", "no valid HTTP")


@dataclass(frozen=True)
class Ended:
    """How one request ended.

    Attributes:
        kind: Which of the plan's requests it was.
        scheduled_s: When it should have been sent, in seconds from the beginning of the test.
        sent_s: When it was sent.
        ended_s: When its answer was complete, or it was given up.
        status: HTTP status; 0 when there was none.
        size_bytes: How much of a body was read.
        wrong: What was wrong with it; empty when nothing was.
    """

    number: int
    kind: int
    scheduled_s: float
    sent_s: float
    ended_s: float
    status: int
    size_bytes: int
    wrong: str

    @property
    def latency_ms(self) -> float:
        """From the scheduled moment to the end, in milliseconds: waiting for a free connection counts."""
        return (self.ended_s - self.scheduled_s) * 1000

    @property
    def was_measured(self) -> bool:
        """Whether its latency tells of the service: it was answered, or not in time. A refused connection is quick and tells nothing."""
        return not self.wrong.startswith(_NOT_ANSWERED)


def percentile(ordered: t.Sequence[float], share: float) -> t.Optional[float]:
    """The smallest of the ordered numbers that at least `share` of them do not exceed (nearest rank); None of none."""
    return ordered[max(0, math.ceil(round(share * len(ordered), 6)) - 1)] if ordered else None


def figures(plan: Plan, ended: t.Sequence[Ended]) -> t.Dict[str, t.Any]:
    """The figures of a test, JSON types only; a number that cannot be given is None."""
    good = [one for one in ended if not one.wrong]
    measured = [one for one in ended if one.was_measured]
    duration_s = max((one.ended_s for one in ended), default=0.0)
    latencies = sorted(one.latency_ms for one in measured)
    failures = Counter(_kind(one.wrong) for one in ended if one.wrong)
    if len(ended) < plan.total:
        failures["not sent in time"] = plan.total - len(ended)
    return {
        "total": plan.total,
        "sent": len(ended),
        "ok": len(good),
        "failed_requests": plan.total - len(good),
        "failures": dict(failures.most_common()),
        "statuses": {str(status): count for status, count in sorted(Counter(one.status for one in ended if one.status).items())},
        "error_rate": (plan.total - len(good)) / plan.total,
        "duration_s": round(duration_s, 3),
        "throughput_per_s": round(len(good) / duration_s, 3) if duration_s else None,
        "rate_per_s": plan.rate_per_s,
        "concurrency": plan.concurrency,
        "latency_ms": _spread(latencies),
        "service_ms": _spread(sorted((one.ended_s - one.sent_s) * 1000 for one in measured)),
        "late_ms": _spread(sorted((one.sent_s - one.scheduled_s) * 1000 for one in ended)),
        "received_bytes": sum(one.size_bytes for one in ended),
        "by_request": [_one_kind(plan, index, ended) for index in range(len(plan.requests))],
    }


def judge(plan: Plan, found: t.Mapping[str, t.Any]) -> t.List[t.Dict[str, t.Any]]:
    """What each threshold says: metric, value, verdict, reason; `unknown` where too few requests stand behind the number."""
    latencies = found["latency_ms"]
    values = {
        "error_rate": found["error_rate"],
        "throughput_per_s": found["throughput_per_s"],
        "requests_ok": found["ok"],
        "requests_failed": found["failed_requests"],
        **{f"latency_{name}_ms": latencies[name] for name in ("average", "minimum", "maximum", "p50", "p95", "p99")},
    }
    judged = []
    for one in plan.thresholds:
        metric, needed = one["metric"], one.get("minimum_samples", 1)
        samples = latencies["samples"] if metric.startswith("latency") else found["sent"]
        limits = {name: limit for name, limit in one.items() if name.startswith(("warn", "fail"))}
        if samples < needed or values[metric] is None:
            reason = f"{metric} stands on {samples} requests" + (f", fewer than {needed:g}" if samples else ": nothing was measured")
            judged.append({"metric": metric, "value": values[metric], "verdict": UNKNOWN, "reason": reason, **limits})
            continue
        findings = judge_number(_rounded(values[metric]), limits, metric)
        verdict = worst(finding.verdict for finding in findings)
        judged.append(
            {
                "metric": metric,
                "value": _rounded(values[metric]),
                "verdict": verdict,
                "reason": "; ".join(finding.reason for finding in findings),
                **limits,
            }
        )
    return judged


def verdict(plan: Plan, found: t.Mapping[str, t.Any], thresholds: t.Sequence[t.Mapping[str, t.Any]]) -> t.Tuple[str, str]:
    """The verdict of the whole test and the sentence to it.

    A test whose requests were not all sent is `unknown` at best, one without a good answer a failure whatever the thresholds are.
    """
    whole, said = worst(one["verdict"] for one in thresholds), [one["reason"] for one in thresholds if one["reason"]]
    if not found["ok"]:
        whole, said = FAIL, ["no request succeeded", *said]
    elif found["sent"] < plan.total:
        whole = worst([whole, UNKNOWN])
        said.append(f"only {found['sent']} of {plan.total} requests were sent within {plan.duration_s:g} s")
    counts = f"{found['ok']} of {plan.total} requests succeeded"
    latency = found["latency_ms"]
    if latency["samples"]:
        counts += f" in {found['duration_s']:.3g} s, p95 {latency['p95']:.4g} ms"
    return whole, counts + (": " + "; ".join(said) if said else "" if whole == PASS else f" ({whole})")


def curves(plan: Plan, ended: t.Sequence[Ended]) -> t.Dict[str, t.Any]:
    """Points for plots: over time (the moment of the schedule, in seconds) and over the share of requests."""
    end = max((one.ended_s for one in ended), default=0.0)
    step = max(end / max(_SLICES[0], min(_SLICES[1], len(ended) // _IN_A_SLICE)), 0.001)
    slices: t.Dict[int, t.List[Ended]] = {}
    for one in ended:
        slices.setdefault(int(one.scheduled_s / step), []).append(one)
    done = Counter(int(one.ended_s / step) for one in ended if not one.wrong)
    over_time = []
    for position in sorted({*slices, *done}):
        members = slices.get(position, [])
        latencies = sorted(one.latency_ms for one in members if one.was_measured)
        over_time.append(
            {
                "at_s": round(position * step, 4),
                "p50_ms": _rounded(percentile(latencies, 0.5)),
                "maximum_ms": _rounded(latencies[-1] if latencies else None),
                "failed": sum(bool(one.wrong) for one in members),
                "answered_per_s": round(done[position] / step, 3),
            }
        )
    ordered = sorted(one.latency_ms for one in ended if one.was_measured)
    shares = [0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1.0]
    return {
        "step_s": round(step, 4),
        "over_time": over_time,
        "by_share": [[share, _rounded(percentile(ordered, share))] for share in shares],
    }


def measurements(found: t.Mapping[str, t.Any], plan: Plan) -> t.Tuple[t.Dict[str, float], t.Dict[str, float]]:
    """The figures of a run's record, each name with its unit, and what they should be at most."""
    latency = found["latency_ms"]
    figures_of = {"error_rate": found["error_rate"], **{f"latency_{name}_ms": latency[name] for name in ("p50", "p95", "p99", "maximum")}}
    values = {name: value for name, value in figures_of.items() if value is not None}
    targets = {one["metric"]: one.get("fail_above", one.get("warn_above")) for one in plan.thresholds}
    return values, {name: float(limit) for name, limit in targets.items() if name in values and limit is not None}


def metrics(found: t.Mapping[str, t.Any], thresholds: t.Sequence[t.Mapping[str, t.Any]]) -> t.List[t.Dict[str, t.Any]]:
    """The figures as results of metrics, for the history."""
    latency, units = found["latency_ms"], {"error_rate": "ratio", "throughput_per_s": "per_second"}
    values = {
        "error_rate": found["error_rate"],
        "throughput_per_s": found["throughput_per_s"],
        "latency_p50_ms": latency["p50"],
        "latency_p95_ms": latency["p95"],
        "latency_p99_ms": latency["p99"],
    }
    said: t.Dict[str, t.List[t.Mapping[str, t.Any]]] = {}
    for one in thresholds:
        said.setdefault(one["metric"], []).append(one)
    return [
        {
            "name": f"load_test_{name}",
            "value": value,
            "unit": units.get(name, "ms"),
            "verdict": worst(one["verdict"] for one in said.get(name, ())) if value is not None else UNKNOWN,
            "reason": "; ".join(one["reason"] for one in said.get(name, ()) if one["reason"]),
        }
        for name, value in values.items()
    ]


def _spread(ordered: t.Sequence[float]) -> t.Dict[str, t.Any]:
    return {
        "samples": len(ordered),
        "average": _rounded(sum(ordered) / len(ordered)) if ordered else None,
        "minimum": _rounded(ordered[0] if ordered else None),
        "p50": _rounded(percentile(ordered, 0.5)),
        "p95": _rounded(percentile(ordered, 0.95)),
        "p99": _rounded(percentile(ordered, 0.99)),
        "maximum": _rounded(ordered[-1] if ordered else None),
    }


def _one_kind(plan: Plan, index: int, ended: t.Sequence[Ended]) -> t.Dict[str, t.Any]:
    members = [one for one in ended if one.kind == index]
    return {
        "name": plan.requests[index].name,
        "sent": len(members),
        "ok": sum(not one.wrong for one in members),
        "failures": dict(Counter(_kind(one.wrong) for one in members if one.wrong).most_common(10)),
        "latency_ms": _spread(sorted(one.latency_ms for one in members if one.was_measured)),
    }


def _kind(wrong: str) -> str:
    return wrong if wrong.startswith("status") else wrong.partition(":")[0]


def _rounded(value: t.Optional[float]) -> t.Optional[float]:
    return None if value is None else round(value, 3)
