# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The reference service with its stores, of which each test file that asks has its own, and the Docker Engine that all share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from integration.containers import Docker
from integration.service_stack import ServiceProcess, Stack, running_stack
from tools.waiting import wait_until


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Its stores."""
    with running_stack(tmp_path_factory.mktemp("stack")) as running:
        yield running


@pytest.fixture(scope="module")
def running(stack: Stack, request: pytest.FixtureRequest) -> Iterator[ServiceProcess]:
    """One instance, with the settings that the test file calls SERVICE_SETTINGS."""
    service = stack.service(**getattr(request.module, "SERVICE_SETTINGS", {})).start()
    yield service
    service.stop()


@pytest.fixture
def service(running: ServiceProcess) -> Iterator[ServiceProcess]:
    """That instance, ready and without faults."""
    heal(running)
    yield running
    heal(running)


def heal(service: ServiceProcess) -> None:
    """End every fault, close every circuit."""
    service.ask("DELETE", "/faults")
    for tool in service.get("/metrics.json").body["tools"]["circuit_states"]:
        service.ask("POST", f"/admin/reset-circuit/{tool}")
    wait_until("the service is ready", lambda: service.get("/ready").status == 200)


@pytest.fixture(scope="module")
def docker(docker_environment: dict[str, str]) -> Iterator[Docker]:
    """The engine, in the environment of this process too."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("DOCKER_HOST", "DOCKER_CONFIG"):
            if name in docker_environment:
                patch.setenv(name, docker_environment[name])
        yield Docker(docker_environment)
