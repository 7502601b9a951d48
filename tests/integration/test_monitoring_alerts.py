# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The whole way of an alert with the real servers: from a fault of the service to the one who is told, silenced, and over again."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput, RunbookError, Unreachable, WrongTarget
from ansible_collections.sre.runbooks.plugins.module_utils.monitoring import alerts, set_up, silences
from integration.monitoring_servers import Alertmanager, Prometheus, running_alertmanager, running_prometheus
from integration.monitoring_trial import ROOT, Inventory, WebHook, tool_folder
from integration.service_stack import ServiceProcess, running_stack
from tools.waiting import wait_until

SERVER_ERRORS = 'sum(rate(http_requests_total{job="reference",status=~"5.."}[8s]))'
REQUESTS = 'sum(rate(http_requests_total{job="reference"}[8s]))'
SLOWEST = 'histogram_quantile(0.95, sum by (le) (rate(http_request_duration_seconds_bucket{job="reference"}[8s])))'
METRICS = [
    {"name": "error_rate", "title": "Error rate", "type": "promql", "url": "http://127.0.0.1:1", "query": f"{SERVER_ERRORS} / {REQUESTS}",
     "unit": "ratio", "component": "api", "warn_above": 0.05, "fail_above": 0.15},
    {"name": "latency_p95", "title": "Response time", "type": "promql", "url": "http://127.0.0.1:1", "query": SLOWEST,
     "unit": "s", "component": "api", "fail_above": 0.4},
]  # fmt: skip
SEVERITIES = [
    {"name": "P1", "title": "Down", "respond_within_s": 300, "notify": "critical"},
    {"name": "P2", "title": "Impaired", "respond_within_s": 1800, "notify": "critical"},
    {"name": "P3", "title": "Minor", "respond_within_s": 7200, "escalate_after_s": None, "notify": "warning"},
]
RULES = [
    {"severity": "P1", "when": "more than a quarter fails", "metric": "error_rate", "above": 0.25},
    {"severity": "P2", "when": "many fail", "metric": "error_rate", "verdict": ["fail"]},
    {"severity": "P3", "when": "some fail", "metric": "error_rate", "verdict": ["warn"]},
]


class World(NamedTuple):
    """Everything that runs."""

    service: ServiceProcess
    prometheus: Prometheus
    alertmanager: Alertmanager
    hook: WebHook
    inventory: Inventory

    def listed(self, **wanted: Any) -> dict[str, Any]:
        """What alerts_info says."""
        options = {name: option.get("default") for name, option in alerts.OPTIONS.items()}
        return alerts.operate({**options, "url": self.alertmanager.url, **wanted}, False)

    def silence(self, operation: str, check_mode: bool = False, **wanted: Any) -> dict[str, Any]:
        """What alert_silence does."""
        options = {name: option.get("default") for name, option in silences.OPTIONS.items()}
        return silences.operate({**options, "url": self.alertmanager.url, "operation": operation, **wanted}, check_mode)


@contextlib.contextmanager
def traffic(service: ServiceProcess) -> Iterator[None]:
    """Forty requests a second while the block runs."""
    ended = threading.Event()

    def ask() -> None:
        while not ended.wait(0.025):
            with contextlib.suppress(OSError):
                service.get("/cases/1")

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folders = {name: tmp_path_factory.mktemp(name) for name in ("stack", "prometheus", "alertmanager", "inventory", "tools")}
    rules = folders["prometheus"] / "reference.rules.yml"
    tools = tool_folder(folders["tools"])
    with contextlib.ExitStack() as running:
        service = running.enter_context(running_stack(folders["stack"])).service().start()
        running.callback(service.stop)
        hook = running.enter_context(WebHook())
        alertmanager = running.enter_context(running_alertmanager(folders["alertmanager"]))
        prometheus = running.enter_context(
            running_prometheus(folders["prometheus"], targets={"reference": service.port}, rule_files=[rules], alertmanager=alertmanager)
        )
        inventory = Inventory(
            folders["inventory"],
            service_name="reference",
            service_title="Reference service",
            health_metrics=METRICS,
            incident_severities=SEVERITIES,
            incident_severity_rules=RULES,
            incident_escalation_levels=[{"level": 1, "after_s": 0}, {"level": 2, "title": "Team lead", "after_s": 6, "notify": "lead"}],
            notify_channels={level: [f"{hook.url}/{level}"] for level in ("critical", "warning", "lead")},
            monitoring_folder=str(folders["inventory"] / "monitoring"),
            monitoring_rules_file=str(rules),
            monitoring_alertmanager_file=str(folders["alertmanager"] / "alertmanager.yml"),
            monitoring_prometheus_url=prometheus.url,
            monitoring_alertmanager_url=alertmanager.url,
            monitoring_tools="required",
            monitoring_tool_folder=tools,
            monitoring_warning_for_s=1,
            monitoring_critical_for_s=1,
            monitoring_every_s=1,
            monitoring_group_wait_s=0,
            monitoring_group_interval_s=1,
        )
        world = World(service, prometheus, alertmanager, hook, inventory)
        running.enter_context(traffic(service))
        done = inventory.run("monitoring_setup")
        assert done.status == 0, done.output
        yield world


def names(document: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Name, priority and status of the alerts in a message of Alertmanager."""
    return [(one["labels"]["alertname"], one["labels"].get("priority", ""), one["status"]) for one in document.get("alerts", [])]


def test_the_set_up_loads_the_rules_and_a_second_one_changes_nothing(world: World) -> None:
    groups = {group["name"] for group in json.loads(world.prometheus.get("/api/v1/rules"))["data"]["groups"]}
    assert groups == {"reference values", "reference alerts", "reference escalation"}
    receivers = {one["name"] for one in json.loads(world.alertmanager.get("/api/v2/receivers"))}
    assert receivers == {"critical", "warning", "lead", "nobody"}
    again = world.inventory.run("monitoring_setup")
    assert again.status == 0, again.output
    assert "changed=0" in again.output


def test_a_fault_fires_reaches_who_is_to_know_is_listed_silenced_escalated_and_over_in_the_end(world: World) -> None:
    world.service.ask("POST", "/faults", {"error_rate": 0.2})
    told = world.hook.wait_for("P2 is told", lambda path, said: path == "/critical" and ("HighErrorRate", "P2", "firing") in names(said))
    fired = next(one for one in told["alerts"] if one["labels"]["priority"] == "P2")
    assert fired["labels"] | {"priority": "P2"} == {
        "alertname": "HighErrorRate", "service": "reference", "severity": "critical", "priority": "P2", "component": "api",
    }  # fmt: skip
    assert fired["annotations"]["summary"].startswith("Error rate critical: ")
    assert fired["annotations"]["summary"].endswith("%")
    assert fired["annotations"]["next_step"].endswith("Respond within 30 min.")
    # The warning of the same name is inhibited, and the lead is told when it goes on.
    world.hook.wait_for("the lead is told", lambda path, said: path == "/lead" and ("HighErrorRate", "P2", "firing") in names(said))
    listed = wait_until("the warning is inhibited", lambda: _with_inhibited(world))
    assert {alert["priority"] for alert in listed["alerts"] if alert["state"] == "active"} == {"P2"}

    high = {"alertname": "HighErrorRate", "service": "reference"}
    asked: dict[str, Any] = {"labels": high, "comment": "a test", "run_id": "RUN-1", "duration_s": 600}
    assert world.silence("create", True, **asked)["changed"]
    assert world.listed(states=["active"])["total"] > 0
    made = world.silence("create", **asked)
    assert (made["action"], made["silence"]["state"], made["silence"]["run_id"]) == ("create", "active", "RUN-1")
    assert not world.silence("create", **asked)["changed"]
    wait_until("all are silenced", lambda: world.listed(states=["active"])["total"] == 0)
    assert world.listed(states=["suppressed"])["alerts"][0]["silenced_by"]
    longer = world.silence("extend", **{**asked, "duration_s": 1200})
    assert (longer["action"], longer["silence"]["id"]) == ("extend", made["silence"]["id"])
    ended = world.silence("expire", **asked)
    assert (ended["action"], ended["silence"]["state"]) == ("expire", "expired")
    assert not world.silence("expire", **asked)["changed"]
    wait_until("they are active again", lambda: world.listed(states=["active"], severities=["critical"])["total"])

    world.service.ask("POST", "/faults", {"error_rate": 0.5})
    world.hook.wait_for("P1 is told", lambda path, said: path == "/critical" and ("HighErrorRate", "P1", "firing") in names(said))
    world.service.ask("DELETE", "/faults")
    world.hook.wait_for("P1 is over", lambda _path, said: ("HighErrorRate", "P1", "resolved") in names(said))
    world.hook.wait_for("P2 is over", lambda _path, said: ("HighErrorRate", "P2", "resolved") in names(said))
    wait_until("none is listed", lambda: world.listed()["total"] == 0)
    past = world.listed(prometheus_url=world.prometheus.url, history_s=3600)["history"]
    assert {("HighErrorRate", priority) for priority in ("P1", "P2", "P3")} <= {(one["name"], one["priority"]) for one in past}


def _with_inhibited(world: World) -> dict[str, Any] | None:
    listed = world.listed()
    inhibited = [alert for alert in listed["alerts"] if alert["severity"] == "warning" and alert["inhibited_by"]]
    return listed if inhibited else None


def test_a_slow_service_fires_the_alert_of_its_latency(world: World) -> None:
    world.service.ask("POST", "/faults", {"slow_ms": 700})
    try:
        said = world.hook.wait_for("latency", lambda _path, said: ("HighLatencyP95", "", "firing") in names(said))
        assert "Response time critical: " in json.dumps(said)
    finally:
        world.service.ask("DELETE", "/faults")


def test_rules_that_a_server_refuses_are_taken_back_everywhere(world: World) -> None:
    configuration = Path(str(world.inventory.variables["monitoring_alertmanager_file"]))
    rules = Path(str(world.inventory.variables["monitoring_rules_file"]))
    before = (rules.read_text(), configuration.read_text())
    # Prometheus finds another of its files broken, so it refuses to read any; nobody but it can see that.
    broken = rules.with_name("other.rules.yml")
    broken.write_text("groups: [{name: x, rules: [{record: y, expr: '('}]}]")
    world.prometheus.configuration["rule_files"].append(str(broken))
    world.prometheus.write()
    try:
        changed = [{**METRICS[0], "fail_above": 0.16}, METRICS[1]]
        channels = {level: [f"{world.hook.url}/other"] for level in ("critical", "warning", "lead")}
        done = world.inventory.run("monitoring_setup", health_metrics=changed, notify_channels=channels)
        assert done.status == 2
        assert "Prometheus refused its new file" in done.output
        assert "the former files are back" in done.output
        assert (rules.read_text(), configuration.read_text()) == before
    finally:
        world.prometheus.configuration["rule_files"].remove(str(broken))
        world.prometheus.reload()


def test_a_server_that_is_gone_gets_nothing_and_the_files_are_as_they_were(world: World) -> None:
    rules = Path(str(world.inventory.variables["monitoring_rules_file"]))
    before = rules.read_text()
    changed = [{**METRICS[0], "fail_above": 0.17}, METRICS[1]]
    done = world.inventory.run("monitoring_setup", health_metrics=changed, monitoring_prometheus_url="http://127.0.0.1:1")
    assert done.status == 2
    assert "Prometheus cannot be reached" in done.output
    assert rules.read_text() == before


def test_files_that_were_written_without_a_reload_are_read_at_the_next_run_that_may(world: World) -> None:
    other = [{**METRICS[0], "fail_above": 0.18}, METRICS[1]]
    written = world.inventory.run("monitoring_setup", health_metrics=other, monitoring_reload=False)
    assert written.status == 0, written.output
    assert " 0.18" not in world.prometheus.get("/api/v1/rules").decode()
    # As after a run that was killed between the two: the files are as they shall be, and the server is not.
    loaded = world.inventory.run("monitoring_setup", health_metrics=other)
    assert "changed=1" in loaded.output, loaded.output
    wait_until("loaded", lambda: " 0.18" in world.prometheus.get("/api/v1/rules").decode())
    assert "changed=0" in world.inventory.run("monitoring_setup", health_metrics=other).output
    assert world.inventory.run("monitoring_setup").status == 0


def test_a_set_up_that_is_killed_is_made_up_for_by_the_next(world: World, tmp_path: Path) -> None:
    """Killed at eight moments of the work itself: afterwards files and servers agree, and nothing half-written is left."""
    code = f"import json, sys; from {set_up.__name__} import operate; sys.stdin.read(1); operate(json.load(open(sys.argv[1])), False)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "collections"), "SRE_RUNBOOKS_STATE": str(world.inventory.state)}
    plain = {name: option.get("default") for name, option in set_up.OPTIONS.items()}
    files = {"rules_file": "monitoring_rules_file", "alertmanager_file": "monitoring_alertmanager_file", "folder": "monitoring_folder"}
    urls = {"prometheus_url": "monitoring_prometheus_url", "alertmanager_url": "monitoring_alertmanager_url"}
    own = {name: world.inventory.variables[variable] for name, variable in {**files, **urls}.items()}
    shared = {name: value for name, value in world.inventory.variables.items() if name in plain}
    for moment in range(8):
        limit = round(0.20 + moment / 1000, 3)
        wanted = {**plain, **shared, **own, "tools": "none", "health_metrics": [{**METRICS[0], "fail_above": limit}, METRICS[1]]}
        given = tmp_path / "given.json"
        given.write_text(json.dumps(wanted))
        process = subprocess.Popen([sys.executable, "-c", code, str(given)], env=environment, stdin=subprocess.PIPE)
        time.sleep(0.5)
        assert process.stdin is not None
        process.stdin.close()
        time.sleep(0.004 * moment)
        process.kill()
        process.wait()
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SRE_RUNBOOKS_STATE", str(world.inventory.state))
            set_up.operate(wanted, False)
        assert f' {limit:g}"' in json.dumps(json.loads(world.prometheus.get("/api/v1/rules")))
        assert not list(Path(str(own["rules_file"])).parent.glob(".*.partial"))
    assert world.inventory.run("monitoring_setup").status == 0


def test_a_prometheus_that_does_not_read_the_file_is_said_and_what_to_do(world: World, tmp_path: Path) -> None:
    done = world.inventory.run("monitoring_setup", monitoring_rules_file=str(tmp_path / "elsewhere.yml"), service_name="other")
    assert done.status == 0, done.output
    assert "add it to rule_files in prometheus.yml" in done.output


def test_a_prometheus_without_lifecycle_is_said_to_need_a_signal(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = Prometheus.command
    monkeypatch.setattr(Prometheus, "command", lambda self: [one for one in command(self) if "lifecycle" not in one])
    rules = tmp_path / "rules.yml"
    (tmp_path / "server").mkdir()
    with running_prometheus(tmp_path / "server", rule_files=[rules]) as plain:
        done = world.inventory.run("monitoring_setup", monitoring_prometheus_url=plain.url, monitoring_rules_file=str(rules))
    assert done.status == 0, done.output
    assert "send its process SIGHUP, or start it with --web.enable-lifecycle" in done.output
    assert rules.exists()


def test_the_silences_of_others_are_never_touched(world: World) -> None:
    foreign = world.alertmanager.silence(service="reference")
    with pytest.raises(WrongTarget, match="somebody else's"):
        world.silence("expire", silence_id=foreign)
    assert world.silence("expire", labels={"service": "reference"})["action"] == "none"
    with pytest.raises(BadInput, match="no silence of ours"):
        world.silence("extend", labels={"service": "reference"})
    there = json.loads(world.alertmanager.get(f"/api/v2/silence/{foreign}"))
    assert there["status"]["state"] == "active"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"labels": {}}, "labels and matchers"),
        ({"labels": {}, "matchers": [{"name": "a", "value": ".*", "is_regex": True, "is_equal": True}]}, "given exactly"),
        ({"duration_s": 86400 * 365}, "30 days"),
        ({"comment": " "}, "needs a comment"),
        ({"url": "ftp://x"}, "url"),
    ],
)
def test_a_silence_of_everything_or_for_ever_or_without_a_reason_is_refused(world: World, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        world.silence("create", **{"labels": {"service": "x"}, "comment": "why", **changes})


def test_servers_that_are_gone_or_are_no_alertmanager_are_said_so(world: World) -> None:
    with pytest.raises(Unreachable, match="cannot be reached"):
        world.listed(url="http://127.0.0.1:1")
    for url in (world.hook.url, f"http://127.0.0.1:{world.service.port}", world.prometheus.url):
        with pytest.raises(RunbookError):
            world.listed(url=url)


def test_the_modules_work_in_a_play_and_show_no_secret(world: World, tmp_path: Path) -> None:
    playbook = tmp_path / "play.yml"
    playbook.write_text(
        json.dumps(
            [
                {
                    "hosts": "operator",
                    "gather_facts": False,
                    "tasks": [
                        {"sre.runbooks.alerts_info": {"url": world.alertmanager.url, "token": "swordfish-42"}, "register": "listed"},
                        {
                            "sre.runbooks.alert_silence": {
                                "url": world.alertmanager.url,
                                "operation": "create",
                                "labels": {"service": "of a play"},
                                "comment": "a play",
                                "password": "swordfish-42",
                                "user": "me",
                            }
                        },
                        {"ansible.builtin.assert": {"that": ["listed.alerts is defined", "listed.counts.state.active >= 0"]}},
                    ],
                }
            ]
        )
    )
    inventory = str(world.inventory.folder / "inventory")
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-vvv", "--diff", "-i", inventory, str(playbook)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "swordfish-42" not in done.stdout + done.stderr
