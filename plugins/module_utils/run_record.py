# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The record of a run: what was done, when, with what result. JSON for programs; run_report.py makes it readable.

The folder `runs/<run id>` of the state folder holds `record.json`, `report.md` and `report.html`. While the run goes on, the folder
`active` holds a marker for it; a marker whose process is gone belongs to a run that was killed.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import typing as t
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from .controller import Controller
from .errors import BadInput, RunbookError
from .files import fsync_path, write_atomically, write_json
from .run_clean import Cleaner
from .run_report import as_html, as_markdown
from .state import file_mode, make_folder, spoken, utc_now, utc_text, utc_time

FORMAT = "sre.runbooks/run/1"
RUNS, ACTIVE = "runs", "active"
RECORD = "record.json"
REPORTS: t.Dict[str, t.Callable[[t.Mapping[str, t.Any]], str]] = {"report.md": as_markdown, "report.html": as_html}
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,119}")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,59}")
_GRACE_S = 60.0
"""How long after its lease ran out a run is given up whose process cannot be seen from here."""


@dataclass(frozen=True)
class Beginning:
    """What is known of a run when it begins.

    Attributes:
        procedure: Short name of the procedure (`restore`).
        title: What it does, in one line.
        profile: The service's inventory.
        target: Name of what it is done to.
        resources: What it holds leases on.
        reason: Why it is done.
        who: The person or robot.
        versions: Of ansible-core, collection and Python.
        expires_at: When its leases run out.
        incident: Id of the incident that it belongs to; empty for none.
        controller: The process that carries it out.
    """

    procedure: str
    title: str
    profile: str
    target: str
    resources: t.Sequence[str]
    reason: str
    who: str
    versions: t.Mapping[str, str]
    expires_at: datetime
    incident: str = ""
    controller: t.Optional[Controller] = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.procedure):
            raise BadInput(
                f"{self.procedure!r} is no name of a procedure",
                next_step="use lower-case letters, digits and underscores, a letter in front",
            )


@dataclass(frozen=True)
class Ending:
    """What is known of a run when it ends.

    Attributes:
        status: `succeeded`, `failed` or `abandoned`.
        steps: As run_steps.py gives them.
        decisions: Sentences: what was chosen, and why.
        measurements: As run_steps.py gives them.
        error: `message`, `what`, `where`, `why`, `next_step`, `step`; None when all went well.
        diffs: What changed: `step`, `before`, `after`.
    """

    status: str
    steps: t.Sequence[t.Mapping[str, t.Any]] = ()
    decisions: t.Sequence[str] = ()
    measurements: t.Mapping[str, t.Any] = field(default_factory=dict)
    error: t.Optional[t.Mapping[str, t.Any]] = None
    diffs: t.Sequence[t.Mapping[str, t.Any]] = ()


class Runs:
    """The runs of a state folder.

    Attributes:
        state: The state folder.
    """

    def __init__(self, state: str, clock: t.Callable[[], datetime] = utc_now) -> None:
        self.state = state
        self._clock = clock

    def folder(self, run_id: str) -> str:
        """The folder of a run.

        Raises:
            BadInput: That is no id of a run.
        """
        if not _RUN_ID.fullmatch(run_id):
            raise BadInput(f"{run_id!r} is no id of a run", next_step="use letters, digits, dots, underscores and hyphens, at most 120")
        return os.path.join(self.state, RUNS, run_id)

    def reserve(self, procedure: str, wanted: str = "") -> str:
        """An id that no run has, with its empty folder: `wanted` when it is still free, else `RUN-<time>-<procedure>-<4 hex digits>`."""
        make_folder(self.state)
        make_folder(os.path.join(self.state, RUNS))
        while True:
            run_id = wanted or f"RUN-{self._clock():%Y%m%dT%H%M%SZ}-{procedure}-{secrets.token_hex(2)}"
            try:
                os.mkdir(self.folder(run_id), 0o700)
            except FileExistsError:
                wanted = ""
                continue
            os.chmod(self.folder(run_id), os.stat(os.path.join(self.state, RUNS)).st_mode & 0o2770)
            return run_id

    def begin(self, run_id: str, beginning: Beginning, notes: t.Sequence[str], cleaner: Cleaner) -> t.Dict[str, t.Any]:
        """Write the record of a run that begins now, and its marker. Returns the record."""
        record = cleaner.record(
            {
                "format": FORMAT,
                "run_id": run_id,
                "procedure": beginning.procedure,
                "title": beginning.title or beginning.procedure,
                "profile": beginning.profile,
                "target": beginning.target,
                "resources": list(beginning.resources),
                "reason": beginning.reason,
                "status": "running",
                "started_at": utc_text(self._clock()),
                "finished_at": None,
                "duration_s": None,
                "check_mode": False,
                "who": beginning.who,
                "versions": dict(beginning.versions),
                "steps": [],
                "decisions": list(notes),
                "measurements": {},
                "error": None,
                "diffs": [],
                "incident": beginning.incident or None,
            }
        )
        make_folder(os.path.join(self.state, ACTIVE))
        self._write(record)
        marker = {
            "run_id": run_id,
            "resources": list(beginning.resources),
            "expires_at": utc_text(beginning.expires_at),
            "controller": beginning.controller.as_dict() if beginning.controller else None,
            "order": len(self.of(beginning.controller)),
        }
        write_json(self._marker(run_id), marker, file_mode(os.path.dirname(self._marker(run_id))))
        return record

    def end(self, run_id: str, ending: Ending, cleaner: Cleaner) -> t.Dict[str, t.Any]:
        """Complete the record of a run, write its reports, drop its marker. Returns the record.

        Raises:
            BadInput: There is no such run, or it is over.
        """
        record = self.read(run_id)
        if record["status"] != "running":
            raise BadInput(f"The run {run_id} is over", why=f"it has {record['status']}", next_step="begin a new one")
        now = self._clock()
        abandoned = ending.status == "abandoned"
        record.update(
            status=ending.status,
            finished_at=None if abandoned else utc_text(now),
            duration_s=None if abandoned else round(max(0.0, (now - utc_time(record["started_at"])).total_seconds()), 3),
            steps=list(ending.steps),
            decisions=[*record["decisions"], *ending.decisions],
            measurements=dict(ending.measurements),
            error=dict(ending.error) if ending.error is not None else None,
            diffs=list(ending.diffs),
        )
        record = cleaner.record(record)
        self._write(record)
        folder = self.folder(run_id)
        for name, render in REPORTS.items():
            write_atomically(os.path.join(folder, name), render(record).encode("utf-8", "replace"), file_mode(folder))
        self.forget(run_id)
        return record

    def read(self, run_id: str) -> t.Dict[str, t.Any]:
        """The record of a run.

        Raises:
            BadInput: There is none.
            RunbookError: It cannot be read.
        """
        path = os.path.join(self.folder(run_id), RECORD)
        try:
            with open(path, encoding="utf-8") as stream:
                record = json.load(stream)
            if not isinstance(record, dict) or record.get("format") != FORMAT:
                raise ValueError("it is no record of a run")
            return record
        except FileNotFoundError:
            raise BadInput(
                f"There is no run {run_id}", where=self.state, next_step="see procedure_run_info for those that there are"
            ) from None
        except (OSError, ValueError) as error:
            raise RunbookError("The record of a run cannot be read", where=path, why=str(error), next_step="look at the file") from error

    def ids(self) -> t.List[str]:
        """Ids of all runs, the newest first (by the time of their folders)."""
        folder = os.path.join(self.state, RUNS)
        if not os.path.isdir(folder):
            return []
        with os.scandir(folder) as entries:
            found = [(entry.stat().st_mtime_ns, entry.name) for entry in entries if _RUN_ID.fullmatch(entry.name) and entry.is_dir()]
        return [name for _time, name in sorted(found, reverse=True)]

    def markers(self) -> t.List[t.Dict[str, t.Any]]:
        """The markers of the runs that go on, or were killed."""
        folder = os.path.join(self.state, ACTIVE)
        found = []
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
            if not name.startswith(".") and name.endswith(".json"):
                try:
                    with open(os.path.join(folder, name), encoding="utf-8") as stream:
                        found.append(json.load(stream))
                except (OSError, ValueError):
                    continue
        return found

    def of(self, controller: t.Optional[Controller]) -> t.List[str]:
        """Ids of the runs that this process carries out, the outermost first."""
        if controller is None:
            return []
        own = [marker for marker in self.markers() if Controller.from_dict(marker.get("controller")) == controller]
        return [marker["run_id"] for marker in sorted(own, key=lambda marker: int(marker["order"]))]

    def dead(self) -> t.List[t.Tuple[t.Dict[str, t.Any], str]]:
        """Markers of the runs that were killed, each with how that is known."""
        found = []
        for marker in self.markers():
            controller = Controller.from_dict(marker.get("controller"))
            alive = controller.alive() if controller is not None else None
            expiry = utc_time(marker["expires_at"])
            if alive is False and controller is not None:
                found.append((marker, f"its process {controller.pid} on {controller.machine.host} is gone"))
            elif alive is None and self._clock() >= expiry + timedelta(seconds=_GRACE_S):
                found.append((marker, f"its time was over at {spoken(expiry)}, and its process cannot be seen from here"))
        return found

    def abandon(self, run_id: str, why: str, cleaner: Cleaner) -> None:
        """Mark a run that was killed as such; a marker without a running record is dropped."""
        error = {
            "message": f"The run was ended before it could finish: {why}.",
            "what": "The run was ended before it could finish",
            "where": "",
            "why": why,
            "next_step": "run the procedure again; it recognises what is half done and cleans it up",
            "step": "",
        }
        try:
            self.end(run_id, Ending("abandoned", error=error), cleaner)
        except RunbookError:
            self.forget(run_id)

    def forget(self, run_id: str) -> None:
        """Drop the marker of a run."""
        try:
            os.unlink(self._marker(run_id))
            fsync_path(os.path.dirname(self._marker(run_id)))
        except FileNotFoundError:
            pass

    def _marker(self, run_id: str) -> str:
        return os.path.join(self.state, ACTIVE, f"{run_id}.json")

    def _write(self, record: t.Mapping[str, t.Any]) -> None:
        folder = self.folder(str(record["run_id"]))
        write_json(os.path.join(folder, RECORD), record, file_mode(folder))
