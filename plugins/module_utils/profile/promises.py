# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Can the promises be kept: recovery objectives by backups and deadlines, service levels by thresholds and schedules?"""

from __future__ import annotations

import typing as t

from ..schedule.timetable import DAY_S, FORMS, longest_gap_s
from .finding import Finding, Findings, Where, clip, items, mapping, near, number, spoken_s, texts

_MONTH_DAYS = 30
_BACKUPS = ("backup",)
"""Procedures that take a backup."""


def mistakes(variables: t.Mapping[str, t.Any], procedures: t.Mapping[str, t.Mapping[str, t.Any]], where: Where) -> t.List[Finding]:
    """What cannot be kept, and what of the schedule cannot run."""
    found = _schedule(variables, procedures, where)
    found += _losses(variables, where)
    found += _outages(variables, where)
    found += _retention(variables, where)
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
    return found


def _known_zone(name: str) -> bool:
    try:
        import zoneinfo

        known = zoneinfo.available_timezones()
    except (ImportError, OSError):
        return True
    # Without any zone on this machine nothing can be said.
    return not known or name in known


def _backups_of(variables: t.Mapping[str, t.Any], store: t.Mapping[str, t.Any]) -> t.List[t.Tuple[float, str]]:
    """How far apart, at most, the backups of a store are, for everything that takes one; each with its time as it is written."""
    first = next((item for _p, item in items(variables.get("backup_stores")) if item.get("kind") == "postgresql"), None)
    found = []
    for _position, entry in items(variables.get("schedule_entries")):
        if str(entry.get("procedure")) in _BACKUPS:
            named = mapping(entry.get("variables")).get("backup_store") or (first or {}).get("name")
            gap = longest_gap_s(entry.get("at"))
            if gap is not None and named == store.get("name"):
                found.append((gap, str(entry.get("at"))))
    for _position, window in items(variables.get("backup_windows")):
        gap, stores = longest_gap_s(window.get("at")), texts(window.get("stores"))
        if gap is not None and (str(store.get("name")) in stores):
            found.append((gap, str(window.get("at"))))
    return sorted(found)


def _losses(variables: t.Mapping[str, t.Any], where: Where) -> t.List[Finding]:
    """Recovery point objectives that no schedule can meet."""
    found = Findings(where)
    covered: t.Dict[str, float] = {}
    for position, store in items(variables.get("backup_stores")):
        rpo = number(store.get("rpo_s"))
        if store.get("component"):
            covered[str(store["component"])] = min(
                rpo if rpo is not None else float("inf"), covered.get(str(store["component"]), float("inf"))
            )
        if rpo is None:
            continue
        path, name = ("backup_stores", position, "rpo_s"), clip(store.get("name"), 60)
        backups = _backups_of(variables, store)
        if not backups:
            what = f"The store {name!r} may lose {spoken_s(rpo)} (RPO), and nothing backs it up"
            step = "add the procedure backup with `variables: {backup_store: ...}` to schedule_entries"
            planned = variables.get("schedule_entries") or variables.get("backup_windows")
            # Without any schedule here something else may start the procedures.
            note = found.error if planned else found.warning
            note("rpo", path, what, "neither schedule_entries nor backup_windows names it", step)
            continue
        gap, at = backups[0]
        if gap > rpo:
            what = f"The store {name!r} may lose {spoken_s(rpo)} (RPO), and its backups ({at}) are up to {spoken_s(gap)} apart"
            why = f"what was written after the last backup is lost, up to {spoken_s(gap)} of it"
            step = f"back it up at least every {spoken_s(rpo)}, archive the database's log continuously, or promise less"
            found.error("rpo", path, what, why, step)
        elif gap == rpo:
            what = f"The store {name!r} may lose {spoken_s(rpo)} (RPO), and its backups ({at}) are just that far apart"
            why = "a backup is of use only when it has ended, so a little more can be lost"
            found.warning("rpo", path, what, why, "back it up a little more often")
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


def _retention(variables: t.Mapping[str, t.Any], where: Where) -> t.List[Finding]:
    """What is removed before it has been proved, and what leaves nothing to go back to."""
    found = Findings(where)
    last, days = number(variables.get("backup_keep_last")), number(variables.get("backup_keep_days"))
    stores = [item for _position, item in items(variables.get("backup_stores"))]
    if last is None or days is None or not stores:
        return []
    gaps = [backups[0][0] for store in stores for backups in [_backups_of(variables, store)] if backups]
    if gaps:
        kept_s = max(days * DAY_S, (last - 1) * min(gaps))
        if kept_s < max(gaps) and last < 2:
            path: t.Tuple[t.Union[str, int], ...] = ("backup_keep_days",)
            what = f"Backups are up to {spoken_s(max(gaps))} apart and kept for {spoken_s(max(days * DAY_S, 0))}, the last {last:g} always"
            found.error(
                "retention", path, what, "there is never more than one, and when it is damaged there is none", "keep at least the last two"
            )
        drills = [
            gap
            for _position, entry in items(variables.get("schedule_entries"))
            for gap in [longest_gap_s(entry.get("at"))]
            if entry.get("procedure") == "restore_drill" and gap is not None
        ]
        if drills and min(drills) > kept_s:
            path = ("backup_keep_days",)
            what = f"A backup is kept for {spoken_s(kept_s)}, and restores are rehearsed every {spoken_s(min(drills))}"
            found.warning(
                "retention", path, what, "most backups are removed before any is proved", "keep them longer, or rehearse more often"
            )
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
