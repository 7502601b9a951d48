# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a whole run of the tests is handed out to its workers."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from tools.side_by_side import SECONDS, PartByPart

TESTS = [
    "tests/unit/test_pod.py::test_a",
    *(f"tests/integration/test_alert_check.py::test_{number}" for number in range(4)),
    "tests/integration/test_profiles_in_every_state.py::test_it[rag7: gone]",
    "tests/integration/test_profiles_in_every_state.py::test_it[paralegal: gone]",
    "tests/integration/test_pitr.py::test_a",
]


class Worker:
    """Stands for a process of pytest-xdist; keeps the numbers of the tests that it is given."""

    shutting_down = False

    def __init__(self) -> None:
        self.given: list[int] = []

    def send_runtest_some(self, indices: list[int]) -> None:
        self.given += indices

    def shutdown(self) -> None:
        self.shutting_down = True


def test_the_longest_files_are_handed_out_first_and_what_shares_servers_together() -> None:
    one_worker = SimpleNamespace(getvalue={"tx": ["popen"]}.get, option=SimpleNamespace(loadscopereorder=False))
    schedule, worker = PartByPart(one_worker, None), Worker()
    schedule.add_node(worker)
    schedule.add_node_collection(worker, TESTS)
    schedule.schedule()
    done = 0
    while done < len(worker.given):
        schedule.mark_test_complete(worker, worker.given[done])
        done += 1
    assert worker.given == [5, 6, 7, 1, 2, 3, 4, 0]
    assert worker.shutting_down


def test_the_table_of_the_longest_names_files_that_are_there(repository: Path) -> None:
    assert SECONDS.keys() <= {path.stem for path in (repository / "tests").glob("*/test_*.py")}
