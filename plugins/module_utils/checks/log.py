# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Checks of type `log`: a number that logs tell, such as the share of errors among the lines of the last minutes."""

from __future__ import annotations

import asyncio
import math
import typing as t

from ..errors import RunbookError
from ..logs import metric
from . import conditions
from .model import UNKNOWN, Answer, Attempt, Finding, Question
from .network import in_thread
from .redaction import clip

SAMPLES = "samples"
"""Under this name the answer tells how many lines or values the number stands on."""
_RESERVE_S = 0.2
"""So much before the deadline the reading itself ends, so that it can say how far it came."""


class Log(Question):
    """Read logs back to the beginning of a window and make one number of them."""

    spec = {
        **metric.SPEC,
        "logs": {"type": "list", "elements": "dict", "default": []},
        "window_s": {"type": "float", "default": 3600.0},
        **conditions.THRESHOLDS,
    }

    @property
    def has_number(self) -> bool:
        return True

    @property
    def of_host(self) -> bool:
        """Files, containers and journals are those of the host that asks."""
        return True

    def mistakes(self) -> t.List[str]:
        found = conditions.threshold_mistakes(self.options)
        if not 0 <= self.options["window_s"] < math.inf:
            found.append("window_s is not 0 or more")
        source = self.options.get("source")
        if source is not None and not isinstance(source, (str, t.Mapping)):
            return [*found, "source is neither the name of a log nor the description of one"]
        try:
            return found + metric.mistakes(self.options, self.options["logs"])
        except RunbookError as error:
            return [*found, error.message]

    @property
    def target(self) -> str:
        source = self.options.get("source")
        named = source.get("name", "log") if isinstance(source, t.Mapping) else source
        return f"log {clip(str(named), 60)}" if named else "all logs"

    async def ask(self, attempt: Attempt) -> metric.Measurement:
        attempt.stage = "reading the log"
        left_s = max(0.05, attempt.deadline - asyncio.get_running_loop().time() - _RESERVE_S)
        options, window_s = self.options, self.options["window_s"]
        return await in_thread(lambda: metric.measure(options, options["logs"], window_s, None, left_s))

    def judge(self, got: metric.Measurement) -> Answer:
        answer = Answer(observed={**got.observed, SAMPLES: got.samples, "value": got.value}, value=conditions.number(got.value))
        if answer.value is None:
            answer.findings.append(Finding(UNKNOWN, got.reason or "the log tells no such number"))
        else:
            answer.findings += conditions.judge_number(answer.value, self.options, f"{self.options['measure']} of the log")
        return answer
