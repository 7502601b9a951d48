# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""schedule_setup, schedule_remove and schedule_check as people run them."""

from __future__ import annotations

import http.server
import json
import os
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.state import utc_text
from integration.monitoring_trial import WebHook

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
HOSTS = '[operator]\nlocalhost ansible_connection=local ansible_python_interpreter="{{ ansible_playbook_python }}"\n'


class Service:
    """A profile with a schedule, and the folders that cron and systemd would look into."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.state = folder, folder / "state"
        self.cron, self.units = folder / "cron.d", folder / "units"
        self.inventory = folder / "shop"
        for path in (self.cron, self.units, self.inventory):
            path.mkdir()
        (self.inventory / "hosts.ini").write_text(HOSTS)
        self.jobs = self.state / "schedule" / "shop"
        self.values: dict[str, Any] = {
            "service_name": "shop",
            "schedule_scheduler": "systemd",
            "schedule_cron_folder": str(self.cron),
            "schedule_unit_folder": str(self.units),
            "schedule_entries": [
                {"procedure": "weekly_report", "at": "first Sun 01:00", "time_zone": "Europe/Warsaw"},
                # The shop sets its own schedule up anew each minute, which is harmless and leaves a record.
                {"procedure": "schedule_setup", "name": "tick", "at": "every 1 min"},
            ],
        }

    def run(self, procedure: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a playbook of the collection."""
        environment = {**os.environ, "SRE_RUNBOOKS_STATE": str(self.state), "ANSIBLE_LOCALHOST_WARNING": "False"}
        (self.inventory / "group_vars").mkdir(exist_ok=True)
        (self.inventory / "group_vars" / "all.json").write_text(json.dumps(self.values))
        command = [str(BIN / "ansible-playbook"), f"playbooks/{procedure}.yml", "-i", str(self.inventory / "hosts.ini")]
        return subprocess.run([*command, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)

    def well(self, procedure: str, *arguments: str) -> str:
        """The same, which must succeed; what it printed."""
        done = self.run(procedure, *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @property
    def files(self) -> dict[str, str]:
        """All files of the schedule with their content."""
        found = [path for folder in (self.cron, self.units, self.jobs) for path in folder.glob("*") if path.is_file()]
        return {path.name: path.read_text() for path in found}


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(tmp_path)


def test_check_mode_tells_what_setup_then_does_a_second_run_changes_nothing_and_another_scheduler_takes_its_place(service: Service) -> None:
    told = service.well("schedule_setup", "--check", "--diff")
    assert "OnCalendar=Sun *-*-01..07 01:00:00 Europe/Warsaw" in told
    assert "weekly_report: first sun 01:00 Europe/Warsaw, next " in told
    assert service.files == {}
    assert "changed=1" in service.well("schedule_setup")
    names = ["sre-runbooks-shop--tick.service", "sre-runbooks-shop--tick.timer"]
    assert {*names, "jobs.json"} < set(service.files)
    assert set(json.loads(service.files["jobs.json"])["jobs"]) == {"weekly_report", "tick"}
    assert "changed=0" in service.well("schedule_setup")
    # Somebody else's unit, of almost the same name, and an entry that is dropped.
    (service.units / "sre-runbooks-shop--mine.timer").write_text("[Timer]\nOnCalendar=daily\n")
    del service.values["schedule_entries"][1]
    service.well("schedule_setup")
    assert not set(names) & set(service.files)
    assert "sre-runbooks-shop--mine.timer" in service.files
    service.values["schedule_scheduler"] = "cron"
    service.well("schedule_setup")
    assert sorted(service.files) == ["jobs.json", "sre-runbooks-shop", "sre-runbooks-shop--mine.timer"]
    service.well("schedule_remove")
    assert sorted(service.files) == ["sre-runbooks-shop--mine.timer"]


def test_a_file_of_somebody_else_in_the_way_and_an_entry_without_sense_stop_it_before_anything_is_written(service: Service) -> None:
    (service.units / "sre-runbooks-shop--tick.timer").write_text("[Timer]\nOnCalendar=daily\n")
    done = service.run("schedule_setup")
    assert done.returncode != 0
    assert "A file that the schedule did not make lies where one is to be" in done.stdout + done.stderr
    assert list(service.files) == ["sre-runbooks-shop--tick.timer"]
    service.values["schedule_entries"].append({"procedure": "restore", "at": "daily 01:00"})
    done = service.run("schedule_setup")
    assert "restore destroys, and nobody is there to confirm it" in done.stdout + done.stderr
    assert list(service.files) == ["sre-runbooks-shop--tick.timer"]


@pytest.mark.needs_root
@pytest.mark.skipif(os.geteuid() != 0, reason="only root schedules runs of another account")
def test_another_account_runs_the_schedule_when_the_state_folder_is_its_own(service: Service) -> None:
    service.state.mkdir(mode=0o700)
    service.values.update(schedule_account="nobody", schedule_scheduler="cron")
    assert "has no state folder of its own" in service.run("schedule_setup").stdout
    assert service.files == {}
    shutil.chown(service.state, "nobody")
    service.well("schedule_setup")
    assert {path.owner() for path in (service.jobs.parent, service.jobs, service.jobs / "jobs.json")} == {"nobody"}
    assert " nobody /usr/bin/env PYTHONPATH=" in service.files["sre-runbooks-shop"]


def test_awx_and_semaphore_get_a_file_for_their_interfaces_and_hear_what_they_pass_over(service: Service) -> None:
    service.values["schedule_entries"][0]["at"] = "last Sun 02:30"
    service.values["schedule_scheduler"] = "awx"
    told = service.run("schedule_setup")
    assert (
        "awx passes over what the clocks skip in spring: give weekly_report a time before 01:00 or after 04:00" in told.stdout + told.stderr
    )
    schedules = json.loads((service.jobs / "awx.json").read_text())
    assert schedules[0]["rrule"] == "DTSTART;TZID=Europe/Warsaw:20260101T023000 RRULE:FREQ=MONTHLY;INTERVAL=1;BYDAY=SU;BYSETPOS=-1"
    service.values["schedule_scheduler"] = "semaphore"
    service.well("schedule_setup")
    assert not (service.jobs / "awx.json").exists()
    assert json.loads((service.jobs / "semaphore.json").read_text())["schedules"][1]["cron_format"] == "CRON_TZ=UTC */1 * * * *"


def test_a_run_whose_scheduler_names_too_many_days_ends_without_a_record_on_the_wrong_ones(service: Service) -> None:
    today = datetime.now(UTC).strftime("%a")
    other = (datetime.now(UTC) + timedelta(days=3)).strftime("%a")
    for day, runs in ((other, 0), (today, 1)):
        told = {"procedure_schedule": {"name": "x", "at": f"{day} 00:00", "time_zone": "UTC", "look": True}}
        service.well("schedule_remove", "-e", json.dumps(told))
        records = list(service.state.glob("runs/*/record.json"))
        assert len(records) == runs
    assert "schedule:shop:x" in json.loads(records[0].read_text())["resources"]


class Pings(http.server.ThreadingHTTPServer):
    """Counts the calls that it gets."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        pings = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                pings.paths.append(self.path)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_arguments: Any) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()


@pytest.fixture
def pings() -> Iterator[Pings]:
    server = Pings()
    yield server
    server.shutdown()
    server.server_close()


def test_a_missed_run_fails_the_check_and_is_told_once_and_its_end_too_and_only_then_the_watcher_outside_is_called(
    service: Service, pings: Pings
) -> None:
    service.values["schedule_ping_url"] = f"http://127.0.0.1:{pings.server_port}/secret-path"
    service.values["schedule_entries"] = [service.values["schedule_entries"][1]]
    with WebHook() as hook:
        service.values["notify_channels"] = {"warning": [f"json://127.0.0.1:{hook.port}/on-call"]}
        assert "the schedule has not been set up for it" in service.run("schedule_check").stdout
        service.well("schedule_setup")
        # Somebody has just run the only entry's procedure by hand.
        assert "ON_TIME  tick (every 1 min)" in service.well("schedule_check")
        assert (len(hook.taken), pings.paths) == (2, ["/secret-path"])
        # It was set up an hour ago, and nobody has run it since.
        shutil.rmtree(service.state / "runs")
        path = service.jobs / "jobs.json"
        content = json.loads(path.read_text())
        content["jobs"]["tick"]["since"] = utc_text(datetime.now(UTC) - timedelta(hours=1))
        path.write_text(json.dumps(content))
        for _number in range(2):
            done = service.run("schedule_check")
            assert done.returncode != 0
            assert "MISSED   tick (every 1 min): it was due " in done.stdout
            assert "runs are missing" in done.stdout
        assert (len(hook.taken), len(pings.paths)) == (3, 1)
        assert "MISSED" in str(hook.taken[-1][1])
        # What systemd would start, for real.
        (line,) = [line for line in service.files["sre-runbooks-shop--tick.service"].splitlines() if line.startswith("ExecStart=")]
        plain = {"PATH": "/usr/bin:/bin"}
        subprocess.run(shlex.split(line.removeprefix("ExecStart=")), env=plain, cwd="/", timeout=120, check=True)
        assert "All 1 entries of the schedule are on time" in service.well("schedule_check")
        assert (len(hook.taken), len(pings.paths)) == (4, 2)
        assert "OVER     tick runs again" in str(hook.taken[-1][1])
    (record,) = [path for path in service.state.glob("runs/*/record.json") if "schedule:shop:tick" in path.read_text()]
    assert json.loads(record.read_text())["status"] == "succeeded"
    assert "PLAY RECAP" in (record.parent / "output.log").read_text()
    assert "secret-path" not in "".join(path.read_text() for path in service.state.rglob("*") if path.is_file())
