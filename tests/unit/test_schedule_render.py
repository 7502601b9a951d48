# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What cron, systemd, AWX and Semaphore are given makes them run every moment of the schedule once, also when the clocks change."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from dateutil import rrule

import ansible_collections
from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput
from ansible_collections.sre.runbooks.plugins.module_utils.schedule.cron import cron_file, cron_times
from ansible_collections.sre.runbooks.plugins.module_utils.schedule.entry import Entry, entries_of
from ansible_collections.sre.runbooks.plugins.module_utils.schedule.front_ends import (
    awx_schedules,
    cron_formats,
    rrules,
    semaphore_content,
)
from ansible_collections.sre.runbooks.plugins.module_utils.schedule.host import verify_units
from ansible_collections.sre.runbooks.plugins.module_utils.schedule.job import Job
from ansible_collections.sre.runbooks.plugins.module_utils.schedule.moments import is_due_on, runs_between, zone_of
from ansible_collections.sre.runbooks.plugins.module_utils.schedule.start import is_new
from ansible_collections.sre.runbooks.plugins.module_utils.schedule.systemd import on_calendar, service_unit, timer_unit
from ansible_collections.sre.runbooks.plugins.module_utils.state import utc_text
from ansible_collections.sre.runbooks.tests.unit.schedules import TIMES, ZONES, entry, firings

SET_UP = datetime(2026, 1, 1, tzinfo=UTC)
# Around the changes of the clocks of all zones, and the turn of a month.
WINDOWS = [
    (datetime(2026, 3, 7, 12, tzinfo=UTC), datetime(2026, 3, 9, tzinfo=UTC)),
    (datetime(2026, 3, 28, 12, tzinfo=UTC), datetime(2026, 4, 2, tzinfo=UTC)),
    (datetime(2026, 4, 4, 6, tzinfo=UTC), datetime(2026, 4, 6, tzinfo=UTC)),
    (datetime(2026, 10, 24, 12, tzinfo=UTC), datetime(2026, 10, 26, 12, tzinfo=UTC)),
    (datetime(2026, 10, 31, 12, tzinfo=UTC), datetime(2026, 11, 2, tzinfo=UTC)),
]
needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze, the judge, is not here")


def begun(one: Entry, moments: Iterable[datetime], begin: datetime) -> list[datetime]:
    """For which moments runs begin when a scheduler fires at these, by the rule of the starter."""
    job = Job("p", one.name, one.procedure, one.table.text, one.zone_name, utc_text(begin + timedelta(seconds=1)), [])
    status: dict[str, str] = {}
    found = []
    for moment in moments:
        due = one.previous_run(moment + timedelta(seconds=30))
        if due is not None and is_new(job, status, due):
            status = {"due": utc_text(due)}
            assert timedelta(0) <= moment - due < timedelta(minutes=1), f"{one.spoken}: {due} begins at {moment}"
            found.append(due)
    return found


@pytest.mark.parametrize("clock", ["UTC", "Europe/Warsaw"])
@pytest.mark.parametrize("zone", ["Europe/Warsaw", "America/New_York", "Australia/Lord_Howe"])
@pytest.mark.parametrize("at", TIMES)
def test_cron_begins_every_run_once_whatever_clock_it_goes_by(at: str, zone: str, clock: str) -> None:
    one = entry(at, zone)
    lines = cron_times(one, zone_of(clock), clock == zone, SET_UP)
    for begin, end in WINDOWS:
        wanted = runs_between(one.table, one.zone, begin, end - timedelta(minutes=1))
        assert begun(one, firings(lines, zone_of(clock), begin, end), begin) == wanted


@needs_systemd
@pytest.mark.parametrize("at", TIMES)
def test_systemd_begins_every_run_once(at: str) -> None:
    for zone in ZONES:
        one = entry(at, zone)
        calendars = on_calendar(one, SET_UP)
        for begin, end in WINDOWS:
            # No more than what is in the window: each costs systemd half a millisecond. Twice a day is the most of what is no interval.
            often = (end - begin).total_seconds() / one.table.every_s if one.table.every_s else 2 * (end - begin).days
            moments = elapses(calendars, begin, end, min(int(often) + 6, 720))
            last = max(moments, default=end)
            wanted = runs_between(one.table, one.zone, begin, min(end - timedelta(minutes=1), last))
            assert begun(one, moments, begin) == wanted, (zone, calendars)


def elapses(calendars: list[str], begin: datetime, end: datetime, most: int) -> list[datetime]:
    """When timers with these calendars elapse, as systemd itself says."""
    command = ["systemd-analyze", "calendar", f"--base-time={begin:%Y-%m-%d %H:%M:%S} UTC", f"--iterations={most}", *calendars]
    said = subprocess.run(command, env={"TZ": "UTC", "LC_ALL": "C"}, capture_output=True, text=True, check=True).stdout
    found = re.findall(r"(?:Next elapse|Iter(?:ation|\.) #\d+): (\w{3} [\d-]+ [\d:]+ UTC)", said)
    moments = {datetime.strptime(one, "%a %Y-%m-%d %H:%M:%S %Z").replace(tzinfo=UTC) for one in found}
    return sorted(moment for moment in moments if moment < end)


@needs_systemd
def test_systemd_takes_the_units_whatever_is_in_their_names_and_paths() -> None:
    one = entry("first Sun 01:00", "Europe/Warsaw", name='50% "$HOME" x')
    argv = ["/usr/bin/env", "A=b c", "/bin/echo", 'a "quoted" path', "100%", "$HOME", "back\\slash"]
    units = {"a.service": service_unit("# head", argv, "50% of it", "root"), "a.timer": timer_unit("# head", one, "50% of it", SET_UP)}
    assert verify_units(units) == []
    assert "Persistent=true" in units["a.timer"]
    broken = {**units, "a.timer": units["a.timer"].replace("OnCalendar=Sun", "OnCalendar=Someday")}
    assert verify_units(broken)


@pytest.mark.parametrize("at", [at for at in TIMES if at not in ("every 7 min", "every 5 h")])
@pytest.mark.parametrize("zone", ZONES)
def test_awx_runs_every_moment_that_the_clocks_do_not_skip(at: str, zone: str) -> None:
    one = entry(at, zone)
    for begin, end in WINDOWS:
        found: set[datetime] = set()
        for rule in rrules(one).values():
            read = rrule.rrulestr(rule, forceset=True, tzinfos={"UTC": UTC})
            found |= {moment.astimezone(UTC) for moment in read.between(begin, end, inc=False)}
        wanted = set(runs_between(one.table, one.zone, begin, end - timedelta(seconds=1)))
        moved = {moment for moment in wanted if not one.table.every_s and not on_the_wall(one, moment)}
        # dateutil moves what the clocks skip, as this library does; AWX leaves it out, and schedule_setup says so.
        assert found - moved == wanted - moved


def on_the_wall(one: Entry, moment: datetime) -> bool:
    """Whether the wall shows the time that the entry names."""
    wall = moment.astimezone(one.zone)
    return wall.hour * 60 + wall.minute in one.table.minutes


@pytest.mark.parametrize("at", [at for at in TIMES if at not in ("every 7 min", "every 5 h")])
def test_awx_accepts_the_rules(at: str) -> None:
    """What the serializer of AWX refuses (awx/api/serializers.py, SchedulePreviewSerializer)."""
    for schedule in awx_schedules([entry(at, "Europe/Warsaw")], "paralegal", "{profile} {procedure}"):
        rule = str(schedule["rrule"])
        assert len(re.findall(r"DTSTART(?:;TZID=[\w/]+)?:\d{8}T\d{6}Z?", rule)) == 1
        assert not re.search(r"DTSTART:\d+T\d+ ", rule), "a moment without a zone"
        assert re.search(r"RRULE:\S*INTERVAL=\d+", rule)
        assert not re.search(r"SECONDLY|BYDAY=[0-9]|EXDATE|RDATE|UNTIL|COUNT", rule)
        assert schedule["unified_job_template"] == "paralegal backup"


def test_awx_schedules_have_the_options_of_the_module_that_brings_them_there() -> None:
    found = [Path(path) / "awx/awx/plugins/modules/schedule.py" for path in ansible_collections.__path__]
    there = [path for path in found if path.is_file()]
    if not there:
        pytest.skip("the collection awx.awx is not installed")
    text = there[0].read_text(encoding="utf-8")
    options = yaml.safe_load(re.search(r"DOCUMENTATION = r?'''(.*?)'''", text, re.DOTALL)[1])["options"]  # type: ignore[index]
    (schedule,) = awx_schedules([entry("first Sun 01:00", variables={"days": 7})], "p", "{profile} {procedure}")
    assert set(schedule) <= set(options)
    assert schedule["extra_data"]["days"] == 7
    assert schedule["rrule"] == "DTSTART:20260101T010000Z RRULE:FREQ=MONTHLY;INTERVAL=1;BYDAY=SU;BYSETPOS=1"


@pytest.mark.parametrize("at", [at for at in TIMES if at not in ("every 7 min", "every 5 h")])
@pytest.mark.parametrize("zone", ["UTC", "Europe/Warsaw", "Asia/Kathmandu"])
def test_semaphore_runs_every_moment_on_its_day_once(at: str, zone: str) -> None:
    one = entry(at, zone)
    content = semaphore_content([one], "p", "{profile} {procedure}")
    told = json.loads(json.loads(content["templates"][0]["arguments"])[1])["procedure_schedule"]
    begin, end = datetime(2026, 5, 29, 0, 1, tzinfo=UTC), datetime(2026, 6, 8, tzinfo=UTC)
    found = []
    for text in cron_formats(one):
        zone_text, _space, fields = text.partition(" ")
        clock = zone_of(zone_text.removeprefix("CRON_TZ="))
        found += [moment for moment in firings([fields], clock, begin, end) if not told["look"] or is_due_on(one.table, one.zone, moment)]
    assert sorted(found) == runs_between(one.table, one.zone, begin - timedelta(seconds=1), end - timedelta(seconds=1))


def test_semaphore_gets_what_its_interface_names() -> None:
    """Names of its published description (api-docs.yml, ScheduleRequest and TemplateRequest); `template` stands for the template's id."""
    content = semaphore_content([entry("first Sun 01:00", "Europe/Warsaw", variables={"days": 7})], "p", "{profile} {procedure}")
    (schedule,), (template,) = content["schedules"], content["templates"]
    assert set(schedule) - {"template"} <= {"id", "cron_format", "project_id", "template_id", "name", "active"}
    assert set(template) <= {"name", "playbook", "arguments", "description", "allow_override_args_in_task", "app", "project_id"}
    assert schedule["cron_format"] == "CRON_TZ=Europe/Warsaw 0 1 1-7 * *"
    assert schedule["template"] == template["name"]
    assert json.loads(template["arguments"])[0] == "--extra-vars"
    assert template["playbook"] == "playbooks/backup.yml"


@pytest.mark.parametrize(("at", "step"), [("every 7 min", "every 6 min"), ("every 5 h", "every 4 h")])
def test_what_the_front_ends_cannot_keep_to_is_refused_with_what_they_can(at: str, step: str) -> None:
    for make in (rrules, cron_formats):
        with pytest.raises(BadInput, match=step):
            make(entry(at))


def test_the_file_for_cron_names_zones_where_that_cron_knows_them_and_quotes_what_a_shell_would_read() -> None:
    pairs = [(entry("daily 02:00", "Europe/Warsaw"), ["/bin/echo", "it's 100%", "$HOME"])]
    text = cron_file("# head", pairs, account="ops", named_zones=True, clock=UTC, clock_name="UTC", now=SET_UP)
    assert text.splitlines()[0] == "# head"
    assert "CRON_TZ=Europe/Warsaw\n0 2" in text
    line = text.splitlines()[-1]
    assert " ops " in line
    command = line.split(" ops ", 1)[1].replace("\\%", "%")
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout == "it's 100% $HOME\n"
    plain = cron_file("# head", pairs, account="ops", named_zones=False, clock=UTC, clock_name="UTC", now=SET_UP)
    assert "CRON_TZ" not in plain
    assert "\n0 * * * * ops " in plain


def test_in_the_file_for_cron_no_time_zone_stands_before_an_interval() -> None:
    pairs = [(entry("daily 02:00", "Asia/Kathmandu"), ["/bin/daily"]), (entry("every 90 min"), ["/bin/often"])]
    text = cron_file("# head", pairs, account="ops", named_zones=True, clock=UTC, clock_name="UTC", now=SET_UP)
    assert 0 < text.index("/bin/often") < text.index("CRON_TZ=Asia/Kathmandu") < text.index("/bin/daily")


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ([{"at": "daily 02:00"}], "names no procedure"),
        ([{"procedure": "backup", "at": "sometimes"}], "cannot be understood"),
        ([{"procedure": "backup", "at": "daily 02:00", "time_zone": "Mars/Base"}], "no time zone"),
        ([{"procedure": "backup", "at": "every 30 s"}], "smallest step is a minute"),
        ([{"procedure": "backup", "at": "daily 02:00", "variables": {"db_password": "x"}}], "secret variable 'db_password'"),
        ([{"procedure": "backup", "at": "daily 02:00", "variables": ["x"]}], "no dictionary"),
        ([{"procedure": "backup", "at": "daily 02:00", "grace_s": -1}], "no positive number"),
        (
            [{"procedure": "backup", "at": "daily 02:00", "name": "a"}, {"procedure": "backup", "at": "daily 03:00", "name": "A"}],
            "Two entries",
        ),
        (["backup"], "names no procedure"),
        ("backup", "no list"),
        ([{"procedure": "restore", "at": "daily 02:00"}], "destroys"),
        ([{"procedure": "backups", "at": "daily 02:00"}], "no procedure"),
    ],
)
def test_an_entry_that_makes_no_sense_is_refused_by_its_place(entries: object, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        entries_of(entries, procedures={"backup": {}, "restore": {"changes": "destroys"}})


def test_entries_without_names_are_told_apart_by_their_variables_or_times() -> None:
    values = [
        {"procedure": "morning_check", "at": "daily 09:00"},
        {"procedure": "backup", "at": "daily 02:00", "variables": {"backup_store": "paralegal_prod"}},
        {"procedure": "backup", "at": "Sun 03:00"},
    ]
    assert [one.name for one in entries_of(values)] == ["morning_check", "backup-paralegal_prod", "backup-sun-03-00"]
    assert [one.name for one in entries_of(values[::-1])] == ["backup-sun-03-00", "backup-paralegal_prod", "morning_check"]
