# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Checks of type `grafana`, `prometheus_server` and `statuspage`: well-known programs that tell their own health."""

from __future__ import annotations

import typing as t

from .http_message import Response
from .model import FAIL, UNKNOWN, WARN, Answer, Attempt, Finding
from .redaction import clip
from .web import Got, NotJson, Web, access


class Grafana(Web):
    """Ask Grafana whether it and its database are well.

    Source: grafana.com/docs/grafana/latest/developers/http_api/other, "Health API".
    """

    spec = access(64)

    async def ask(self, attempt: Attempt) -> Got:
        return await self.fetch(attempt, self.address("/api/health"))

    def judge_status(self, content: bytes, response: Response) -> Finding:
        """Grafana answers 503 when its database fails."""
        try:
            document = self.document(content, response)
        except NotJson:
            return super().judge_status(content, response)
        return _database(document) or super().judge_status(content, response)

    def judge_content(self, content: bytes, response: Response, answer: Answer) -> None:
        try:
            document = self.document(content, response)
        except NotJson as error:
            answer.findings.append(error.finding)
            return
        if not isinstance(document, dict) or "database" not in document:
            answer.findings.append(Finding(FAIL, "the answer is not one of Grafana's health API"))
            return
        answer.observed.update({name: document[name] for name in ("database", "version") if isinstance(document.get(name), str)})
        answer.findings += filter(None, [_database(document)])


def _database(document: t.Any) -> t.Optional[Finding]:
    said = document.get("database", "ok") if isinstance(document, dict) else "ok"
    return None if said == "ok" else Finding(FAIL, f"Grafana says that its database is {clip(str(said), 60)}")


class PrometheusServer(Web):
    """Ask a Prometheus server whether it is alive, and whether it is ready to answer queries.

    Source: prometheus.io/docs/prometheus/latest/management_api. Alertmanager has the same two paths.
    """

    spec = access(64)

    async def ask(self, attempt: Attempt) -> t.List[Got]:
        alive = await self.fetch(attempt, self.address("/-/healthy"))
        if alive.response.status != 200:
            return [alive]
        return [alive, await self.fetch(attempt, self.address("/-/ready"))]

    def judge_content(self, content: bytes, response: Response, answer: Answer) -> None:
        self.judge_probe(content, response, answer)

    def judge(self, got: t.Sequence[Got]) -> Answer:
        answer = self.judge_answer(got[-1])
        if answer.findings and len(got) == 2 and got[-1].response.status == 503:
            # It is so while the server reads its write-ahead log after a start, which may take minutes.
            answer.findings[0] = Finding(FAIL, "the server is alive, and not ready to answer queries (503)")
        return answer


class StatusPage(Web):
    """Read the public status page of a provider.

    Source: the status API that Atlassian Statuspage gives every page, metastatuspage.com/api#status.
    """

    spec = access(64)

    _VERDICTS: t.ClassVar[t.Mapping[str, t.Optional[str]]] = {
        "none": None,
        "minor": WARN,
        "maintenance": WARN,
        "major": FAIL,
        "critical": FAIL,
    }

    async def ask(self, attempt: Attempt) -> Got:
        url = self.options["url"]
        return await self.fetch(attempt, url if url.partition("?")[0].endswith(".json") else self.address("/api/v2/status.json"))

    def judge_content(self, content: bytes, response: Response, answer: Answer) -> None:
        try:
            document = self.document(content, response)
        except NotJson as error:
            answer.findings.append(error.finding)
            return
        status = document.get("status") if isinstance(document, dict) else None
        indicator = status.get("indicator") if isinstance(status, dict) else None
        if not isinstance(status, dict) or not isinstance(indicator, str):
            answer.findings.append(Finding(UNKNOWN, "the answer is not one of a status page: it has no status.indicator"))
            return
        words = clip(str(status.get("description") or indicator), 200)
        answer.observed.update({"indicator": clip(indicator, 60), "description": words})
        if indicator not in self._VERDICTS:
            answer.findings.append(Finding(UNKNOWN, f"the status page has the unknown indicator {clip(indicator, 60)!r}: {words}"))
            return
        verdict = self._VERDICTS[indicator]
        if verdict is not None:
            answer.findings.append(Finding(verdict, f"the status page says {indicator}: {words}"))
