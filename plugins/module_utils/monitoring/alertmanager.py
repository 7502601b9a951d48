# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Alertmanager's configuration: who is told by which channel, how often again, who takes over, and what need not be said.

Format: https://prometheus.io/docs/alerting/latest/configuration/. Alertmanager has no clock for escalation; the rules have
(`rules._escalated`): an alert that holds for longer comes once more with the label `escalation_level`, and is routed by it.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from .expression import duration
from .names import distinct, label_value
from .profile import Profile
from .receivers import NotReached, Transports, integration, shown_channel
from .rules import ESCALATION_LABEL
from .thresholds import CRITICAL, INFO, WARNING

NOBODY = "nobody"
_SAME = ["alertname", "service", "component"]
_REPEAT_S, _SOONEST_REPEAT_S, _LATEST_REPEAT_S = 4 * 3600, 900, 24 * 3600
"""Alertmanager's own default; and the limits within which a severity's time to respond is taken for it."""


@dataclass(frozen=True)
class Routing:
    """What Alertmanager does with the alerts of a service.

    Attributes:
        config: The content of its configuration file.
        expected: What it must do, for tests: labels of an alert and the receiver that it must reach.
        left_out: Channels that it cannot reach, with the reason.
        empty: Levels none of whose channels it can reach: their alerts would be told to nobody.
        shared: Whether it is a part of a configuration that others use, too.
    """

    config: t.Mapping[str, t.Any]
    expected: t.Sequence[t.Tuple[t.Mapping[str, str], str]]
    left_out: t.Mapping[str, str]
    empty: t.Sequence[str]
    shared: bool = False


def routing_of(profile: Profile, transports: Transports) -> Routing:
    """The routing of a profile; a pure function."""
    levels = list(profile.channels)
    names = dict(zip(levels, distinct([NOBODY, *(label_value(level) for level in levels)], "level")[1:]))
    receivers, left_out = _receivers(profile.channels, names, transports)
    empty = [level for level in levels if len(next(one for one in receivers if one["name"] == names[level])) == 1]
    routes: t.List[t.Dict[str, t.Any]] = []
    expected: t.List[t.Tuple[t.Mapping[str, str], str]] = []

    def add(labels: t.Mapping[str, str], receiver: str, repeat_s: float) -> None:
        routes.append(
            {
                "receiver": receiver,
                "matchers": [matcher(name, value) for name, value in labels.items()],
                "repeat_interval": duration(repeat_s),
            }
        )
        expected.append((labels, receiver))

    # A severity rule may name what no threshold calls bad: such an alert is listed, and disturbs nobody.
    add({"severity": INFO}, NOBODY, _LATEST_REPEAT_S)
    for number, receiver in _of_escalation(profile, names, transports, receivers, left_out):
        add({ESCALATION_LABEL: number}, receiver, _REPEAT_S)
    for severity in profile.severities:
        told = names.get(str(severity.get("notify") or ""))
        if told and severity.get("name"):
            add({"priority": str(severity["name"])}, told, _repeat_s(severity))
    for label in (CRITICAL, WARNING):
        if label in names:
            add({"severity": label}, names[label], _SOONEST_REPEAT_S if label == CRITICAL else _REPEAT_S)
    default = names.get(WARNING) or (names[levels[-1]] if levels else NOBODY)
    expected.append(({"alertname": "Unknown"}, default))
    config = {
        "route": {
            "receiver": default,
            "group_by": ["service", "alertname", "component"],
            "group_wait": duration(profile.group_wait_s),
            "group_interval": duration(profile.group_interval_s),
            "repeat_interval": duration(_REPEAT_S),
            "routes": routes,
        },
        "inhibit_rules": _inhibitions(profile),
        "receivers": [*receivers, {"name": NOBODY}],
    }
    return Routing(config, _reachable(expected), left_out, empty)


def matcher(name: str, value: str, operator: str = "=") -> str:
    """A matcher as Alertmanager reads it, `severity="critical"`."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'{name}{operator}"{escaped}"'


def _of_escalation(
    profile: Profile,
    names: t.Mapping[str, str],
    transports: Transports,
    receivers: t.List[t.Dict[str, t.Any]],
    left_out: t.Dict[str, str],
) -> t.Iterator[t.Tuple[str, str]]:
    """Number and receiver of each level above the first. One that has no address of its own is told where the alert itself is."""
    for level in profile.escalation:
        if level.level < 2:
            continue
        if level.notify in names:
            yield str(level.level), names[level.notify]
        elif level.addresses:
            own = f"escalation-{level.level}"
            made, unreached = _receivers({own: level.addresses}, {own: own}, transports)
            left_out.update(unreached)
            if len(made[0]) > 1 and own not in names.values():
                receivers += made
                yield str(level.level), own
        else:
            left_out[f"escalation level {level.level} ({level.title})"] = (
                "it has no address; what is escalated to it is told where the alert itself is told"
            )


def _receivers(
    channels: t.Mapping[str, t.Sequence[str]], names: t.Mapping[str, str], transports: Transports
) -> t.Tuple[t.List[t.Dict[str, t.Any]], t.Dict[str, str]]:
    found, left_out = [], {}
    for level, addresses in channels.items():
        receiver: t.Dict[str, t.Any] = {"name": names[level]}
        for address in addresses:
            try:
                key, settings = integration(address, transports)
            except NotReached as error:
                left_out[shown_channel(address)] = str(error)
                continue
            receiver.setdefault(key, []).append(settings)
        found.append(receiver)
    return found, left_out


def _inhibitions(profile: Profile) -> t.List[t.Dict[str, t.Any]]:
    """A graver alert makes the milder ones of the same name and part of the service superfluous."""
    found: t.List[t.Dict[str, t.Any]] = [
        {
            "source_matchers": [matcher("severity", CRITICAL)],
            "target_matchers": [matcher("severity", f"{WARNING}|{INFO}", "=~")],
            "equal": _SAME,
        },
        {"source_matchers": [matcher("severity", WARNING)], "target_matchers": [matcher("severity", INFO)], "equal": _SAME},
    ]
    names = [str(severity.get("name")) for severity in profile.severities if severity.get("name")]
    for position, name in enumerate(names[:-1]):
        milder = "|".join(re.escape(other) for other in names[position + 1 :])
        found.append(
            {"source_matchers": [matcher("priority", name)], "target_matchers": [matcher("priority", milder, "=~")], "equal": _SAME}
        )
    return found


def _repeat_s(severity: t.Mapping[str, t.Any]) -> float:
    """How often a severity is told again: once within the time that it gives to respond, within limits."""
    within = severity.get("respond_within_s")
    if isinstance(within, bool) or not isinstance(within, (int, float)):
        return _LATEST_REPEAT_S
    return min(_LATEST_REPEAT_S, max(_SOONEST_REPEAT_S, within))


def _reachable(expected: t.Sequence[t.Tuple[t.Mapping[str, str], str]]) -> t.List[t.Tuple[t.Mapping[str, str], str]]:
    """The first route that matches takes an alert; one with the same labels behind it is never reached."""
    seen: t.List[t.Mapping[str, str]] = []
    found = []
    for labels, receiver in expected:
        if labels not in seen:
            seen.append(labels)
            found.append((labels, receiver))
    return found
