# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A schedule that is set up while it is killed, or on a disk that is full: the old one or the new one is in place, never half of one."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.errors import NoSpace
from ansible_collections.sre.runbooks.plugins.module_utils.schedule import host
from ansible_collections.sre.runbooks.plugins.module_utils.schedule.set_up import OPTIONS, operate
from integration.test_disk_full import free, small_disk

THEIRS = "# root's own\n5 4 * * * root /usr/local/bin/own-work\n"
OLD: list[dict[str, Any]] = [
    {"procedure": "backup", "name": "stays", "at": "daily 07:00"},
    {"procedure": "backup", "name": "other", "at": "daily 07:10", "variables": {"schedule": "old"}},
    {"procedure": "backup", "name": "later", "at": "daily 07:20, 19:20"},
    {"procedure": "backup", "name": "goes", "at": "daily 07:30"},
]
NEW: list[dict[str, Any]] = [
    OLD[0],
    {**OLD[1], "procedure": "backup_verify", "variables": {"schedule": "new"}},
    {**OLD[2], "at": "Mon-Fri 08:20"},
    {"procedure": "backup", "name": "comes", "at": "every 90 min"},
]
STEPS = ("open", "fsync", "rename", "unlink")


class Schedule(NamedTuple):
    """What runs.

    Attributes:
        jobs: What may be started, by name.
        fires: What fires, each with when.
    """

    jobs: dict[str, Any]
    fires: set[tuple[str, str]]


class Host:
    """The folders in which cron and systemd look, with files of somebody else, and the state folder."""

    def __init__(self, folder: Path, scheduler: str) -> None:
        self.cron, self.units, self.state, self.scheduler = folder / "cron.d", folder / "units", folder / "state", scheduler
        for path in (self.cron, self.units):
            path.mkdir()
            for name in ("own-work", "sre-runbooks-shopping", "sre-runbooks-shop--mine.timer"):
                (path / name).write_text(THEIRS)

    def parameters(self, entries: list[dict[str, Any]]) -> dict[str, Any]:
        """Options of schedule_config."""
        values = {name: option.get("default") for name, option in OPTIONS.items()}
        where = {"cron_folder": str(self.cron), "unit_folder": str(self.units), "state_folder": str(self.state)}
        return {**values, **where, "profile": "shop", "entries": entries, "scheduler": self.scheduler, "python": sys.executable}

    def set_up(self, entries: list[dict[str, Any]]) -> Schedule:
        """Set a schedule up, and tell what then runs."""
        operate(self.parameters(entries), False)
        return self.runs()

    def killed(self, entries: list[dict[str, Any]], after: int) -> bool:
        """Set a schedule up in a process that ends by kill -9 after so many steps on files; returns whether it came to that."""
        child = os.fork()
        if not child:
            left = after

            def step(call: Callable[..., Any], *arguments: Any, **more: Any) -> Any:
                nonlocal left
                done, left = call(*arguments, **more), left - 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return done

            for name in STEPS:
                setattr(os, name, partial(step, getattr(os, name)))
            operate(self.parameters(entries), False)
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        assert status in (0, signal.SIGKILL)
        return bool(status)

    def runs(self) -> Schedule:
        """What cron or systemd would start, read as they read it: cron passes over names with a dot."""
        path = self.state / "schedule" / "shop" / "jobs.json"
        jobs = json.loads(path.read_text())["jobs"] if path.exists() else {}
        for job in jobs.values():
            del job["since"]
        fires = set()
        for file in self.cron.glob("sre-runbooks-shop*"):
            lines = [line.split() for line in file.read_text().splitlines() if line[:1].isdigit() or line[:1] == "*"]
            fires |= {(words[-1], " ".join(words[:5])) for words in lines if "." not in file.name and words[-2] == str(path)}
        for file in self.units.glob("sre-runbooks-shop--*.timer"):
            times = [line for line in file.read_text().splitlines() if line.startswith("OnCalendar=")]
            service = file.with_suffix(".service")
            command = service.read_text().split("ExecStart=")[1].splitlines()[0].split() if times and service.exists() else []
            fires |= {(command[-1], time) for time in times if command and command[-2] == str(path)}
        return Schedule(jobs, fires)

    def files(self) -> dict[str, str]:
        """Every file there is, but for the locks."""
        return {str(path): path.read_text() for path in (*self.cron.iterdir(), *self.units.iterdir(), *self.state.glob("schedule/shop/*"))}

    def theirs(self) -> None:
        """What others wrote is as it was."""
        for path in (self.cron, self.units):
            for name in ("own-work", "sre-runbooks-shopping", "sre-runbooks-shop--mine.timer"):
                assert (path / name).read_text() == THEIRS


def one_of(found: Schedule, *schedules: Schedule) -> int:
    """Which of the schedules is in place; all that it needs fires."""
    (number,) = [number for number, one in enumerate(schedules) if found.jobs == one.jobs]
    assert found.fires >= schedules[number].fires
    return number


@pytest.fixture(params=["cron", "systemd"])
def scheduler(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Who runs the entries. What systemd says of its units is seen elsewhere; here it would be asked a hundred times."""
    monkeypatch.setattr(host, "verify_units", lambda _units: [])
    return str(request.param)


def test_a_set_up_that_is_killed_at_whichever_step_leaves_the_old_schedule_or_the_new_one_and_the_next_one_cleans_up(
    scheduler: str, tmp_path: Path, tell: Callable[[str], None]
) -> None:
    one = Host(tmp_path, scheduler)
    new = one.set_up(NEW)
    clean = one.files()
    old = one.set_up(OLD)
    became: list[int] = []
    while one.killed(NEW, len(became)):
        became.append(one_of(one.runs(), old, new))
        one.theirs()
        assert one.set_up([OLD, NEW][len(became) % 2]) == [old, new][len(became) % 2]
        assert one.set_up(NEW) == new and one.files().keys() == clean.keys()
        assert one.set_up(OLD) == old
    assert one.runs() == new and became == sorted(became) and set(became) == {0, 1}
    count = f"{len(became)} steps: the old one in place up to step {became.count(0)}, the new one from there on"
    tell(f"kill -9 of a set-up of a schedule for {scheduler} after each of {count}")


def test_a_second_set_up_that_is_killed_after_a_killed_one_leaves_what_that_one_left_or_the_newest(scheduler: str, tmp_path: Path) -> None:
    one = Host(tmp_path, scheduler)
    newest = [{**NEW[2], "at": "daily 09:40"}]
    schedules = [one.set_up(entries) for entries in (newest, NEW, OLD)]
    stride = 2 if scheduler == "cron" else 6
    for first in range(1, 17 if scheduler == "cron" else 40, stride):
        for second in range(0, 20 if scheduler == "cron" else 40, stride):
            one.set_up(OLD)
            assert one.killed(NEW, first)
            left = one.runs()
            one.killed(newest, second)
            assert one_of(one.runs(), *schedules) in (0, one_of(left, *schedules))


@pytest.mark.needs_root
def test_a_disk_that_becomes_full_at_whichever_file_leaves_the_old_schedule_or_the_new_one(scheduler: str) -> None:
    with small_disk(4) as disk:
        one = Host(disk, scheduler)
        new = one.set_up(NEW)
        old = one.set_up(OLD)
        page, room = os.sysconf("SC_PAGE_SIZE"), 0
        outcomes: list[str] = []
        while not outcomes or outcomes[-1] != "completed":
            assert one.set_up(OLD) == old
            with (disk / "ballast").open("wb") as ballast:
                os.posix_fallocate(ballast.fileno(), 0, free(disk) - room)
            try:
                operate(one.parameters(NEW), False)
                outcomes.append("completed")
            except NoSpace as error:
                outcomes.append(("old", "new")[one_of(one.runs(), old, new)] if str(disk) in error.message else error.message)
            one.theirs()
            (disk / "ballast").unlink()
            room += page
        assert one.runs() == new
        assert "old" in set(outcomes) <= {"old", "new", "completed"}
        clean = set(one.files())
        shutil.rmtree(one.state / "schedule")
        assert one.set_up(NEW) == new and set(one.files()) == clean
