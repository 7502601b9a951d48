# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Checks of type `alertmanager`: how many alerts are active, and neither silenced nor inhibited.

Source: version 2 of Alertmanager's API, github.com/prometheus/alertmanager, api/v2/openapi.yaml.
"""

from __future__ import annotations

import json
import typing as t
from collections import Counter

from . import conditions
from .http_message import Response
from .model import FAIL, Answer, Attempt, Finding
from .prometheus import text_of
from .redaction import clip
from .web import Got, NotJson, Web, access

_PATH = "/api/v2/alerts"
_NAMED = 10


class Alertmanager(Web):
    """Count the alerts that somebody ought to look at."""

    spec = {
        **access(4096),
        "labels": {"type": "dict"},
        **conditions.THRESHOLDS,
    }

    shows_understood = False

    @property
    def has_number(self) -> bool:
        return True

    def mistakes(self) -> t.List[str]:
        return super().mistakes() + conditions.threshold_mistakes(self.options)

    def _labels(self) -> t.Dict[str, str]:
        return {str(label): text_of(value) for label, value in self.options.get("labels", {}).items()}

    async def ask(self, attempt: Attempt) -> Got:
        states = [("active", "true"), ("silenced", "false"), ("inhibited", "false"), ("unprocessed", "false")]
        filters = [("filter", f"{label}={json.dumps(value, ensure_ascii=False)}") for label, value in self._labels().items()]
        return await self.fetch(attempt, self.address(_PATH, [*states, *filters]))

    def judge_content(self, content: bytes, response: Response, answer: Answer) -> None:
        try:
            alerts = self.document(content, response)
            if not isinstance(alerts, list) or not all(map(_is_alert, alerts)):
                raise NotJson(FAIL, "the answer is not one of Alertmanager's API")
        except NotJson as error:
            answer.findings.append(error.finding)
            return
        wanted = self._labels()
        # The server filters so that little is sent; a proxy before it may leave that out.
        active = [
            alert["labels"]
            for alert in alerts
            if alert["status"]["state"] == "active" and all(alert["labels"].get(label, "") == value for label, value in wanted.items())
        ]
        names = Counter(clip(str(labels.get("alertname", "(no name)")), 80) for labels in active)
        answer.value = float(len(active))
        answer.observed.update({"value": len(active), "alerts": dict(names.most_common(_NAMED))})
        said = ", ".join(f"{name} ({count})" if count > 1 else name for name, count in names.most_common(_NAMED))
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        for finding in conditions.judge_number(answer.value, self.options, "the number of active alerts"):
            answer.findings.append(Finding(finding.verdict, finding.reason + (f": {said}{more}" if said else "")))


def _is_alert(alert: t.Any) -> bool:
    return (
        isinstance(alert, dict)
        and isinstance(alert.get("labels"), dict)
        and isinstance(alert.get("status"), dict)
        and isinstance(alert["status"].get("state"), str)
    )
