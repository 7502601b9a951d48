# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Prometheus rules from a profile: one series for each metric, one alert for each of its thresholds, one more for each level of escalation.

Format: https://prometheus.io/docs/prometheus/latest/configuration/recording_rules/ and .../alerting_rules/.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field, replace

from . import words
from .expression import NotInPrometheus, duration, expression_of, number
from .names import camel_case, distinct, label_value, snake_case, spoken_name
from .profile import Profile
from .thresholds import ABOVE, BELOW, CRITICAL, Threshold, thresholds_of
from .yaml_text import quoted

ESCALATION_LABEL = "escalation_level"
_SERIES = "service:{}:value"
"""Recording rules are named level:metric:operations (https://prometheus.io/docs/practices/rules/)."""
_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")
_TIMES = "times the baseline"
_SAYS_WHERE = re.compile(r"(?i)(high|low|slow|too|many|few|no)(?=[A-Z0-9]|\Z)")


@dataclass(frozen=True)
class Alert:
    """An alerting rule.

    Attributes:
        name: Value of the label `alertname`.
        expression: PromQL; a series that it gives is an alert.
        severity: `warning`, `critical` or `info`.
        priority: Name of the severity of incidents; empty for none.
        for_s: Seconds for which it must hold.
        component: Part of the service; empty for none.
        annotations: What it says.
        labels: Further labels.
        escalation: Level of escalation; 1 for the first alert.
        metric: Name of the metric; empty for an alert that is about none.
        series: The recorded series that it watches; empty where its value depends on more than that.
        baseline: What the series is divided by before it is compared; 1 for nothing.
        threshold: The threshold that it stands for; None for an alert that is about no metric.
    """

    name: str
    expression: str
    severity: str
    priority: str
    for_s: float
    component: str = ""
    annotations: t.Mapping[str, str] = field(default_factory=dict)
    labels: t.Mapping[str, str] = field(default_factory=dict)
    escalation: int = 1
    metric: str = ""
    series: str = ""
    baseline: float = 1.0
    threshold: t.Optional[Threshold] = None


@dataclass(frozen=True)
class Recorded:
    """A recording rule: the metric's value under a name of its own."""

    series: str
    expression: str
    metric: str


@dataclass(frozen=True)
class Rules:
    """What Prometheus evaluates for a service.

    Attributes:
        service: Value of the label `service`.
        values: One for each metric.
        alerts: All alerts, those of escalation included.
        left_out: Metrics with thresholds that Prometheus cannot evaluate, with the reason.
    """

    service: str
    values: t.Sequence[Recorded]
    alerts: t.Sequence[Alert]
    left_out: t.Mapping[str, str]


def rules_of(profile: Profile) -> Rules:
    """The rules of a profile; a pure function."""
    service = label_value(profile.service) or "service"
    series = distinct([_SERIES.format(snake_case(str(metric.get("name")))) for metric in profile.metrics], _SERIES.format("metric"))
    values, alerts, left_out = [], [], {}
    for metric, name in zip(profile.metrics, series):
        try:
            expression = expression_of(metric)
            found = _alerts_of(profile, metric, name, service)
        except NotInPrometheus as error:
            left_out[str(metric.get("name"))] = str(error)
            continue
        values.append(Recorded(name, expression, str(metric.get("name"))))
        alerts += found
    alerts = _named_apart(alerts) + [_further(profile, rule) for rule in profile.rules]
    return Rules(service, values, alerts + [up for alert in alerts for up in _escalated(profile, alert)], left_out)


def rule_file(rules: Rules, every_s: float = 0, *, values: bool = True) -> t.Dict[str, t.Any]:
    """The content of the rule file.

    Args:
        every_s: Seconds between two evaluations; 0 for the server's own setting.
        values: Whether the recording rules are in it, and what the alerts say. Unit tests put samples in the place of the former and ask
            for nothing of the latter, whose templates would be filled in at every step of their clock; the rule file is checked with both.
    """
    interval = {"interval": duration(every_s)} if every_s else {}
    groups = []
    if rules.values and values:
        recorded = [{"record": value.series, "expr": value.expression, "labels": {"service": rules.service}} for value in rules.values]
        groups.append({"name": f"{rules.service} values", **interval, "rules": recorded})
    first = [alert for alert in rules.alerts if alert.escalation == 1]
    later = [alert for alert in rules.alerts if alert.escalation > 1]
    for name, alerts in (("alerts", first), ("escalation", later)):
        if alerts:
            groups.append(
                {"name": f"{rules.service} {name}", **interval, "rules": [_rule(alert, rules.service, values) for alert in alerts]}
            )
    return {"groups": groups}


def labels_of(alert: Alert, service: str) -> t.Dict[str, str]:
    """The labels that a rule gives its alert, `alertname` left out; empty ones are no labels."""
    own = {
        "service": service,
        "severity": alert.severity,
        "priority": alert.priority,
        "component": alert.component,
        ESCALATION_LABEL: str(alert.escalation) if alert.escalation > 1 else "",
    }
    return {name: value for name, value in {**alert.labels, **own}.items() if value}


def _rule(alert: Alert, service: str, told: bool) -> t.Dict[str, t.Any]:
    lasting = {"for": duration(alert.for_s)} if alert.for_s else {}
    labels = {name: words.literal(value) for name, value in labels_of(alert, service).items()}
    said = {"annotations": dict(alert.annotations)} if told else {}
    return {"alert": alert.name, "expr": alert.expression, **lasting, "labels": labels, **said}


def _alerts_of(profile: Profile, metric: t.Mapping[str, t.Any], series: str, service: str) -> t.List[Alert]:
    own = profile.alerts.get(str(metric.get("name")), {})
    if own.get("enabled") is False:
        return []
    title, unit = spoken_name(metric), str(metric.get("unit") or "")
    watched = f"{series}{{service={quoted(service)}}}"
    found = []
    plain = [_Point(one, watched, unit, title) for one in thresholds_of(metric, profile.severities, profile.severity_rules)]
    for point in plain + _against_baseline(metric, watched, title):
        one = point.threshold
        severity = profile.severity(one.priority)
        found.append(
            Alert(
                name=_name(point, one.direction, str(own.get("alert") or "").strip(), str(metric.get("name"))),
                expression=f"{point.value} {'>' if one.direction == ABOVE else '<'} {number(one.limit)}",
                severity=one.severity,
                priority=one.priority,
                for_s=_lasting(profile, own, one.severity),
                component=str(metric.get("component") or ""),
                annotations=words.annotations_of(profile.spoken, point.title, point.unit, one, own, severity),
                labels=_labels(own),
                metric=str(metric.get("name")),
                series=series if point.baseline else "",
                baseline=point.baseline,
                threshold=one,
            )
        )
    return found


class _Point(t.NamedTuple):
    """A threshold and what is held against it; `baseline` is what it is divided by, 0 where that depends on the past."""

    threshold: Threshold
    value: str
    unit: str
    title: str
    baseline: float = 1


def _against_baseline(metric: t.Mapping[str, t.Any], watched: str, title: str) -> t.List[_Point]:
    """Thresholds on the value divided by its baseline: a fixed one, or its median over past days."""
    baseline = metric.get("baseline")
    if not isinstance(baseline, t.Mapping):
        return []
    if baseline.get("value") is not None:
        divisor, fixed = number(baseline["value"]), float(number(baseline["value"]))
        if fixed <= 0:
            raise NotInPrometheus("its baseline is not above 0")
    elif baseline.get("from_history_days") is not None:
        fixed = 0.0
        divisor = f"quantile_over_time(0.5, {watched}[{duration(86400 * float(number(baseline['from_history_days'])))}])"
    else:
        return []
    return [
        _Point(
            Threshold(direction, float(number(limit)), verdict), f"{watched} / {divisor}", _TIMES, f"{title} against its baseline", fixed
        )
        for direction in (ABOVE, BELOW)
        for verdict in ("warn", "fail")
        for limit in [baseline.get(f"{verdict}_ratio_{direction}")]
        if limit is not None
    ]


def _name(point: _Point, direction: str, wanted: str, metric: str) -> str:
    camel = camel_case(metric) or camel_case(point.title) or "Metric"
    named = wanted or (camel if _SAYS_WHERE.match(camel) else ("High" if direction == ABOVE else "Low") + camel)
    return f"{named}AgainstBaseline" if point.unit == _TIMES else named


def _named_apart(alerts: t.Sequence[Alert]) -> t.List[Alert]:
    """Two metrics whose alerts would bear one name get two: an alert of the one must not silence that of the other."""
    pairs = list(dict.fromkeys((alert.name, alert.metric) for alert in alerts))
    names = dict(zip(pairs, distinct([name for name, _metric in pairs], "Metric")))
    return [replace(alert, name=names[alert.name, alert.metric]) for alert in alerts]


def _lasting(profile: Profile, own: t.Mapping[str, t.Any], severity: str) -> float:
    critical = severity == CRITICAL
    given = own.get("critical_for_s" if critical else "warning_for_s")
    if given is not None:
        return max(0.0, float(number(given)))
    return profile.critical_for_s if critical else profile.warning_for_s


def _labels(own: t.Mapping[str, t.Any]) -> t.Dict[str, str]:
    given = own.get("labels")
    pairs = given.items() if isinstance(given, t.Mapping) else ()
    return {str(name): str(value) for name, value in pairs if _LABEL_NAME.match(str(name)) and name != "alertname"}


def _further(profile: Profile, rule: t.Mapping[str, t.Any]) -> Alert:
    severity, priority = str(rule.get("severity") or "warning"), str(rule.get("priority") or "")
    entry, own_time = profile.severity(priority), rule.get("for_s")
    what = str(rule.get("what") or rule["alert"])
    return Alert(
        name=str(rule["alert"]).strip(),
        expression=str(rule["promql"]).strip(),
        severity=severity,
        priority=priority,
        for_s=_lasting(profile, {}, severity) if own_time is None else max(0.0, float(number(own_time))),
        component=str(rule.get("component") or ""),
        annotations={
            "summary": words.literal(what),
            "what": words.literal(what),
            "why": words.literal(str(rule.get("why") or entry.get("title") or f"The profile calls it {severity}.")),
            "next_step": words.literal(words.next_step(rule, entry)),
            "procedure": words.literal(words.procedure(rule)),
        },
        labels=_labels(rule),
    )


def _escalated(profile: Profile, alert: Alert) -> t.List[Alert]:
    """The same alert once more for each level above the first: it holds for longer, and has the label `escalation_level`.

    The times of the levels are those from the alert on. A severity that escalates sooner or later (`escalate_after_s`) moves them all;
    one that says that nobody is disturbed before the next working day (null) has none.
    """
    above = [level for level in profile.escalation if level.level > 1]
    severity = profile.severity(alert.priority)
    if not above or alert.severity != CRITICAL or ("escalate_after_s" in severity and severity["escalate_after_s"] is None):
        return []
    first = above[0].after_s
    begin = float(number(severity["escalate_after_s"])) if "escalate_after_s" in severity else first
    found = []
    for level in above:
        told = {**alert.annotations, "escalation": words.literal(f"Level {level.level}: {level.title}.")}
        for_s = alert.for_s + max(0.0, begin + level.after_s - first)
        found.append(replace(alert, for_s=for_s, escalation=level.level, annotations=told))
    return found
