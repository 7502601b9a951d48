# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a status page says about a service: nothing old is good, nothing secret is kept, and the JSON has the runbook's shape."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput
from ansible_collections.sre.runbooks.plugins.module_utils.history.store import History
from ansible_collections.sre.runbooks.plugins.module_utils.status_page import api
from ansible_collections.sre.runbooks.plugins.module_utils.status_page.drawn import drawn, position_rules, without_inline_style
from ansible_collections.sre.runbooks.plugins.module_utils.status_page.html import render
from ansible_collections.sre.runbooks.plugins.module_utils.status_page.settings import Settings, password_from, settings_of
from ansible_collections.sre.runbooks.plugins.module_utils.status_page.snapshot import snapshot

NOW = 1_800_000_000.0
PROFILE: dict[str, t.Any] = {
    "service": {"name": "wrappers", "title": "Wrappers", "environment": "staging"},
    "components": [{"name": "routellm", "title": "RouteLLM", "availability": 0.999}, {"name": "poml", "title": "POML"}],
    "checks": [
        {"name": "routellm answers", "component": "routellm", "type": "http", "url": "http://x", "password": "hunter2", "weight": 3},
        {"name": "poml answers", "component": "poml", "type": "http", "headers": {"Authorization": "Bearer hunter2"}},
    ],
    "metrics": [{"name": "error_rate", "component": "routellm", "unit": "ratio", "warn_above": 0.05, "token": "hunter2"}],
    "logs": [],
}


def settings(folder: Path, **changed: t.Any) -> Settings:
    """A page's settings."""
    return settings_of({**PROFILE, "state_folder": str(folder), **changed}, has_password=False)


def record(folder: Path, age_s: float, *verdicts: str, severity: str = "", score: float | None = 0.9) -> None:
    """Write one run: verdicts of the two checks and of the metric."""
    found = [*verdicts, *["pass"] * 3][:3]
    checks = [
        {**check, "verdict": verdict, "latency_ms": 12.0, "reason": "" if verdict == "pass" else f"it said {verdict}"}
        for check, verdict in zip(PROFILE["checks"], found, strict=False)
    ]
    metrics = [{**PROFILE["metrics"][0], "verdict": found[2], "value": 0.02}]
    with History.open(str(folder), "wrappers", write=True) as history:
        history.record(NOW - age_s, f"run-{age_s}", "monitoring", checks, metrics, severity=severity, score=score)


def test_a_healthy_service_gives_the_runbooks_answer_with_its_age(tmp_path: Path) -> None:
    record(tmp_path, 30)
    status, document = api.system_health(snapshot(settings(tmp_path), NOW))
    assert (status, document["success"]) == (200, True)
    data = document["data"]
    assert {key: data[key] for key in ("overall_health_score", "system_status", "active_wrappers", "healthy_wrappers")} == {
        "overall_health_score": 1.0,
        "system_status": "Healthy",
        "active_wrappers": 2,
        "healthy_wrappers": 2,
    }
    assert "active_operations" in data
    assert data["age_s"] == 30
    assert data["as_of"].endswith("Z")


def test_what_is_too_old_is_unknown_however_good_it_was(tmp_path: Path) -> None:
    record(tmp_path, 901)
    state = snapshot(settings(tmp_path, stale_after_s=900.0), NOW)
    assert state["is_stale"]
    assert state["verdict"] == "unknown"
    assert state["score"] is None
    assert {one["verdict"] for one in state["components"]} == {"unknown"}
    check = state["components"][0]["checks"][0]
    assert (check["verdict"], check["was"]) == ("unknown", "pass")
    assert "not asked for 15 min" in check["reason"]
    status, document = api.system_health(state)
    assert (status, document["success"], document["data"]["system_status"]) == (503, False, "Unknown")
    assert document["data"]["healthy_wrappers"] == 0


def test_one_old_result_makes_its_component_unknown_and_no_other(tmp_path: Path) -> None:
    record(tmp_path, 1000)
    with History.open(str(tmp_path), "wrappers", write=True) as history:
        history.record(NOW - 10, "new", "monitoring", [{**PROFILE["checks"][1], "verdict": "pass"}], score=1.0)
    state = snapshot(settings(tmp_path), NOW)
    assert [(one["name"], one["verdict"]) for one in state["components"]] == [("routellm", "unknown"), ("poml", "pass")]
    assert state["verdict"] == "unknown"


def test_a_severity_is_shown_only_as_long_as_the_run_that_found_it_is_fresh(tmp_path: Path) -> None:
    record(tmp_path, 60, "fail", severity="P1")
    assert snapshot(settings(tmp_path), NOW)["severity"] == "P1"
    assert snapshot(settings(tmp_path), NOW + 1000)["severity"] == ""


def test_the_score_weighs_the_checks_as_the_health_check_does(tmp_path: Path) -> None:
    record(tmp_path, 10, "pass", "fail")
    state = snapshot(settings(tmp_path), NOW)
    assert state["score"] == 0.75
    assert state["status"] == "Unhealthy"
    assert [alert["name"] for alert in state["alerts"]] == ["poml answers"]


def test_a_check_that_the_profile_no_longer_has_does_not_count(tmp_path: Path) -> None:
    record(tmp_path, 10)
    with History.open(str(tmp_path), "wrappers", write=True) as history:
        history.record(NOW - 5, "old", "monitoring", [{"name": "gone", "verdict": "fail", "component": "poml"}])
    assert snapshot(settings(tmp_path), NOW)["verdict"] == "pass"


def test_a_check_of_the_profile_that_was_never_asked_is_unknown(tmp_path: Path) -> None:
    record(tmp_path, 10)
    more = settings(tmp_path, checks=[*PROFILE["checks"], {"name": "new", "component": "poml"}])
    state = snapshot(more, NOW)
    assert state["verdict"] == "unknown"
    assert state["alerts"][0]["text"] == "never asked"


def test_a_component_that_nobody_looks_at_is_unknown_and_no_wrapper(tmp_path: Path) -> None:
    record(tmp_path, 10)
    state = snapshot(settings(tmp_path, components=[*PROFILE["components"], {"name": "external_tools"}]), NOW)
    assert state["components"][-1]["verdict"] == "unknown"
    assert api.system_health(state)[1]["data"]["active_wrappers"] == 2


def test_without_a_history_everything_is_unknown_and_the_page_says_why(tmp_path: Path) -> None:
    state = snapshot(settings(tmp_path), NOW)
    assert state["verdict"] == "unknown"
    assert "Nothing was recorded yet" in state["problem"]
    assert api.export(state)[0] == 503


def test_a_damaged_history_is_told_and_nothing_is_shown_as_good(tmp_path: Path) -> None:
    record(tmp_path, 10)
    file = tmp_path / "history" / "wrappers.sqlite3"
    file.write_bytes(b"not a database" * 1000)
    state = snapshot(settings(tmp_path), NOW)
    assert state["verdict"] == "unknown"
    assert "Next:" in state["problem"]
    assert drawn(settings(tmp_path), state, "24") == {}


def test_the_alertmanagers_alerts_are_shown_and_turn_unknown_when_they_are_old(tmp_path: Path) -> None:
    record(tmp_path, 10)
    alerts = [
        {"labels": {"alertname": "HighLatency", "severity": "warning"}, "annotations": {"summary": "slow"}, "status": {"state": "active"}},
        {"labels": {"alertname": "Silenced"}, "status": {"state": "suppressed"}},
        "nonsense",
    ]
    with History.open(str(tmp_path), "wrappers", write=True) as history:
        history.put_document("alerts", {"alerts": alerts}, NOW - 60)
    found = snapshot(settings(tmp_path), NOW)["alerts"]
    assert [(alert["name"], alert["verdict"], alert["text"]) for alert in found] == [("HighLatency", "fail", "slow")]
    assert snapshot(settings(tmp_path), NOW + 2000)["alerts"][-1]["verdict"] == "unknown"


def test_figures_of_a_load_test_are_shown_and_never_judge_the_present(tmp_path: Path) -> None:
    record(tmp_path, 10)
    with History.open(str(tmp_path), "wrappers", write=True) as history:
        history.record(
            NOW - 5000, "load", "load_test", metrics=[{"name": "load_test_latency_p95_ms", "verdict": "fail", "value": 3.0, "unit": "ms"}]
        )
    state = snapshot(settings(tmp_path), NOW)
    assert state["verdict"] == "pass"
    assert state["components"][-1]["metrics"][0]["verdict"] == "fail"


def test_the_metrics_of_one_wrapper_and_an_unknown_one(tmp_path: Path) -> None:
    record(tmp_path, 10)
    state = snapshot(settings(tmp_path), NOW)
    status, document = api.wrapper_metrics(state, "routellm")
    assert (status, document["data"]["healthy"]) == (200, True)
    assert document["data"]["metrics"]["error_rate"]["value"] == 0.02
    assert api.wrapper_metrics(state, "../../etc/passwd")[0] == 404


def test_nothing_of_a_check_but_its_name_and_weight_gets_into_the_settings(tmp_path: Path) -> None:
    kept = repr(settings(tmp_path))
    assert "hunter2" not in kept
    assert "http://x" not in kept


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"address": "0.0.0.0"}, "open to the network"),
        ({"address": "192.0.2.1"}, "no TLS"),
        ({"address": "::"}, "no password"),
        ({"address": "localhost"}, "no IP address"),
        ({"port": 0}, "no port"),
        ({"port": 70000}, "no port"),
        ({"tls_certificate": "/dev/null/none", "tls_key": "/dev/null/none"}, "cannot be read"),
        ({"tls_certificate": "/dev/null"}, "certificate and its key"),
        ({"stale_after_s": 0.0}, "stale_after_s"),
        ({"user": "a:b"}, "colon"),
        ({"service": {}}, "no name"),
    ],
)
def test_settings_that_would_show_the_page_to_everybody_or_make_no_sense_are_refused(tmp_path: Path, changed: t.Any, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        settings(tmp_path, **changed)


def test_the_page_is_open_to_the_network_with_tls_and_a_password_only(tmp_path: Path) -> None:
    for name in ("a.pem", "a.key"):
        (tmp_path / name).write_text("x")
    given = {
        **PROFILE,
        "state_folder": str(tmp_path),
        "address": "0.0.0.0",
        "tls_certificate": str(tmp_path / "a.pem"),
        "tls_key": str(tmp_path / "a.key"),
    }
    assert settings_of(given, has_password=True).url == "https://0.0.0.0:5000/"
    with pytest.raises(BadInput, match="no password"):
        settings_of(given, has_password=False)


def test_a_password_that_others_may_read_or_that_is_short_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("correct horse battery\nsecond line\n")
    file.chmod(0o644)
    with pytest.raises(BadInput, match="Others may read"):
        password_from(str(file), {})
    file.chmod(0o600)
    assert password_from(str(file), {"STATUS_PAGE_PASSWORD": "from the environment"}) == "correct horse battery"
    assert password_from("", {"STATUS_PAGE_PASSWORD": "from the environment"}) == "from the environment"
    file.write_text("short")
    with pytest.raises(BadInput, match="too short"):
        password_from(str(file), {})
    with pytest.raises(BadInput, match="cannot be read"):
        password_from(str(tmp_path / "missing"), {})


HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


def test_whatever_the_names_and_reasons_are_nothing_becomes_markup_and_no_style_is_inline(tmp_path: Path) -> None:
    names = {"name": HOSTILE, "title": HOSTILE, "component": HOSTILE, "unit": HOSTILE}
    with History.open(str(tmp_path), "wrappers", write=True) as history:
        for age in range(5):
            result = {**names, "verdict": "fail", "reason": HOSTILE, "value": 1.0 + age, "latency_ms": 3.0}
            history.record(NOW - 60 * age, str(age), HOSTILE, [result], [result], severity=HOSTILE, score=0.1, summary=HOSTILE)
        history.put_document("alerts", {"alerts": [{"name": HOSTILE, "summary": HOSTILE, "severity": HOSTILE}]}, NOW)
    one = settings(
        tmp_path,
        service={"name": "wrappers", "title": HOSTILE, "environment": HOSTILE},
        components=[names],
        checks=[],
        metrics=[],
        logs=[{"name": HOSTILE, "title": HOSTILE, "path": "/x"}],
    )
    state = snapshot(one, NOW)
    page = render(one, state, drawn(one, state, "1"), "1", "v", {HOSTILE: [{"at": HOSTILE, "level": HOSTILE, "text": HOSTILE}]})
    assert "<script>alert" not in page
    assert "<img" not in page
    assert page.count("<script") == 1
    assert "style=" not in page
    assert json.dumps(api.export(state)[1])


def test_positions_become_classes_that_the_style_sheet_has() -> None:
    text = without_inline_style('<span class="y" style="bottom:33.3%">1</span><span class="x" style="left:100.0%">2</span>')
    assert text == '<span class="y b133">1</span><span class="x l400">2</span>'
    assert ".b133{bottom:33.25%}" in position_rules()
    assert ".l400{left:100%}" in position_rules()
