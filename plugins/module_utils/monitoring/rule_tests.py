# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Unit tests of the rules, made from the same thresholds: below, at and above each of them, at once and after the time it must hold.

Format: https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/. The tests put samples in place of the recorded
series, so that they hold whatever expression a metric has; the syntax of that expression is checked with the rule file. So they run on
the alerts alone: an expression such as `vector(1)` gives a sample at any time, and no series can have two.
"""

from __future__ import annotations

import math
import typing as t
from decimal import Decimal

from .expression import duration, number
from .rules import ESCALATION_LABEL, Alert, Rules, labels_of
from .thresholds import ABOVE, Threshold
from .yaml_text import quoted

_STEP_S = 60
_COUNTED = ("severity", "priority", "component", ESCALATION_LABEL)


def rule_tests(rules: Rules, rule_file: str) -> t.Dict[str, t.Any]:
    """The content of the test file.

    Args:
        rules: What is tested.
        rule_file: Path of the rule file without recording rules, as seen from the test file.
    """
    watched: t.Dict[str, t.List[Alert]] = {}
    for alert in rules.alerts:
        if alert.threshold is not None and alert.series:
            watched.setdefault(alert.series, []).append(alert)
    tests = [test for series, alerts in watched.items() for test in _of_series(series, alerts, rules.service)]
    return {"rule_files": [rule_file], "evaluation_interval": duration(_STEP_S), "tests": tests}


def _of_series(series: str, alerts: t.Sequence[Alert], service: str) -> t.List[t.Dict[str, t.Any]]:
    limits = sorted({_limit(alert) for alert in alerts})
    tests: t.List[t.Dict[str, t.Any]] = []
    followed: t.List[t.List[Alert]] = []
    for position, limit in enumerate(limits):
        for place, value in _around(limit):
            # How long escalation takes is seen at the gravest values, once for each set of alerts; elsewhere it would only cost time.
            escalated = [alert for alert in alerts if alert.escalation > 1 and _fires(alert, value)]
            last = position in (0, len(limits) - 1) and bool(escalated) and escalated not in followed
            followed += [escalated] if last else []
            watched = alerts if last else [alert for alert in alerts if alert.escalation == 1]
            tests.append(_test(f"{series}: {place} {number(limit)}", series, value, watched, alerts, service))
    return tests


def _test(name: str, series: str, value: float, watched: t.Sequence[Alert], alerts: t.Sequence[Alert], service: str) -> t.Dict[str, t.Any]:
    moments = sorted({0, *(_steps(alert) for alert in watched)})
    questions = []
    for alertname in sorted({alert.name for alert in alerts}):
        asked = f'ALERTS{{alertname={quoted(alertname)},service={quoted(service)},alertstate="firing"}}'
        for moment in moments:
            firing = [alert for alert in alerts if alert.name == alertname and _steps(alert) <= moment and _fires(alert, value)]
            questions.append(
                {
                    "expr": f"count by ({', '.join(_COUNTED)}) ({asked})",
                    "eval_time": duration(moment * _STEP_S),
                    # Two thresholds of one metric that are both crossed, and say the same of it, are one alert to Prometheus.
                    "exp_samples": [{"labels": labels, "value": 1} for labels in dict.fromkeys(_expected(one, service) for one in firing)],
                }
            )
    samples = f"{_sample(value)}+0x{moments[-1] + 1}"
    return {
        "name": name,
        "interval": duration(_STEP_S),
        "input_series": [{"series": f"{series}{{service={quoted(service)}}}", "values": samples}],
        "promql_expr_test": questions,
    }


def _expected(alert: Alert, service: str) -> str:
    labels = labels_of(alert, service)
    return "{" + ", ".join(f"{name}={quoted(labels[name])}" for name in _COUNTED if name in labels) + "}"


def _limit(alert: Alert) -> float:
    """The threshold in the unit of the recorded series."""
    return _threshold(alert).limit * alert.baseline


def _fires(alert: Alert, value: float) -> bool:
    threshold, compared = _threshold(alert), value / alert.baseline
    return compared > threshold.limit if threshold.direction == ABOVE else compared < threshold.limit


def _threshold(alert: Alert) -> Threshold:
    return t.cast(Threshold, alert.threshold)


def _steps(alert: Alert) -> int:
    """Steps of the test's clock until an alert that holds from the beginning fires."""
    return -(-round(alert.for_s) // _STEP_S)


def _around(limit: float) -> t.Tuple[t.Tuple[str, float], ...]:
    """The values on both sides of a limit: the very next numbers, so that no other limit lies between."""
    if limit == 0:
        return (("below", -1e-9), ("at", 0.0), ("above", 1e-9))
    return (("below", math.nextafter(limit, -math.inf)), ("at", limit), ("above", math.nextafter(limit, math.inf)))


def _sample(value: float) -> str:
    """A number as promtool reads it in a series of samples: without an exponent."""
    return format(Decimal(number(value)), "f")
