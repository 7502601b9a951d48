# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""alert_check.yml, from one run to the next, against a service that answers as it is told, with real channels."""

from __future__ import annotations

import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.errors import RunbookError
from ansible_collections.sre.runbooks.plugins.module_utils.files import locked
from ansible_collections.sre.runbooks.plugins.module_utils.monitoring import evaluate
from integration.monitoring_trial import Inventory, WebHook
from integration.playbook_runs import picture

PROFILE = Path(__file__).resolve().parents[2] / "inventories" / "insighthub" / "group_vars" / "all"


class Dashboard:
    """The dashboard's data of the service (requirement A4).

    Attributes:
        figures: What it answers.
        status: The status of its answer.
    """

    def __init__(self) -> None:
        self.figures: dict[str, Any] = {}
        self.status = 200
        self.well()
        dashboard = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = json.dumps(dashboard.figures).encode()
                self.send_response(dashboard.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_arguments: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/metrics.json"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def well(self, success_rate: float = 0.99, **more: Any) -> None:
        """Answer these figures."""
        overview = {"success_rate": success_rate, "active_workflows": 3}
        self.figures = {"overview": overview, "avg_duration": 2.0, "api_quota": 0.2, "cost_per_hour": 1.0, "alerts": [], **more}

    def stop(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def dashboard() -> Iterator[Dashboard]:
    running = Dashboard()
    yield running
    running.stop()


@pytest.fixture
def hook() -> Iterator[WebHook]:
    with WebHook() as running:
        yield running


class Runs:
    """Runs of alert_check.yml on the profile insighthub, whose service is the dashboard and whose channels end at the hook."""

    def __init__(self, folder: Path, dashboard: Dashboard, hook: WebHook) -> None:
        self.inventory, self.hook = Inventory(folder), hook
        self.extra: dict[str, Any] = {
            "service_endpoints": {"dashboard": dashboard.url},
            "service_url": dashboard.url.rpartition("/")[0],
            "monitoring_alert_checks": False,
            "notify_gateways": {kind: f"json://127.0.0.1:{hook.port}/{kind}/{{to}}" for kind in ("slack", "email", "sms")},
        }

    def check(self, *options: str, **extra: Any) -> Any:
        """One run; what was told by it is in `told`."""
        before = len(self.hook.taken)
        done = self.inventory.run("alert_check", *options, inventory=PROFILE.parents[1], **{**self.extra, **extra})
        self.told = sorted((path, str(document["title"])) for path, document in self.hook.taken[before:])
        return done


@pytest.fixture
def runs(tmp_path: Path, dashboard: Dashboard, hook: WebHook) -> Runs:
    return Runs(tmp_path, dashboard, hook)


def test_the_alerts_of_the_runbook_go_to_its_channels_once_and_are_over_once(runs: Runs, dashboard: Dashboard) -> None:
    assert runs.check().status == 0
    assert runs.told == []
    dashboard.well(0.84)
    before = picture(runs.inventory.state / "alerts")
    assert "16.0%" in runs.check("--check").output
    assert runs.told == []
    assert picture(runs.inventory.state / "alerts") == before
    done = runs.check()
    assert done.status == 0, done.output
    said = "[P2] InsightHub orchestrator (LangSmith): Error rate critical: 16.0%"
    critical = ["/email/on-call@insighthub.com", "/slack/team-alerts", "/sms/+1234567890"]
    assert runs.told == [(path, said) for path in critical]
    runs.check()
    assert runs.told == []
    dashboard.well(0.93, avg_duration=61.0)
    runs.check()
    milder = "[P3] InsightHub orchestrator (LangSmith): Error rate elevated: 7.0%"
    slow = "[P2] InsightHub orchestrator (LangSmith): Response time critical: 61.0s"
    assert {title for _path, title in runs.told} == {milder, slow}
    assert {path for path, title in runs.told if title == milder} == {*critical, "/slack/monitoring", "/email/team-leads@insighthub.com"}
    dashboard.well()
    assert runs.check().status == 0
    assert {title.partition(": ")[0] for _path, title in runs.told} == {"[RESOLVED] InsightHub orchestrator (LangSmith)"}
    runs.check()
    assert runs.told == []


def test_quota_and_cost_which_the_runbook_names_and_never_looks_at_are_alerts_too(runs: Runs, dashboard: Dashboard) -> None:
    dashboard.well(api_quota=0.96, cost_per_hour=26.5)
    assert runs.check().status == 0
    titles = {path.split("/")[2]: title.partition(": ")[2] for path, title in runs.told}
    assert titles["team-alerts"] == "API quota critical: 96.0%"
    assert titles["monitoring"] == "Cost critical: $26.50/h"


def test_a_service_that_cannot_be_asked_resolves_nothing_and_is_told_in_the_end(runs: Runs, dashboard: Dashboard) -> None:
    dashboard.well(0.5)
    runs.check()
    dashboard.status = 500
    for _ in range(3):
        runs.check()
        assert all("Error rate" not in title for _path, title in runs.told)
    dashboard.stop()


def test_who_cannot_be_told_now_is_told_by_the_next_run_and_the_others_are_not_told_twice(runs: Runs, dashboard: Dashboard) -> None:
    dashboard.well(0.84)
    with WebHook() as other:
        gateways = {**runs.extra["notify_gateways"], "sms": f"json://127.0.0.1:{other.port}/sms/{{to}}"}
        other.status = 503
        done = runs.check(notify_gateways=gateways)
        assert done.status == 0, done.output
        assert "sms://+1234567890" in done.output
        assert [path for path, _title in runs.told] == ["/email/on-call@insighthub.com", "/slack/team-alerts"]
        other.status = 200
        other.taken.clear()
        runs.check(notify_gateways=gateways)
        assert runs.told == []
        assert [path for path, _document in other.taken] == ["/sms/+1234567890"]
        runs.check(notify_gateways=gateways)
        assert len(other.taken) == 1


def test_an_alert_that_reaches_nobody_fails_the_run_until_it_does(runs: Runs, dashboard: Dashboard) -> None:
    dashboard.well(0.84)
    done = runs.check(notify_gateways={})
    assert done.status == 2
    assert "Nobody could be told" in done.output
    assert "notify_gateways.slack" in done.output
    assert runs.check().status == 0
    assert len(runs.told) == 3


def test_alerts_that_are_switched_off_ask_and_tell_nothing(runs: Runs, dashboard: Dashboard) -> None:
    dashboard.well(0.1)
    done = runs.check(monitoring_alerts_enabled=False)
    assert done.status == 0
    assert "switched off" in done.output
    assert runs.told == []


def options(state: Path, channels: dict[str, list[str]], *metrics: dict[str, Any]) -> dict[str, Any]:
    """The module's options for these results."""
    plain = {name: option.get("default") for name, option in evaluate.OPTIONS.items()}
    return {**plain, "service_name": "x", "metrics": list(metrics), "notify_channels": channels, "state_folder": str(state)}


def bad(number: int = 0) -> dict[str, Any]:
    """A metric that is critical."""
    return {"name": f"m{number}", "verdict": "fail", "value": 0.9, "unit": "ratio", "thresholds": {"fail_above": 0.5}}


def test_many_alerts_at_once_are_one_message(tmp_path: Path, hook: WebHook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SRE_RUNBOOKS_STATE", raising=False)
    channels = {"critical": [f"json://127.0.0.1:{hook.port}/c"]}
    evaluate.operate(options(tmp_path, channels, *(bad(number) for number in range(30))), False)
    assert len(hook.taken) == 1
    assert hook.taken[0][1]["title"] == "[CRITICAL] x: M0 critical: 90.0% (and 29 more)"
    assert "M29 critical: 90.0%" in hook.taken[0][1]["message"]


def test_a_run_that_is_killed_while_it_sends_forgets_nobody(tmp_path: Path, hook: WebHook, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed at ten moments: afterwards every channel has got the message, mostly once."""
    monkeypatch.delenv("SRE_RUNBOOKS_STATE", raising=False)
    module = evaluate.__name__
    code = f"import json, sys; from {module} import operate; operate(json.load(open(sys.argv[1])), False)"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2] / "collections")}
    hook.delay_s = 0.1
    for moment in range(10):
        state, given = tmp_path / f"state-{moment}", tmp_path / f"given-{moment}.json"
        channels = {"critical": [f"json://127.0.0.1:{hook.port}/{moment}/{number}" for number in range(3)]}
        wanted = options(state, channels, bad())
        given.write_text(json.dumps(wanted))
        process = subprocess.Popen([sys.executable, "-c", code, str(given)], env=environment)
        time.sleep(0.25 + 0.05 * moment)
        process.send_signal(signal.SIGKILL)
        process.wait()
        for _again in range(2):
            evaluate.operate(wanted, False)
        got = [path for path, _document in hook.taken if path.startswith(f"/{moment}/")]
        assert set(got) == {f"/{moment}/{number}" for number in range(3)}
        assert len(got) <= 6
        assert not [path for path in (state / "alerts").iterdir() if "swordfish" in path.read_text()]


def test_two_evaluations_at_once_do_not_tell_twice(tmp_path: Path, hook: WebHook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SRE_RUNBOOKS_STATE", raising=False)
    wanted = options(tmp_path, {"critical": [f"json://127.0.0.1:{hook.port}/c"]}, bad())
    hook.delay_s = 0.3
    threads = [threading.Thread(target=evaluate.operate, args=(wanted, False)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(hook.taken) == 1
    with locked(str(tmp_path / "alerts" / "x.json.lock")) as free:
        assert free
        with pytest.raises(RunbookError, match="Another evaluation"):
            evaluate.operate(wanted, False)


def test_what_was_kept_and_is_broken_is_said_and_left_as_it_is(tmp_path: Path, hook: WebHook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SRE_RUNBOOKS_STATE", raising=False)
    wanted = options(tmp_path, {"critical": [f"json://127.0.0.1:{hook.port}/c"]}, bad())
    evaluate.operate(wanted, False)
    kept = tmp_path / "alerts" / "x.json"
    for broken in ("", "[]", "{", '{"version": 2, "service": "x"}', kept.read_text()[:200]):
        kept.write_text(broken)
        with pytest.raises(RunbookError, match="cannot be read"):
            evaluate.operate(wanted, False)
        assert kept.read_text() == broken


def test_no_channel_s_secret_is_kept_or_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SRE_RUNBOOKS_STATE", raising=False)
    channels = {"critical": ["json://me:sword-fish-1@127.0.0.1:1/sword-fish-2", "slack://team"]}
    wanted = {**options(tmp_path, channels, bad()), "gateways": {"slack": "json://127.0.0.1:1/sword-fish-3/{to}"}}
    result = evaluate.operate(wanted, False)
    assert result["failed"]
    assert "sword-fish" not in json.dumps(result)
    assert "sword-fish" not in (tmp_path / "alerts" / "x.json").read_text()
