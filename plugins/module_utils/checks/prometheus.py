# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Checks of type `prometheus`: one number out of a page of metrics in Prometheus' text format."""

from __future__ import annotations

import math
import typing as t

from . import conditions
from .exposition import Broken, Sample, Scan, quantile, samples
from .http_message import Response
from .model import FAIL, UNKNOWN, Answer, Attempt, Finding
from .selector import BadSelector, Selector, condition
from .web import Got, Web, access

EMPTY: t.Mapping[str, t.Any] = {"type": "str", "choices": ["unknown", "pass", "zero"], "default": "unknown"}
"""What it means that there is no series."""
_ACCEPT = "text/plain;version=0.0.4, */*;q=0.1"
SUMS: t.Mapping[str, t.Callable[[t.Sequence[float]], float]] = {
    "sum": math.fsum,
    "max": max,
    "min": min,
    "mean": lambda values: math.fsum(values) / len(values),
    "count": len,
}


class Page(t.NamedTuple):
    """What was kept of a page of metrics."""

    got: Got
    scan: Scan


class Prometheus(Web):
    """Read a page of metrics; one metric's series make a number."""

    spec = {
        **access(16 * 1024),
        "metric": {"type": "str", "required": True},
        "labels": {"type": "dict"},
        "sum": {"type": "str", "choices": sorted(SUMS), "default": "sum"},
        "quantile": {"type": "float"},
        "empty": EMPTY,
        "observe": {"type": "dict"},
        **conditions.THRESHOLDS,
    }

    def __init__(self, options: t.Mapping[str, t.Any]) -> None:
        super().__init__(options)
        # The page is read through as it comes; what is judged at the end is 1 MiB at most.
        self.judge_cpu_s = 0.5

    @property
    def has_number(self) -> bool:
        return True

    def mistakes(self) -> t.List[str]:
        found = super().mistakes() + conditions.threshold_mistakes(self.options)
        try:
            self._selector()
        except BadSelector as error:
            found.append(f"metric: {error}")
        for name, text in self.options.get("observe", {}).items():
            try:
                Selector.of(str(text))
            except BadSelector as error:
                found.append(f"observe {name}: {error}")
        if not 0 <= self.options.get("quantile", 0) <= 1:
            found.append("quantile is not between 0 and 1")
        return found

    def _selector(self) -> Selector:
        selector = Selector.of(self.options["metric"])
        name = selector.name
        if "quantile" in self.options and not name.endswith("_bucket"):
            name += "_bucket"
        labels = tuple(condition(str(label), "=", text_of(value)) for label, value in self.options.get("labels", {}).items())
        return Selector(name, selector.conditions + labels)

    async def ask(self, attempt: Attempt) -> Page:
        others = [Selector.of(str(text)).name for text in self.options.get("observe", {}).values()]
        scan = Scan([self._selector().name, *others])
        got = await self.fetch(attempt, self.options["url"], headers={"Accept": _ACCEPT}, sink=scan.feed)
        scan.end()
        return Page(got, scan)

    def judge(self, got: Page) -> Answer:
        answer = self.judge_answer(got.got)
        if got.got.response.status == 200:
            self._judge_page(got.scan, got.got.response, answer)
        return answer

    def _judge_page(self, scan: Scan, response: Response, answer: Answer) -> None:
        problem = self._problem(scan, response)
        if problem is not None:
            answer.findings.append(problem)
            if scan.foreign:
                answer.observed["body"] = bytes(scan.beginning).decode("utf-8", "replace")
            return
        selector = self._selector()
        try:
            there = samples(scan.lines)
            value = self._value([one for one in there if selector.fits(one.name, one.labels)], answer)
        except Broken as error:
            answer.findings.append(Finding(FAIL, f"the page of metrics is broken: {error}"))
            return
        for name, text in self.options.get("observe", {}).items():
            other = Selector.of(str(text))
            values = [one.value for one in there if other.fits(one.name, one.labels)]
            answer.observed[str(name)] = conditions.number(together("sum", values)) if values else None
        judge_value(value, self.options, self.options["metric"], answer)

    def _problem(self, scan: Scan, response: Response) -> t.Optional[Finding]:
        if scan.foreign and not scan.plausible:
            return Finding(FAIL, "the answer is not in Prometheus' text format")
        if scan.overflowing:
            return Finding(UNKNOWN, "the metric has more than 1 MiB of series")
        if response.truncated:
            return Finding(UNKNOWN, f"the answer is larger than the {self.options['max_body_kb']} KiB that are read")
        if response.headers.get("content-type", "").startswith("application/openmetrics-text") and not scan.complete:
            return Finding(FAIL, "the answer ends before its mark # EOF, so it is not whole")
        return None

    def _value(self, series: t.Sequence[Sample], answer: Answer) -> t.Optional[float]:
        answer.observed["series"] = len(series)
        if not series:
            return None
        if "quantile" in self.options:
            return quantile(self.options["quantile"], series)
        values = [one.value for one in series]
        return together(self.options["sum"], values)


def together(how: str, values: t.Sequence[float]) -> float:
    """What several values, at least one, come to (`how` is a key of SUMS); NaN when one of them is no number."""
    # fsum refuses infinities of both signs; what they come to is no number either way.
    broken = any(map(math.isnan, values)) or {math.inf, -math.inf} <= set(values)
    try:
        return math.nan if broken else float(SUMS[how](values))
    except OverflowError:
        return math.inf


def judge_value(value: t.Optional[float], options: t.Mapping[str, t.Any], what: str, answer: Answer) -> None:
    """Judge the number of an answer, None for no series at all, and note it.

    Args:
        what: What the number is called in a sentence.
    """
    if value is None and options["empty"] == "zero":
        value = 0.0
    answer.value = answer.observed["value"] = conditions.number(value)
    if value is None:
        if options["empty"] != "pass":
            answer.findings.append(Finding(UNKNOWN, f"there is no series for {what}"))
    elif answer.value is None:
        answer.findings.append(Finding(UNKNOWN, f"{what} is {'NaN' if math.isnan(value) else f'{value:+}'}, not a finite number"))
    else:
        answer.findings += conditions.judge_number(answer.value, options, what)


def text_of(value: t.Any) -> str:
    """A label's value as the inventory has it, where YAML made something else of a text."""
    return str(value).lower() if isinstance(value, bool) else str(value)
