# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which tests may run beside each other: those of different files, whose servers are their own; and which of them begin first."""

from __future__ import annotations

import typing as t
from pathlib import PurePath

from xdist.scheduler.loadscope import LoadScopeScheduling

SECONDS = {
    "test_profiles_in_every_state": 231,
    "test_config_update_kubernetes_back": 320,
    "test_config_update_kubernetes": 260,
    "test_config_update_compose": 220,
    "test_service_compose": 196,
    "test_service_compose_faults": 120,
    "test_newest_core": 195,
    "test_service_systemd": 173,
    "test_pitr_faults": 163,
    "test_sanity": 156,
    "test_disaster_recovery": 123,
    "test_config_update_systemd": 120,
    "test_pitr": 116,
    "test_scenarios": 105,
    "test_kill_backup": 105,
    "test_offsite": 103,
    "test_rolling": 102,
    "test_kill_restore": 101,
    "test_monitoring_files": 96,
    "test_metrics_gate": 94,
    "test_linters": 93,
    "test_rolling_reference_service": 90,
    "test_local_stack": 89,
    "test_kill_physical": 83,
    "test_reports": 80,
    "test_service_backup": 76,
    "test_monitoring_alerts": 73,
    "test_disk_full": 73,
    "test_bad_input": 70,
    "test_check_mode": 69,
    "test_health_check_on_controller": 69,
    "test_load_test": 65,
    "test_log_rotation": 64,
    "test_service_kubernetes": 63,
    "test_kill_swap": 61,
    "test_files_faults": 61,
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
