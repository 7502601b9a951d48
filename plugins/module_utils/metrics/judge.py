# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The verdict on a metric's number; a pure function."""

from __future__ import annotations

import typing as t

from ..checks.model import FAIL, PASS, UNKNOWN, WARN, Finding, worst
from .model import Baseline, Judged, Measured, Metric, Normal
from .units import against, spoken


def judge(metric: Metric, measured: Measured, normal: t.Optional[Normal] = None) -> Judged:
    """Hold what was measured against the metric's thresholds and baseline.

    Args:
        normal: The baseline as it is now; None for a metric without one.

    Returns:
        The verdict with one sentence for the reader, which has the numbers in it.
    """
    few = _too_few(metric, measured)
    if few:
        return Judged(metric.too_few, _sentence(metric, measured, [few]))
    if measured.value is None:
        return Judged(measured.verdict, _sentence(metric, measured, [measured.reason]))
    findings = _by_thresholds(metric, measured.value)
    ratio = None
    if metric.baseline is not None and normal is not None:
        ratio, found = _by_baseline(metric, metric.baseline, normal, measured.value)
        findings += found
    if measured.verdict != PASS:
        findings.append(Finding(measured.verdict, measured.reason))
    verdict = worst(finding.verdict for finding in findings)
    reasons = [finding.reason for finding in sorted(findings, key=lambda finding: finding.verdict != verdict)]
    return Judged(verdict, _sentence(metric, measured, reasons), ratio)


def _too_few(metric: Metric, measured: Measured) -> str:
    """Why the number stands on too little; empty when it does not."""
    if metric.minimum_samples is None or (measured.value is None and measured.samples is None):
        return ""
    wanted = f"{metric.minimum_samples:g} are needed to tell anything"
    if measured.samples is None:
        return f"the answer does not say how many observations it stands on, and {wanted}"
    if measured.samples >= metric.minimum_samples:
        return ""
    return (
        f"which are too few, as {wanted}" if measured.value is not None else f"{measured.samples:g} observations are too few, as {wanted}"
    )


def _tells_samples(metric: Metric) -> bool:
    return metric.has("samples") or metric.minimum_samples is not None


def _by_thresholds(metric: Metric, value: float) -> t.List[Finding]:
    for verdict in (FAIL, WARN):
        above, below = metric.thresholds.get(f"{verdict}_above"), metric.thresholds.get(f"{verdict}_below")
        if above is not None and value > above:
            return [Finding(verdict, f"more than {against(value, above, metric.unit)[1]}")]
        if below is not None and value < below:
            return [Finding(verdict, f"less than {against(value, below, metric.unit)[1]}")]
    return []


def _by_baseline(metric: Metric, baseline: Baseline, normal: Normal, value: float) -> t.Tuple[t.Optional[float], t.List[Finding]]:
    if normal.value is None:
        return None, [] if baseline.missing == PASS else [Finding(UNKNOWN, normal.why)]
    usual = f"what is usual ({spoken(normal.value, metric.unit)})"
    if normal.value == 0:
        # Any number is infinitely many times nothing; only nothing itself is as usual.
        return None, [] if value == 0 else [Finding(UNKNOWN, f"usual is {spoken(0, metric.unit)}, of which there are no multiples")]
    ratio = value / normal.value
    for verdict in (FAIL, WARN):
        above, below = baseline.limits.get(f"{verdict}_ratio_above"), baseline.limits.get(f"{verdict}_ratio_below")
        if above is not None and ratio > above:
            said = against(ratio, above, "")
            return ratio, [Finding(verdict, f"{said[0]} times {usual}, more than {said[1]} times")]
        if below is not None and ratio < below:
            said = against(ratio, below, "")
            return ratio, [Finding(verdict, f"{said[0]} times {usual}, less than {said[1]} times")]
    return ratio, []


def _sentence(metric: Metric, measured: Measured, reasons: t.Sequence[str]) -> str:
    if measured.value is None:
        begin = f"{metric.spoken} could not be measured" if measured.verdict == UNKNOWN else metric.spoken
        told = "; ".join(filter(None, reasons))
        return f"{begin}: {told}" if told else begin
    said = spoken(measured.value, metric.unit)
    for limit in metric.thresholds.values():
        # What was just missed or just passed is told with the digits that show it.
        said = max(said, against(measured.value, limit, metric.unit)[0], key=len)
    window = f" over {metric.window_s:g} s" if metric.window_s and measured.readings > 1 else ""
    samples = f" ({measured.samples:g} observations)" if _tells_samples(metric) and measured.samples is not None else ""
    parts = [f"{metric.spoken} is {said}{window}{samples}", *filter(None, reasons)]
    return ", ".join(parts) + (f" ({'; '.join(measured.notes)})" if measured.notes else "")
