# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Can the promises be kept: recovery objectives by backups and deadlines, service levels by thresholds and schedules?"""

from __future__ import annotations

import typing as t
from dataclasses import replace

from ..backup_set.options import KEEP_OPTIONS
from ..backup_set.planned import Log, Rules, judge_plan, plan_of, times_of
from ..checks.model import FAIL, PASS
from ..pitr.model import Archive
from ..redis.discovery import IN_A_POD
from ..schedule.timetable import DAY_S, FORMS, longest_gap_s
from .finding import Finding, Findings, Path, Where, clip, items, mapping, near, number, spoken_s

_MONTH_DAYS = 30


def mistakes(variables: t.Mapping[str, t.Any], procedures: t.Mapping[str, t.Mapping[str, t.Any]], where: Where) -> t.List[Finding]:
    """What cannot be kept, and what of the schedule cannot run."""
    found = _schedule(variables, procedures, where)
    found += _backups(variables, where)
    found += _losses(variables, where)
    found += _outages(variables, where)
    return found + _objectives(variables, where)


def _schedule(variables: t.Mapping[str, t.Any], procedures: t.Mapping[str, t.Mapping[str, t.Any]], where: Where) -> t.List[Finding]:
    found = Findings(where)
    for variable in ("schedule_entries", "backup_windows", "maintenance_windows"):
        for position, entry in items(variables.get(variable)):
            path = (variable, position)
            if longest_gap_s(entry.get("at")) is None:
                what = f"{variable} has the time {clip(entry.get('at'), 40)!r}, which cannot be understood"
                step = f"write it like {FORMS}"
                found.error("time", (*path, "at"), what, "", step)
            zone = entry.get("time_zone")
            if isinstance(zone, str) and zone and not _known_zone(zone):
                found.error(
                    "time_zone",
                    (*path, "time_zone"),
                    f"{variable} has the unknown time zone {clip(zone, 40)!r}",
                    "",
                    "write it like Europe/Warsaw or UTC",
                )
    for position, entry in items(variables.get("schedule_entries")):
        path, name = ("schedule_entries", position), str(entry.get("procedure", ""))
        if procedures and name not in procedures:
            what = f"The schedule runs {clip(name)!r}, which is no procedure{near(name, procedures)}"
            found.error("no_such_procedure", path, what, "", "see `sre-runbooks list` for the names")
        elif mapping(procedures.get(name)).get("changes") == "destroys":
            what = f"The schedule runs {name}, which destroys and asks for confirmation"
            found.error("unattended", path, what, "nobody is there to confirm it", "take it out of the schedule")
        elif name in ("pitr_backup", "pitr_verify") and not any("pitr" in store for _p, store in items(variables.get("backup_stores"))):
            what = f"The schedule runs {name}, and no store of backup_stores has `pitr`"
            found.error("no_such_store", path, what, "there is no archive on which it could work", "add `pitr` to the store")
    return found


def _known_zone(name: str) -> bool:
    try:
        import zoneinfo

        known = zoneinfo.available_timezones()
    except (ImportError, OSError):
        return True
    # Without any zone on this machine nothing can be said.
    return not known or name in known


def _backups(variables: t.Mapping[str, t.Any], where: Where) -> t.List[Finding]:
    """Recovery point objectives that no plan can meet, and rules of retention that leave nothing to go back to or to prove."""
    found, stores = Findings(where), items(variables.get("backup_stores"))
    rules = Rules(
        stores=[str(store.get("name")) for _position, store in stores],
        archived=[str(store.get("name")) for _position, store in stores if _log(store)],
        schedule=[entry for _position, entry in items(variables.get("schedule_entries"))],
        windows=[window for _position, window in items(variables.get("backup_windows"))],
        keep={option[len("keep_") :]: number(variables.get(f"backup_{option}")) for option in KEEP_OPTIONS},
    )
    proving = replace(rules, schedule=[entry for entry in rules.schedule if _proves(entry)])
    for position, store in stores:
        name = str(store.get("name"))
        plan = replace(plan_of(name, rules, _log(store)), store=clip(name, 60))
        places: t.Mapping[str, Path] = {"schedule": ("backup_stores", position, "rpo_s"), "base": ("backup_stores", position, "pitr")}
        kinds = {"schedule": "rpo", "base": "archive"}
        for key, one in judge_plan(plan, number(store.get("rpo_s")), kind=str(store.get("kind"))).items():
            if one.verdict != PASS:
                note = found.error if one.verdict == FAIL else found.warning
                note(kinds.get(key, key), places.get(key, ("backup_keep_last",)), one.said[:1].upper() + one.said[1:], "", one.step)
        if store.get("kind") == "redis" and store.get("pod"):
            what = f"The store {plan.store} can be backed up and not restored"
            step = "name it by the host on which the pod's volume is mounted (data_folder, server_stop_command, server_start_command)"
            found.warning("restore", ("backup_stores", position, "pod"), what, IN_A_POD, step)
        proofs = sorted(times_of("restore_drill", name, proving) + times_of("backup_verify", name, proving))
        if plan.kept_s is not None and proofs and plan.kept_s < proofs[0][0]:
            what = f"A set of {plan.store} is kept for {spoken_s(plan.kept_s)}, and one is proved every {spoken_s(proofs[0][0])}"
            step = "keep them longer, or rehearse more often"
            found.warning("retention", ("backup_keep_days",), what, "most sets are removed before any is proved", step)
    return found


def _log(store: t.Mapping[str, t.Any]) -> t.Optional[Log]:
    """The archived log of a store, taken to work as the profile says."""
    if store.get("kind") != "postgresql" or not isinstance(store.get("pitr"), t.Mapping):
        return None
    given = number(store["pitr"].get("archive_timeout_s"))
    return Log(Archive.archive_timeout_s if given is None else given)


def _proves(entry: t.Mapping[str, t.Any]) -> bool:
    """Whether an entry of the schedule restores sets elsewhere; backup_verify reads them back only, unless it is told to."""
    return entry.get("procedure") == "restore_drill" or mapping(entry.get("variables")).get("backup_verify_prove") is True


def _losses(variables: t.Mapping[str, t.Any], where: Where) -> t.List[Finding]:
    """Recovery point objectives of components that no store keeps."""
    found = Findings(where)
    covered: t.Dict[str, float] = {}
    for _position, store in items(variables.get("backup_stores")):
        rpo = number(store.get("rpo_s"))
        if store.get("component"):
            covered[str(store["component"])] = min(
                rpo if rpo is not None else float("inf"), covered.get(str(store["component"]), float("inf"))
            )
    for position, component in items(variables.get("service_components")):
        rpo, name = number(component.get("rpo_s")), str(component.get("name"))
        if rpo is None or component.get("stateless") or component.get("external"):
            continue
        path = ("service_components", position, "rpo_s")
        if name not in covered:
            what = f"The component {clip(name)!r} may lose {spoken_s(rpo)} (RPO), and no store of backup_stores holds its data"
            step = "name the component in a store, or say `stateless: true`"
            found.warning("rpo", path, what, "nothing of it is backed up", step)
        elif covered[name] > rpo:
            what = f"The component {clip(name)!r} may lose {spoken_s(rpo)}, and its store promises less"
            found.error("rpo", path, what, "two promises for the same data", "correct one of them")
    return found


def _outages(variables: t.Mapping[str, t.Any], where: Where) -> t.List[Finding]:
    """Recovery time objectives against service levels, stores and deadlines."""
    found = Findings(where)
    severities = [item for _position, item in items(variables.get("incident_severities"))]
    soonest = number(severities[0].get("respond_within_s")) if severities else None
    of_store: t.Dict[str, float] = {}
    for _position, store in items(variables.get("backup_stores")):
        rto = number(store.get("rto_s"))
        if rto is not None and store.get("component"):
            of_store[str(store["component"])] = max(rto, of_store.get(str(store["component"]), 0.0))
    for position, component in items(variables.get("service_components")):
        rto, availability = number(component.get("rto_s")), number(component.get("availability"))
        if rto is None:
            continue
        path, name = ("service_components", position, "rto_s"), clip(component.get("name"), 60)
        budget = (1 - availability) * _MONTH_DAYS * DAY_S if availability is not None and 0 < availability <= 1 else None
        if budget is not None and rto > budget:
            left = spoken_s(budget)
            what = f"The component {name!r} may be gone for {spoken_s(rto)} (RTO), and {availability:.4%} availability leaves {left}"
            why = f"one recovery takes more than {_MONTH_DAYS} days allow"
            found.warning("rto", path, what, why, "recover sooner, or promise less")
        if of_store.get(str(component.get("name")), 0.0) > rto:
            what = f"The component {name!r} may be gone for {spoken_s(rto)} (RTO), and its store for longer"
            found.error("rto", path, what, "two promises for the same data", "correct one of them")
        if soonest is not None and soonest >= rto:
            answer = spoken_s(soonest)
            what = f"The component {name!r} must be back within {spoken_s(rto)} (RTO), and nobody has to answer sooner than {answer}"
            found.warning("rto", path, what, "no time is left for the work", "answer sooner, or promise less")
    alerts = [
        (gap, position)
        for position, entry in items(variables.get("schedule_entries"))
        for gap in [longest_gap_s(entry.get("at"))]
        if entry.get("procedure") == "alert_check" and gap is not None
    ]
    if alerts and soonest is not None and min(alerts)[0] >= soonest:
        gap, position = min(alerts)
        path = ("schedule_entries", position, "at")
        what = f"The gravest incident is answered within {spoken_s(soonest)}, and alerts are evaluated every {spoken_s(gap)}"
        found.warning("deadline", path, what, "the time can be over before anybody knows", "evaluate them more often")
    return found


def _objectives(variables: t.Mapping[str, t.Any], where: Where) -> t.List[Finding]:
    """Objectives that are missed before anybody is warned, and rollbacks on what is only a warning."""
    metrics = {str(item.get("name")): item for _position, item in items(variables.get("health_metrics"))}
    found = Findings(where)
    for position, item in items(variables.get("service_objectives")):
        metric, wanted = metrics.get(str(item.get("metric"))), number(item.get("objective"))
        if metric is None or wanted is None or item.get("better") not in ("higher", "lower"):
            continue
        direction, worse = ("below", -1) if item["better"] == "higher" else ("above", 1)
        limits = [limit for verdict in ("warn", "fail") for limit in [number(metric.get(f"{verdict}_{direction}"))] if limit is not None]
        if limits and all((limit - wanted) * worse > 0 for limit in limits):
            path = ("service_objectives", position, "objective")
            said = min(limits) if direction == "above" else max(limits)
            what = f"The objective {clip(item.get('name'))!r} is {wanted:g}, and the metric warns only {direction} {said:g}"
            found.warning("unnoticed", path, what, "it is missed before anybody is told", f"warn {direction} {wanted:g}")
    for position, rule in items(variables.get("deploy_rollback_when")):
        metric = metrics.get(str(rule.get("metric")))
        for direction, worse in (("above", 1), ("below", -1)):
            limit = number(rule.get(direction))
            fail = number((metric or {}).get(f"fail_{direction}"))
            warn = number((metric or {}).get(f"warn_{direction}"))
            if limit is not None and warn is not None and (fail is None or (fail - limit) * worse > 0):
                rule_path = ("deploy_rollback_when", position)
                what = (
                    f"A release is taken back when {clip(rule.get('metric'))!r} is {direction} {limit:g}, which is only a warning otherwise"
                )
                found.warning("rollback", rule_path, what, "the same number is judged in two ways", "make sure that both are meant")
    return found
