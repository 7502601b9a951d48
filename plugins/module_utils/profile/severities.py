# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Severities, what leads to them, deadlines and escalation: nothing overlaps, nothing crosses, nothing is forgotten."""

from __future__ import annotations

import typing as t

from .finding import Finding, Findings, Where, clip, items, number, spoken_s, texts

_CONDITIONS = ("check", "any_check_of", "metric", "event")


def mistakes(variables: t.Mapping[str, t.Any], where: Where) -> t.List[Finding]:
    """Everything that is wrong with them."""
    order = {str(item.get("name")): position for position, item in items(variables.get("incident_severities"))}
    found = _deadlines(variables, where)
    found += _conditions(variables, where)
    found += _crossing(variables, order, where)
    found += _forgotten(variables, where)
    return found + _levels(variables, where)


def _deadlines(variables: t.Mapping[str, t.Any], where: Where) -> t.List[Finding]:
    found = Findings(where)
    graver: t.Tuple[str, float] = ("", 0.0)
    for position, item in items(variables.get("incident_severities")):
        path, name = ("incident_severities", position), clip(item.get("name"), 40)
        respond, escalate = number(item.get("respond_within_s")), number(item.get("escalate_after_s"))
        if respond is None and not item.get("response"):
            found.warning(
                "no_deadline",
                path,
                f"The severity {name} has no deadline",
                "nobody knows how soon somebody must answer",
                "add respond_within_s, or words in `response`",
            )
        if respond is not None:
            if respond < graver[1]:
                than = f"the graver {graver[0]} ({spoken_s(graver[1])})"
                what = f"The severity {name} is answered within {spoken_s(respond)}, sooner than {than}"
                found.error(
                    "deadlines", (*path, "respond_within_s"), what, "the list has the gravest first", "correct the deadlines or the order"
                )
            graver = (name, max(respond, graver[1]))
        if respond is not None and escalate is not None and 0 < escalate < respond:
            what = f"The severity {name} is escalated after {spoken_s(escalate)}, before anybody must have answered ({spoken_s(respond)})"
            found.warning("deadlines", (*path, "escalate_after_s"), what, "", "escalate later, or answer sooner")
    return found


def _conditions(variables: t.Mapping[str, t.Any], where: Where) -> t.List[Finding]:
    """Rules that are no rules, and rules that can never be true."""
    metrics = {str(item["name"]): item for _position, item in items(variables.get("health_metrics")) if item.get("name")}
    found = Findings(where)
    for position, rule in items(variables.get("incident_severity_rules")):
        path, said = ("incident_severity_rules", position), f"The severity rule {clip(rule.get('when'), 60)!r}"
        given = [name for name in _CONDITIONS if rule.get(name)]
        if len(given) != 1:
            what = f"{said} names {' and '.join(given)}" if given else f"{said} has no condition"
            found.error("rule", path, what, "a rule has one of check, any_check_of, metric and event", "correct the rule")
            continue
        if given[0] == "event":
            continue
        verdicts, numbers = texts(rule.get("verdict")), [key for key in ("above", "below") if number(rule.get(key)) is not None]
        if not verdicts and not numbers:
            found.error(
                "rule",
                path,
                f"{said} does not say from when on it is true",
                "",
                "add `verdict: [fail]`" + (", or `above` or `below`" if given[0] == "metric" else ""),
            )
        metric = metrics.get(str(rule["metric"])) if given[0] == "metric" else None
        for verdict in verdicts if metric is not None else ():
            if (
                verdict in ("warn", "fail")
                and _limit(metric, verdict, "above") is None
                and _limit(metric, verdict, "below") is None
                and not (metric or {}).get("baseline")
            ):
                what = f"{said} waits for the verdict {verdict} of the metric {clip(rule['metric'])!r}, which has no {verdict} threshold"
                found.error("never", path, what, "it can never be true", "give the metric the threshold, or use above or below")
        for key in numbers if metric is not None else ():
            other = "below" if key == "above" else "above"
            if all(_limit(metric, verdict, key) is None for verdict in ("warn", "fail")) and any(
                _limit(metric, verdict, other) is not None for verdict in ("warn", "fail")
            ):
                what = f"{said} grades the metric {clip(rule['metric'])!r} by `{key}`, and its thresholds are {other} limits"
                found.error("direction", (*path, key), what, "", f"use `{other}`")
    return found


def _limit(metric: t.Optional[t.Mapping[str, t.Any]], verdict: str, direction: str) -> t.Optional[float]:
    return number((metric or {}).get(f"{verdict}_{direction}"))


def _crossing(variables: t.Mapping[str, t.Any], order: t.Mapping[str, int], where: Where) -> t.List[Finding]:
    """Rules of one metric, or one check, of which a milder one can never be seen because a graver one is true before it."""
    metrics = {str(item.get("name")): item for _position, item in items(variables.get("health_metrics"))}
    limits: t.Dict[t.Tuple[str, str], t.List[t.Tuple[int, float, str, int]]] = {}
    of_checks: t.Dict[t.Tuple[str, str], t.List[t.Tuple[int, str, int]]] = {}
    for position, rule in items(variables.get("incident_severity_rules")):
        rank, when = order.get(str(rule.get("severity"))), clip(rule.get("when"), 60)
        if rank is None:
            continue
        for metric, direction, limit in _limits_of(rule, metrics):
            limits.setdefault((metric, direction), []).append((rank, limit, when, position))
        for check in [str(rule["check"])] if isinstance(rule.get("check"), str) else texts(rule.get("any_check_of")):
            for verdict in texts(rule.get("verdict")):
                of_checks.setdefault((check, verdict), []).append((rank, when, position))
    found = Findings(where)
    for (metric, direction), rules in limits.items():
        worse = 1 if direction == "above" else -1
        for rank, limit, when, position in rules:
            for other_rank, other_limit, other_when, _other in rules:
                if other_rank < rank and (other_limit - limit) * worse <= 0:
                    path = ("incident_severity_rules", position)
                    what = (
                        f"The severity rules {other_when!r} ({direction} {other_limit:g}) and {when!r} ({direction} {limit:g}) of "
                        f"the metric {clip(metric)!r} {'overlap' if other_limit == limit else 'cross'}"
                    )
                    found.error(
                        "crossing",
                        path,
                        what,
                        "the graver one is true first, so the milder one is never seen",
                        "correct the numbers or the severities",
                    )
    for (check, verdict), graded in of_checks.items():
        if len({rank for rank, _when, _position in graded}) > 1:
            rank, when, position = max(graded)
            path = ("incident_severity_rules", position)
            what = f"The severity rule {when!r} grades the check {clip(check)!r} ({verdict}), which a graver rule grades, too"
            found.error("overlap", path, what, "the milder one is never seen", "keep one of them")
    return found


def _limits_of(rule: t.Mapping[str, t.Any], metrics: t.Mapping[str, t.Mapping[str, t.Any]]) -> t.Iterator[t.Tuple[str, str, float]]:
    """Metric, direction and number from which on the rule is true."""
    name = rule.get("metric")
    if not isinstance(name, str):
        return
    for direction in ("above", "below"):
        own = number(rule.get(direction))
        if own is not None:
            yield name, direction, own
        else:
            known = [_limit(metrics.get(name), verdict, direction) for verdict in texts(rule.get("verdict")) if verdict in ("warn", "fail")]
            reached = [limit for limit in known if limit is not None]
            if reached:
                yield name, direction, min(reached) if direction == "above" else max(reached)


def _forgotten(variables: t.Mapping[str, t.Any], where: Where) -> t.List[Finding]:
    """What can fail and leads to no severity, and severities to which nothing leads."""
    rules = [rule for _position, rule in items(variables.get("incident_severity_rules"))]
    if not rules:
        return []
    found = Findings(where)
    graded = {str(rule.get("metric")) for rule in rules}
    for position, metric in items(variables.get("health_metrics")):
        fails = any(_limit(metric, "fail", direction) is not None for direction in ("above", "below"))
        if fails and str(metric.get("name")) not in graded:
            path = ("health_metrics", position)
            what = f"The metric {clip(metric.get('name'))!r} can be critical, and no severity rule names it"
            found.warning("ungraded", path, what, "nobody would know how grave that is", "add a rule")
    graded = {str(rule.get("check")) for rule in rules} | {name for rule in rules for name in texts(rule.get("any_check_of"))}
    template = "health_checks"
    for position, check in items(variables.get(template)):
        # Checks of the runtime fail with the service they carry; without a rule they explain, they do not grade.
        if str(check.get("name")) not in graded and str(check.get("type")) not in (
            "compose_service",
            "kubernetes_workload",
            "systemd_unit",
        ):
            path = (template, position)
            what = f"The check {clip(check.get('name'))!r} is named by no severity rule"
            found.warning("ungraded", path, what, "nobody would know how grave its failure is", "add a rule")
    led_to = {str(rule.get("severity")) for rule in rules}
    for position, severity in items(variables.get("incident_severities")):
        if str(severity.get("name")) not in led_to:
            path = ("incident_severities", position)
            found.warning(
                "unused_severity",
                path,
                f"No rule leads to the severity {clip(severity.get('name'), 40)}",
                "",
                "add a rule, or take the severity away",
            )
    return found


def _levels(variables: t.Mapping[str, t.Any], where: Where) -> t.List[Finding]:
    """Escalation levels follow one another without gap or overlap, from the beginning on."""
    levels = [
        (after if after is not None else 0.0, number(item.get("until_s")), item, position)
        for position, item in items(variables.get("incident_escalation_levels"))
        for after in [number(item.get("after_s"))]
    ]
    levels.sort(key=lambda entry: (number(entry[2].get("level")) or 0, entry[3]))
    found = Findings(where)

    def finding(kind: str, position: int, key: str, what: str, step: str) -> None:
        path = ("incident_escalation_levels", position, key)
        found.error(kind, path, what, "", step)

    def called(item: t.Mapping[str, t.Any]) -> str:
        return clip(item.get("name") or item.get("level"), 40)

    if levels and levels[0][0] > 0:
        finding(
            "gap", levels[0][3], "after_s", f"The first escalation level begins only after {spoken_s(levels[0][0])}", "let it begin at 0"
        )
    for (after, until, item, position), (later, _until, next_item, next_position) in zip(levels, levels[1:]):
        if until is not None and until <= after:
            finding("overlap", position, "until_s", f"The escalation level {called(item)} ends before it begins", "correct the times")
        if later <= after:
            finding(
                "overlap",
                next_position,
                "after_s",
                f"The escalation levels {called(item)} and {called(next_item)} begin in the wrong order",
                "let each begin after the one before",
            )
        elif until is not None and later > until:
            between = f"between {called(item)} and {called(next_item)}"
            what = f"From {spoken_s(until)} to {spoken_s(later)} no escalation level is in charge, {between}"
            finding("gap", next_position, "after_s", what, "let one begin when the other ends")
        elif until is not None and later < until:
            both = f"{called(item)} and {called(next_item)}"
            what = f"The escalation levels {both} are both in charge from {spoken_s(later)} to {spoken_s(until)}"
            finding("overlap", next_position, "after_s", what, "let one begin when the other ends")
    if levels and levels[-1][1] is not None:
        what = f"After {spoken_s(levels[-1][1])} no escalation level is in charge"
        finding("gap", levels[-1][3], "until_s", what, "leave until_s of the last level out")
    return found
