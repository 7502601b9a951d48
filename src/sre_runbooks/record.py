# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The records that procedures leave: `<state>/runs/<run id>/record.json` and the readable report beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import RunNotFound

RUNS = "runs"
RECORD = "record.json"


@dataclass(frozen=True)
class RunRecord:
    """The procedure's own account of a run.

    Attributes:
        run_id: Id of the run.
        procedure: Short name of the procedure.
        status: How far it came, in the procedure's words.
        error: What stopped it; empty when nothing did.
        folder: The folder of the record and its reports.
        content: The whole record as it was written.
    """

    run_id: str
    procedure: str
    status: str
    error: str
    folder: Path
    content: Mapping[str, Any] = field(repr=False)

    def report(self, ending: str) -> Path | None:
        """The report with the file name ending `md` or `html`; None when it was not written."""
        path = self.folder / f"report.{ending}"
        return path if path.is_file() else None


def read_record(state: Path, run_id: str) -> RunRecord:
    """The record of run `run_id`, or of the newest run for `latest`.

    Raises:
        RunNotFound: There is none, or it cannot be read.
    """
    runs = state / RUNS
    folder = _newest(runs) if run_id == "latest" else runs / run_id
    if folder is None or folder.parent != runs:
        raise RunNotFound(f"No run has left a record in {runs}", next_step="name the state folder of the service's runs")
    try:
        content = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        error = content.get("error") or ""
        return RunRecord(
            run_id=str(content.get("run_id") or folder.name),
            procedure=str(content.get("procedure") or ""),
            status=str(content.get("status") or ""),
            error=error if isinstance(error, str) else str(error.get("message") or error.get("msg") or error),
            folder=folder,
            content=content,
        )
    except FileNotFoundError:
        next_step = "`sre-runbooks report latest` shows the newest one"
        raise RunNotFound(f"There is no record of run {run_id} in {runs}", next_step=next_step) from None
    except (OSError, ValueError, AttributeError) as error:
        raise RunNotFound(f"The record {folder / RECORD} cannot be read: {error}", next_step="look at the artifacts of the run") from error


def _newest(runs: Path) -> Path | None:
    records = [path for path in runs.glob(f"*/{RECORD}") if path.is_file()]
    return max(records, key=lambda path: path.stat().st_mtime).parent if records else None
