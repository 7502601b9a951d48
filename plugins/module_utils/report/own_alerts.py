# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The alerts that `alert_check` evaluates itself, for services without an Alertmanager, in the form in which alerts_info lists alerts."""

from __future__ import annotations

import typing as t
from datetime import datetime, timezone

from ..errors import RunbookError
from ..monitoring.alert_state import State
from ..readable import span
from ..state import utc_text


def own_alerts(folder: str, service: str, now: float, valid_s: float) -> t.Optional[t.Dict[str, t.Any]]:
    """What is kept of them; None where none were ever evaluated.

    Args:
        folder: The state folder.
        service: Name of the service.
        now: Seconds since 1970-01-01 UTC.
        valid_s: How long an evaluation vouches for, in seconds; older ones say nothing of now.
    """
    state = State(folder, service)
    try:
        state.read()
    except RunbookError as error:
        return {"msg": error.message}
    if not state.evaluations:
        return None
    if now - state.last_at > valid_s:
        return {"msg": f"The alerts were evaluated last {span(now - state.last_at)} ago; nobody knows how they are now."}
    return {"alerts": [_shown(alert) for alert in state.alerts.values() if alert.get("state")]}


def _shown(alert: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    raised = alert.get("raised_at")
    return {
        "name": str(alert.get("title") or ""),
        "severity": str(alert.get("severity") or ""),
        "component": str(alert.get("component") or ""),
        "state": "active",
        "starts_at": utc_text(datetime.fromtimestamp(float(raised), timezone.utc)) if isinstance(raised, (int, float)) else "",
        "summary": str(alert.get("message") or ""),
    }
