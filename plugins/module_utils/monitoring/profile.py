# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What of a profile monitoring needs, read once and with all its mistakes told together."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field

from ..errors import BadInput
from ..severity_rules import shape_mistakes
from .expression import NotInPrometheus, number

_ALERT_KEYS = frozenset(("alert", "enabled", "warning_for_s", "critical_for_s", "why", "next_step", "procedure", "labels"))
_RULE_KEYS = frozenset(("alert", "promql", "severity", "priority", "for_s", "what", "why", "next_step", "procedure", "component", "labels"))
_MOST_MISTAKES = 30


@dataclass(frozen=True)
class EscalationLevel:
    """Who takes over when nobody has mended it.

    Attributes:
        level: Its number, 1 for who is told first.
        title: Who that is, for the reader.
        after_s: Seconds from the alert until this level is told.
        notify: Level of notify_channels by which it is told; empty for that of the alert.
        addresses: The same as addresses of its own, those of its contact.
    """

    level: int
    title: str
    after_s: float
    notify: str = ""
    addresses: t.Sequence[str] = ()


@dataclass(frozen=True)
class Profile:
    """The part of a profile that alerts, routes and dashboards are made from.

    Attributes:
        service: service_name.
        title: service_title.
        environment: service_environment.
        metrics: health_metrics.
        severities: incident_severities, the gravest first.
        severity_rules: incident_severity_rules.
        escalation: incident_escalation_levels, the first level first.
        channels: notify_channels: for each level the addresses.
        alerts: monitoring_alerts: for each metric what its alerts say besides.
        rules: monitoring_rules: alerts that are not about a metric of the profile.
        dashboards: monitoring_dashboards.
        warning_for_s: Seconds for which a warning must hold before it is sent.
        critical_for_s: The same for a critical alert.
        every_s: Seconds between two evaluations by Prometheus; 0 for its own setting.
        group_wait_s: Seconds for which Alertmanager waits for further alerts of a group before it tells of the first.
        group_interval_s: Seconds until it tells of what is new in a group, or over.
    """

    service: str
    title: str = ""
    environment: str = ""
    metrics: t.Sequence[t.Mapping[str, t.Any]] = ()
    severities: t.Sequence[t.Mapping[str, t.Any]] = ()
    severity_rules: t.Sequence[t.Mapping[str, t.Any]] = ()
    escalation: t.Sequence[EscalationLevel] = ()
    channels: t.Mapping[str, t.Sequence[str]] = field(default_factory=dict)
    alerts: t.Mapping[str, t.Mapping[str, t.Any]] = field(default_factory=dict)
    rules: t.Sequence[t.Mapping[str, t.Any]] = ()
    dashboards: t.Sequence[t.Mapping[str, t.Any]] = ()
    warning_for_s: float = 300
    critical_for_s: float = 60
    every_s: float = 0
    group_wait_s: float = 30
    group_interval_s: float = 300

    @property
    def spoken(self) -> str:
        """What a reader calls the service."""
        return self.title or self.service

    def severity(self, name: str) -> t.Mapping[str, t.Any]:
        """The entry of incident_severities with this name; empty for none."""
        return next((one for one in self.severities if str(one.get("name")) == name), {})

    @classmethod
    def of(cls, given: t.Mapping[str, t.Any]) -> "Profile":
        """The profile in the options of a module.

        Args:
            given: service_name, health_metrics and so on, as the attributes say; what is missing or empty is left out.

        Raises:
            BadInput: It has mistakes; the message has all of them (the first 30).
        """
        mistakes = [] if str(given.get("service_name") or "").strip() else ["service_name is empty"]
        lists = {name: _dictionaries(given, name, mistakes) for name in LISTS}
        mistakes += [f"{name} has a control character in a text" for name in (*_TEXTS, *LISTS) if _has_control(given.get(name))]
        for name in ("notify_channels", "monitoring_alerts"):
            if given.get(name) is not None and not isinstance(given[name], t.Mapping):
                mistakes.append(f"{name} is no dictionary")
        channels = _channels(given.get("notify_channels"), mistakes)
        alerts = _alerts(given.get("monitoring_alerts"), lists["health_metrics"], mistakes)
        mistakes += shape_mistakes(lists["incident_severities"], lists["incident_severity_rules"])
        mistakes += _metric_mistakes(lists["health_metrics"]) + _rule_mistakes(lists["monitoring_rules"])
        escalation = _escalation(lists["incident_escalation_levels"], lists["incident_contacts"], channels, mistakes)
        times = {name: _seconds(given, name, default, mistakes) for name, default in _TIMES.items()}
        if mistakes:
            raise BadInput(
                f"The profile has {len(mistakes)} mistake{'' if len(mistakes) == 1 else 's'} that monitoring cannot be set up with",
                why="; ".join(mistakes[:_MOST_MISTAKES])
                + (f"; and {len(mistakes) - _MOST_MISTAKES} more" * (len(mistakes) > _MOST_MISTAKES)),
                next_step="correct the profile; nothing was changed",
                facts={"mistakes": mistakes[:_MOST_MISTAKES]},
            )
        return cls(
            service=str(given["service_name"]).strip(),
            title=str(given.get("service_title") or "").strip(),
            environment=str(given.get("service_environment") or "").strip(),
            metrics=lists["health_metrics"],
            severities=lists["incident_severities"],
            severity_rules=lists["incident_severity_rules"],
            escalation=escalation,
            channels=channels,
            alerts=alerts,
            rules=lists["monitoring_rules"],
            dashboards=lists["monitoring_dashboards"],
            warning_for_s=times["monitoring_warning_for_s"],
            critical_for_s=times["monitoring_critical_for_s"],
            every_s=times["monitoring_every_s"],
            group_wait_s=times["monitoring_group_wait_s"],
            group_interval_s=max(1.0, times["monitoring_group_interval_s"]),
        )


LISTS = (
    "health_metrics",
    "incident_severities",
    "incident_severity_rules",
    "incident_escalation_levels",
    "incident_contacts",
    "monitoring_rules",
    "monitoring_dashboards",
)
"""Variables of a profile that are lists, and are read here."""
_TEXTS = ("service_name", "service_title", "notify_channels", "monitoring_alerts")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f]")
_NOT_USED = ("body", "send", "headers", "matches", "contains")
"""Keys of metrics that have nothing to do with monitoring, and may hold anything."""
_TIMES: t.Mapping[str, float] = {
    "monitoring_warning_for_s": 300,
    "monitoring_critical_for_s": 60,
    "monitoring_every_s": 0,
    "monitoring_group_wait_s": 30,
    "monitoring_group_interval_s": 300,
}
"""The last two are Alertmanager's own defaults."""


def _has_control(value: t.Any) -> bool:
    """Whether a text in it has a character that no name, label or file of the servers may have."""
    if isinstance(value, str):
        return _CONTROL.search(value) is not None
    if isinstance(value, t.Mapping):
        return any(_has_control(str(key)) or (key not in _NOT_USED and _has_control(item)) for key, item in value.items())
    return isinstance(value, (list, tuple)) and any(_has_control(item) for item in value)


def _dictionaries(given: t.Mapping[str, t.Any], name: str, mistakes: t.List[str]) -> t.List[t.Mapping[str, t.Any]]:
    value = given.get(name)
    if value is None:
        return []
    if not isinstance(value, (list, tuple)) or not all(isinstance(item, t.Mapping) for item in value):
        mistakes.append(f"{name} is no list of dictionaries")
        return []
    return list(value)


def _channels(given: t.Any, mistakes: t.List[str]) -> t.Dict[str, t.List[str]]:
    found = {}
    for level, addresses in (given if isinstance(given, t.Mapping) else {}).items():
        listed = [addresses] if isinstance(addresses, str) else addresses
        if not isinstance(listed, (list, tuple)) or not all(isinstance(address, str) and address.strip() for address in listed):
            mistakes.append(f"notify_channels.{str(level)[:40]} is no list of addresses")
            continue
        found[str(level)] = [address.strip() for address in listed]
    return found


def _alerts(given: t.Any, metrics: t.Sequence[t.Mapping[str, t.Any]], mistakes: t.List[str]) -> t.Dict[str, t.Mapping[str, t.Any]]:
    known, found = {str(metric.get("name")) for metric in metrics}, {}
    for name, words in (given if isinstance(given, t.Mapping) else {}).items():
        if not isinstance(words, t.Mapping):
            mistakes.append(f"monitoring_alerts.{str(name)[:60]} is no dictionary")
            continue
        if str(name) not in known:
            mistakes.append(f"monitoring_alerts names the metric {str(name)[:60]!r}, which health_metrics does not have")
        mistakes += _unknown_keys(words, _ALERT_KEYS, f"monitoring_alerts.{str(name)[:60]}")
        found[str(name)] = words
    return found


def _metric_mistakes(metrics: t.Sequence[t.Mapping[str, t.Any]]) -> t.List[str]:
    names = [str(metric.get("name") or "") for metric in metrics]
    found = [f"metric number {position} has no name" for position, name in enumerate(names, 1) if not name.strip()]
    return found + [
        f"the metric {name[:60]!r} is there twice" for name in sorted({name for name in names if name and names.count(name) > 1})
    ]


def _rule_mistakes(rules: t.Sequence[t.Mapping[str, t.Any]]) -> t.List[str]:
    found = []
    for position, rule in enumerate(rules, 1):
        label = f"monitoring_rules number {position} ({str(rule.get('alert') or 'no name')[:40]})"
        found += [f"{label} has no {key}" for key in ("alert", "promql") if not str(rule.get(key) or "").strip()]
        if rule.get("severity", "warning") not in ("warning", "critical", "info"):
            found.append(f"{label}: severity is warning, critical or info")
        found += _unknown_keys(rule, _RULE_KEYS, label)
    return found


def _unknown_keys(given: t.Mapping[str, t.Any], known: t.Iterable[str], label: str) -> t.List[str]:
    strange = sorted(str(key) for key in given if key not in known)
    return [f"{label} has the unknown key {strange[0][:40]!r}; it takes {', '.join(sorted(known))}"] if strange else []


def _escalation(
    levels: t.Sequence[t.Mapping[str, t.Any]],
    contacts: t.Sequence[t.Mapping[str, t.Any]],
    channels: t.Mapping[str, t.Any],
    mistakes: t.List[str],
) -> t.List[EscalationLevel]:
    found = []
    by_name = {str(contact.get("name")): contact for contact in contacts}
    for position, given in enumerate(levels, 1):
        label = f"escalation level {position}"
        try:
            level, after_s = int(number(given.get("level", position))), float(number(given.get("after_s") or 0))
        except (NotInPrometheus, ValueError):
            mistakes.append(f"{label}: level and after_s are numbers")
            continue
        notify, contact = str(given.get("notify") or ""), str(given.get("contact") or "")
        if notify and notify not in channels:
            mistakes.append(f"{label} is told by {notify[:40]!r}, which notify_channels does not have")
        if contact and contact not in by_name:
            mistakes.append(f"{label} names the contact {contact[:40]!r}, which incident_contacts does not have")
        title = str(given.get("title") or given.get("name") or label)
        found.append(EscalationLevel(level, title, after_s, notify, addresses_of(by_name.get(contact, {}))))
    return sorted(found, key=lambda one: (one.after_s, one.level))


def addresses_of(contact: t.Mapping[str, t.Any]) -> t.List[str]:
    """The addresses of an entry of incident_contacts in the form of notify_channels; a phone number with letters is a placeholder."""
    channel = str(contact.get("channel") or "").lstrip("#")
    found = [f"slack://{channel}"] if channel else []
    found += [f"email://{contact['email']}"] if contact.get("email") else []
    phone = re.sub(r"[\s().-]", "", str(contact.get("phone") or ""))
    return found + ([f"sms://{phone}"] if re.match(r"\+?[0-9]{3,}\Z", phone) else [])


def _seconds(given: t.Mapping[str, t.Any], name: str, default: float, mistakes: t.List[str]) -> float:
    value = given.get(name)
    if value is None:
        return default
    try:
        seconds = float(number(value))
    except NotInPrometheus:
        seconds = -1
    if not 0 <= seconds <= 86400 * 7:
        mistakes.append(f"{name} is not between 0 s and a week")
    return seconds
