# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""From the options of `log_scan` to a plan; all mistakes are reported together before anything is read."""

from __future__ import annotations

import json
import math
import re
import typing as t

from ..errors import BadInput
from .levels import level_of
from .model import PERIODS_S, Plan, Question, Source
from .profile_questions import from_profile
from .times import TimeReader, moment

FORMATS = ("auto", "json", "plain", "docker", "journal")
_LIST: t.Mapping[str, t.Any] = {"type": "list", "elements": "str"}
SOURCE_SPEC: t.Dict[str, t.Dict[str, t.Any]] = {
    "name": {"type": "str", "required": True},
    "title": {"type": "str", "default": ""},
    "path": {**_LIST, "default": []},
    "generations": {"type": "bool", "default": True},
    "compose_service": {"type": "str", "default": ""},
    "project_folder": {"type": "path", "default": ""},
    "compose_files": {"type": "list", "elements": "path", "default": []},
    "container": {"type": "str", "default": ""},
    "engine": {"type": "str", "default": "docker", "choices": ["docker", "podman"]},
    "kubernetes_workload": {"type": "str", "default": ""},
    "kind": {"type": "str", "default": ""},
    "namespace": {"type": "str", "default": ""},
    "kube_config": {"type": "path", "default": ""},
    "kube_context": {"type": "str", "default": ""},
    "pod_container": {"type": "str", "default": ""},
    "previous": {"type": "bool", "default": False},
    "systemd_unit": {"type": "str", "default": ""},
    "journal_folder": {"type": "path", "default": ""},
    "format": {"type": "str", "default": "auto", "choices": list(FORMATS)},
    "time_field": {**_LIST, "default": ["timestamp", "time", "ts", "@timestamp", "asctime", "datetime"]},
    "level_field": {**_LIST, "default": ["level", "severity", "levelname", "log.level", "lvl"]},
    "message_field": {**_LIST, "default": ["message", "msg", "event"]},
    "type_field": {**_LIST, "default": ["type", "error_type", "exc_type", "error.type", "exception.type"]},
    "fields": {"type": "dict", "default": {}},
    "time_zone": {"type": "str", "default": "UTC"},
}
QUESTION_SPEC: t.Dict[str, t.Dict[str, t.Any]] = {
    "name": {"type": "str", "required": True},
    "sources": {**_LIST, "default": []},
    "levels": {**_LIST, "default": []},
    "pattern": {"type": "str", "default": ""},
    "ignore_case": {"type": "bool", "default": False},
    "where": {"type": "dict", "default": {}},
    "lines": {"type": "int", "default": 0},
    "group_by": {**_LIST, "default": []},
    "per": {"type": "str", "default": "", "choices": ["", *PERIODS_S]},
    "top": {"type": "int", "default": 20},
    "number": {"type": "str", "default": ""},
    "percentiles": {"type": "list", "elements": "float", "default": [50.0, 95.0, 99.0]},
    "above": {"type": "list", "elements": "float", "default": []},
    "distinct": {"type": "str", "default": ""},
    "last_value": {"type": "str", "default": ""},
    "every_s": {"type": "int", "default": 0},
    "since": {"type": "str", "default": ""},
}
OPTIONS: t.Dict[str, t.Dict[str, t.Any]] = {
    "sources": {"type": "list", "elements": "dict", "required": True, "options": SOURCE_SPEC},
    "questions": {"type": "list", "elements": "dict", "default": [], "options": QUESTION_SPEC},
    "profile_questions": {"type": "list", "elements": "dict", "default": []},
    "used_by": {"type": "list", "elements": "str", "default": []},
    "since": {"type": "str", "default": ""},
    "until": {"type": "str", "default": ""},
    "last_lines": {"type": "int", "default": 0},
    "timeout_s": {"type": "float", "default": 300.0},
    "missing_ok": {"type": "bool", "default": False},
    "secrets": {"type": "list", "elements": "str", "default": [], "no_log": True},
}
MOST_LINES, MOST_TOP, MOST_QUESTIONS = 1000, 1000, 200
_LONGEST_S = 86400
_ORIGINS = ("path", "compose_service", "container", "kubernetes_workload", "systemd_unit")


def plan_of(options: t.Mapping[str, t.Any], now: float) -> Plan:
    """The plan that validated options describe; missing ones have their defaults.

    Args:
        options: As `OPTIONS` describes them.
        now: The present, in seconds since 1970.

    Raises:
        BadInput: They have mistakes; the message has all of them.
    """
    mistakes: t.List[str] = []
    sources = tuple(source_of(item, mistakes) for item in options.get("sources") or ())
    asked = [*(options.get("questions") or ()), *from_profile(options.get("profile_questions") or (), options.get("used_by") or ())]
    questions = tuple(question_of(item, mistakes, now) for item in asked)
    names = {source.name for source in sources}
    if not sources:
        mistakes.append("sources is empty, and what reads nothing tells nothing")
    mistakes += _twice("source", [source.name for source in sources]) + _twice("question", [question.name for question in questions])
    for question in questions:
        mistakes += [f"question {question.name!r}: there is no source {name!r}" for name in question.sources if name not in names]
    if len(questions) > MOST_QUESTIONS:
        mistakes.append(f"there are more than {MOST_QUESTIONS} questions")
    if not 0 < float(options.get("timeout_s") or 300.0) <= _LONGEST_S:
        mistakes.append(f"timeout_s is not between 0 and {_LONGEST_S}")
    last_lines = int(options.get("last_lines") or 0)
    if last_lines < 0 or (last_lines and options.get("until")):
        mistakes.append("last_lines is below 0, or there is until, too, for which all lines must be read")
    window: t.Dict[str, t.Optional[float]] = {}
    for name in ("since", "until"):
        try:
            window[name] = moment(options.get(name), now, name)
        except BadInput as error:
            mistakes.append(error.message)
    since, until = window.get("since"), window.get("until")
    if since is not None and until is not None and since >= until:
        mistakes.append("since is not before until")
    if mistakes:
        raise BadInput(
            f"The log scan has {len(mistakes)} mistake{'' if len(mistakes) == 1 else 's'}",
            why="; ".join(mistakes[:30]),
            next_step="correct sources and questions; nothing was read",
            facts={"mistakes": mistakes[:30]},
        )
    return Plan(sources, questions, since, until, now, last_lines)


def source_of(item: t.Mapping[str, t.Any], mistakes: t.List[str]) -> Source:
    """The source that an item of `sources` describes; what is wrong with it is added to `mistakes`."""
    given = _given(item, SOURCE_SPEC)
    label = f"source {given['name']!r}"
    origins = [name for name in _ORIGINS if given[name]]
    if len(origins) != 1 and origins != ["path", "container"]:
        mistakes.append(f"{label}: it needs one of {', '.join(_ORIGINS)}" + (f", and has {', '.join(origins)}" if origins else ""))
    unknown = sorted(str(name) for name in item if name not in SOURCE_SPEC)
    if unknown:
        mistakes.append(f"{label}: unknown key {unknown[0]!r}")
    for name, expression in dict(given["fields"]).items():
        problem = _pattern_mistake(str(expression))
        if problem or re.compile(str(expression)).groups < 1:
            mistakes.append(f"{label}: fields: {name}: {problem or 'the regular expression has no group, which would be the value'}")
    try:
        TimeReader(given["time_zone"])
    except BadInput as error:
        mistakes.append(f"{label}: {error.message}")
    if given["kind"] and "/" not in given["kubernetes_workload"]:
        given["kubernetes_workload"] = f"{given['kind']}/{given['kubernetes_workload']}"
    return Source(
        name=given["name"],
        title=given["title"],
        paths=_texts(given["path"]),
        compose_files=_texts(given["compose_files"]),
        time_fields=_texts(given["time_field"]),
        level_fields=_texts(given["level_field"]),
        message_fields=_texts(given["message_field"]),
        type_fields=_texts(given["type_field"]),
        fields={str(name): str(expression) for name, expression in dict(given["fields"]).items()},
        **{
            name: given[name]
            for name in (
                "generations", "compose_service", "project_folder", "container", "engine", "kubernetes_workload", "namespace",
                "kube_config", "kube_context", "pod_container", "previous", "systemd_unit", "journal_folder", "format", "time_zone",
            )
        },
    )  # fmt: skip


def question_of(item: t.Mapping[str, t.Any], mistakes: t.List[str], now: float) -> Question:
    """The question that an item of `questions` describes; what is wrong with it is added to `mistakes`."""
    given = _given(item, QUESTION_SPEC)
    label = f"question {given['name']!r}"
    unknown = sorted(str(name) for name in item if name not in QUESTION_SPEC)
    found = [f"unknown key {unknown[0]!r}"] if unknown else []
    if given["pattern"]:
        problem = _pattern_mistake(given["pattern"])
        found += [f"pattern: {problem}"] if problem else []
    for name, highest in (("lines", MOST_LINES), ("top", MOST_TOP), ("every_s", 366 * 86400)):
        if not 0 <= given[name] <= highest:
            found.append(f"{name} is not between 0 and {highest}")
    found += [f"percentile {value} is not between 0 and 100" for value in given["percentiles"] if not 0 <= value <= 100]
    found += [f"the limit {value} of above is no number" for value in given["above"] if not math.isfinite(value)]
    if given["above"] and not given["number"]:
        found.append("above needs number, the field whose values are compared")
    since: t.Optional[float] = None
    try:
        since = moment(given["since"], now, "since")
    except BadInput as error:
        found.append(error.message)
    mistakes += [f"{label}: {mistake}" for mistake in found]
    where = tuple(
        (str(name), frozenset(text for text in map(scalar_text, values_of(values)) if text is not None))
        for name, values in dict(given["where"]).items()
    )
    return Question(
        name=given["name"],
        sources=_texts(given["sources"]),
        levels=frozenset(level_of(level) or "" for level in given["levels"]),
        where=where,
        group_by=_texts(given["group_by"]),
        percentiles=tuple(given["percentiles"]),
        above=tuple(given["above"]),
        since=since,
        **{
            name: given[name]
            for name in ("pattern", "ignore_case", "lines", "per", "top", "number", "distinct", "last_value", "every_s")
        },
    )  # fmt: skip


def values_of(values: t.Any) -> t.List[t.Any]:
    """One value or several, as a list."""
    return list(values) if isinstance(values, (list, tuple, set, frozenset)) else [values]


def scalar_text(value: t.Any) -> t.Optional[str]:
    """A JSON value that is no list and no object, as the text by which it is compared and counted; None for the others."""
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, (dict, list)):
        return None
    return json.dumps(value) if isinstance(value, (bool, int, float)) else str(value)


def _given(item: t.Mapping[str, t.Any], spec: t.Mapping[str, t.Mapping[str, t.Any]]) -> t.Dict[str, t.Any]:
    """Each option's value, or its default."""
    return {name: item[name] if item.get(name) is not None else option.get("default") for name, option in spec.items()}


def _texts(values: t.Any) -> t.Tuple[str, ...]:
    return tuple(str(value) for value in values_of(values if values is not None else []))


def _twice(what: str, names: t.Sequence[str]) -> t.List[str]:
    return [f"{what} {name!r}: the name is used twice" for name in sorted({name for name in names if names.count(name) > 1})]


def _pattern_mistake(pattern: str) -> str:
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        return f"{pattern[:80]!r} is no regular expression ({error})"
    return ""
