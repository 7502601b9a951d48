# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The operation of the module alerts_info: which alerts an Alertmanager knows (version 2 of its API; version 1 is gone since 0.27).

Source: github.com/prometheus/alertmanager, api/v2/openapi.yaml.
"""

from __future__ import annotations

import json
import typing as t
from collections import Counter
from datetime import datetime

from ..checks.redaction import Redactor, clip
from ..errors import BadInput, Unreachable
from ..state import utc_now, utc_text
from .moments import moment_of
from .web import OPTIONS as WEB
from .web import Server

STATES = ("active", "suppressed", "unprocessed")
OPTIONS: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "url": {"type": "str", "required": True},
    "states": {"type": "list", "elements": "str", "choices": list(STATES), "default": ["active", "suppressed"]},
    "labels": {"type": "dict", "default": {}},
    "severities": {"type": "list", "elements": "str", "default": []},
    "since_s": {"type": "float"},
    "limit": {"type": "int", "default": 500},
    "prometheus_url": {"type": "str", "default": ""},
    "history_s": {"type": "float", "default": 86400.0},
    **WEB,
}
"""Described in plugins/modules/alerts_info.py."""
_PATH = "/api/v2/alerts"
_TEXT = 1000
_LATER: t.Mapping[str, int] = {"critical": 0, "warning": 1, "info": 2}


def operate(parameters: t.Mapping[str, t.Any], check_mode: bool) -> t.Dict[str, t.Any]:
    """List alerts as `parameters`, valid for OPTIONS, ask for; only reads.

    Raises:
        BadInput: An address is none, or a number makes no sense.
        Unreachable: A server does not answer, or is another one.
        DeadlineExceeded: A server did not answer in time.
    """
    if parameters["limit"] < 1 or (parameters.get("since_s") or 0) < 0 or not 60 <= parameters["history_s"] <= 86400 * 400:
        raise BadInput(
            "Alerts cannot be listed on these terms",
            why="limit is 1 or more, since_s 0 or more, history_s between a minute and 400 days",
            next_step="correct the options",
        )
    server, now = Server("Alertmanager", parameters["url"], parameters), utc_now()
    found = wanted_of(_read(server, parameters), parameters, now)
    shown = found[: parameters["limit"]]
    by_severity = Counter(alert["severity"] or "none" for alert in found)
    by_state = Counter(alert["state"] for alert in found)
    result: t.Dict[str, t.Any] = {
        "changed": False,
        "alerts": shown,
        "total": len(found),
        "truncated": len(shown) < len(found),
        "counts": {"severity": dict(by_severity), "state": {state: by_state[state] for state in STATES}},
        "summary": summary(found),
        "url": server.shown,
    }
    if parameters["prometheus_url"]:
        prometheus = Server("Prometheus", parameters["prometheus_url"], parameters)
        result["history"] = history(prometheus, parameters["history_s"], parameters["labels"])[: parameters["limit"]]
    return {**result, "msg": result["summary"]}


def wanted_of(alerts: t.Sequence[t.Mapping[str, t.Any]], parameters: t.Mapping[str, t.Any], now: datetime) -> t.List[t.Dict[str, t.Any]]:
    """Those of Alertmanager's alerts that were asked for, the gravest first, the newest first among equals; a pure function."""
    labels = {str(name): str(value) for name, value in parameters["labels"].items()}
    found = []
    for raw in alerts:
        alert = _told(raw, now)
        if alert["state"] not in parameters["states"]:
            continue
        if parameters["severities"] and alert["severity"] not in parameters["severities"]:
            continue
        if any(alert["labels"].get(name, "") != value for name, value in labels.items()):
            continue
        if parameters.get("since_s") is not None and (alert["age_s"] is None or alert["age_s"] > parameters["since_s"]):
            continue
        found.append(alert)
    return sorted(found, key=lambda alert: (_LATER.get(alert["severity"], 3), alert["age_s"] is None, alert["age_s"] or 0, alert["name"]))


def summary(alerts: t.Sequence[t.Mapping[str, t.Any]]) -> str:
    """One sentence for all of them."""
    active = [alert for alert in alerts if alert["state"] == "active"]
    suppressed = len(alerts) - len(active)
    behind = f"; {suppressed} more silenced, inhibited or not yet processed" if suppressed else ""
    if not active:
        return f"No alert is active{behind}."
    names = Counter(f"{alert['name']}{' (' + alert['severity'] + ')' if alert['severity'] else ''}" for alert in active)
    told = ", ".join(f"{count} x {name}" if count > 1 else name for name, count in names.most_common(10))
    return f"{len(active)} alert{'s are' if len(active) > 1 else ' is'} active: {told}{' and more' if len(names) > 10 else ''}{behind}."


def history(server: Server, seconds: float, labels: t.Mapping[str, t.Any]) -> t.List[t.Dict[str, t.Any]]:
    """Which alerts fired within the last `seconds`, as Prometheus remembers them in the series ALERTS, the newest first.

    Raises:
        Unreachable: It does not answer, or is another server.
    """
    matchers = "".join(f",{name}={json.dumps(str(value), ensure_ascii=False)}" for name, value in labels.items() if name != "alertstate")
    series, window = f'ALERTS{{alertstate="firing"{matchers}}}', int(seconds)
    # The first question misses nothing; the second, for when, looks at a thousand moments at most, so that the server's work is bounded.
    last = {
        _key(own): moment for own, moment in _vector(server, f"max_over_time(timestamp({series})[{window}s:{max(15, window // 1000)}s])")
    }
    found = []
    for own, _count in _vector(server, f"count_over_time({series}[{window}s])"):
        moment = last.get(_key(own))
        at = "" if moment is None else utc_text(datetime.fromtimestamp(moment, tz=utc_now().tzinfo))
        found.append({**_names(own), "labels": own, "last_fired_at": at})
    return sorted(found, key=lambda alert: str(alert["last_fired_at"]), reverse=True)


def _vector(server: Server, query: str) -> t.List[t.Tuple[t.Dict[str, str], float]]:
    """Labels and value of each series that an expression gives now."""
    reply = server.call("GET", "/api/v1/query", parameters=[("query", query)])
    document = reply.document(server.shown) if reply.status in (200, 400, 422) else None
    if not isinstance(document, dict) or document.get("status") != "success":
        raise server.refused("The alerts of the past cannot be listed", reply)
    return [
        ({str(name): str(value) for name, value in one["metric"].items() if name not in ("__name__", "alertstate")}, float(one["value"][1]))
        for one in document["data"]["result"]
    ]


def _key(labels: t.Mapping[str, str]) -> t.Tuple[t.Tuple[str, str], ...]:
    return tuple(sorted(labels.items()))


def _read(server: Server, parameters: t.Mapping[str, t.Any]) -> t.List[t.Mapping[str, t.Any]]:
    suppressed = "true" if "suppressed" in parameters["states"] else "false"
    asked = [
        ("active", "true" if "active" in parameters["states"] else "false"),
        ("silenced", suppressed),
        ("inhibited", suppressed),
        ("unprocessed", "true" if "unprocessed" in parameters["states"] else "false"),
    ]
    asked += [("filter", f"{name}={json.dumps(str(value), ensure_ascii=False)}") for name, value in parameters["labels"].items()]
    reply = server.call("GET", _PATH, parameters=asked)
    if reply.status != 200:
        raise server.refused("The alerts cannot be listed", reply)
    document = reply.document(server.shown)
    if not isinstance(document, list) or not all(isinstance(one, dict) and isinstance(one.get("labels"), dict) for one in document):
        raise Unreachable(
            "The answer is not one of Alertmanager's API",
            where=server.shown,
            why=reply.said[:200],
            next_step="look whether the address is that of an Alertmanager (0.16 or later)",
        )
    return document


def _told(raw: t.Mapping[str, t.Any], now: datetime) -> t.Dict[str, t.Any]:
    given = raw.get("status")
    status: t.Mapping[str, t.Any] = given if isinstance(given, dict) else {}
    labels = _texts(raw.get("labels"))
    begun = moment_of(raw.get("startsAt"))
    return {
        **_names(labels),
        "state": str(status.get("state") or "unprocessed"),
        "labels": labels,
        "annotations": _texts(raw.get("annotations")),
        "starts_at": utc_text(begun) if begun else "",
        "age_s": round((now - begun).total_seconds(), 1) if begun else None,
        "silenced_by": _list(status.get("silencedBy")),
        "inhibited_by": _list(status.get("inhibitedBy")),
        "receivers": _list(raw.get("receivers"), "name"),
        "fingerprint": str(raw.get("fingerprint") or ""),
    }


def _list(given: t.Any, key: str = "") -> t.List[str]:
    """The texts in a list, or in its dictionaries under a key; whatever else it is gives none."""
    found = [one.get(key) if key and isinstance(one, dict) else one for one in (given if isinstance(given, list) else ())]
    return [clip(one, _TEXT) for one in found if isinstance(one, str)]


def _names(labels: t.Mapping[str, str]) -> t.Dict[str, str]:
    return {
        "name": labels.get("alertname", ""),
        "severity": labels.get("severity", ""),
        "priority": labels.get("priority", ""),
        "service": labels.get("service", ""),
        "component": labels.get("component", ""),
    }


def _texts(given: t.Any) -> t.Dict[str, str]:
    redactor = Redactor()
    pairs = given.items() if isinstance(given, dict) else ()
    return {clip(str(name), 200): clip(redactor.text(str(value)), _TEXT) for name, value in pairs}
