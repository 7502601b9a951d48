# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each profile's morning check, in every state of its service.

The verdicts come from what the playbook's tasks call; in some states of each profile the playbook is run too, and must say the same.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.dressed import Dressed, Seen, dressed
from integration.host_figures import need_other_host_figures
from integration.profile_states import STATES, State

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def service(request: pytest.FixtureRequest) -> Iterator[Dressed]:
    folder = Path(tempfile.mkdtemp(prefix="dressed-"))
    folder.chmod(0o755)
    try:
        need_other_host_figures(folder)
        with dressed(request.param, folder) as one:
            yield one
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every state of every profile, each with its own service."""
    if "state" in metafunc.fixturenames:
        cases = [pytest.param(profile, state, id=f"{profile}: {state.words}") for profile in sorted(STATES) for state in STATES[profile]]
        metafunc.parametrize(("service", "state"), cases, indirect=["service"], scope="module")


def is_run_whole(state: State) -> bool:
    """The states in which the playbook is run too: well, gone, and what could confuse those who write about it: no number, a page."""
    return state.words in ("healthy", "gone", "lying: 200 with an error for a number", "lying: 200 with a page")


def check(seen: Seen, state: State) -> None:
    """What must have been found in a state."""
    reasons = {name: (row["verdict"], row["reason"]) for name, row in seen.results.items() if row["verdict"] != "pass"}
    assert {name: seen.results[name]["verdict"] for name in state.verdicts} == dict(state.verdicts), reasons
    assert seen.severity == state.severity, reasons
    if state.words == "healthy":
        assert seen.verdict == "pass", reasons
    elif set(state.verdicts.values()) & {"fail", "unknown"}:
        assert seen.verdict in {"fail", "unknown"}


def test_the_morning_check_tells_the_state_of_the_service_and_the_right_severity(service: Dressed, state: State) -> None:
    service.mend()
    with state.arrange(service):
        service.judge()
        seen = service.seen()
        check(seen, state)
        if is_run_whole(state):
            done = service.run("morning_check")
            assert "Traceback" not in done.output
            by_playbook = service.seen()
            assert by_playbook.run_id != seen.run_id
            assert by_playbook.results.keys() == seen.results.keys()
            check(by_playbook, state)
            assert (done.status != 0) == (by_playbook.verdict in {"fail", "unknown"}), done.output[-3000:]
