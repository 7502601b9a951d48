# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of monitoring before their readers: promtool, amtool and Grafana's own model of boards; all profiles, and odd ones."""

from __future__ import annotations

import http.server
import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from unit.monitoring_profile import ERROR_RATE, profile

from ansible_collections.sre.runbooks.plugins.module_utils import files as files_of_the_library
from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput, NoSpace, ToolMissing
from ansible_collections.sre.runbooks.plugins.module_utils.monitoring import files, placing, set_up
from ansible_collections.sre.runbooks.plugins.module_utils.monitoring.files import ALERTMANAGER, TESTED, Content, Places, content_of
from ansible_collections.sre.runbooks.plugins.module_utils.monitoring.profile import Profile
from ansible_collections.sre.runbooks.plugins.module_utils.monitoring.receivers import Transports
from ansible_collections.sre.runbooks.plugins.module_utils.monitoring.verification import verify
from integration.monitoring_trial import ROOT, Inventory, tool_folder
from integration.playbook_runs import picture

PROFILES = ("rag7", "paralegal", "calendar_api", "wrapper_system", "local")
WAYS: dict[str, Any] = {
    "smtp_smarthost": "mail.example.com:587",
    "smtp_from": "alerts@example.com",
    "webhook_url": "http://127.0.0.1:9/bridge",
}
EXTRA: dict[str, Any] = {
    # The way to a mail server is each profile's own.
    **{f"monitoring_{name}": value for name, value in WAYS.items() if not name.startswith("smtp_")},
    **dict.fromkeys(("monitoring_prometheus_url", "monitoring_alertmanager_url", "monitoring_grafana_url"), ""),
    "monitoring_tools": "required",
}


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tool_folder(tmp_path_factory.mktemp("tools"))


def content(**changes: Any) -> Content:
    """What is made of the profile with changes."""
    return content_of(Profile.of(profile(**changes)), Transports(**WAYS), Places("/monitoring"))


def options(place: Path, programs: str, **changes: Any) -> dict[str, Any]:
    """The module's options for the profile with changes."""
    plain = {name: option.get("default") for name, option in set_up.OPTIONS.items()}
    return {**plain, **profile(), **WAYS, "folder": str(place / "monitoring"), "tool_folder": programs, "tools": "required", **changes}


def test_promtool_and_amtool_are_content_with_what_is_made(tools: str) -> None:
    said = verify(content(monitoring_dashboards=[{"name": "a", "panels": [{"title": "E", "metric": "error_rate"}]}]), tools)
    assert {one.tool for one in said} == {"promtool", "amtool"}
    assert [one for one in said if not one.passed] == []
    routes = [one.what for one in said if one.what.startswith("route ")]
    assert 'route priority="P1" to critical' in routes
    assert 'route escalation_level="3" to escalation-3' in routes
    assert 'route severity="info" to nobody' in routes


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("> 0.15", ">= 0.15"),
        ("> 0.15", "> 0.1500000001"),
        ("for: 1m", "for: 2m"),
        ("severity: critical", "severity: warning"),
        ("< 0.85", "<= 0.85"),
    ],
)
def test_the_unit_tests_of_the_rules_notice_a_wrong_comparison_limit_time_or_label(tools: str, wrong: str, right: str) -> None:
    made = content()
    alerts = made.of(TESTED)
    assert alerts is not None
    assert wrong in alerts.text
    broken = [files.Wanted(one.path, one.kind, one.text.replace(wrong, right, 1)) if one.kind == TESTED else one for one in made.files]
    said = verify(Content(made.rules, made.routing, made.folders, broken, made.left_out), tools)
    assert [one.what for one in said if one.passed is False] == ["test rules"]


names = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("\t\n\x85"), min_size=1, max_size=20)
numbers = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e12, max_value=1e12)
expressions = st.sampled_from(["up", 'sum(rate(x{a="b\\"c"}[5m]))', "1 - y", 'z{a=~"ä|\U0001f600"} # comment', "vector(1)\n  + 2"])


@st.composite
def odd_profiles(draw: st.DrawFn) -> dict[str, Any]:
    """Profiles in which every name and title is odd; the expressions are sound."""
    bounds = st.dictionaries(st.sampled_from(["warn_above", "fail_above", "warn_below", "fail_below"]), numbers, max_size=2)
    metrics = [
        {
            **{key: draw(names) for key in ("name", "title", "component", "unit")},
            "type": "promql",
            "query": draw(expressions),
            **draw(bounds),
        }
        for _ in range(draw(st.integers(1, 3)))
    ]
    severities = [
        {"name": name, "title": draw(names), "notify": draw(st.sampled_from(["a", "b"]))}
        for name in draw(st.lists(names, min_size=1, max_size=3, unique=True))
    ]
    return {
        "service_name": draw(names),
        "service_title": draw(names),
        "health_metrics": metrics,
        "incident_severities": severities,
        "incident_severity_rules": [
            {"severity": severities[0]["name"], "when": draw(names), "metric": metrics[0]["name"], "verdict": ["fail"]}
        ],
        "incident_escalation_levels": [{"level": 1}, {"level": 2, "title": draw(names), "after_s": 60, "notify": "b"}],
        "notify_channels": {
            "a": ["http://127.0.0.1:9/a"],
            "b": [f"slack://{draw(st.text('abcäö #-_', min_size=1, max_size=10))}x"],
            draw(names): ["http://127.0.0.1/"],
        },
        "monitoring_alerts": {metrics[0]["name"]: {"why": draw(names), "next_step": draw(names), "labels": {"team": draw(names)}}},
        "monitoring_dashboards": [
            {"name": draw(names), "title": draw(names), "panels": [{"title": draw(names), "metric": metrics[0]["name"]}]}
        ],
    }


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(odd_profiles())
def test_whatever_a_profile_calls_things_its_files_are_sound(tools: str, odd: dict[str, Any]) -> None:
    try:
        made = content_of(Profile.of(odd), Transports(**WAYS), Places("/monitoring"))
    except BadInput:
        return
    for one in made.files:
        one.text.encode()
    assert [one.as_dict() for one in verify(made, tools) if one.passed is False] == []


def test_an_expression_that_is_none_is_refused_before_anything_is_written(tools: str, tmp_path: Path) -> None:
    for changes in (
        {"health_metrics": [{**ERROR_RATE, "query": "sum(rate("}]},
        {"monitoring_dashboards": [{"name": "a", "panels": [{"title": "x", "promql": "sum by ("}]}]},
        {"monitoring_rules": [{"alert": "X", "promql": "up =="}]},
    ):
        with pytest.raises(BadInput, match="promtool refuses"):
            set_up.operate(options(tmp_path, tools, **changes), False)
    assert not (tmp_path / "monitoring").exists()


def test_a_level_whose_channels_cannot_be_reached_is_refused_with_what_would_help(tools: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="would be told to nobody") as caught:
        set_up.operate(options(tmp_path, tools, smtp_smarthost=""), False)
    assert "monitoring_smtp_smarthost" in str(caught.value)
    assert not (tmp_path / "monitoring").exists()


def test_no_secret_stands_in_a_file(tools: str, tmp_path: Path) -> None:
    channels = {
        "critical": [
            "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazk",
            "https://hooks.slack.com/services/T1/B2/swordfish",
            "slack://ok",
            "json://me:swordfish@h/x",
        ],
        "warning": ["mailto://me:swordfish@example.com", "pagerduty://team", "opsgenie://team", "http://127.0.0.1:9/x?token=swordfish"],
    }
    done = set_up.operate(options(tmp_path, tools, notify_channels=channels, smtp_user="me"), False)
    text = "".join(path.read_text() for path in (tmp_path / "monitoring").rglob("*") if path.is_file())
    for secret in ("swordfish", "TIiajkdnlazk", "A1BRTD4JD"):
        assert secret not in text + json.dumps(done)
    assert "/etc/alertmanager/secrets/slack_api_url" in text
    assert "/etc/alertmanager/secrets/pagerduty_routing_key" in text
    assert len(done["left_out"]["channels"]) >= 4


def test_check_mode_changes_nothing_and_tells_what_the_run_then_does(tools: str, tmp_path: Path) -> None:
    before = picture(tmp_path)
    rehearsed = set_up.operate(options(tmp_path, tools), True)
    assert picture(tmp_path) == before
    done = set_up.operate(options(tmp_path, tools), False)
    assert (rehearsed["changed"], rehearsed["diff"], rehearsed["files"]) == (True, done["diff"], done["files"])
    again = set_up.operate(options(tmp_path, tools), False)
    assert (again["changed"], again["diff"]) == (False, [])
    changed = set_up.operate(options(tmp_path, tools, service_title="Another"), True)
    assert {Path(one["path"]).name for one in changed["files"] if one["changed"]} >= {"calendar-api.rules.yml", "alertmanager.yml"}
    assert "-" not in changed["diff"][0]["before_header"].rpartition(".")[2]


def test_permissions_that_somebody_gave_a_file_stay_and_leftovers_of_killed_runs_go(tools: str, tmp_path: Path) -> None:
    set_up.operate(options(tmp_path, tools), False)
    rules = tmp_path / "monitoring" / "prometheus" / "calendar-api.rules.yml"
    rules.chmod(0o640)
    leftover, living = rules.with_name(f".{rules.name}.4194304.partial"), rules.with_name(f".{rules.name}.{os.getppid()}.partial")
    leftover.write_text("half")
    living.write_text("of a run that goes on")
    done = set_up.operate(options(tmp_path, tools, service_title="Another"), False)
    assert done["changed"]
    assert rules.stat().st_mode & 0o777 == 0o640
    assert not leftover.exists()
    assert living.exists()


def test_a_file_that_cannot_be_written_brings_the_others_back(tools: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_up.operate(options(tmp_path, tools), False)
    before = {path: text for path, text in picture(tmp_path / "monitoring").items() if text}
    full = tmp_path / "monitoring" / "alert_config.json"
    write = files_of_the_library.write_atomically

    def refuse(path: str, data: bytes, mode: int = 0o600) -> None:
        if path == str(full) and b"0.06" in data:
            raise NoSpace("The disk is full", where=path, next_step="free space")
        write(path, data, mode)

    monkeypatch.setattr(placing, "write_atomically", refuse)
    changed = [{**ERROR_RATE, "warn_above": 0.06}]
    with pytest.raises(NoSpace) as caught:
        set_up.operate(options(tmp_path, tools, health_metrics=changed, incident_severity_rules=[]), False)
    assert "the former files are back" in caught.value.message
    after = {path: text for path, text in picture(tmp_path / "monitoring").items() if text}
    assert {path: text.split()[-1] for path, text in after.items()} == {path: text.split()[-1] for path, text in before.items()}


def test_what_lies_in_the_way_is_said_and_stays(tools: str, tmp_path: Path) -> None:
    (tmp_path / "monitoring").write_text("a file")
    with pytest.raises(BadInput, match="no folder"):
        set_up.operate(options(tmp_path, tools), False)
    (tmp_path / "rules.yml").mkdir()
    with pytest.raises(BadInput, match="no file"):
        set_up.operate(options(tmp_path, tools, folder=str(tmp_path / "m"), rules_file=str(tmp_path / "rules.yml")), False)
    with pytest.raises(BadInput, match="at one place"):
        set_up.operate(options(tmp_path, tools, rules_file=str(tmp_path / "x"), alertmanager_file=str(tmp_path / "x")), False)


def test_without_the_tools_the_files_are_written_and_it_is_said_that_nobody_checked_them(tmp_path: Path) -> None:
    with pytest.raises(ToolMissing, match="promtool and amtool missing"):
        set_up.operate(options(tmp_path, str(tmp_path)), False)
    done = set_up.operate(options(tmp_path, str(tmp_path), tools="auto"), False)
    assert done["changed"]
    assert "promtool is not here, so rules could not be checked" in done["notes"]


def profile_options(tools: str, folder: Path) -> dict[str, Any]:
    """What a run of a profile of this collection is given besides."""
    places = {"service_folder": str(folder / "service"), "monitoring_folder": str(folder / "service/.monitoring")}
    return {**EXTRA, "monitoring_tool_folder": tools, **places}


@pytest.mark.parametrize("name", PROFILES)
def test_the_set_up_of_each_profile_is_sound(name: str, tools: str, tmp_path: Path) -> None:
    done = Inventory(tmp_path).run("monitoring_setup", inventory=ROOT / "inventories" / name, **profile_options(tools, tmp_path))
    assert done.status == 0, done.output
    wanted = {"paralegal": {"overview", "service_health", "infrastructure"}, "calendar_api": {"executive", "operations", "development"}}
    assert known_boards(tmp_path) >= wanted.get(name, set())


def known_boards(folder: Path) -> set[str]:
    """Names of the boards that were written, which Grafana knows."""
    boards = list((folder / "service/.monitoring/grafana").glob("*.json"))
    for board in boards:
        see_that_grafana_knows_it(json.loads(board.read_text()))
    return {board.stem for board in boards}


def test_a_set_up_that_is_rehearsed_writes_nothing_the_real_one_is_what_the_runbook_asks_and_a_second_changes_nothing(
    tools: str, tmp_path: Path
) -> None:
    inventory, where, extra = Inventory(tmp_path), ROOT / "inventories" / "insighthub", profile_options(tools, tmp_path)
    rehearsed = inventory.run("monitoring_setup", "--check", "--diff", inventory=where, **extra)
    assert rehearsed.status == 0, rehearsed.output
    assert not (tmp_path / "service").exists()
    done = inventory.run("monitoring_setup", inventory=where, **extra)
    assert done.status == 0, done.output
    see_that_it_is_what_the_runbook_asks(tmp_path / "service")
    known_boards(tmp_path)
    again = inventory.run("monitoring_setup", inventory=where, **extra)
    assert again.status == 0 and "changed=0" in again.output


def see_that_it_is_what_the_runbook_asks(service: Path) -> None:
    """Folders and configuration of requirement A3, thresholds of A1, channels of A2."""
    assert {path.name for path in service.iterdir()} >= {".monitoring", "health_reports", "incidents", "logs"}
    assert (service / "logs" / "monitoring").is_dir()
    assert json.loads((service / ".monitoring" / "alert_config.json").read_text()) == {
        "enabled": True,
        "check_interval": 300,
        "thresholds": {
            "error_rate": {"warning": 0.05, "critical": 0.15},
            "response_time": {"warning": 30, "critical": 60},
            "api_quota": {"warning": 0.8, "critical": 0.95},
            "cost_per_hour": {"warning": 10, "critical": 25},
        },
        "channels": {
            "critical": ["slack://team-alerts", "email://on-call@insighthub.com", "sms://+1234567890"],
            "warning": ["slack://monitoring", "email://team-leads@insighthub.com"],
        },
    }


def see_that_grafana_knows_it(board: dict[str, Any]) -> None:
    """Every key and value survives the way through Grafana's own model of a board, which drops what it does not know."""
    back = json.loads(json.dumps(Dashboard.from_json(board), cls=JSONEncoder))
    assert_within(board, back, board["title"])
    places = [panel["gridPos"] for panel in board["panels"]]
    taken = [(place["x"] + x, place["y"] + y) for place in places for x in range(place["w"]) for y in range(place["h"])]
    assert len(taken) == len(set(taken)), "panels overlap"
    assert max(x for x, _y in taken) < 24
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    assert len(board["uid"]) <= 40


def assert_within(part: Any, whole: Any, where: str) -> None:
    """Everything in `part` is in `whole`."""
    if isinstance(part, dict):
        for key, value in part.items():
            assert key in whole, f"{where}: Grafana does not know {key}"
            assert_within(value, whole[key], f"{where}/{key}")
    elif isinstance(part, list):
        assert len(part) == len(whole), where
        for number, value in enumerate(part):
            assert_within(value, whole[number], f"{where}/{number}")
    else:
        assert part == whole, where


class GrafanaInterface:
    """The part of Grafana's HTTP interface that an import uses, as its documentation describes it: no Grafana can be had here.

    Attributes:
        boards: What was imported, by uid.
        tokens: What was given for authorization.
        refuses: Whether it takes no board.
    """

    def __init__(self) -> None:
        self.boards: dict[str, dict[str, Any]] = {}
        self.tokens: set[str] = set()
        self.refuses = False
        grafana = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self, status: int, document: Any) -> None:
                body = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self) -> None:
                grafana.tokens.add(self.headers.get("Authorization", ""))
                uid = self.path.rpartition("/")[2]
                if self.path.startswith("/api/dashboards/uid/") and uid in grafana.boards:
                    self.answer(200, {"dashboard": {**grafana.boards[uid], "id": 1, "version": 1}, "meta": {"folderId": 0, "slug": uid}})
                elif self.path.startswith("/api/dashboards/"):
                    self.answer(404, {"message": "Dashboard not found"})
                else:
                    self.answer(200, {"buildInfo": {"version": "11.6.0"}})

            def do_POST(self) -> None:
                given = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if grafana.refuses:
                    self.answer(500, {"message": f"no, not with {self.headers['Authorization']}"})
                    return
                grafana.boards[given["dashboard"]["uid"]] = given["dashboard"]
                self.answer(200, {"status": "success", "uid": given["dashboard"]["uid"], "version": 1, "id": 1, "slug": "x", "url": "/d/x"})

            def log_message(self, *_arguments: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()


def test_the_boards_are_imported_into_a_grafana_where_one_is_given(tools: str, tmp_path: Path) -> None:
    grafana = GrafanaInterface()
    try:
        extra: dict[str, Any] = {
            **EXTRA,
            "monitoring_tool_folder": tools,
            "monitoring_folder": str(tmp_path / "m"),
            "monitoring_grafana_url": grafana.url,
            "monitoring_grafana_token": "glsa_swordfish",
        }
        inventory, where = Inventory(tmp_path / "i"), ROOT / "inventories" / "calendar_api"
        assert inventory.run("monitoring_setup", "--check", inventory=where, **extra).status == 0
        assert grafana.boards == {}
        done = inventory.run("monitoring_setup", "-vv", inventory=where, **extra)
        assert done.status == 0, done.output
        assert set(grafana.boards) == {"calendar-api-executive", "calendar-api-operations", "calendar-api-development"}
        assert grafana.tokens == {"Bearer glsa_swordfish"}
        assert "glsa_swordfish" not in done.output
        again = inventory.run("monitoring_setup", inventory=where, **extra)
        assert "changed=0" in again.output
        grafana.refuses = True
        refused = inventory.run("monitoring_setup", "-vvv", inventory=where, service_title="Another", **extra)
        assert refused.status == 2
        assert "glsa_swordfish" not in refused.output
    finally:
        grafana.stop()


def test_alertmanager_s_file_has_a_route_for_each_severity_and_each_level(tools: str) -> None:
    routing = content().of(ALERTMANAGER)
    assert routing is not None
    routes = content().routing.config["route"]["routes"]
    assert [(route["matchers"][0], route["receiver"], route["repeat_interval"]) for route in routes] == [
        ('severity="info"', "nobody", "1d"),
        ('escalation_level="2"', "escalation-2", "4h"),
        ('escalation_level="3"', "escalation-3", "4h"),
        ('priority="P1"', "critical", "15m"),
        ('priority="P2"', "critical", "30m"),
        ('priority="P3"', "warning", "2h"),
        ('priority="P4"', "warning", "1d"),
        ('severity="critical"', "critical", "15m"),
        ('severity="warning"', "warning", "4h"),
    ]


def test_services_share_an_alertmanager_s_file_and_amtool_is_content_with_the_routes_of_all(tmp_path: Path, tools: str) -> None:
    shared = tmp_path / "alertmanager.yml"
    shared.write_text("# by hand\nroute:\n  receiver: team\n  group_by: [alertname]\nreceivers:\n- name: team\n")
    for service in ("calendar", "shop"):
        own = {"service_name": service, "folder": str(tmp_path / service), "alertmanager_file": str(shared), "alertmanager_shared": True}
        before = shared.read_text()
        told = set_up.operate(options(tmp_path, tools, **own), True)
        assert shared.read_text() == before, "check mode writes nothing"
        done = set_up.operate(options(tmp_path, tools, **own), False)
        assert done["diff"] == told["diff"] and done["changed"]
        assert all(one["passed"] for one in done["checks"])
        assert f'route priority="P1", service="{service}" to {service}-critical' in [one["what"] for one in done["checks"]]
    text = shared.read_text()
    assert text.startswith("# by hand\nroute:\n  receiver: team\n") and text.count("# BEGIN sre.runbooks") == 6
    again = set_up.operate(options(tmp_path, tools, **{**own, "service_name": "calendar", "folder": str(tmp_path / "calendar")}), False)
    assert not again["changed"] and shared.read_text() == text
