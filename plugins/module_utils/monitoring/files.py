# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""All files of a service's monitoring, as pure functions of its profile: where each lies and what is in it."""

from __future__ import annotations

import json
import os
import typing as t
from dataclasses import dataclass

from ..errors import BadInput
from .alertmanager import Routing, routing_of
from .dashboards import dashboards_of, mistakes_in, without_expression
from .names import label_value
from .profile import Profile
from .receivers import Transports, shown_channel
from .rule_tests import rule_tests
from .rules import Rules, rule_file, rules_of
from .yaml_text import yaml_text

RULES, TESTS, TESTED, ALERTMANAGER = "rules", "rule tests", "alerts as tested", "alertmanager"
DASHBOARD, ALERT_CONFIG = "dashboard", "alert configuration"
_MADE = "Made from the profile of {} by sre.runbooks.monitoring_setup; changes made here are lost at its next run."


@dataclass(frozen=True)
class Places:
    """Where the files go, as absolute paths on the host.

    Attributes:
        folder: Folder of monitoring (`.monitoring`); what has no other place lies below it.
        folders: Further folders to make.
        rules_file: Rule file of Prometheus; empty for the default below `folder`.
        alertmanager_file: Configuration of Alertmanager; empty for the default.
        alert_config_file: `alert_config.json`; empty for the default.
    """

    folder: str
    folders: t.Sequence[str] = ()
    rules_file: str = ""
    alertmanager_file: str = ""
    alert_config_file: str = ""

    def path(self, own: str, *default: str) -> str:
        """A file's own path, or the default one below the folder."""
        return own or os.path.join(self.folder, *default)


@dataclass(frozen=True)
class Wanted:
    """A file as it shall be.

    Attributes:
        mode: Permissions; none of the files holds a secret.
    """

    path: str
    kind: str
    text: str
    mode: int = 0o644


@dataclass(frozen=True)
class Content:
    """Everything that monitoring of a service consists of."""

    rules: Rules
    routing: Routing
    folders: t.Sequence[str]
    files: t.Sequence[Wanted]
    left_out: t.Mapping[str, t.Mapping[str, str]]

    def of(self, kind: str) -> t.Optional[Wanted]:
        """The first file of a kind; None where there is none."""
        return next((one for one in self.files if one.kind == kind), None)


def content_of(profile: Profile, transports: Transports, places: Places, *, enabled: bool = True, interval_s: float = 300) -> Content:
    """What to write for a profile; a pure function. Where no metric is in Prometheus there is nothing to write for it and Alertmanager.

    Args:
        enabled: Whether alerts are evaluated, for `alert_config.json`.
        interval_s: Seconds between two evaluations, for the same.

    Raises:
        BadInput: A board makes no sense, or two files would lie at one place.
    """
    mistakes = mistakes_in(profile)
    if mistakes:
        raise BadInput("The boards of the profile have mistakes", why="; ".join(mistakes[:20]), next_step="correct monitoring_dashboards")
    rules, routing = rules_of(profile), routing_of(profile, transports)
    slug, head = label_value(profile.service) or "service", _MADE.format(profile.spoken)
    files = []
    if rules.values or rules.alerts:
        rules_path = places.path(places.rules_file, "prometheus", f"{slug}.rules.yml")
        tests = os.path.join(places.folder, "prometheus", "tests")
        files = [
            Wanted(rules_path, RULES, yaml_text(rule_file(rules, profile.every_s), head)),
            Wanted(os.path.join(tests, f"{slug}.test.yml"), TESTS, yaml_text(rule_tests(rules, f"{slug}.alerts.yml"), head)),
            Wanted(os.path.join(tests, f"{slug}.alerts.yml"), TESTED, yaml_text(rule_file(rules, values=False), head)),
            Wanted(
                places.path(places.alertmanager_file, "alertmanager", "alertmanager.yml"), ALERTMANAGER, yaml_text(routing.config, head)
            ),
        ]
    config = alert_config(profile, enabled=enabled, interval_s=interval_s)
    files.append(Wanted(places.path(places.alert_config_file, "alert_config.json"), ALERT_CONFIG, _json(config)))
    files += [
        Wanted(os.path.join(places.folder, "grafana", f"{name}.json"), DASHBOARD, _json(board))
        for name, board in dashboards_of(profile, rules).items()
    ]
    paths = [one.path for one in files]
    twice = sorted({path for path in paths if paths.count(path) > 1})
    if twice:
        raise BadInput("Two files of monitoring would lie at one place", where=twice[0], next_step="name different files in the profile")
    folders = list(dict.fromkeys([places.folder, *places.folders, *(os.path.dirname(path) for path in paths)]))
    left_out = {"metrics": rules.left_out, "channels": routing.left_out, "panels": without_expression(profile, rules)}
    return Content(rules, routing, folders, files, {name: found for name, found in left_out.items() if found})


def alert_config(profile: Profile, *, enabled: bool, interval_s: float) -> t.Dict[str, t.Any]:
    """`alert_config.json` as requirement A3 has it: whether, how often, from which numbers on, and who is told."""
    thresholds: t.Dict[str, t.Dict[str, t.Any]] = {}
    for metric in profile.metrics:
        found = {
            word: limit
            for verdict, word in (("warn", "warning"), ("fail", "critical"))
            for limit in [metric.get(f"{verdict}_above", metric.get(f"{verdict}_below"))]
            if limit is not None
        }
        if any(metric.get(f"{verdict}_below") is not None for verdict in ("warn", "fail")):
            found["direction"] = "below"
        if found:
            thresholds[str(metric.get("name"))] = found
    return {
        "enabled": enabled,
        "check_interval": int(interval_s) if float(interval_s).is_integer() else interval_s,
        "thresholds": thresholds,
        # The file may be read by others than who may read the profile.
        "channels": {level: [shown_channel(address) for address in addresses] for level, addresses in profile.channels.items()},
    }


def _json(value: t.Any) -> str:
    text = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    return text.encode("utf-8", "replace").decode("utf-8")


def expressions_of(files: t.Iterable[Wanted]) -> t.List[str]:
    """All PromQL expressions in boards."""
    boards = [json.loads(one.text) for one in files if one.kind == DASHBOARD]
    return [target["expr"] for board in boards for panel in board["panels"] for target in panel.get("targets", ())]
