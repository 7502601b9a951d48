# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Checks of type `qdrant`: is the server ready, are its collections there and well, how many points has one of them.

Source: api.qdrant.tech, "Kubernetes readyz probe", "Get collection details" (from Qdrant 1.5 on; before it there was no /readyz).
"""

from __future__ import annotations

import typing as t
from urllib.parse import quote

from . import conditions
from .http_message import Response
from .model import FAIL, UNKNOWN, WARN, Answer, Attempt, Finding
from .redaction import clip
from .web import Got, NotJson, Web, access

_MOST_COLLECTIONS = 100
_STATES: t.Mapping[str, t.Tuple[str, str]] = {
    # The server's own words for a collection, by its colour.
    "yellow": (WARN, "is yellow: it is being optimised"),
    "grey": (WARN, "is grey: optimisations are pending until the next write"),
    "red": (FAIL, "is red: an operation failed and was not recovered from"),
}


class Qdrant(Web):
    """Ask whether the server is ready; look at collections."""

    spec = {
        **access(1024),
        "api_key": {"type": "str", "no_log": True},
        "collections": {"type": "list", "elements": "str", "default": []},
        "collection": {"type": "str"},
        **conditions.THRESHOLDS,
    }

    @property
    def has_number(self) -> bool:
        return "collection" in self.options

    def mistakes(self) -> t.List[str]:
        found = super().mistakes() + conditions.threshold_mistakes(self.options)
        if any(name in self.options for name in conditions.THRESHOLDS) and not self.options.get("collection"):
            found.append("thresholds need collection, the one whose points are counted")
        if any(not name.strip() for name in self._names()):
            found.append("the name of a collection is empty")
        if len(self._names()) > _MOST_COLLECTIONS:
            found.append(f"there are more than {_MOST_COLLECTIONS} collections; use several checks")
        return found

    def _names(self) -> t.List[str]:
        own = [self.options["collection"]] if "collection" in self.options else []
        return list(dict.fromkeys([*self.options["collections"], *own]))

    async def ask(self, attempt: Attempt) -> t.List[Got]:
        headers = {"api-key": self.options["api_key"]} if "api_key" in self.options else {}
        got = [await self.fetch(attempt, self.address("/readyz"), headers=headers)]
        if got[0].response.status == 404:
            got = [await self.fetch(attempt, self.address("/healthz"), headers=headers)]
        if got[0].response.status == 200:
            for name in self._names():
                got.append(await self.fetch(attempt, self.address(f"/collections/{quote(name, safe='')}"), headers=headers))
        return got

    def judge_content(self, content: bytes, response: Response, answer: Answer) -> None:
        self.judge_probe(content, response, answer)

    def judge(self, got: t.Sequence[Got]) -> Answer:
        answer = self.judge_answer(got[0])
        colours: t.Dict[str, t.Any] = {}
        for name, one in zip(self._names(), got[1:]):
            state = self._collection(name, one.response, answer)
            if state is not None:
                colours[name] = state.get("status")
                if name == self.options.get("collection"):
                    self._points(state, answer)
        if colours:
            answer.observed["collections"] = colours
        return answer

    def _collection(self, name: str, response: Response, answer: Answer) -> t.Optional[t.Dict[str, t.Any]]:
        """What the server says of a collection; what is wrong with it is added to `answer`."""
        label = f"the collection {clip(name, 60)}"
        if response.status == 404:
            answer.findings.append(Finding(FAIL, f"{label} does not exist"))
            return None
        if response.status != 200:
            finding = self.judge_status(response.content(), response)
            answer.findings.append(Finding(finding.verdict, f"{label}: {finding.reason}"))
            return None
        try:
            document = self.document(response.content(), response)
        except NotJson as error:
            answer.findings.append(Finding(error.finding.verdict, f"{label}: {error.finding.reason}"))
            return None
        state = document.get("result") if isinstance(document, dict) else None
        if not isinstance(state, dict) or not isinstance(state.get("status"), str):
            answer.findings.append(Finding(FAIL, f"{label}: the answer is not one of Qdrant's API"))
            return None
        if state["status"] != "green":
            verdict, words = _STATES.get(state["status"], (UNKNOWN, f"has the unknown status {clip(state['status'], 40)!r}"))
            answer.findings.append(Finding(verdict, f"{label} {words}"))
        optimizer = state.get("optimizer_status", "ok")
        if optimizer != "ok":
            said = optimizer.get("error", optimizer) if isinstance(optimizer, dict) else optimizer
            answer.findings.append(Finding(FAIL, f"{label} cannot be optimised: {clip(str(said), 200)}"))
        return state

    def _points(self, state: t.Mapping[str, t.Any], answer: Answer) -> None:
        points = state.get("points_count")
        answer.value = conditions.number(points)
        answer.observed["value"] = points if answer.value is not None else None
        if answer.value is None:
            answer.findings.append(Finding(UNKNOWN, "the server does not tell the number of points"))
        answer.findings += conditions.judge_number(answer.value, self.options, "the number of points") if answer.value is not None else []
