# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whatever answers in the place of Alertmanager, or stands in a profile, gives a result or one clear error."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.sre.runbooks.plugins.module_utils.errors import RunbookError
from ansible_collections.sre.runbooks.plugins.module_utils.monitoring import alerts, files
from ansible_collections.sre.runbooks.plugins.module_utils.monitoring.evaluation import evaluate
from ansible_collections.sre.runbooks.plugins.module_utils.monitoring.evaluation_model import Grade, Terms
from ansible_collections.sre.runbooks.plugins.module_utils.monitoring.profile import Profile
from ansible_collections.sre.runbooks.plugins.module_utils.monitoring.receivers import Transports, shown_channel
from ansible_collections.sre.runbooks.plugins.module_utils.monitoring.silence_model import silence_of
from ansible_collections.sre.runbooks.plugins.module_utils.notify.channel import NoWay, secrets_of, shown, way_to

texts = st.text(max_size=20) | st.sampled_from(["active", "2026-03-01T03:15:00Z", "critical", "alertname", "slack://a", "P1"])
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=15,
)
alert_keys = st.sampled_from(["labels", "annotations", "status", "startsAt", "receivers", "fingerprint", "state", "silencedBy"])
NOW = datetime(2026, 3, 1, 4, 0, tzinfo=UTC)
ASKED: dict[str, Any] = {"states": list(alerts.STATES), "labels": {}, "severities": [], "since_s": None}


alert_like = st.builds(
    lambda rest, labels: {**rest, "labels": labels}, st.dictionaries(alert_keys, anything), st.dictionaries(texts, anything)
)


@given(st.lists(alert_like))
def test_any_list_of_alerts_is_told_as_json(given_alerts: list[dict[str, Any]]) -> None:
    found = alerts.wanted_of(given_alerts, ASKED, NOW)
    json.dumps(found)
    assert alerts.summary(found)


@given(anything)
def test_any_silence_is_read_or_passed_over(raw: Any) -> None:
    found = silence_of(raw)
    assert found is None or found.as_dict()


PROFILE_KEYS = [
    "service_name",
    "health_metrics",
    "incident_severities",
    "incident_severity_rules",
    "incident_escalation_levels",
    "incident_contacts",
    "notify_channels",
    "monitoring_alerts",
    "monitoring_rules",
    "monitoring_dashboards",
    "monitoring_every_s",
]


@settings(max_examples=200)
@given(st.dictionaries(st.sampled_from(PROFILE_KEYS), anything))
def test_any_profile_gives_files_or_one_clear_error(given_profile: dict[str, Any]) -> None:
    try:
        made = files.content_of(Profile.of({"service_name": "x", **given_profile}), Transports(), files.Places("/m"))
    except RunbookError:
        return
    for one in made.files:
        one.text.encode()


METRIC_KEYS = ("query", "metric", "labels", "title", "unit", "warn_above", "fail_below", "baseline", "scale", "quantile", "sum", "window_s")
metric_like = st.fixed_dictionaries(
    {"name": texts.filter(str.strip), "type": st.sampled_from(["promql", "prometheus", "json"])},
    optional=dict.fromkeys([*METRIC_KEYS, "aggregate", "component", "promql"], anything),
)


@settings(max_examples=200)
@given(st.lists(metric_like, max_size=3), anything)
def test_any_metric_gives_a_rule_a_reason_or_one_clear_error(metrics: list[dict[str, Any]], words: Any) -> None:
    given_profile = {"service_name": "x", "health_metrics": metrics, "monitoring_alerts": {metrics[0]["name"]: words} if metrics else {}}
    try:
        made = files.content_of(Profile.of(given_profile), Transports(), files.Places("/m"))
    except RunbookError:
        return
    assert {value.metric for value in made.rules.values} | set(made.rules.left_out) == {metric["name"] for metric in metrics}


RESULT_KEYS = ("title", "value", "unit", "reason", "thresholds", "component")
result_like = st.fixed_dictionaries(
    {"name": texts, "verdict": st.sampled_from(["pass", "warn", "fail", "unknown"])}, optional=dict.fromkeys(RESULT_KEYS, anything)
)


@given(st.lists(result_like, max_size=4))
def test_any_results_can_be_evaluated(results: list[dict[str, Any]]) -> None:
    terms = Terms("x", {"critical": ["slack://a"]})
    kept, events = evaluate({}, results, results, lambda _kind, _result: Grade(), terms, 1000.0)
    again, more = evaluate(kept, results, results, lambda _kind, _result: Grade(), terms, 1300.0)
    json.dumps([kept, again, [event.as_dict() for event in [*events, *more]]], default=str)
    assert not [event for event in more if event.kind == "raised" and event.key in {one.key for one in events}]


@given(st.text(max_size=60) | st.builds("{}://{}".format, st.sampled_from(["slack", "json", "mailto", "tgram", "é"]), st.text(max_size=40)))
def test_any_channel_is_a_way_or_none(channel: str) -> None:
    assert isinstance(shown(channel), str)
    assert isinstance(shown_channel(channel), str)
    secrets_of(channel)
    with contextlib.suppress(NoWay):
        assert way_to(channel, {"slack": "json://h/{to}"}).shown
