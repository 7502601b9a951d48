# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What Prometheus has to evaluate for a metric of the profile (PromQL, https://prometheus.io/docs/prometheus/latest/querying/basics/)."""

from __future__ import annotations

import math
import re
import typing as t

from ..checks.selector import BadSelector, Selector
from .yaml_text import quoted

_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")
"""Data model, https://prometheus.io/docs/concepts/data_model/#metric-names-and-labels."""
_OVER_SERIES = {"sum": "sum", "max": "max", "min": "min", "mean": "avg", "count": "count"}
_QUANTILE_WINDOW_S = 300
_OVER_TIME = {
    "mean": "avg_over_time",
    "maximum": "max_over_time",
    "minimum": "min_over_time",
    "increase": "increase",
    "rate": "rate",
}


class NotInPrometheus(Exception):
    """Prometheus cannot evaluate the metric; the text says why, as a part of a sentence."""


def expression_of(metric: t.Mapping[str, t.Any]) -> str:
    """The PromQL expression whose value the thresholds of the metric are for.

    `promql` is taken as it stands. Metrics that are read from a Prometheus, or from a page that Prometheus scrapes as well, give their own.

    Raises:
        NotInPrometheus: There is none.
    """
    given = metric.get("promql")
    if given is not None and str(given).strip():
        return str(given).strip()
    kind = str(metric.get("type") or "")
    if kind == "promql":
        expression = str(metric.get("query") or "").strip()
        if not expression:
            raise NotInPrometheus("it has no query")
    elif kind == "prometheus":
        expression = _of_exposition(metric)
    else:
        raise NotInPrometheus(f"it is read by a check of type {kind or 'none'} and has no promql")
    if metric.get("divided_by"):
        raise NotInPrometheus("it is divided by a second number of the same answer and has no promql")
    if metric.get("complement"):
        expression = f"1 - ({expression})"
    return expression if metric.get("scale") in (None, 1) else f"({expression}) * {number(metric['scale'])}"


def selector(text: str, labels: t.Mapping[str, t.Any], suffix: str = "") -> str:
    """The selector of the series that `text` names, a name with or without conditions, with exactly these values of labels besides.

    Args:
        suffix: Is put behind the name where it does not end so, such as `_bucket`.

    Raises:
        NotInPrometheus: The text selects nothing, or a label has a name that Prometheus does not know.
    """
    wrong = next((str(label) for label in labels if not _LABEL_NAME.match(str(label))), None)
    if wrong is not None:
        raise NotInPrometheus(f"{wrong[:60]!r} is no name of a label")
    try:
        name, conditions = Selector.of(text)
    except BadSelector as error:
        raise NotInPrometheus(str(error)) from None
    matchers = [f"{one.label}{one.sign}{quoted(one.value)}" for one in conditions]
    matchers += [f"{label}={quoted(str(value))}" for label, value in labels.items()]
    whole = name if name.endswith(suffix) else name + suffix
    return f"{whole}{{{','.join(matchers)}}}" if matchers else whole


def number(value: t.Any) -> str:
    """A number as PromQL writes it.

    Raises:
        NotInPrometheus: It is none, or not finite.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise NotInPrometheus(f"{value!r:.60} is no number")
    try:
        found = float(value)
    except (ValueError, OverflowError):
        raise NotInPrometheus(f"{value!r:.60} is no number") from None
    if not math.isfinite(found):
        raise NotInPrometheus(f"{value!r:.60} is not finite")
    return str(int(found)) if found.is_integer() and abs(found) < 1 << 53 else repr(found)


def duration(seconds: float) -> str:
    """A duration as Prometheus and Alertmanager write it, to the second: `90` is `90s`, `3600` is `1h`."""
    whole = max(0, round(seconds))
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if whole and whole % size == 0:
            return f"{whole // size}{unit}"
    return f"{whole}s"


def _of_exposition(metric: t.Mapping[str, t.Any]) -> str:
    given, text = metric.get("labels"), str(metric.get("metric") or "")
    labels: t.Mapping[str, t.Any] = given if isinstance(given, t.Mapping) else {}
    aggregate, window_s = str(metric.get("aggregate") or "last"), metric.get("window_s") or 0
    if not isinstance(window_s, (int, float)):
        raise NotInPrometheus("its window_s is no number")
    if metric.get("quantile") is not None:
        series = selector(text, labels, "_bucket")
        window = duration(window_s if window_s >= 1 else _QUANTILE_WINDOW_S)
        return f"histogram_quantile({number(metric['quantile'])}, sum by (le) (rate({series}[{window}])))"
    series = selector(text, labels)
    if aggregate != "last":
        over_time = _OVER_TIME.get(aggregate)
        if over_time is None or window_s < 1:
            raise NotInPrometheus(f"its aggregate {aggregate[:40]} needs a window_s of a second or more")
        series = f"{over_time}({series}[{duration(window_s)}])"
    over_series = _OVER_SERIES.get(str(metric.get("sum") or "sum"))
    if over_series is None:
        raise NotInPrometheus(f"sum is {str(metric.get('sum'))[:40]!r}, which is none of {', '.join(_OVER_SERIES)}")
    return f"{over_series}({series})"
