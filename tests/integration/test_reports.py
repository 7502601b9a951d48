# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The daily procedures on the reference service with a real PostgreSQL and a real Valkey, well and with faults injected."""

from __future__ import annotations

import contextlib
import itertools
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from unit.reports import KINDS, Page, rows, section

from integration.browser import DESK_PX, HEIGHT_PX, PHONE_PX, running_browser, watched, width_px
from integration.postgresql_server import tool_folder
from integration.service_stack import DATABASE, ServiceProcess, Stack
from tools.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
SECRETS = ("app-secret", "swordfish-42")


class Done(NamedTuple):
    """How a playbook ended, and the report that it left."""

    status: int
    output: str
    report: dict[str, Any]
    page: Path


class Profile:
    """The inventory of the reference service, and its state folder."""

    def __init__(self, folder: Path, repository: Path, stack: Stack, service: ServiceProcess) -> None:
        self.folder, self.repository, self.state = folder, repository, folder / "state"
        address = f"http://127.0.0.1:{service.port}"
        metrics = {"type": "json", "url": f"{address}/metrics.json", "component": "api"}
        self.variables: dict[str, Any] = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "service_name": "reference",
            "service_title": "Reference service",
            "service_environment": "development",
            "procedure_state_folder": str(self.state),
            "health_checks": [
                {"name": "api", "title": "API", "type": "json", "url": f"{address}/health", "component": "api",
                 "conditions": ["healthy == `true`"]},
                {"name": "database", "title": "PostgreSQL", "type": "postgresql", "host": "127.0.0.1", "port": stack.database.port,
                 "user": "reference_app", "password": "app-secret", "database": DATABASE, "tool_folder": tool_folder()},
                {"name": "cache", "title": "Valkey", "type": "redis", "port": stack.cache.port, "password": stack.cache.password},
            ],
            "health_metrics": [
                {**metrics, "name": "error_rate", "title": "Failed requests", "value": "error_rate", "unit": "ratio", "fail_above": 0.05},
                {**metrics, "name": "latency_p95", "title": "95th percentile", "value": "request_latency_p95", "unit": "ms",
                 "warn_above": 200},
                {**metrics, "name": "total_requests", "title": "Requests", "value": "overview.total_requests", "unit": "count"},
            ],
            "incident_severities": [
                {"name": "P1", "title": "Down", "respond_within_s": 900, "escalate_after_s": 1800, "notify": "critical"},
                {"name": "P2", "title": "Impaired", "respond_within_s": 1800, "escalate_after_s": None, "notify": "warning"},
            ],
            "incident_severity_rules": [
                {"severity": "P1", "when": "nobody can use it", "any_check_of": ["api", "database"], "verdict": ["fail"]},
                {"severity": "P2", "when": "too many requests fail", "metric": "error_rate", "verdict": ["fail"]},
            ],
            "incident_contacts": [{"name": "oncall", "title": "On-call engineer", "phone": "+48 22 000 00 00", "severities": ["P1", "P2"]}],
            "service_objectives": [
                {"title": "API available", "check": "api", "objective": 0.999, "window_days": 30},
                {"title": "Failed requests", "metric": "error_rate", "objective": 0.01, "unit": "ratio", "window_days": 30},
            ],
            "service_logs": [{"name": "app", "title": "Application", "path": str(service.log_file), "format": "json"}],
            "service_log_questions": [
                {"name": "errors of the last hour", "log": "app", "pattern": "ERROR|CRITICAL", "last": 10, "since_s": 3600,
                 "used_by": ["morning_check"]},
            ],
            "procedure_secrets": ["swordfish-42"],
        }  # fmt: skip

    def run(self, playbook: str, *options: str, **variables: Any) -> Done:
        """Run a playbook; the report is the newest one of its kind."""
        inventory = self.folder / "inventory.json"
        inventory.write_text(json.dumps({"operator": {"hosts": {"localhost": {**self.variables, **variables}}}}))
        command = ["ansible-playbook", f"playbooks/{playbook}.yml", "-i", str(inventory), *options]
        done = subprocess.run(command, cwd=self.repository, capture_output=True, text=True, timeout=90, check=False)
        output = done.stdout + done.stderr
        assert "Traceback" not in output
        assert not [secret for secret in SECRETS if secret in output]
        found = sorted((self.state / "reports" / "reference").glob(f"*_{playbook}.json"))
        report = json.loads(found[-1].read_text()) if found else {}
        return Done(done.returncode, output, report, found[-1].with_suffix(".html") if found else Path())


@contextlib.contextmanager
def at_work(stack: Stack) -> Iterator[ServiceProcess]:
    """An instance that has answered twenty questions."""
    one = stack.service().start()
    wait_until("the service is ready", lambda: one.get("/ready").status == 200)
    for number in range(20):
        assert one.chat(f"court {number}").status == 200
    yield one
    one.ask("DELETE", "/faults")
    one.stop()


@pytest.fixture(scope="module")
def well(stack: Stack) -> Iterator[ServiceProcess]:
    """One that tests share which leave it as it is."""
    with at_work(stack) as one:
        yield one


@pytest.fixture
def service(stack: Stack) -> Iterator[ServiceProcess]:
    """One of the test's own, for faults."""
    with at_work(stack) as one:
        yield one


@pytest.fixture
def profile(tmp_path: Path, repository: Path, stack: Stack, request: pytest.FixtureRequest) -> Profile:
    """The profile of the test's own instance where it asks for one, else of the one that is well."""
    return Profile(tmp_path, repository, stack, request.getfixturevalue("service" if "service" in request.fixturenames else "well"))


def test_a_service_that_is_well_passes_the_morning_and_every_question_has_its_answer(profile: Profile) -> None:
    done = profile.run("morning_check")
    assert done.status == 0, done.output
    assert done.report["verdict"] == "pass"
    assert "changed=0" in done.output
    found = rows(section(done.report, "At a glance"))
    assert found["Health"] == ["API ok", "pass"]
    assert found["Database"] == ["PostgreSQL ok", "pass"]
    assert found["Cache"] == ["Valkey ok", "pass"]
    assert found["Errors"][0].startswith("Failed requests 0 %")
    assert found["Disk"] == ["not configured", ""]
    assert rows(section(done.report, "Logs"))["Application"][1] == "0"
    assert "Not configured" in Page(done.page.read_text()).text


def test_faults_give_the_severity_its_reason_the_contact_and_the_lines_of_the_log(profile: Profile, service: ServiceProcess) -> None:
    service.ask("POST", "/faults", {"error_rate": 0.5, "slow_ms": 250})
    for number in range(12):
        service.chat(f"again {number}")
    done = profile.run("morning_check")
    assert done.status == 2
    assert done.report["verdict"] == "fail"
    assert done.report["severity"]["name"] == "P2"
    assert done.report["next_steps"][0].startswith("P2 Impaired, because too many requests fail (")
    assert "respond within 30 min" in done.report["next_steps"][0]
    assert done.report["next_steps"][1] == "Call On-call engineer (phone +48 22 000 00 00)"
    metrics = rows(section(done.report, "Metrics"))
    assert (metrics["Failed requests"][0], metrics["95th percentile"][0]) == ("fail", "warn")
    lines = [line for block in section(done.report, "Logs")["blocks"] for line in block.get("lines", [])]
    assert any("injected" in line or "ERROR" in line for line in lines), lines
    assert "P2 Impaired" in Page(done.page.read_text()).text


def test_a_lost_database_is_a_p1_and_a_service_that_is_gone_is_never_well(profile: Profile, service: ServiceProcess) -> None:
    service.ask("POST", "/faults", {"lost_database": True})
    lost = profile.run("morning_check")
    assert (lost.status, lost.report["verdict"], lost.report["severity"]["name"]) == (2, "fail", "P1")
    service.ask("DELETE", "/faults")
    service.stop()
    gone = profile.run("morning_check")
    service.start()
    assert (gone.status, gone.report["verdict"]) == (2, "fail")
    verdicts = {row[0]["text"]: row[1]["text"] for block in section(gone.report, "Metrics")["blocks"] for row in block["rows"]}
    assert set(verdicts.values()) <= {"fail", "unknown"}


def test_check_mode_asks_everything_and_writes_nothing(profile: Profile, service: ServiceProcess) -> None:
    service.ask("POST", "/faults", {"lost_database": True})
    done = profile.run("morning_check", "--check", "--diff")
    assert done.status == 2
    assert "Morning check: fail" in done.output
    assert not profile.state.exists()


def test_a_store_that_was_never_backed_up_fails_the_evening_and_not_the_morning(profile: Profile, tmp_path: Path) -> None:
    stores = {"backup_stores": [{"kind": "postgresql", "name": "reference"}], "backup_folder": str(tmp_path / "backups")}
    evening = profile.run("evening_summary", **stores)
    assert evening.status == 2
    assert section(evening.report, "Backups")["verdict"] == "fail"
    assert profile.run("morning_check", **stores).status == 0


def test_a_backup_of_the_day_passes_the_evening(profile: Profile, stack: Stack, tmp_path: Path) -> None:
    store = {
        "kind": "postgresql", "name": "reference", "database": DATABASE, "login_host": "127.0.0.1", "login_port": stack.database.port,
        "login_user": "postgres", "login_password": stack.database.password, "tool_folder": tool_folder(), "rpo_s": 3600,
    }  # fmt: skip
    stores = {"backup_stores": [store], "backup_folder": str(tmp_path / "backups")}
    taken = profile.run("backup", "-e", "backup_hosts=operator", **stores)
    assert taken.status == 0, taken.output
    evening = profile.run("evening_summary", **stores)
    assert evening.status == 0, evening.output
    verdict, _name, proof, _size, count, _remark = rows(section(evening.report, "Backups"))["reference"]
    assert (verdict, proof, count) == ("pass", "verified", "1")
    assert any("Back up all stores" in row for row in rows(section(evening.report, "Procedures")))


def test_reports_on_weeks_say_that_minutes_are_not_enough_and_do_not_fail_for_it(profile: Profile) -> None:
    for playbook in ("slo_report", "capacity_report", "performance_report", "weekly_report"):
        done = profile.run(playbook)
        assert done.status == 0, done.output
        assert done.report["verdict"] == "unknown"
    strict = profile.run("slo_report", monitoring_fail_on=["unknown"])
    assert strict.status == 2


def test_a_profile_with_nothing_but_a_name_gets_reports_that_say_so(profile: Profile) -> None:
    keep = {"ansible_connection", "ansible_python_interpreter", "service_name", "procedure_state_folder"}
    profile.variables = {name: value for name, value in profile.variables.items() if name in keep}
    # Without stores there is nothing to report on recovery: that report stops before it starts, as the catalogue says.
    for playbook in set(KINDS) - {"recovery_report"}:
        done = profile.run(playbook)
        assert done.report["verdict"] == "unknown", done.output
        assert done.status == (2 if playbook in {"morning_check", "evening_summary"} else 0)


def test_no_secret_is_on_a_page_and_none_in_the_history(profile: Profile, service: ServiceProcess) -> None:
    service.ask("POST", "/chat", {"message": "password=swordfish-42 swordfish-42"}, **{"X-User-ID": "1"})
    profile.variables["health_checks"].append(
        {"name": "echo", "type": "http", "url": f"http://127.0.0.1:{service.port}/nowhere?token=swordfish-42", "retries": 0}
    )
    assert profile.run("morning_check").status == 2
    written = [path for path in profile.state.rglob("*") if path.is_file()]
    assert len(written) > 5
    leaks = [(path.name, secret) for path in written for secret in (*SECRETS, "swordfish") if secret.encode() in path.read_bytes()]
    assert leaks == []


def test_in_a_browser_every_page_fits_a_phone_loads_nothing_else_and_follows_the_dark(profile: Profile, service: ServiceProcess) -> None:
    service.ask("POST", "/faults", {"error_rate": 0.5})
    service.chat("a question")
    stores = {"backup_stores": [{"kind": "postgresql", "name": "reference", "rto_s": 60}], "backup_folder": str(profile.folder / "backups")}
    pages = [profile.run(playbook, **stores).page for playbook in KINDS]
    text = "[...document.querySelectorAll('p,td,th,dd,dt,li,span')]"
    tiny = "one.innerText && parseFloat(getComputedStyle(one).fontSize) < 11.5"
    with running_browser() as browser:
        for page in [*pages, pages[0].parent / "index.html"]:
            paper = set()
            for width, scheme in itertools.product((PHONE_PX, DESK_PX), ("light", "dark")):
                terms = {"viewport": {"width": width, "height": HEIGHT_PX}, "color_scheme": scheme, "is_mobile": width == PHONE_PX}
                with watched(browser, page.as_uri(), **terms) as seen:
                    assert width_px(seen.page) <= width, page
                    assert seen.complaints == []
                    assert seen.requests == [page.as_uri()]
                    assert seen.page.evaluate(f"{text}.filter(one => {tiny}).length") == 0, page
                    paper.add(seen.page.evaluate("getComputedStyle(document.body).backgroundColor"))
            assert len(paper) == 2
