# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What is noted of a schedule on the host that starts it: its jobs (what to start), and each one's status (what became of it).

Both lie in `schedule/<profile>` of the state folder, beside the logs of the last runs. All jobs are in one file, so that a schedule takes
the place of another in one step.
"""

from __future__ import annotations

import json
import os
import typing as t
from dataclasses import asdict, dataclass, field
from datetime import datetime

from ..errors import BadInput, RunbookError
from ..files import write_json
from ..state import file_mode, slug, utc_time
from .entry import TIMEOUT_S
from .moments import previous_run, zone_of
from .timetable import parse

FORMAT = "sre.runbooks/schedule_jobs/1"
FOLDER = "schedule"
JOBS = "jobs.json"
STATUS, LOG = ".status.json", ".log"


@dataclass(frozen=True)
class Job:
    """What is started for an entry.

    Attributes:
        profile: Name of the profile.
        name: Name of the entry.
        procedure: Name of the procedure.
        at: When, as the profile says it.
        time_zone: In which time zone.
        since: When it was first set up so, as utc_text writes it: what was due before is not missed.
        argv: Program and arguments; those that differ from run to run are added.
        variables: Extra variables.
        environment: Environment variables, none of them secret.
        environment_file: File with further ones, which may be secret; empty for none.
        folder: Working folder; empty for `/`.
        state_folder: State folder of the run.
        timeout_s: Seconds after which it is ended.
        keep_logs: How many logs are kept that are in no run record.
        scheduler: Who starts it.
    """

    profile: str
    name: str
    procedure: str
    at: str
    time_zone: str
    since: str
    argv: t.Sequence[str]
    variables: t.Mapping[str, t.Any] = field(default_factory=dict)
    environment: t.Mapping[str, str] = field(default_factory=dict)
    environment_file: str = ""
    folder: str = ""
    state_folder: str = ""
    timeout_s: float = TIMEOUT_S
    keep_logs: int = 10
    scheduler: str = ""

    def due(self, now: datetime) -> t.Optional[datetime]:
        """The last moment at or before `now` at which it was due."""
        return previous_run(parse(self.at), zone_of(self.time_zone), now)


def folder_of(state: str, profile: str) -> str:
    """Where the jobs of a profile lie."""
    return os.path.join(state, FOLDER, slug(profile) or "profile")


def jobs_path(folder: str) -> str:
    """The file of a profile's jobs."""
    return os.path.join(folder, JOBS)


def jobs_text(jobs: t.Iterable[Job]) -> str:
    """The content of that file."""
    content = {"format": FORMAT, "jobs": {job.name: asdict(job) for job in jobs}}
    return json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def read_jobs(path: str) -> t.Dict[str, Job]:
    """The jobs in a file, by name.

    Raises:
        BadInput: They cannot be read.
    """
    try:
        with open(path, encoding="utf-8") as stream:
            content = json.load(stream)
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise ValueError("it holds no jobs of a schedule")
        jobs = {str(name): Job(**job) for name, job in content["jobs"].items()}
        for job in jobs.values():
            parse(job.at)
            zone_of(job.time_zone)
            utc_time(job.since)
        return jobs
    except (OSError, ValueError, TypeError, KeyError, AttributeError, BadInput) as error:
        why = error.message if isinstance(error, RunbookError) else str(error)
        step = "set the schedule up again (schedule_setup)"
        raise BadInput("What the schedule starts cannot be read", where=path, why=why, next_step=step) from None


def read_status(folder: str, name: str) -> t.Dict[str, t.Any]:
    """What became of an entry's runs; empty when there was none, or when nobody can read it."""
    try:
        with open(os.path.join(folder, f"{name}{STATUS}"), encoding="utf-8") as stream:
            content = json.load(stream)
        return content if isinstance(content, dict) else {}
    except (OSError, ValueError):
        return {}


def write_status(folder: str, name: str, status: t.Mapping[str, t.Any]) -> None:
    """Note what became of an entry's runs."""
    write_json(os.path.join(folder, f"{name}{STATUS}"), dict(status), file_mode(folder))
