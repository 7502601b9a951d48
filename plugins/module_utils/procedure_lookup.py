# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Which procedures ran, and which resources are held."""

from __future__ import annotations

import typing as t

from .errors import RunbookError
from .lease import Leases
from .run_record import Runs
from .state import state_folder


def look_up(options: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    """Records of runs, the newest first, and the leases; the options are those of the module procedure_run_info.

    Raises:
        BadInput: There is no such run.
    """
    runs = Runs(state_folder(options["state_folder"]))
    found: t.List[t.Dict[str, t.Any]] = []
    unreadable = []
    for run_id in [options["run_id"]] if options["run_id"] else runs.ids():
        if len(found) >= options["limit"]:
            break
        try:
            record = runs.read(run_id)
        except RunbookError:
            if options["run_id"]:
                raise
            unreadable.append(run_id)
            continue
        if (not options["procedure"] or record["procedure"] == options["procedure"]) and options["status"] in (None, record["status"]):
            found.append(record)
    leases = [lease.shown() for lease in Leases(runs.state).all()]
    return {"changed": False, "runs": found, "leases": leases, "unreadable": unreadable, "state_folder": runs.state}
