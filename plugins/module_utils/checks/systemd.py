# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Checks of type `systemd_unit`."""

from __future__ import annotations

import typing as t

from ..command import Command
from ..place import place_from
from . import conditions
from .model import FAIL, UNKNOWN, WARN, Answer, Attempt, Finding, NoAnswer
from .programs import PLACE, InPlace, Output, in_place, output_of

_PROPERTIES = ("LoadState", "ActiveState", "SubState", "Result", "NRestarts", "ExecMainStatus", "UnitFileState", "StateChangeTimestamp")
_LIMIT_BYTES = 64 * 1024


class SystemdUnit(InPlace):
    """A unit is loaded and active; the number is how often systemd had to restart it."""

    spec = {
        "unit": {"type": "str", "required": True},
        "scope": {"type": "str", "choices": ["system", "user"], "default": "system"},
        "oneshot": {"type": "bool", "default": False},
        **PLACE,
        **conditions.THRESHOLDS,
    }

    def mistakes(self) -> t.List[str]:
        found = super().mistakes()
        unit = self.options["unit"]
        if not unit.strip() or any(character in "*?[]/" or character <= " " for character in unit):
            found.append("unit is not the name of one unit")
        return found

    @property
    def target(self) -> str:
        return in_place(self.options["unit"], self.options)

    async def ask(self, attempt: Attempt) -> Output:
        scope = ["--user"] if self.options["scope"] == "user" else []
        argv = ["systemctl", *scope, "show", "--no-pager", f"--property={','.join(_PROPERTIES)}", "--", self.options["unit"]]
        return await output_of(attempt, Command(argv, place_from(self.options)), limit_bytes=_LIMIT_BYTES)

    def judge(self, got: Output) -> Answer:
        if got.status != 0:
            raise NoAnswer(UNKNOWN, f"systemd does not answer: {got.last_words}")
        return judge_unit(parse_properties(got.text), self.options)


def parse_properties(text: str) -> t.Dict[str, str]:
    """What `systemctl show` printed: a property a line, its name and its value with `=` between them."""
    pairs = (line.partition("=") for line in text.splitlines())
    return {name: value for name, equals, value in pairs if equals}


def judge_unit(properties: t.Mapping[str, str], options: t.Mapping[str, t.Any]) -> Answer:
    """Judge a unit by its properties (org.freedesktop.systemd1(5)).

    Raises:
        NoAnswer: They do not say in which state it is.
    """
    loaded, active, sub = (properties.get(name, "") for name in ("LoadState", "ActiveState", "SubState"))
    if not active:
        raise NoAnswer(UNKNOWN, "systemd does not say in which state the unit is")
    restarts = properties.get("NRestarts", "")
    number = float(restarts) if restarts.isdecimal() and len(restarts) < 16 else None
    observed = {"active": active, "sub": sub, "load": loaded, "result": properties.get("Result", ""), "restarts": number}
    answer = Answer(observed=observed, value=number)
    since = f" since {properties['StateChangeTimestamp']}" if properties.get("StateChangeTimestamp") else ""
    if loaded != "loaded":
        answer.findings.append(Finding(FAIL, {"not-found": "there is no such unit", "masked": "the unit is masked"}.get(loaded, loaded)))
    elif options["oneshot"]:
        answer.findings += _judge_oneshot(properties, active, since)
    elif active == "activating":
        # A unit that crashes again and again spends its time between the attempts in this state.
        answer.findings.append(Finding(FAIL if sub == "auto-restart" else WARN, f"the unit is starting ({sub})"))
        answer.retry = True
    elif active not in ("active", "reloading", "refreshing"):
        answer.findings.append(Finding(FAIL, f"the unit is {active} ({sub}{_status(properties)}){since}"))
        answer.retry = active == "deactivating"
    answer.findings += conditions.judge_number(number, options, "the number of restarts")
    return answer


def _judge_oneshot(properties: t.Mapping[str, str], active: str, since: str) -> t.List[Finding]:
    """A unit that runs and ends, such as that of a timer: it is well while its last run was."""
    if active == "failed" or properties.get("Result", "success") != "success":
        return [Finding(FAIL, f"the last run of the unit failed ({properties.get('Result', '')}{_status(properties)}){since}")]
    if active == "inactive" and not since:
        # systemd forgets a unit that nothing refers to, such as a timer, as soon as it has ended.
        return [Finding(WARN, "systemd remembers no run of the unit since the machine was started")]
    return []


def _status(properties: t.Mapping[str, str]) -> str:
    status = properties.get("ExecMainStatus", "0")
    return f", exit status {status}" if status not in ("", "0") else ""
