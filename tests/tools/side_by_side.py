# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which tests may run beside each other: those of different files, whose servers are their own; and which of them begin first."""

from __future__ import annotations

import typing as t
from pathlib import PurePath

from xdist.scheduler.loadscope import LoadScopeScheduling

SECONDS = {
    "test_service_compose": 411,
    "test_profiles_in_every_state": 269,
    "test_service_backup": 267,
    "test_monitoring_files": 255,
    "test_kill_restore": 250,
    "test_disaster_recovery": 232,
    "test_linters": 227,
    "test_service_systemd": 222,
    "test_kill_physical": 222,
    "test_sanity": 221,
    "test_scenarios": 200,
    "test_bad_input": 197,
    "test_newest_core": 196,
    "test_service_kubernetes": 191,
    "test_kill_backup": 189,
    "test_config_update_compose": 186,
    "test_pitr_faults": 162,
    "test_config_update_kubernetes": 158,
    "test_kill_swap": 156,
    "test_pitr": 146,
    "test_reports": 139,
    "test_config_update_systemd": 138,
    "test_check_mode": 134,
    "test_service_diagnose": 132,
    "test_local_stack": 123,
    "test_rolling": 122,
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
