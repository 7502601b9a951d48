# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Checks of type `command`."""

from __future__ import annotations

import re
import shlex
import typing as t

from ..command import Command
from ..place import place_from
from . import conditions
from .model import FAIL, UNKNOWN, Answer, Attempt, Finding
from .postgresql import number_of
from .programs import PLACE, InPlace, Output, in_place, output_of
from .redaction import EVIDENCE_BYTES, Redactor, clip

_SHOWN = 100


class CommandEnds(InPlace):
    """A program that only reads: its exit status, texts in what it prints, a number in it."""

    spec = {
        "argv": {"type": "list", "elements": "str", "required": True},
        "exit_status": {"type": "list", "elements": "int", "default": [0]},
        "contains": {"type": "list", "elements": "str"},
        "pattern": {"type": "str"},
        "environment": {"type": "dict"},
        "folder": {"type": "path"},
        "max_body_kb": {"type": "int", "default": 64},
        **PLACE,
        **conditions.THRESHOLDS,
    }

    @property
    def has_number(self) -> bool:
        return "pattern" in self.options

    def mistakes(self) -> t.List[str]:
        options = self.options
        found = super().mistakes()
        if not options["argv"] or not options["argv"][0].strip():
            found.append("argv names no program")
        if not options["exit_status"]:
            found.append("exit_status is empty")
        if not 1 <= options["max_body_kb"] <= 16 * 1024:
            found.append("max_body_kb is not between 1 and 16384")
        if not self.has_number and any(name in options for name in conditions.THRESHOLDS):
            found.append("thresholds need a pattern that finds the number")
        try:
            if re.compile(options.get("pattern", "()")).groups != 1:
                found.append("pattern must have one group, (...), around the number")
        except (re.error, RecursionError, OverflowError) as error:
            found.append(f"pattern is no regular expression ({error})")
        if any("=" in str(name) or not str(name) for name in options.get("environment", ())):
            found.append("environment has a name that no variable can have")
        if "pod" in options and "environment" in options:
            found.append("no environment can be passed into a pod without showing it")
        if "folder" in options and not place_from(options).is_host:
            found.append("folder is one of the host itself")
        return found

    @property
    def target(self) -> str:
        # Nothing secret should be in a command line; what looks like it is not shown all the same.
        words = clip(Redactor(map(str, self.options.get("environment", {}).values())).text(shlex.join(self.options["argv"])), _SHOWN)
        return in_place(words, self.options)

    async def ask(self, attempt: Attempt) -> Output:
        options = self.options
        command = Command(
            list(options["argv"]),
            place_from(options),
            secrets={str(name): str(value) for name, value in options.get("environment", {}).items()},
            folder=options.get("folder", ""),
        )
        return await output_of(attempt, command, limit_bytes=options["max_body_kb"] * 1024)

    def judge(self, got: Output) -> Answer:
        options, answer = self.options, Answer(observed={"exit_status": got.status if got.whole else None})
        if not got.whole:
            reason = f"it printed more than {options['max_body_kb']} KiB (max_body_kb) and was ended"
            return Answer([Finding(UNKNOWN, reason)], {"output": got.text[:EVIDENCE_BYTES]})
        if got.status not in options["exit_status"]:
            wanted = " or ".join(map(str, options["exit_status"]))
            answer.findings.append(Finding(FAIL, f"exit status {got.status} instead of {wanted}: {clip(got.last_words, 300)}"))
        for text in options.get("contains", ()):
            if text not in got.text:
                answer.findings.append(Finding(FAIL, f"the text {clip(text, 80)!r} is not in what it printed"))
        if "pattern" in options and not answer.findings:
            found = re.search(options["pattern"], got.text)
            value = number_of(found.group(1).strip() if found and found.group(1) else None)
            answer.value = conditions.number(value)
            answer.observed["value"] = value
            if answer.value is None:
                said = "finds nothing" if found is None else f"finds {conditions.shown(value)}, no number"
                answer.findings.append(Finding(UNKNOWN, f"the pattern {said}"))
            answer.findings += conditions.judge_number(answer.value, options, "the value") if answer.value is not None else []
        if answer.findings:
            answer.observed["output"] = got.text[:EVIDENCE_BYTES]
        return answer
