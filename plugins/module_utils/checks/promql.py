# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Checks of type `promql`: what an expression gives on a Prometheus server, or on what speaks its HTTP API.

Source: prometheus.io/docs/prometheus/latest/querying/api, "Instant queries".
"""

from __future__ import annotations

import asyncio
import json
import typing as t

from . import conditions
from .http_message import Response
from .model import FAIL, SEVERITY, UNKNOWN, WARN, Answer, Attempt, Finding
from .prometheus import EMPTY, SUMS, judge_value, together
from .redaction import clip
from .web import Got, NotJson, Web, access

_PATH = "/api/v1/query"
_WORST = "worst"
_SHOWN = 5


class Series(t.NamedTuple):
    """One series of an answer."""

    labels: t.Mapping[str, t.Any]
    value: float


class NotUnderstood(Exception):
    """The answer is of the API, but gives no number."""


class PromQL(Web):
    """Let a server evaluate an expression; the number that it gives is judged."""

    spec = {
        **access(1024),
        "query": {"type": "str", "required": True},
        "sum": {"type": "str", "choices": [_WORST, *sorted(SUMS)], "default": _WORST},
        "empty": EMPTY,
        **conditions.THRESHOLDS,
    }

    shows_understood = False

    @property
    def has_number(self) -> bool:
        return True

    def mistakes(self) -> t.List[str]:
        found = super().mistakes() + conditions.threshold_mistakes(self.options)
        if not self.options["query"].strip():
            found.append("query is empty")
        return found

    @property
    def target(self) -> str:
        return f"{super().target} {clip(' '.join(self.options['query'].split()), 100)}"

    async def ask(self, attempt: Attempt) -> Got:
        # The server is to give up, too, when we do.
        left_s = max(0.1, attempt.deadline - asyncio.get_running_loop().time())
        return await self.fetch(attempt, self.address(_PATH, [("query", self.options["query"]), ("timeout", f"{left_s * 1000:.0f}ms")]))

    def judge_status(self, content: bytes, response: Response) -> Finding:
        """A query that the server refuses or cannot finish is unknown: nothing is known of what was asked for."""
        try:
            document = self.document(content, response)
        except NotJson:
            return super().judge_status(content, response)
        if not isinstance(document, dict) or document.get("status") != "error":
            return super().judge_status(content, response)
        return Finding(UNKNOWN, _error(document))

    def judge_content(self, content: bytes, response: Response, answer: Answer) -> None:
        try:
            document = self.document(content, response)
            if not isinstance(document, dict) or document.get("status") not in ("success", "error"):
                raise NotJson(FAIL, "the answer is not one of Prometheus' API")
            if document["status"] == "error":
                raise NotUnderstood(_error(document))
            series = _series(document.get("data"))
        except NotJson as error:
            answer.findings.append(error.finding)
            return
        except NotUnderstood as error:
            answer.findings.append(Finding(UNKNOWN, str(error)))
            return
        warnings = document.get("warnings")
        if isinstance(warnings, list) and warnings:
            answer.observed["warnings"] = warnings
            answer.findings.append(Finding(WARN, f"the server warns that the answer may be wrong: {clip(str(warnings[0]), 200)}"))
        answer.observed["series"] = len(series)
        if self.options["sum"] == _WORST and len(series) > 1:
            self._judge_worst(series, answer)
        else:
            how = "sum" if self.options["sum"] == _WORST else self.options["sum"]
            value = together(how, [one.value for one in series]) if series else None
            judge_value(value, self.options, "the value" if series else "the query", answer)

    def _judge_worst(self, series: t.Sequence[Series], answer: Answer) -> None:
        """Each series is judged for itself, and the gravest counts; among equals the one that is farthest on the bad side."""
        below = not any(name in self.options for name in ("warn_above", "fail_above")) and any(
            name in self.options for name in ("warn_below", "fail_below")
        )

        def judged(one: Series) -> t.Tuple[int, float, Series, Answer]:
            alone = Answer()
            judge_value(one.value, self.options, f"the value of {_shown(one.labels)}", alone)
            gravest = max((SEVERITY[finding.verdict] for finding in alone.findings), default=0)
            number = alone.value if alone.value is not None else 0.0
            return gravest, -number if below else number, one, alone

        ordered = sorted(map(judged, series), key=lambda entry: entry[:2], reverse=True)
        _gravest, _badness, _one, worst = ordered[0]
        answer.value = worst.value
        answer.findings += worst.findings
        answer.observed["value"] = worst.value
        answer.observed["worst"] = [{"labels": dict(one.labels), "value": alone.value} for _g, _b, one, alone in ordered[:_SHOWN]]


def _error(document: t.Mapping[str, t.Any]) -> str:
    said = f"{document.get('errorType', 'error')}: {document.get('error', 'no reason given')}"
    return f"the server could not evaluate the query ({clip(said, 300)})"


def _series(data: t.Any) -> t.List[Series]:
    """The series of an instant query's data.

    Raises:
        NotUnderstood: It gives no numbers.
        NotJson: It is not of the API's form.
    """
    broken = NotJson(FAIL, "the answer is not one of Prometheus' API")
    if not isinstance(data, dict) or not isinstance(data.get("result"), list):
        raise broken
    kind, result = data.get("resultType"), data["result"]
    if kind == "scalar":
        return [Series({}, _number(result, broken))]
    if kind != "vector":
        raise NotUnderstood(f"the query gives a {clip(str(kind), 40)}, not numbers of one moment")
    series = []
    for entry in result:
        if not isinstance(entry, dict) or not isinstance(entry.get("metric"), dict):
            raise broken
        if "value" not in entry and "histogram" in entry:
            raise NotUnderstood("the query gives native histograms, not numbers; take histogram_quantile or histogram_avg of it")
        series.append(Series(entry["metric"], _number(entry.get("value"), broken)))
    return series


def _number(pair: t.Any, broken: NotJson) -> float:
    """The number of a pair of time and text."""
    if not isinstance(pair, list) or len(pair) != 2 or not isinstance(pair[1], str) or len(pair[1]) > 400:
        raise broken
    try:
        return float(pair[1])
    except ValueError:
        raise broken from None


def _shown(labels: t.Mapping[str, t.Any]) -> str:
    """The labels of a series for a sentence."""
    name = str(labels.get("__name__", ""))
    inside = ", ".join(f"{label}={json.dumps(str(value), ensure_ascii=False)}" for label, value in labels.items() if label != "__name__")
    return clip(f"{name}{{{inside}}}" if inside or not name else name, 200)
