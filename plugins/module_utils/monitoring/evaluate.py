# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The operation of the module alert_evaluate: compare with the last evaluation, keep what is so now, tell who is to know."""

from __future__ import annotations

import time
import typing as t

from ..checks.model import SEVERITY
from ..errors import BadInput, ToolMissing
from ..notify.sending import Delivery, Message, send
from ..severity import severity_of
from ..state import state_folder
from . import profile
from .alert_state import State, mark
from .evaluation import evaluate
from .evaluation_model import Event, Grade, Terms

OPTIONS: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "service_name": {"type": "str", "required": True},
    "service_title": {"type": "str", "default": ""},
    "metrics": {"type": "list", "elements": "dict", "default": []},
    "checks": {"type": "list", "elements": "dict", "default": []},
    "incident_severities": {"type": "list", "elements": "dict", "default": []},
    "incident_severity_rules": {"type": "list", "elements": "dict", "default": []},
    "incident_escalation_levels": {"type": "list", "elements": "dict", "default": []},
    "incident_contacts": {"type": "list", "elements": "dict", "default": []},
    "notify_channels": {"type": "dict", "default": {}},
    "gateways": {"type": "dict", "default": {}, "no_log": True},
    "messages": {"type": "dict", "default": {}},
    "alerts": {"type": "dict", "default": {}},
    "raise_after": {"type": "int", "default": 1},
    "resolve_after": {"type": "int", "default": 1},
    "unknown_after": {"type": "int", "default": 3},
    "send": {"type": "bool", "default": True},
    "timeout_s": {"type": "float", "default": 20.0},
    "state_folder": {"type": "path"},
}
"""Described in plugins/modules/alert_evaluate.py."""
_SENDING_S = 60.0
"""After this time no further message is begun; what is left waits for the next evaluation, minutes later."""


def operate(parameters: t.Mapping[str, t.Any], check_mode: bool) -> t.Dict[str, t.Any]:
    """Evaluate the results in `parameters`, valid for OPTIONS. In check mode nothing is kept and nothing is sent.

    Returns:
        `failed` with all data when a message reached nobody.

    Raises:
        BadInput: The profile or the results have mistakes; nothing was kept or sent.
        RunbookError: Another evaluation goes on, or what was kept cannot be read.
        ToolMissing: Messages are to be sent and apprise is not installed; they wait for the next run.
    """
    terms = _terms(parameters)
    state = State(state_folder(parameters.get("state_folder")), parameters["service_name"])
    grade, now = _grade(parameters), time.time()
    if check_mode:
        state.read()
        before = dict(state.alerts)
        state.alerts, events = evaluate(state.alerts, parameters["metrics"], parameters["checks"], grade, terms, now)
        return _result(state, events, [], [], before, now)
    with state:
        before = dict(state.alerts)
        state.alerts, events = evaluate(state.alerts, parameters["metrics"], parameters["checks"], grade, terms, now)
        state.evaluations, state.last_at = state.evaluations + 1, now
        sends = parameters["send"] and bool(terms.channels)
        if sends:
            state.queue(events, now)
        given_up = state.drop_old(now)
        state.write()
        deliveries = _tell(state, parameters, terms) if sends else []
    return _result(state, events, deliveries, given_up, before, now)


def _terms(parameters: t.Mapping[str, t.Any]) -> Terms:
    wrong = [f"{name} is less than 1" for name in ("raise_after", "resolve_after", "unknown_after") if parameters[name] < 1]
    if not 0 < parameters["timeout_s"] <= 600:
        wrong.append("timeout_s is not between 0 and 600")
    for what in ("metrics", "checks"):
        wrong += [
            f"{what}: number {number} is no result (name, verdict)"
            for number, result in enumerate(parameters[what], 1)
            if not isinstance(result.get("name"), str) or result.get("verdict") not in SEVERITY
        ]
    if wrong:
        raise BadInput(
            "Alerts cannot be evaluated on these terms", why="; ".join(wrong[:20]), next_step="correct the options; nothing was kept"
        )
    read = profile.Profile.of({key: value for key, value in parameters.items() if key.startswith(("service_", "incident_", "notify_"))})
    messages = {str(name): own for name, own in parameters["messages"].items() if isinstance(own, t.Mapping)}
    steps = {str(name): own for name, own in parameters["alerts"].items() if isinstance(own, t.Mapping)}
    return Terms(
        service=read.spoken,
        channels=read.channels,
        escalation=read.escalation,
        messages=messages,
        raise_after=parameters["raise_after"],
        resolve_after=parameters["resolve_after"],
        unknown_after=parameters["unknown_after"],
        next_steps=steps,
    )


def _grade(parameters: t.Mapping[str, t.Any]) -> t.Callable[[str, t.Mapping[str, t.Any]], Grade]:
    severities, rules = parameters["incident_severities"], parameters["incident_severity_rules"]

    def grade(kind: str, result: t.Mapping[str, t.Any]) -> Grade:
        checks, metrics = ([result], []) if kind == "check" else ([], [result])
        found = severity_of(severities, rules, checks, metrics)
        if found is None:
            return Grade()
        given = next(one for one in severities if str(one.get("name")) == found.name)
        return Grade(
            priority=found.name,
            rank=found.rank,
            title=found.title,
            level=found.notify,
            because=found.reason,
            respond_within_s=found.respond_within_s,
            # Null says that nobody is disturbed before the next working day; where the key is missing the levels' own times count.
            escalates="escalate_after_s" not in given or given["escalate_after_s"] is not None,
            escalate_after_s=found.escalate_after_s,
        )

    return grade


def _tell(state: State, parameters: t.Mapping[str, t.Any], terms: Terms) -> t.List[t.Dict[str, t.Any]]:
    """Send what waits, the oldest first, and cross off what arrived."""
    gateways = {str(kind).lower(): str(address or "") for kind, address in parameters["gateways"].items()}
    told: t.List[t.Dict[str, t.Any]] = []
    until = time.monotonic() + max(_SENDING_S, parameters["timeout_s"])
    for entry in list(state.waiting):
        if time.monotonic() > until:
            break
        channels = list(dict.fromkeys([*(one for level in entry["levels"] for one in terms.channels.get(level, ())), *entry["addresses"]]))
        left = [channel for channel in channels if mark(channel) not in entry["done"]]
        title, body = _text(entry, terms.service)
        entry["attempts"] = int(entry["attempts"]) + 1
        try:
            deliveries = send(left, Message(title, body, entry["kind"]), gateways, timeout_s=parameters["timeout_s"]) if left else []
        except ToolMissing:
            state.write()
            raise
        entry["done"] = [*entry["done"], *(mark(left[one.number]) for one in deliveries if one.sent)]
        # Where no gateway is there at all a channel is not tried again and again; the others of the message are.
        reached = bool(entry["done"]) or not channels
        if all(one.sent for one in deliveries) or (reached and not any(_may_come(one) for one in deliveries)):
            state.waiting.remove(entry)
        state.write()
        told.append(
            {
                "title": title,
                "deliveries": [one.as_dict() for one in deliveries],
                "reached": reached and bool(channels),
                "levels": entry["levels"],
            }
        )
    return told


def _may_come(delivery: Delivery) -> bool:
    """Whether it makes sense to try this channel again: it was reached for, and did not take it."""
    return delivery.sent is False and delivery.duration_ms > 0


def _text(entry: t.Mapping[str, t.Any], service: str) -> t.Tuple[str, str]:
    events = entry["events"]
    first = events[0]
    more = f" (and {len(events) - 1} more)" if len(events) > 1 else ""
    mark_ = "RESOLVED" if entry["kind"] == "success" else first["priority"] or ("CRITICAL" if entry["kind"] == "failure" else "WARNING")
    title = " ".join(f"[{mark_}] {service}: {first['message']}{more}".split())[:240]
    body = "\n\n".join("\n".join([event["message"], *event["detail"]]) for event in events)
    return title, body[:18_000]


def _result(
    state: State,
    events: t.Sequence[Event],
    deliveries: t.Sequence[t.Mapping[str, t.Any]],
    given_up: t.Sequence[str],
    before: t.Mapping[str, t.Any],
    now: float,
) -> t.Dict[str, t.Any]:
    active = [_shown(key, alert, now) for key, alert in state.alerts.items() if alert.get("state")]
    active.sort(key=lambda alert: (alert["severity"] != "critical", -alert["age_s"], alert["key"]))
    lost = [one["title"] for one in deliveries if not one["reached"]]
    msg = f"{len(active)} alert{'s are' if len(active) != 1 else ' is'} up, {len(events)} event{'s' if len(events) != 1 else ''}"
    msg += ": " + "; ".join(event.message for event in events[:10]) + "." if events else "."
    result: t.Dict[str, t.Any] = {
        "changed": bool(events or deliveries or given_up),
        "alerts": active,
        "events": [event.as_dict() for event in events],
        "notifications": list(deliveries),
        "waiting": len(state.waiting),
        "msg": msg,
        "notes": [f"given up after many attempts: {message}" for message in given_up] + _unsent(deliveries),
        "diff": {"before": _lines(before), "after": _lines(state.alerts)},
    }
    if lost:
        reasons = "; ".join(_unsent(deliveries)) or "no channel is named for it"
        result.update(failed=True, msg=f"{msg} Nobody could be told: {reasons}. It is tried again at the next evaluation.")
    return result


def _unsent(told: t.Sequence[t.Mapping[str, t.Any]]) -> t.List[str]:
    """The channels that did not get a message, each once, with the reason."""
    found = [f"{one['channel']}: {one['reason'].rstrip('.')}" for message in told for one in message["deliveries"] if not one["sent"]]
    return list(dict.fromkeys(found))


def _shown(key: str, alert: t.Mapping[str, t.Any], now: float) -> t.Dict[str, t.Any]:
    return {
        "key": key,
        "name": str(alert.get("title")),
        "component": str(alert.get("component")),
        "state": str(alert.get("state")),
        "severity": str(alert.get("severity")),
        "priority": str(alert.get("priority") or ""),
        "message": str(alert.get("message")),
        "age_s": round(max(0.0, now - float(alert.get("raised_at") or now)), 1),
        "escalated_to": max([1, *(alert.get("escalated") or [])]),
    }


def _lines(alerts: t.Mapping[str, t.Any]) -> str:
    up = [f"{alert.get('state')} {alert.get('message')}\n" for _key, alert in sorted(alerts.items()) if alert.get("state")]
    return "".join(up)
