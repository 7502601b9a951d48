# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Grafana boards from a profile, in the JSON that Grafana exports and imports.

Model: https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/. The data source is a variable of
the board, so that one file serves every Grafana.
"""

from __future__ import annotations

import hashlib
import typing as t

from .names import distinct, label_value, snake_case
from .profile import Profile
from .rules import Rules
from .thresholds import ABOVE, CRITICAL, WARNING
from .yaml_text import quoted

SCHEMA_VERSION = 39
"""That of Grafana 10.4 to 11.0; newer ones bring a board up to date when they read it."""
_WIDTH, _HEIGHT, _COLUMNS = 12, 8, 24
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_UNITS: t.Mapping[str, str] = {
    "ratio": "percentunit",
    "percent": "percent",
    "ms": "ms",
    "s": "s",
    "bytes": "bytes",
    "count": "short",
    "per_second": "ops",
    "usd_per_hour": "currencyUSD",
    "days": "d",
}
"""Ids of https://github.com/grafana/grafana/blob/main/packages/grafana-data/src/valueFormats/categories.ts."""
_COLOURS = {WARNING: "orange", CRITICAL: "red"}


def dashboards_of(profile: Profile, rules: Rules) -> t.Dict[str, t.Dict[str, t.Any]]:
    """The boards of a profile by the name of their file, without `.json`; a pure function.

    One of which Prometheus can show nothing is left out.
    """
    names = distinct([snake_case(str(board.get("name") or board.get("title") or "")) for board in profile.dashboards], "board")
    return {
        name: _board(profile, rules, name, board)
        for name, board in zip(names, profile.dashboards)
        if any(_expression_of(panel, rules)[0] for panel in _panels(board))
    }


def without_expression(profile: Profile, rules: Rules) -> t.Dict[str, str]:
    """Panels that have nothing to show, `board: panel` and why."""
    return {
        f"{board.get('title') or board.get('name')}: {panel.get('title') or panel.get('metric')}": reason
        for board in profile.dashboards
        for panel in _panels(board)
        for _expression, reason in [_expression_of(panel, rules)]
        if reason
    }


def mistakes_in(profile: Profile) -> t.List[str]:
    """What is wrong with the boards as the profile has them."""
    found = []
    for number, board in enumerate(profile.dashboards, 1):
        label = f"board {str(board.get('title') or board.get('name') or number)[:60]!r}"
        panels = board.get("panels")
        if not isinstance(panels, (list, tuple)) or not all(isinstance(panel, t.Mapping) for panel in panels):
            found.append(f"{label} has no list of panels")
            continue
        found += [
            f"{label}: the panel {str(panel.get('title'))[:60]!r} names neither metric nor promql"
            for panel in panels
            if not panel.get("metric") and not str(panel.get("promql") or "").strip()
        ]
    return found


def _board(profile: Profile, rules: Rules, name: str, board: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    panels = [_panel(profile, rules, panel, position) for position, panel in enumerate(_panels(board))]
    return {
        "uid": _uid(rules.service, name),
        "title": f"{profile.spoken}: {board.get('title') or board.get('name')}",
        "description": f"Made from the profile of {profile.spoken}; changes made here are lost at the next set-up.",
        "tags": ["sre.runbooks", rules.service],
        "timezone": "utc",
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "schemaVersion": SCHEMA_VERSION,
        "time": {"from": "now-6h", "to": "now"},
        "templating": {
            "list": [{"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "hide": 0, "multi": False}]
        },
        "annotations": {"list": [_alerts_as_annotations(rules.service)]},
        "panels": panels,
    }


def _panels(board: t.Mapping[str, t.Any]) -> t.List[t.Mapping[str, t.Any]]:
    given = board.get("panels")
    return [panel for panel in given if isinstance(panel, t.Mapping)] if isinstance(given, (list, tuple)) else []


def _panel(profile: Profile, rules: Rules, panel: t.Mapping[str, t.Any], position: int) -> t.Dict[str, t.Any]:
    expression, reason = _expression_of(panel, rules)
    metric = next((one for one in profile.metrics if panel.get("metric") and one.get("name") == panel["metric"]), {})
    place = {"h": _HEIGHT, "w": _WIDTH, "x": position * _WIDTH % _COLUMNS, "y": position * _WIDTH // _COLUMNS * _HEIGHT}
    common = {"id": position + 1, "title": str(panel.get("title") or panel.get("metric") or ""), "gridPos": place}
    if reason:
        content = f"Prometheus cannot show this: {reason}."
        return {**common, "type": "text", "options": {"mode": "markdown", "content": content}}
    steps = _steps(rules, str(panel.get("metric") or ""))
    return {
        **common,
        "type": "timeseries",
        "description": str(panel.get("description") or metric.get("title") or ""),
        "datasource": dict(_SOURCE),
        "targets": [{"refId": "A", "datasource": dict(_SOURCE), "expr": expression, "range": True, "legendFormat": "__auto"}],
        "fieldConfig": {
            "defaults": {
                "unit": _UNITS.get(str(panel.get("unit") or metric.get("unit") or ""), "short"),
                "color": {"mode": "palette-classic"},
                "custom": {"lineWidth": 1, "fillOpacity": 10, "thresholdsStyle": {"mode": "line" if len(steps) > 1 else "off"}},
                "thresholds": {"mode": "absolute", "steps": steps},
            },
            "overrides": [],
        },
        "options": {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
    }


def _expression_of(panel: t.Mapping[str, t.Any], rules: Rules) -> t.Tuple[str, str]:
    """What the panel shows, and where it can show nothing why."""
    given = str(panel.get("promql") or "").strip()
    if given:
        return given, ""
    name = str(panel.get("metric") or "")
    recorded = next((value for value in rules.values if value.metric == name), None)
    if recorded is not None:
        return f"{recorded.series}{{service={quoted(rules.service)}}}", ""
    return "", rules.left_out.get(name) or f"the profile has no metric {name[:60]!r}"


def _steps(rules: Rules, metric: str) -> t.List[t.Dict[str, t.Any]]:
    """Where the colour changes; Grafana colours from a value upwards, the first step has none."""
    points = [
        alert.threshold
        for alert in rules.alerts
        if alert.metric == metric and metric and alert.threshold is not None and alert.escalation == 1 and alert.baseline == 1
    ]
    above = {one.limit: _COLOURS[one.severity] for one in points if one.direction == ABOVE and one.severity in _COLOURS}
    below = {one.limit: _COLOURS[one.severity] for one in points if one.direction != ABOVE and one.severity in _COLOURS}
    # Below a lower limit it is as bad as that limit says; above the highest of them all is well.
    lowest = [below[limit] for limit in sorted(below)]
    steps: t.List[t.Dict[str, t.Any]] = [{"value": None, "color": lowest[0] if lowest else "green"}]
    for position, limit in enumerate(sorted(below)):
        steps.append({"value": limit, "color": lowest[position + 1] if position + 1 < len(lowest) else "green"})
    return steps + [{"value": limit, "color": above[limit]} for limit in sorted(above)]


def _alerts_as_annotations(service: str) -> t.Dict[str, t.Any]:
    """Alerts as marks on every panel."""
    return {
        "name": "Alerts",
        "enable": True,
        "iconColor": "red",
        "datasource": dict(_SOURCE),
        "expr": f'ALERTS{{service={quoted(service)},alertstate="firing"}}',
    }


def _uid(service: str, name: str) -> str:
    """A board's id: at most 40 letters, digits, hyphens and underscores (Grafana's HTTP API, dashboards)."""
    uid = f"{label_value(service)}-{name}"
    return uid if len(uid) <= 40 else f"{uid[:31]}-{hashlib.sha256(uid.encode()).hexdigest()[:8]}"
