# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The axes of charts: from where to where, and where the marks are."""

from __future__ import annotations

import math
import typing as t
from datetime import datetime, timezone

_SHORT_S = 600
_TIME_STEPS_S = (
    1,
    2,
    5,
    10,
    30,
    60,
    120,
    300,
    900,
    1800,
    3600,
    7200,
    10800,
    21600,
    43200,
    86400,
    172800,
    604800,
    1209600,
    2592000,
    7776000,
    15552000,
)


def thinned(points: t.Sequence[t.Sequence[float]], most: int) -> t.List[t.Sequence[float]]:
    """At most about `most` points that look the same: of each stretch of time its lowest and its highest, so that no spike is lost."""
    if len(points) <= most:
        return list(points)
    begin, length = points[0][0], (points[-1][0] - points[0][0]) * 2 / most or 1
    groups: t.Dict[int, t.List[t.Sequence[float]]] = {}
    for point in points:
        groups.setdefault(int((point[0] - begin) / length), []).append(point)
    kept: t.List[t.Sequence[float]] = []
    for _number, group in sorted(groups.items()):
        ends = {id(one): one for one in (min(group, key=lambda point: point[1]), max(group, key=lambda point: point[1]))}
        kept += sorted(ends.values(), key=lambda point: point[0])
    return kept


def value_range(chart: t.Mapping[str, t.Any]) -> t.Tuple[float, float]:
    """From where to where the numbers' axis goes: from 0, unless all numbers are far from it; limits are shown where they are near."""
    ahead = (chart.get("projection") or {}).get("middle") or []
    values = [value for line in chart["series"] for _at, value in line["points"]] + [value for _at, value in ahead]
    if not values:
        return 0.0, 1.0
    low, high = min(values), max(values)
    for limit in chart["limits"]:
        if low - 2 * (high - low or abs(high) or 1) <= limit["value"] <= max(high, 0) * 3 + 1e-9:
            low, high = min(low, limit["value"]), max(high, limit["value"])
    if low > 0 and low < 0.6 * high:
        low = 0.0
    largest = max(abs(low), abs(high))
    if largest < 1e-12:
        return 0.0, 1.0
    if high - low < 1e-6 * largest:
        low, high = low - largest * 0.1, high + largest * 0.1
    step = _step(low, high)
    return math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step


def _step(low: float, high: float) -> float:
    rough = (high - low) / 4
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)


def value_ticks(low: float, high: float) -> t.List[float]:
    step = _step(low, high)
    return [round(low + number * step, 12) for number in range(int((high - low) / step + 1.5)) if low + number * step <= high + step / 1000]


def time_ticks(since: float, until: float) -> t.List[t.Tuple[float, str]]:
    """Four to six marks on the time axis: hours, then days, then months."""
    length = until - since
    step = next((step for step in _TIME_STEPS_S if length / step <= 5), _TIME_STEPS_S[-1] * math.ceil(length / _TIME_STEPS_S[-1] / 5))
    form = "%H:%M" if length <= 86400 * 1.1 else "%d %b" if step >= 86400 else "%d %b %H:%M"
    if length > 86400 * 300:
        form = "%b %Y"
    elif length <= _SHORT_S:
        form = "%H:%M:%S"
    first = math.ceil(since / step) * step
    found = [first + number * step for number in range(int((until - first) / step) + 1)]
    return [
        (at, datetime.fromtimestamp(at, timezone.utc).strftime(form).lstrip("0" if form.startswith("%d") else ""))
        for at in found
        if 0.02 * length <= at - since <= 0.97 * length
    ]
