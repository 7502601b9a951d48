# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The operation of the module alert_silence: silences of our own, with an end, and never anybody else's (Alertmanager's API, version 2)."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import quote

from ..errors import BadInput, RunbookError, WrongTarget
from ..state import utc_now, utc_text
from .silence_model import MARK, UNMARKED, Matcher, Silence, silence_of
from .web import OPTIONS as WEB
from .web import Server

OPTIONS: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "url": {"type": "str", "required": True},
    "operation": {"type": "str", "choices": ["create", "extend", "expire"], "required": True},
    "labels": {"type": "dict", "default": {}},
    "matchers": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"type": "str", "required": True},
            "value": {"type": "str", "required": True},
            "is_regex": {"type": "bool", "default": False},
            "is_equal": {"type": "bool", "default": True},
        },
    },
    "silence_id": {"type": "str", "default": ""},
    "duration_s": {"type": "float", "default": 3600.0},
    "comment": {"type": "str", "default": ""},
    "run_id": {"type": "str", "default": ""},
    "created_by": {"type": "str", "default": "sre.runbooks"},
    **WEB,
}
"""Described in plugins/modules/alert_silence.py."""
_LONGEST_S = 30 * 86400
_TOLERATED = 0.1
"""A silence that lasts for this much less than was asked for is left alone, so that a second run changes nothing."""


@dataclass(frozen=True)
class Decision:
    """What is to be done.

    Attributes:
        action: `create`, `extend`, `expire` or `none`.
        silence: The one it is done to; None for a new one.
        ends_at: When it is to end; None where nothing is to be done.
        because: Why, as a sentence.
    """

    action: str
    silence: t.Optional[Silence]
    ends_at: t.Optional[datetime]
    because: str


def decide(silences: t.Sequence[Silence], wanted: t.Mapping[str, t.Any], matchers: t.Tuple[Matcher, ...], now: datetime) -> Decision:
    """What to do about the silences that are there; a pure function.

    Args:
        silences: All silences.
        wanted: The module's options.
        matchers: Those of the silence that is meant; empty when it is named by its id.
        now: The time.

    Raises:
        WrongTarget: The silence that is named is somebody else's.
        BadInput: What is to be extended is not there.
    """
    current = _meant(silences, wanted, matchers)
    ends_at = now + timedelta(seconds=wanted["duration_s"])
    if wanted["operation"] == "expire":
        if current is None:
            return Decision("none", None, None, "There is no such silence.")
        return Decision("expire", current, now, f"The silence {current.id} ends now.")
    if current is None:
        if wanted["operation"] == "extend":
            raise BadInput(
                "There is no silence of ours to extend",
                why="it has expired, or was made for other alerts or by another run",
                next_step="create one",
            )
        return Decision("create", None, ends_at, f"A silence until {utc_text(ends_at)}.")
    if current.ends_at >= ends_at - timedelta(seconds=wanted["duration_s"] * _TOLERATED):
        return Decision("none", current, current.ends_at, f"The silence {current.id} lasts until {utc_text(current.ends_at)} already.")
    return Decision(
        "extend", current, ends_at, f"The silence {current.id} lasts until {utc_text(ends_at)}, not {utc_text(current.ends_at)}."
    )


def operate(parameters: t.Mapping[str, t.Any], check_mode: bool) -> t.Dict[str, t.Any]:
    """Create, extend or expire a silence as `parameters`, valid for OPTIONS, say; in check mode only say so.

    Raises:
        BadInput: It would silence everything, or last too long; or there is nothing to extend.
        WrongTarget: The silence that is named is somebody else's.
        Unreachable: Alertmanager does not answer, or refused.
    """
    matchers = _matchers(parameters)
    _check(parameters, matchers)
    server = Server("Alertmanager", parameters["url"], parameters)
    decision = decide(_read(server), parameters, matchers, utc_now())
    before = decision.silence
    result: t.Dict[str, t.Any] = {
        "changed": decision.action != "none",
        "action": decision.action,
        "msg": decision.because,
        "silence": before.as_dict() if before else {},
        "diff": _diff(before, decision, parameters, matchers),
    }
    if check_mode or decision.action == "none":
        return result
    if decision.action == "expire":
        assert_done(server, server.call("DELETE", f"/api/v2/silence/{quote(before.id, safe='')}" if before else ""), "ended")
        identity = before.id if before else ""
    else:
        identity = _write(server, decision, parameters, matchers)
    after = next((one for one in _read(server) if one.id == identity), None)
    if after is None or (after.state == "expired") != (decision.action == "expire"):
        raise RunbookError(
            "Alertmanager took the silence, and does not have it",
            where=server.shown,
            why=f"its state is {after.state}" if after else f"there is no silence {identity}",
            next_step="look into Alertmanager's log",
            changed=True,
        )
    return {**result, "silence": after.as_dict()}


def assert_done(server: Server, reply: t.Any, what: str) -> None:
    """Raise unless Alertmanager did it."""
    if reply.status != 200:
        raise server.refused(f"The silence could not be {what}", reply)


def _write(server: Server, decision: Decision, parameters: t.Mapping[str, t.Any], matchers: t.Tuple[Matcher, ...]) -> str:
    before = decision.silence
    document: t.Dict[str, t.Any] = {
        "matchers": [
            {"name": name, "value": value, "isRegex": regex, "isEqual": equal}
            for name, value, regex, equal in (before.matchers if before else matchers)
        ],
        "startsAt": utc_text(before.starts_at if before else utc_now()),
        "endsAt": utc_text(decision.ends_at or utc_now()),
        "createdBy": before.created_by if before else parameters["created_by"],
        "comment": before.comment if before else _comment(parameters),
    }
    if before:
        document["id"] = before.id
    reply = server.call("POST", "/api/v2/silences", document=document)
    assert_done(server, reply, "extended" if before else "created")
    answered = reply.document(server.shown)
    return str(answered.get("silenceID") or "") if isinstance(answered, dict) else ""


def _meant(silences: t.Sequence[Silence], wanted: t.Mapping[str, t.Any], matchers: t.Tuple[Matcher, ...]) -> t.Optional[Silence]:
    living = [one for one in silences if one.state != "expired"]
    if wanted["silence_id"]:
        named = next((one for one in living if one.id == wanted["silence_id"]), None)
        if named is not None and not _is_own(named, wanted):
            raise WrongTarget(
                "The silence is somebody else's",
                where=f"{named.id}, made by {named.created_by}{f' in the run {named.run_id}' if named.run_id else ''}",
                why=f"only silences by {wanted['created_by']} {'of the run ' + wanted['run_id'] if wanted['run_id'] else 'are ours'}",
                next_step="leave it to whom it belongs; nothing was changed",
            )
        return named
    own = [one for one in living if _is_own(one, wanted) and one.matchers == matchers]
    return max(own, key=lambda one: one.ends_at, default=None)


def _is_own(silence: Silence, wanted: t.Mapping[str, t.Any]) -> bool:
    """Made by this module, by the same name, and where a run is named by that run."""
    if silence.created_by != wanted["created_by"] or not silence.is_marked:
        return False
    return not wanted["run_id"] or silence.run_id == wanted["run_id"]


def _comment(parameters: t.Mapping[str, t.Any]) -> str:
    mark = f"[run {parameters['run_id']}]" if parameters["run_id"] else UNMARKED
    return f"{' '.join(parameters['comment'].split())} {mark}".strip()


def _matchers(parameters: t.Mapping[str, t.Any]) -> t.Tuple[Matcher, ...]:
    found = [(str(name), str(value), False, True) for name, value in parameters["labels"].items()]
    found += [(one["name"], one["value"], one["is_regex"], one["is_equal"]) for one in parameters["matchers"]]
    return tuple(sorted(set(found)))


def _check(parameters: t.Mapping[str, t.Any], matchers: t.Tuple[Matcher, ...]) -> None:
    wrong = []
    if bool(matchers) == bool(parameters["silence_id"]):
        wrong.append("it takes either labels and matchers, or silence_id")
    if parameters["operation"] == "create" and parameters["silence_id"]:
        wrong.append("a new silence has no silence_id yet")
    if matchers and not any(value and not regex and equal for _name, value, regex, equal in matchers):
        wrong.append("one label at least must have a value that is given exactly, or everything could be silenced")
    if parameters["operation"] == "create" and not parameters["comment"].strip():
        wrong.append("a silence needs a comment, so that others know why")
    if not 1 <= parameters["duration_s"] <= _LONGEST_S:
        wrong.append(f"duration_s is not between a second and {_LONGEST_S // 86400} days")
    if not parameters["created_by"].strip():
        wrong.append("created_by is empty")
    if parameters["run_id"] and not MARK.search(f"[run {parameters['run_id']}]"):
        wrong.append("run_id has characters that no id of a run has")
    if wrong:
        raise BadInput("Alerts cannot be silenced so", why="; ".join(wrong), next_step="correct the options; nothing was changed")


def _read(server: Server) -> t.List[Silence]:
    reply = server.call("GET", "/api/v2/silences")
    document = reply.document(server.shown) if reply.status == 200 else None
    if not isinstance(document, list):
        raise server.refused("The silences cannot be listed", reply)
    return [one for one in map(silence_of, document) if one is not None]


def _diff(
    before: t.Optional[Silence], decision: Decision, parameters: t.Mapping[str, t.Any], matchers: t.Tuple[Matcher, ...]
) -> t.Dict[str, str]:
    own = before.matchers if before else matchers
    what = ", ".join(
        f"{name}{'=' if equal else '!'}{'~' if regex else '=' if not equal else ''}{value}" for name, value, regex, equal in own
    )
    was = f"{what} until {utc_text(before.ends_at)}\n" if before else ""
    if decision.action == "none":
        return {"before": was, "after": was}
    if decision.action == "expire":
        return {"before": was, "after": ""}
    comment = before.comment if before else _comment(parameters)
    return {"before": was, "after": f"{what} until {utc_text(decision.ends_at or utc_now())}\n{'' if before else comment + chr(10)}"}
