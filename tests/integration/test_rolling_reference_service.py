# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The reference service with its database and its cache, restarted and scaled by the playbooks while requests never cease."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from integration.compose_project import ComposeProject
from integration.constant_load import CONNECTIONS, Load
from integration.containers import Docker
from integration.reference_project import reference_project
from integration.service_runs import Runs
from tools.waiting import wait_until

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(900)]
REQUESTS = 50_000


@pytest.fixture
def service(docker: Docker, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComposeProject]:
    """Three replicas, each asked for a case out of the database."""
    with reference_project(docker, docker.name("reference"), tmp_path_factory.mktemp("reference") / "p", cache) as running:
        yield running


def test_the_reference_service_loses_no_request_while_the_playbooks_restart_and_scale_it(
    service: ComposeProject, tmp_path: Path, tell: Callable[[str], None]
) -> None:
    runs = Runs(tmp_path / "runs", {**service.variables(), "service_stop_timeout_s": 10})
    before = service.picture()
    load = Load(service, "/cases/1")
    try:
        wait_until("the load has begun", lambda: load.sent() > 200)
        at_first = load.sent()
        restarted = runs.run("service_restart", service_restart_way="rolling")
        after_restart, middle = load.sent(), service.picture()
        scaled = [runs.run("service_scale", service_scale_to=count) for count in (5, 2)]
        after_scaling = load.sent()
        wait_until("enough requests", lambda: load.sent() > REQUESTS + 1000, 600)
    finally:
        answered, failed, said = load.end()
    for run in (restarted, *scaled):
        assert run.status == 0, run.output
    assert {name: one[0] for name, one in before.items()} == {name: one[0] for name, one in middle.items()}, "the containers are the same"
    assert all(before[name][1] != middle[name][1] for name in before), "all of them were started again"
    assert len(service.healthy()) == 2
    wait_until("HAProxy knows two servers", lambda: list(service.servers().values()) == ["UP", "UP"])
    assert (failed, answered >= REQUESTS) == (0, True), said
    restart, scaling = after_restart - at_first, after_scaling - after_restart
    during = f"{restart} during the rolling restart of 3 replicas, {scaling} during 3 -> 5 -> 2"
    tell(f"the reference service behind HAProxy, wrk with {CONNECTIONS} connections: {failed} of {answered} requests failed ({during})")
