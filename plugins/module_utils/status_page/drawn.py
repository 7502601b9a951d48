# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Charts of the page: how quickly the checks answered, what they said, and every metric, over a window of time."""

from __future__ import annotations

import re
import typing as t

from ..errors import RunbookError
from ..history.entry import CHECK, METRIC
from ..history.store import History
from ..readable import quantity, span
from ..report.charts import as_strips, as_svg
from ..report.document import chart, strips
from .settings import Settings
from .snapshot import Row

WINDOWS_H: t.Mapping[str, float] = {"1": 1, "6": 6, "24": 24, "168": 168}
"""Windows that can be asked for, in hours."""
WORDS: t.Mapping[str, str] = {"1": "1 hour", "6": "6 hours", "24": "24 hours", "168": "7 days"}
_SLICES, _ANSWERS = (16, 96), 40
"""How finely a window is divided: so that a stretch has enough answers for a percentile."""
_CHARTS = 60
_SHARE = re.compile(r"[_.-]?p?(50|90|95|99|999)(?=$|[_.-])")
_QUANTILES = ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))
_GRID = 4
_INLINE = re.compile(r'class="([^"]+)" style="(bottom|left):(-?[\d.]+)%"')


def drawn(settings: Settings, state: Row, hours: str) -> t.Dict[str, str]:
    """Component -> its charts as HTML; those of the whole service are under the empty name. Reads the history."""
    until = float(state["now"])
    window = (until - WINDOWS_H[hours] * 3600, until)
    try:
        with History.open(settings.state_folder, settings.service["name"], write=False) as history:
            return _drawn(settings, history, state, window)
    except RunbookError:
        return {}  # the state says why


def without_inline_style(text: str) -> str:
    """Positions as classes of `position_rules`: the page's content security policy forbids styles in the text of the page."""
    return _INLINE.sub(lambda found: f'class="{found[1]} {found[2][0]}{_step(float(found[3]))}"', text)


def position_rules() -> str:
    """The style sheet's rules for `without_inline_style`, in steps of a quarter of a percent."""
    steps = range(100 * _GRID + 1)
    return "".join(f".b{step}{{bottom:{step / _GRID:g}%}}.l{step}{{left:{step / _GRID:g}%}}" for step in steps)


def _step(percent: float) -> int:
    return max(0, min(100 * _GRID, round(percent * _GRID)))


def _drawn(settings: Settings, history: History, state: Row, window: t.Tuple[float, float]) -> t.Dict[str, str]:
    checks = [check for one in state["components"] for check in one["checks"]]
    latencies = {check["name"]: history.series(CHECK, check["name"], window[0], window[1] + 1, of="latency_ms") for check in checks}
    found = {"": _answer_times(latencies.values(), window)}
    left = _CHARTS
    for number, one in enumerate(state["components"]):
        parts = []
        if one["checks"]:
            rows = [_strip(settings, history, check, window) for check in one["checks"]]
            parts.append(as_strips(strips("What the checks said", window, rows), f"v{number}"))
        for place, group in enumerate(_groups(one["metrics"])):
            if left > 0:
                parts.append(_metric_chart(settings, history, group, window, f"m{number}-{place}"))
                left -= 1
        found[one["name"]] = without_inline_style("".join(parts))
    return found


def _answer_times(series: t.Iterable[t.Sequence[t.Tuple[float, float]]], window: t.Tuple[float, float]) -> str:
    """Percentiles of all answers of checks, stretch by stretch of the window (nearest rank)."""
    answers = [point for points in series for point in points]
    step = (window[1] - window[0]) / max(_SLICES[0], min(_SLICES[1], len(answers) // _ANSWERS))
    slices: t.Dict[int, t.List[float]] = {}
    for at, value in answers:
        slices.setdefault(int((at - window[0]) / step), []).append(value)
    lines = []
    for quantile, name in _QUANTILES:
        points = []
        for place, values in sorted(slices.items()):
            ordered = sorted(values)
            points.append((window[0] + (place + 0.5) * step, ordered[max(0, -(-len(ordered) * round(quantile * 100) // 100) - 1)]))
        lines.append((name, points))
    block = chart("How long the checks' answers took", "ms", lines, window, valid_s=4 * step, about=_about(slices, step))
    return without_inline_style(as_svg(block, "times"))


def _about(slices: t.Mapping[int, t.Sequence[float]], step: float) -> str:
    answers = sum(len(values) for values in slices.values())
    return f"Percentiles of {answers} answers, for stretches of {span(step)}." if answers else ""


def _strip(settings: Settings, history: History, check: Row, window: t.Tuple[float, float]) -> Row:
    valid = settings.stale_after_s
    verdicts = history.verdicts(CHECK, check["name"], window[0] - valid, window[1] + 1)
    pieces: t.List[t.List[t.Any]] = []
    for number, (at, verdict) in enumerate(verdicts):
        following = verdicts[number + 1][0] if number + 1 < len(verdicts) else window[1]
        begin, end = max(at, window[0]), min(at + valid, following, window[1])
        if end <= begin:
            continue
        if pieces and pieces[-1][2] == verdict and pieces[-1][1] >= begin - 1:
            pieces[-1][1] = end
        else:
            pieces.append([begin, end, verdict])
    bad = sum(end - begin for begin, end, verdict in pieces if verdict == "fail")
    known = sum(end - begin for begin, end, verdict in pieces if verdict != "unknown")
    said = f"{quantity(1 - bad / known, 'ratio')} up" if known else "no data"
    return {"name": check["title"], "pieces": pieces, "said": said}


def _groups(metrics: t.Sequence[Row]) -> t.List[t.List[Row]]:
    """Metrics that belong on one chart: percentiles of the same thing in the same unit."""
    found: t.Dict[t.Tuple[str, str], t.List[Row]] = {}
    for metric in metrics:
        base = _SHARE.sub("", metric["name"]) if _SHARE.search(metric["name"]) else metric["name"]
        found.setdefault((base, metric["unit"]), []).append(metric)
    return list(found.values())


def _metric_chart(settings: Settings, history: History, group: t.Sequence[Row], window: t.Tuple[float, float], identity: str) -> str:
    lines = [(metric["title"], history.series(METRIC, metric["name"], window[0], window[1] + 1)) for metric in group]
    limits = []
    if len(group) == 1:
        for key, limit in sorted(group[0]["limits"].items()):
            verdict, side = key.split("_")
            limits.append((float(limit), f"{verdict} {side}", "bad" if verdict == "fail" else "other"))
    title = group[0]["title"] if len(group) == 1 else _SHARE.sub("", group[0]["name"]).replace("_", " ").strip() + ", percentiles"
    return as_svg(chart(title, group[0]["unit"], lines, window, valid_s=2 * settings.stale_after_s, limits=limits), identity)
