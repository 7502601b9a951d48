# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What profiles and other modules hand over, brought to the forms that reports rely on: what has another form is left out.

A report is made in the middle of trouble, too; a contact with a list in the place of its telephone number must not keep it from being made.
"""

from __future__ import annotations

import json
import typing as t

from ..backup_set.planned import WORKS_ON
from ..checks.conditions import number

Shape = t.Any
TEXT, NUMBER, FLAG, TEXTS, NUMBERS, SCALARS, DUMPED = "text", "number", "flag", "texts", "numbers", "scalars", "dumped"
"""A text; a finite number; true or false; texts, of which one may stand alone; numbers by name; texts and numbers by name; JSON as text."""
_LONGEST = 10_000
_LARGEST = 1e18
"""No number of a service is so large; sums and squares of it would be endless."""

RESULT: Shape = {
    **dict.fromkeys(("name", "title", "type", "target", "verdict", "reason", "unit", "component"), TEXT),
    **dict.fromkeys(("value", "latency_ms"), NUMBER),
}
DEFINITION: Shape = {
    **dict.fromkeys(("name", "title", "type", "unit", "component", "measure"), TEXT),
    **dict.fromkeys(("warn_above", "fail_above", "warn_below", "fail_below"), NUMBER),
}
OBJECTIVE: Shape = {
    **dict.fromkeys(("name", "title", "check", "metric", "better", "unit", "component"), TEXT),
    **dict.fromkeys(("objective", "window_days"), NUMBER),
}
CAPACITY: Shape = {**dict.fromkeys(("check", "metric", "title", "unit"), TEXT), "limit": NUMBER}
STORE: Shape = {**dict.fromkeys(("name", "kind", "component"), TEXT), **dict.fromkeys(("rto_s", "rpo_s"), NUMBER), "pitr": {}}
COMPONENT: Shape = {
    **dict.fromkeys(("name", "title"), TEXT),
    **dict.fromkeys(("rto_s", "rpo_s"), NUMBER),
    **dict.fromkeys(("stateless", "external"), FLAG),
}
PLANNED: Shape = {
    **dict.fromkeys(("name", "procedure", "at"), TEXT),
    "enabled": FLAG,
    "stores": TEXTS,
    "variables": {variable: TEXTS for variable, _all in WORKS_ON.values()},
}
ARCHIVE: Shape = {
    **dict.fromkeys(("archive_problem", "msg"), TEXT),
    "is_set_up": FLAG,
    **dict.fromkeys(("archive_timeout_s", "rpo_s"), NUMBER),
}
CONTACT: Shape = {
    **dict.fromkeys(("name", "title", "for", "phone", "email", "hours"), TEXT),
    "severities": TEXTS,
    "external": FLAG,
}
LEVEL: Shape = {"name": TEXT, "title": TEXT, "level": TEXT, "contact": TEXT, "after_s": NUMBER}
SEVERITY: Shape = {
    **dict.fromkeys(("name", "title", "reason", "when", "escalation", "notify"), TEXT),
    **dict.fromkeys(("respond_within_s", "escalate_after_s"), NUMBER),
}
_ALERT: Shape = {
    **dict.fromkeys(("name", "severity", "component", "state", "summary", "starts_at", "startsAt", "last_fired_at"), TEXT),
    "labels": SCALARS,
    "annotations": SCALARS,
    "status": SCALARS,
}
ALERTS: Shape = {"msg": TEXT, "alerts": [_ALERT], "history": [_ALERT]}
_SET: Shape = {
    **dict.fromkeys(("id", "store", "state", "consistent_at", "started_at", "finished_at"), TEXT),
    "size_bytes": NUMBER,
    "damage": TEXTS,
}
BACKUPS: Shape = {"msg": TEXT, "backup_sets": [_SET]}
_LINE: Shape = {"at": TEXT, "source": TEXT, "text": TEXT, "value": NUMBER}
_LOG: Shape = {
    **dict.fromkeys(("name", "title", "problem", "last"), TEXT),
    **dict.fromkeys(("lines", "errors"), NUMBER),
    "levels": NUMBERS,
}
_NUMBERS: Shape = {
    **dict.fromkeys(("count", "minimum", "mean", "maximum"), NUMBER),
    "percentiles": NUMBERS,
    "highest": [_LINE],
}
_ANSWER: Shape = {
    "name": TEXT,
    "problem": TEXT,
    "count": NUMBER,
    "groups_all": NUMBER,
    "lines": [_LINE],
    "last_values": [{"at": TEXT, "value": DUMPED}],
    "groups": [SCALARS],
    "numbers": _NUMBERS,
}
LOGS: Shape = {"msg": TEXT, "since": TEXT, "complete": FLAG, "logs": [_LOG], "answers": [_ANSWER]}
LOG_QUESTION: Shape = {
    **dict.fromkeys(("name", "log", "pattern", "numeric_field"), TEXT),
    **dict.fromkeys(("last", "last_lines", "since_s", "above", "top"), NUMBER),
    "used_by": TEXTS,
}
LOG_SOURCE: Shape = {"name": TEXT, "title": TEXT, "path": TEXTS, "container": TEXT}


def shaped(value: t.Any, shape: Shape) -> t.Any:
    """`value` in the form that `shape` describes; None where it has another one.

    Args:
        value: Anything.
        shape: One of the words above, a dictionary of shapes by key (other keys are left out), or a list with the shape of its items.
    """
    if isinstance(shape, list):
        items = [shaped(item, shape[0]) for item in value] if isinstance(value, (list, tuple)) else None
        return None if items is None else [item for item in items if item is not None]
    if isinstance(shape, dict):
        if not isinstance(value, t.Mapping):
            return None
        found = {key: shaped(value.get(key), inner) for key, inner in shape.items()}
        return {key: item for key, item in found.items() if item is not None}
    return _WORDS[shape](value)


def _text(value: t.Any) -> t.Optional[str]:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8").replace("\0", "\ufffd")[:_LONGEST]
    found = _number(value)
    return None if found is None else f"{found:g}"


def _number(value: t.Any) -> t.Optional[float]:
    found = number(value)
    return None if found is None or abs(found) > _LARGEST else found


def _flag(value: t.Any) -> t.Optional[bool]:
    return value if isinstance(value, bool) else None


def _texts(value: t.Any) -> t.Optional[t.List[str]]:
    items = [_text(item) for item in (value if isinstance(value, (list, tuple)) else [value])]
    found = [item for item in items if item]
    return found or None


def _numbers(value: t.Any) -> t.Optional[t.Dict[str, float]]:
    if not isinstance(value, t.Mapping):
        return None
    pairs = {_text(str(key)) or "": _number(item) for key, item in value.items()}
    return {key: item for key, item in pairs.items() if item is not None}


def _scalars(value: t.Any) -> t.Optional[t.Dict[str, t.Any]]:
    if not isinstance(value, t.Mapping):
        return None
    found: t.Dict[str, t.Any] = {}
    for key, item in value.items():
        plain = _number(item) if not isinstance(item, str) else _text(item)
        if plain is not None:
            found[_text(str(key)) or ""] = plain
    return found


def _dumped(value: t.Any) -> t.Optional[str]:
    if value is None or isinstance(value, str):
        return _text(value)
    try:
        return _text(json.dumps(value, ensure_ascii=False))
    except (TypeError, ValueError, RecursionError):
        return None


_WORDS: t.Mapping[str, t.Callable[[t.Any], t.Any]] = {
    TEXT: _text,
    NUMBER: _number,
    FLAG: _flag,
    TEXTS: _texts,
    NUMBERS: _numbers,
    SCALARS: _scalars,
    DUMPED: _dumped,
}
