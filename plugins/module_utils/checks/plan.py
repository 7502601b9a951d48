# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""From the list in the inventory to checks that can be asked; all mistakes are reported together before anything is."""

from __future__ import annotations

import math
import typing as t

from ..errors import BadInput
from .catalogue import TYPES
from .model import Check, Question
from .reading import Reader
from .redaction import Redactor, clip, secrets_of

COMMON: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "name": {"type": "str", "required": True},
    "type": {"type": "str", "required": True},
    "title": {"type": "str"},
    "component": {"type": "str"},
    "timeout_s": {"type": "float"},
    "attempt_timeout_s": {"type": "float"},
    "retries": {"type": "int"},
    "weight": {"type": "float", "default": 1.0},
    "depends_on": {"type": "list", "elements": "str", "default": []},
    "warn_latency_ms": {"type": "float"},
    "fail_latency_ms": {"type": "float"},
}
_LONGEST_S = 3600
_MOST_RETRIES = 10
_MOST_MISTAKES = 30


def plan(raw: t.Sequence[t.Any], *, timeout_s: float = 10.0, retries: int = 1) -> t.List[Check]:
    """The checks that `raw`, the list of the inventory, describes.

    Args:
        raw: A dictionary for each check.
        timeout_s: Deadline in seconds of checks that name none.
        retries: Retries of checks that name none.

    Raises:
        BadInput: The list has mistakes; the message has all of them (the first 30 when there are more).
        ToolMissing: An expression needs the library jmespath, and it is not installed.
    """
    checks: t.List[Check] = []
    mistakes: t.List[str] = [] if raw else ["it is empty, and what asks nothing proves nothing"]
    readers: t.Dict[str, Reader] = {}
    for number, item in enumerate(raw, 1):
        found, check = _one(item, readers, timeout_s, retries)
        label = _label(item, number)
        mistakes += [f"{label}: {mistake}" for mistake in found]
        if check is not None:
            checks.append(check)
    mistakes += _mistakes_between(raw)
    if mistakes:
        redactor = redactor_for(raw)
        shown = [redactor.text(mistake) for mistake in mistakes[:_MOST_MISTAKES]]
        more = f"; and {len(mistakes) - _MOST_MISTAKES} more" if len(mistakes) > _MOST_MISTAKES else ""
        raise BadInput(
            f"The list of checks has {len(mistakes)} mistake{'' if len(mistakes) == 1 else 's'}",
            why="; ".join(shown) + more,
            next_step="correct the profile; nothing was asked",
            facts={"mistakes": shown},
        )
    return checks


def redactor_for(raw: t.Sequence[t.Any]) -> Redactor:
    """A redactor that knows the secrets of all checks in the list, be they valid or not."""
    return Redactor({secret for item in raw for secret in secrets_of(item)})


def _label(item: t.Any, number: int) -> str:
    name = item.get("name") if isinstance(item, t.Mapping) else None
    return f"check {clip(str(name), 60)!r}" if name else f"check number {number}"


def _one(item: t.Any, readers: t.Dict[str, Reader], timeout_s: float, retries: int) -> t.Tuple[t.List[str], t.Optional[Check]]:
    """The mistakes of one check, or the check."""
    if not isinstance(item, t.Mapping):
        return ["it is not a dictionary"], None
    load = TYPES.get(str(item.get("type")))
    if load is None:
        given = "has no type" if not item.get("type") else f"has the unknown type {clip(str(item['type']), 40)!r}"
        return [f"it {given}; there are {', '.join(sorted(TYPES))}"], None
    kind = load()
    spec = {**COMMON, **kind.spec}
    given_options = {str(key): value for key, value in item.items() if value is not None}
    found = [_unknown_key(key, spec) for key in given_options if key not in spec]
    reader = readers.get(str(item["type"]))
    if reader is None:
        reader = readers[str(item["type"])] = Reader(spec)
    options, wrong = reader.read({key: value for key, value in given_options.items() if key in spec})
    if wrong:
        return found + wrong, None
    found += _common_mistakes(options)
    question = kind({key: value for key, value in options.items() if key in kind.spec})
    found += question.mistakes()
    return found, None if found else _check(options, question, timeout_s, retries)


def _check(options: t.Mapping[str, t.Any], question: Question, timeout_s: float, retries: int) -> Check:
    timeout = options.get("timeout_s", timeout_s)
    return Check(
        name=options["name"],
        type=options["type"],
        question=question,
        timeout_s=timeout,
        attempt_timeout_s=min(timeout, options.get("attempt_timeout_s", timeout)),
        retries=options.get("retries", retries),
        weight=options["weight"],
        depends_on=tuple(options["depends_on"]),
        warn_latency_ms=options.get("warn_latency_ms"),
        fail_latency_ms=options.get("fail_latency_ms"),
        title=options.get("title", ""),
        component=options.get("component", ""),
    )


def _unknown_key(key: str, spec: t.Mapping[str, t.Any]) -> str:
    import difflib

    near = difflib.get_close_matches(key, spec, 1)
    return f"unknown key {clip(key, 40)!r}" + (f" (did you mean {near[0]!r}?)" if near else "")


def _common_mistakes(options: t.Mapping[str, t.Any]) -> t.List[str]:
    found = [] if options["name"].strip() else ["name is empty"]
    for key in ("timeout_s", "attempt_timeout_s"):
        if key in options and not 0 < options[key] <= _LONGEST_S:
            found.append(f"{key} is not between 0 and {_LONGEST_S}")
    for key in ("warn_latency_ms", "fail_latency_ms", "warn_certificate_days", "fail_certificate_days", "weight"):
        if not 0 <= options.get(key, 0) < math.inf:
            found.append(f"{key} is not 0 or more")
    if not 0 <= options.get("retries", 0) <= _MOST_RETRIES:
        found.append(f"retries is not between 0 and {_MOST_RETRIES}")
    if options.get("warn_latency_ms", 0) > options.get("fail_latency_ms", math.inf):
        found.append("warn_latency_ms is greater than fail_latency_ms, so it would never warn")
    if options.get("warn_certificate_days", math.inf) < options.get("fail_certificate_days", 0):
        found.append("warn_certificate_days is less than fail_certificate_days, so it would never warn")
    return found


def _mistakes_between(raw: t.Sequence[t.Any]) -> t.List[str]:
    """Names that are used twice, and dependencies that cannot be met."""
    found: t.List[str] = []
    depends: t.Dict[str, t.List[str]] = {}
    for item in raw:
        if not isinstance(item, t.Mapping) or not item.get("name"):
            continue
        name = str(item["name"])
        if name in depends:
            found.append(f"check {clip(name, 60)!r}: the name is used twice")
        on = item.get("depends_on") or []
        # Ansible reads a text with commas as a list.
        depends[name] = (
            [part.strip() for part in on.split(",")] if isinstance(on, str) else [str(part) for part in on] if isinstance(on, list) else []
        )
    for name, on in depends.items():
        found += [
            f"check {clip(name, 60)!r}: it depends on {clip(other, 60)!r}, which is not in the list" for other in on if other not in depends
        ]
    found += _circles(depends)
    return found


def _circles(depends: t.Mapping[str, t.Sequence[str]]) -> t.List[str]:
    """Checks that wait for each other: what is left when all that can be asked have been."""
    left = {name: {other for other in on if other in depends} for name, on in depends.items()}
    free = [name for name, on in left.items() if not on]
    followers: t.Dict[str, t.List[str]] = {}
    for name, on in left.items():
        for other in on:
            followers.setdefault(other, []).append(name)
    while free:
        done = free.pop()
        del left[done]
        for name in followers.get(done, ()):
            left[name].discard(done)
            if not left[name]:
                free.append(name)
    if not left:
        return []
    return [f"checks {', '.join(repr(clip(name, 60)) for name in sorted(left)[:10])}: they wait for each other (depends_on)"]
