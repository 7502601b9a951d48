# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real cron and a real systemd read what the schedule gives them and start its runs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.schedule.job import read_status
from ansible_collections.sre.runbooks.plugins.module_utils.schedule.set_up import OPTIONS, operate
from integration.containers import Docker
from tools.debian_packages import NoPackage, program
from tools.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
ROOT = Path(__file__).resolve().parents[2]
ENTRIES = [
    {"procedure": "backup", "name": "tick", "at": "every 1 min"},
    {"procedure": "backup", "name": "monthly", "at": "first Sun 01:00", "time_zone": "Europe/Warsaw"},
]
# One minute, and what a busy machine takes for the start.
PATIENCE_S = 100


def parameters(folder: Path, **changes: Any) -> dict[str, Any]:
    """Options of schedule_config, the defaults filled in."""
    values = {name: option.get("default") for name, option in OPTIONS.items()}
    program_ = folder / "program"
    program_.write_text('#!/bin/sh\necho started "$@"\n')
    program_.chmod(0o755)
    own = {"profile": "shop", "entries": ENTRIES, "state_folder": str(folder / "state"), "ansible_playbook": str(program_)}
    return {**values, "collections_path": str(ROOT / "collections"), "python": sys.executable, **own, **changes}


class Cron:
    """A cron that has been at work since the first test, as each of them waits for the next minute.

    Attributes:
        folder: Everything of it.
        process: It; None where there is none, which `missing` explains.
    """

    def __init__(self, folder: Path, cache: Path) -> None:
        self.folder, self.missing = folder, ""
        self.process: subprocess.Popen[bytes] | None = None
        self.jobs = str(folder / "state" / "schedule" / "shop")
        if os.geteuid() != 0:
            self.missing = "cron lets root alone have folders of its own, by a mount"
            return
        try:
            found = Path(program("cron", "cron", cache))
        except NoPackage as error:
            self.missing = str(error)
            return
        # The program itself: within the user namespace of its starter it could not become the account of a line.
        unpacked = cache / "debian" / "cron" / "usr" / "sbin" / "cron"
        tables = folder / "cron.d"
        tables.mkdir()
        assert operate(parameters(folder, scheduler="cron", cron_folder=str(tables)), False)["changed"]
        (folder / "crontab").write_text("")
        # The machine's own tables are out of its sight.
        own = f"mount --bind {tables} /etc/cron.d && mount -t tmpfs none /var/spool && mkdir -p /var/spool/cron/crontabs"
        own += f" && mount -t tmpfs none /run && {{ [ ! -e /etc/crontab ] || mount --bind {folder}/crontab /etc/crontab; }}"
        command = ["unshare", "--mount", "sh", "-c", f"{own} && exec {unpacked if cache in found.parents else found} -f -L 15"]
        with (folder / "said").open("w") as said:
            self.process = subprocess.Popen(command, stdout=said, stderr=said)

    def stop(self) -> None:
        """End it."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)


@pytest.fixture(scope="module", autouse=True)
def cron(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cron]:
    one = Cron(tmp_path_factory.mktemp("cron"), cache)
    yield one
    one.stop()


class Machine:
    """A container with systemd as process 1.

    Attributes:
        folder: A folder that it shares with us, under the same path.
    """

    def __init__(self, environment: dict[str, str], name: str, folder: Path) -> None:
        self.environment, self.name, self.folder = environment, name, folder

    def run(self, *command: str) -> str:
        """What a command in it prints; it must succeed."""
        argv = ["docker", "exec", self.name, *command]
        done = subprocess.run(argv, env=self.environment, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def set_up(self, check_mode: bool = False, **changes: Any) -> dict[str, Any]:
        """Call schedule_config's operation in it."""
        values = parameters(self.folder, scheduler="auto", python="/usr/bin/python3", collections_path=str(self.folder / "c"), **changes)
        code = (
            "import json, sys; from ansible_collections.sre.runbooks.plugins.module_utils.schedule.set_up import operate;"
            "print(json.dumps(operate(json.loads(sys.argv[1]), sys.argv[2] == 'True')))"
        )
        said = self.run("env", f"PYTHONPATH={self.folder / 'c'}", "python3", "-c", code, json.dumps(values), str(check_mode))
        found: dict[str, Any] = json.loads(said)
        return found

    def timers(self) -> list[str]:
        """The timers of the schedule that are there, by name."""
        return sorted(
            one["unit"] for one in json.loads(self.run("systemctl", "list-timers", "--all", "-o", "json")) if "sre-" in one["unit"]
        )


@pytest.fixture
def machine(docker: Docker, tmp_path: Path) -> Iterator[Machine]:
    name = docker.name("schedule")
    library = tmp_path / "c" / "ansible_collections" / "sre" / "runbooks" / "plugins"
    library.parent.mkdir(parents=True)
    shutil.copytree(ROOT / "plugins" / "module_utils", library / "module_utils", ignore=shutil.ignore_patterns("__pycache__"))
    docker.begin_systemd(name, f"--volume={tmp_path}:{tmp_path}")
    try:
        docker.await_systemd(name)
        yield Machine(docker.environment, name, tmp_path)
    finally:
        docker("rm", "--force", name)


@pytest.mark.docker
def test_systemd_starts_the_run_of_the_minute_takes_changes_and_forgets_what_is_removed(
    machine: Machine, tell: Callable[[str], None]
) -> None:
    assert machine.set_up(check_mode=True)["changed"]
    assert machine.timers() == []
    done = machine.set_up()
    assert (done["scheduler"], done["changed"]) == ("systemd", True)
    assert machine.timers() == ["sre-runbooks-shop--monthly.timer", "sre-runbooks-shop--tick.timer"]
    assert not machine.set_up()["changed"]
    # Somebody stops a timer: that is seen and mended.
    machine.run("systemctl", "stop", "sre-runbooks-shop--monthly.timer")
    assert machine.set_up(check_mode=True)["started"] == ["sre-runbooks-shop--monthly.timer"]
    assert machine.set_up()["changed"]
    assert machine.run("systemctl", "is-active", "sre-runbooks-shop--monthly.timer").strip() == "active"
    jobs = machine.folder / "state" / "schedule" / "shop"
    try:
        wait_until("systemd starts it", lambda: read_status(str(jobs), "tick").get("status") == "succeeded", PATIENCE_S)
    except AssertionError as error:
        error.add_note(
            machine.run("sh", "-c", "date; journalctl --no-pager --unit='sre-runbooks-shop--*' | tail -30; systemctl list-timers --all")
        )
        error.add_note(str(sorted(path.name for path in jobs.iterdir())))
        raise
    status = read_status(str(jobs), "tick")
    tell(f"systemd: run for {status['due']} began at {status['started_at']}")
    # A new time reaches the running timer.
    changed = [ENTRIES[0], {**ENTRIES[1], "at": "last Sun 03:00"}]
    machine.set_up(entries=changed)
    assert "Sun *-*~07/1 03:00:00" in machine.run("systemctl", "show", "--property=TimersCalendar", "sre-runbooks-shop--monthly.timer")
    machine.set_up(entries=[])
    assert machine.timers() == []
    assert "sre-runbooks" not in machine.run("ls", "/etc/systemd/system", "/etc/systemd/system/timers.target.wants")


@pytest.mark.needs_root
def test_cron_starts_the_run_of_the_minute_and_no_other(cron: Cron, tell: Callable[[str], None]) -> None:
    if cron.process is None:
        pytest.skip(cron.missing)
    ended = cron.process.poll
    wait_until("cron starts it", lambda: ended() is not None or read_status(cron.jobs, "tick").get("status") == "succeeded", PATIENCE_S)
    status = read_status(cron.jobs, "tick")
    assert status["status"] == "succeeded", (cron.folder / "said").read_text()
    assert "started" in Path(status["log"]).read_text()
    assert status["due"].endswith(":00.000Z")
    assert read_status(cron.jobs, "monthly") == {}
    tell(f"cron: a run for {status['due']} began at {status['started_at']}")
