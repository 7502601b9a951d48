# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Alerts of a service that has no Prometheus: what its checks and metrics say now, against what was so at the last evaluation.

Pure functions. An alert is raised once, told again when it becomes graver or milder or nobody has mended it in time, and resolved once.
What could not be measured resolves nothing; when it goes on, it is an alert of its own.
"""

from __future__ import annotations

import typing as t

from .. import readable
from . import words
from .evaluation_model import CHANGED, ESCALATED, RAISED, RESOLVED, Alert, Event, Grade, Terms
from .names import spoken_name
from .thresholds import ABOVE, BELOW, CRITICAL, WARNING

Results = t.Sequence[t.Mapping[str, t.Any]]
_TEXT = 500
_BAD = ("warn", "fail")


def evaluate(
    before: t.Mapping[str, Alert],
    metrics: Results,
    checks: Results,
    grade: t.Callable[[str, t.Mapping[str, t.Any]], Grade],
    terms: Terms,
    now: float,
) -> t.Tuple[t.Dict[str, Alert], t.List[Event]]:
    """What is so now, and what is to be told.

    Args:
        before: What was kept of the last evaluation, by key.
        metrics: Results of metrics_gate.
        checks: Results of health_check.
        grade: How grave a result is, by the rules of the profile; the first argument is `metric` or `check`.
        terms: How it is evaluated.
        now: Seconds since 1970 UTC.

    Returns:
        What is to be kept, by key, and the events in the order of the results.
    """
    after: t.Dict[str, Alert] = {}
    events: t.List[Event] = []
    for kind, results in (("metric", metrics), ("check", checks)):
        for result in results:
            key = f"{kind}:{result.get('name')}"
            if key in after:
                continue
            alert, found = _observe(dict(before.get(key) or {}), key, kind, result, grade, terms, now)
            after[key] = alert
            events += found
    for key, alert in before.items():
        if key not in after and alert.get("raised_at"):
            gone = f"{alert.get('title')}: the profile no longer measures it"
            events.append(_event(RESOLVED, key, gone, (), alert.get("told") or (), alert))
    return after, events


def _observe(
    alert: Alert,
    key: str,
    kind: str,
    result: t.Mapping[str, t.Any],
    grade: t.Callable[[str, t.Mapping[str, t.Any]], Grade],
    terms: Terms,
    now: float,
) -> t.Tuple[Alert, t.List[Event]]:
    """One result against what was kept of it.

    Kept are `verdict`, `streak` (how often in a row), and of an alert that is up `state` (`warn`, `fail`, `unknown`), `raised_at`, `told`
    (levels of channels), `rank` of its severity and `escalated` (numbers of levels).
    """
    verdict = str(result.get("verdict"))
    streak = int(alert.get("streak") or 0) + 1 if alert.get("verdict") == verdict else 1
    kept: Alert = {
        **alert,
        "title": spoken_name(result),
        "component": str(result.get("component") or ""),
        "verdict": verdict,
        "streak": streak,
        "since": alert.get("since", now) if streak > 1 else now,
        "value": result.get("value"),
        "unit": str(result.get("unit") or ""),
        "reason": str(result.get("reason") or "")[:_TEXT],
        "seen_at": now,
    }
    state = str(alert.get("state") or "")
    bad_for = _bad_streak(alert, verdict, streak)
    kept["bad_streak"] = bad_for
    if verdict in _BAD:
        found = grade(kind, result)
        if state == verdict and found.rank >= int(kept.get("rank", 0)):
            return _escalate(kept, key, terms, now)
        if bad_for >= terms.raise_after or state in _BAD:
            return _raise(kept, key, kind, result, verdict, found, terms, now)
    elif verdict == "unknown":
        if not state and streak >= terms.unknown_after:
            return _raise(kept, key, kind, result, verdict, Grade(level=WARNING, escalates=False), terms, now)
        if state:
            return _escalate(kept, key, terms, now)
    elif state and streak >= terms.resolve_after:
        return _resolve(kept, key, now)
    return kept, []


def _bad_streak(alert: Alert, verdict: str, streak: int) -> int:
    """How often in a row it was bad, be it a warning or worse; what could not be measured neither counts nor interrupts."""
    before = int(alert.get("bad_streak") or 0)
    if verdict in _BAD:
        return before + 1
    return before if verdict == "unknown" else 0


def _raise(
    kept: Alert, key: str, kind: str, result: t.Mapping[str, t.Any], state: str, grade: Grade, terms: Terms, now: float
) -> t.Tuple[Alert, t.List[Event]]:
    message = _message(kind, result, state, terms)
    severity = CRITICAL if state == "fail" else WARNING
    level = grade.level if grade.level in terms.channels else _level_for(severity, terms.channels)
    anew = not kept.get("state")
    told = list(dict.fromkeys([*(() if anew else kept.get("told") or ()), *([level] if level else [])]))
    kept.update(
        state=state,
        raised_at=now if anew else kept.get("raised_at", now),
        message=message,
        severity=severity,
        priority=grade.priority,
        rank=grade.rank,
        told=told,
        escalates=grade.escalates and severity == CRITICAL,
        escalate_after_s=grade.escalate_after_s,
        escalated=[] if anew else kept.get("escalated") or [],
    )
    own = terms.next_steps.get(str(result.get("name"))) or {}
    detail = _detail(result, grade, own)
    kept["detail"] = list(detail)
    return kept, [_event(RAISED if anew else CHANGED, key, message, detail, told, kept)]


def _resolve(kept: Alert, key: str, now: float) -> t.Tuple[Alert, t.List[Event]]:
    lasted = readable.span(max(0.0, now - float(kept.get("raised_at") or now)))
    value = _number(kept.get("value"))
    again = "" if value is None else f": {words.short(value, kept['unit'])}"
    event = _event(RESOLVED, key, f"{kept['title']} well again{again} (after {lasted})", (), kept.get("told") or (), kept)
    for name in (
        "state",
        "raised_at",
        "message",
        "severity",
        "priority",
        "rank",
        "told",
        "escalates",
        "escalate_after_s",
        "escalated",
        "detail",
    ):
        kept.pop(name, None)
    return kept, [event]


def _escalate(kept: Alert, key: str, terms: Terms, now: float) -> t.Tuple[Alert, t.List[Event]]:
    """Tell the levels whose time has come. A severity that escalates sooner or later moves the times of all of them."""
    above = [level for level in terms.escalation if level.level > 1]
    if not above or not kept.get("escalates"):
        return kept, []
    first = above[0].after_s
    given = kept.get("escalate_after_s")
    begin, lasted = (first if given is None else float(given)), now - float(kept.get("raised_at") or now)
    events = []
    for level in above:
        if level.level in kept["escalated"] or lasted < begin + level.after_s - first:
            continue
        kept["escalated"] = [*kept["escalated"], level.level]
        told = [level.notify] if level.notify in terms.channels else [] if level.addresses else list(kept.get("told") or ())
        message = f"{kept['message']}, for {readable.span(lasted)}: level {level.level} ({level.title})"
        events.append(
            _event(ESCALATED, key, message, tuple(kept.get("detail") or ()), told, kept, level.addresses if not level.notify else ())
        )
        kept["told"] = list(dict.fromkeys([*(kept.get("told") or ()), *told]))
    return kept, events


def _message(kind: str, result: t.Mapping[str, t.Any], state: str, terms: Terms) -> str:
    title, value = spoken_name(result), _number(result.get("value"))
    if state == "unknown":
        return f"{title} cannot be measured" if kind == "metric" else f"{title}: nobody knows"
    if kind == "check":
        return f"{title} {'failed' if state == 'fail' else 'in trouble'}"
    if value is None:
        return f"{title} {words.degree(state, ABOVE)}"
    own = (terms.messages.get(str(result.get("name"))) or {}).get(state)
    formatted = words.formatted(own, value) if own else ""
    return formatted or words.message(title, state, _direction(result, state, value), value, str(result.get("unit") or ""))


def _direction(result: t.Mapping[str, t.Any], state: str, value: float) -> str:
    given = result.get("thresholds")
    below = _number(given.get(f"{state}_below")) if isinstance(given, t.Mapping) else None
    return BELOW if below is not None and value < below else ABOVE


def _detail(result: t.Mapping[str, t.Any], grade: Grade, own: t.Mapping[str, t.Any]) -> t.Tuple[str, ...]:
    lines = [str(result.get("reason") or "")[:_TEXT]]
    if grade.priority:
        lines.append(f"{grade.priority}{f' ({grade.title})' if grade.title else ''}{f': {grade.because}' if grade.because else ''}")
    lines.append(f"Next: {words.next_step(own, {'respond_within_s': grade.respond_within_s})}")
    return tuple(line for line in lines if line)


def _event(
    kind: str,
    key: str,
    message: str,
    detail: t.Sequence[str],
    levels: t.Sequence[str],
    alert: t.Mapping[str, t.Any],
    addresses: t.Sequence[str] = (),
) -> Event:
    severity, priority = str(alert.get("severity") or WARNING), str(alert.get("priority") or "")
    return Event(kind, key, message[:_TEXT], tuple(detail), tuple(levels), tuple(addresses), severity, priority)


def _level_for(severity: str, channels: t.Mapping[str, t.Sequence[str]]) -> str:
    """The level of this name; where there is none, whoever is told of anything."""
    return severity if severity in channels else next(iter(channels), "")


def _number(value: t.Any) -> t.Optional[float]:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
