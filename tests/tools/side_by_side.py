# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which tests may run beside each other: those of different files, whose servers are their own; and which of them begin first."""

from __future__ import annotations

import typing as t
from pathlib import PurePath

from xdist.scheduler.loadscope import LoadScopeScheduling

SECONDS = {
    "test_pitr_faults": 243,
    "test_service_compose": 243,
    "test_profiles_in_every_state": 235,
    "test_newest_core": 214,
    "test_pitr": 189,
    "test_local_stack": 174,
    "test_config_update_kubernetes": 171,
    "test_service_systemd": 169,
    "test_sanity": 161,
    "test_config_update_systemd": 159,
    "test_disaster_recovery": 134,
    "test_bad_input": 125,
    "test_offsite": 120,
    "test_reports": 112,
    "test_config_update_compose": 106,
    "test_rolling": 105,
    "test_scenarios": 103,
    "test_monitoring_files": 103,
    "test_kill_restore": 98,
    "test_service_backup": 97,
    "test_linters": 96,
    "test_kill_physical": 92,
    "test_check_mode": 92,
    "test_rolling_reference_service": 90,
    "test_own_profile": 87,
    "test_monitoring_alerts": 84,
    "test_disk_full": 81,
    "test_kill_swap": 81,
    "test_metrics_gate": 80,
    "test_service_diagnose": 75,
    "test_kill_backup": 68,
    "test_database_maintenance": 64,
    "test_service_kubernetes": 62,
    "test_service_compose_faults": 62,
}
"""What the longest files take on two busy processors; what a whole run says at its end brings this up to date."""
SECONDS_OF_OTHERS = {"quality": 60, "integration": 60}
"""By folder; a file elsewhere takes a few."""


def seconds(scope: str) -> float:
    """About how long the tests that are handed out together take."""
    path = PurePath(scope.split(" ")[0])
    return SECONDS.get(path.stem, SECONDS_OF_OTHERS.get(path.parent.name, 0))


class PartByPart(LoadScopeScheduling):  # type: ignore[misc]  # pytest-xdist has no types
    """Hands out the tests of a file together, since they share servers; those that take longest first, so that all workers end together.

    Where parameters begin with a name and a colon, as in `[rag7: healthy]`, the servers are of that name, and its tests are a part of
    their own.
    """

    def _split_scope(self, nodeid: str) -> str:
        file, _double_colon, test = nodeid.partition("::")
        _function, _bracket, parameters = test.partition("[")
        part, colon, _rest = parameters.partition(": ")
        return f"{file} {part}" if colon else file

    def _assign_work_unit(self, node: t.Any) -> None:
        self.workqueue.move_to_end(max(self.workqueue, key=seconds), last=False)
        super()._assign_work_unit(node)
