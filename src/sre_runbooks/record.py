# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The records that procedures leave: `<state folder>/runs/<run id>/record.json` and the readable reports beside it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .collection import PathLike
from .errors import RunNotFound

FORMAT = "sre.runbooks/run/1"
"""The format that this module reads; the collection's module_utils/run_record.py writes it."""
STATE_VARIABLE = "SRE_RUNBOOKS_STATE"
_SYSTEM_STATE = Path("/var/lib/sre-runbooks")
_RUNS, _RECORD = "runs", "record.json"


@dataclass(frozen=True)
class Step:
    """One step of a run.

    Attributes:
        name: The step as the runbook calls it.
        status: `ok`, `failed`, `ignored`, `unreachable`, `skipped` or `not reached`.
        changed: Whether it changed anything.
        duration_s: Seconds that it took; None when that is not known.
        summary: What came of it, in a sentence.
        facts: Its values for programs.
        hosts: Names of the hosts on which it ran.
    """

    name: str
    status: str
    changed: bool
    duration_s: float | None
    summary: str
    facts: Mapping[str, Any]
    hosts: tuple[str, ...]


@dataclass(frozen=True)
class Measurement:
    """A measured number, such as the time to restore (`rto_s`).

    Attributes:
        value: What was measured, in `unit`; None when it was not.
        target: What it should be at most (at least, when `better` is `higher`); None for no target.
        unit: `s`, `ms`, `bytes`, `%` or nothing.
        better: `lower` or `higher`.
        met: Whether the target was met; None without one.
    """

    value: float | None
    target: float | None
    unit: str
    better: str
    met: bool | None


@dataclass(frozen=True)
class Failure:
    """What stopped a run: the message for a reader, its parts, and the step that failed."""

    message: str
    what: str = ""
    where: str = ""
    why: str = ""
    next_step: str = ""
    step: str = ""


@dataclass(frozen=True)
class RunRecord:
    """The procedure's own account of a run.

    Attributes:
        run_id: Id of the run.
        procedure: Short name of the procedure.
        title: What it does, in one line.
        profile: Name of the service's inventory.
        target: Name of what it was done to.
        who: The person or robot behind it.
        reason: Why it was done.
        status: `running` (also after it was killed, until the next run notices), `succeeded`, `failed` or `abandoned` (a cancelled run,
            or one whose time was over, is that at once).
        started_at: UTC, ISO 8601.
        finished_at: UTC, ISO 8601; None while it runs.
        duration_s: Seconds from begin to finish; None while it runs.
        steps: What was done, in order.
        decisions: What was chosen and why, in sentences.
        measurements: Measured numbers by name.
        error: What stopped it; None when nothing did.
        versions: Of ansible-core, the collection and Python.
        incident: Id of the incident that it belongs to; empty for none.
        folder: The folder of the record and its reports.
        content: The whole record as it was written.
    """

    run_id: str
    procedure: str
    title: str
    profile: str
    target: str
    who: str
    reason: str
    status: str
    started_at: str
    finished_at: str | None
    duration_s: float | None
    steps: tuple[Step, ...]
    decisions: tuple[str, ...]
    measurements: Mapping[str, Measurement]
    error: Failure | None
    versions: Mapping[str, str]
    incident: str
    folder: Path = field(repr=False)
    content: Mapping[str, Any] = field(repr=False)

    def report(self, ending: str) -> Path | None:
        """The report with the file name ending `md` or `html`; None when it was not written (yet)."""
        path = self.folder / f"report.{ending}"
        return path if path.is_file() else None


def state_folder(state_dir: PathLike | None = None) -> Path:
    """The folder of run records and artifacts, by the rules of the role `procedure`.

    `state_dir`; the environment variable SRE_RUNBOOKS_STATE; /var/lib/sre-runbooks for root; `sre-runbooks` in the user's state folder
    (XDG Base Directory Specification 0.8, XDG_STATE_HOME).
    """
    if named := state_dir or os.environ.get(STATE_VARIABLE):
        return Path(named).expanduser().absolute()
    if os.geteuid() == 0:
        return _SYSTEM_STATE
    base = Path(os.environ.get("XDG_STATE_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".local" / "state") / "sre-runbooks"


def read_record(run_id: str = "latest", state_dir: PathLike | None = None) -> RunRecord:
    """The record of run `run_id`, or of the newest run for `latest`.

    Args:
        run_id: Id of the run.
        state_dir: The state folder; None for the usual one (`state_folder`).

    Raises:
        RunNotFound: There is none, or it cannot be read.
    """
    runs = state_folder(state_dir) / _RUNS
    if run_id == "latest":
        records = [path for path in runs.glob(f"*/{_RECORD}") if path.is_file()]
        if not records:
            raise RunNotFound(
                f"No run has left a record in {runs}", next_step=f"name the state folder in {STATE_VARIABLE} or with --state-dir"
            )
        return load_record(max(records, key=lambda path: path.stat().st_mtime))
    if run_id != Path(run_id).name or not (runs / run_id / _RECORD).is_file():
        raise RunNotFound(f"There is no record of run {run_id!r} in {runs}", next_step="`sre-runbooks report latest` shows the newest one")
    return load_record(runs / run_id / _RECORD)


def load_record(path: Path) -> RunRecord:
    """Read the record in file `path`.

    Raises:
        RunNotFound: It cannot be read, or is of another format.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise ValueError(f"its format is {content['format']!r}, not {FORMAT!r}")
        return _record(content, path.parent)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunNotFound(f"The record {path} cannot be read: {type(error).__name__}: {error}", next_step="look at the file") from error


def _record(content: Mapping[str, Any], folder: Path) -> RunRecord:
    error = content["error"]
    return RunRecord(
        **{name: str(content[name] or "") for name in ("run_id", "procedure", "title", "profile", "target", "who", "reason")},
        status=str(content["status"]),
        started_at=str(content["started_at"]),
        finished_at=content["finished_at"],
        duration_s=content["duration_s"],
        steps=tuple(_step(step) for step in content["steps"]),
        decisions=tuple(content["decisions"]),
        measurements={
            name: Measurement(value["value"], value["target"], value["unit"], value["better"], value["met"])
            for name, value in content["measurements"].items()
        },
        error=error and Failure(**{name: str(error.get(name) or "") for name in Failure.__dataclass_fields__}),
        versions=content["versions"],
        incident=str(content["incident"] or ""),
        folder=folder,
        content=content,
    )


def _step(step: Mapping[str, Any]) -> Step:
    return Step(
        name=str(step["name"]),
        status=str(step["status"]),
        changed=bool(step["changed"]),
        duration_s=step["duration_s"],
        summary=str(step["summary"] or ""),
        facts=step["facts"],
        hosts=tuple(step["hosts"]),
    )
