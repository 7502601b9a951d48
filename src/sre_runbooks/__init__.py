# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run the procedures of the Ansible collection `sre.runbooks` from Python.

import sre_runbooks

result = sre_runbooks.run("restore", inventory="inventories/paralegal", extra_vars={"confirm": "paralegal_prod"})
print(result.status, result.error, result.report)
"""

from __future__ import annotations

from .api import run, run_async
from .catalogue import Procedure, find_procedure, procedures
from .collection import Collection, find_collection
from .errors import AnsibleMissing, BadInput, CollectionNotFound, RunbooksError, RunNotFound, UnknownProcedure
from .events import Event, Progress
from .handle import Handle
from .record import Failure, Measurement, RunRecord, Step, read_record, state_folder
from .result import HostStats, Result

__all__ = [
    "AnsibleMissing",
    "BadInput",
    "Collection",
    "CollectionNotFound",
    "Event",
    "Failure",
    "Handle",
    "HostStats",
    "Measurement",
    "Procedure",
    "Progress",
    "Result",
    "RunNotFound",
    "RunRecord",
    "RunbooksError",
    "Step",
    "UnknownProcedure",
    "find_collection",
    "find_procedure",
    "procedures",
    "read_record",
    "run",
    "run_async",
    "state_folder",
]
__version__ = "0.1.0"
