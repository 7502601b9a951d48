# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A service is lost and recovered, phase by phase, by the real playbook against a real server: gates, failures, kills, deadlines."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.dump import BackupRequest, back_up_logically
from integration.playbook_runs import ROOT, Finished, Profile, picture
from integration.postgresql_server import PostgresqlServer, running_server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
GO = ("-e", "confirm=trial")


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresqlServer]:
    with running_server() as one:
        yield one


class Service(Profile):
    """A service with one database, and what was in it."""

    def __init__(self, folder: Path, server: PostgresqlServer) -> None:
        super().__init__(folder, server)
        self.server = server
        self.content: dict[str, dict[str, object]] = {}
        self.variables = {
            "service_name": "trial",
            "service_components": [
                {"name": "api", "stateless": True, "rto_s": 1800, "rpo_s": 0},
                {"name": "database", "rto_s": 3600, "rpo_s": 3600},
            ],
            "restore_proofs": [{"name": "cases are there", "store": "reference", "query": "SELECT count(*) FROM cases", "fail_below": 1}],
            "recovery_verify_wait_s": 0,
            "restore_analyze": False,
        }
        self.store["component"] = "database"

    def hook(self, name: str, code: str = "", **more: t.Any) -> list[dict[str, t.Any]]:
        """A step that leaves a mark each time it runs, then does what `code` says."""
        mark = f"open({str(self.folder / name)!r}, 'a').write('x')"
        return [{"name": name, "command": [sys.executable, "-c", f"{mark}\n{code}"], **more}]

    def marks(self, name: str) -> int:
        """How often the step ran."""
        path = self.folder / name
        return len(path.read_text()) if path.exists() else 0

    def state_of(self) -> dict[str, t.Any]:
        """The newest recovery."""
        path = sorted((self.state / "recoveries").glob("REC-*/recovery.json"))[-1]
        return dict(json.loads(path.read_text()))

    def phases(self) -> dict[str, str]:
        """Phase -> status."""
        return {phase["name"]: phase["status"] for phase in self.state_of()["phases"]}

    def recover(self, *options: str, **environment: str) -> Finished:
        """Run the procedure."""
        return self.run("disaster_recovery", *GO, *options, **environment)


@pytest.fixture
def service(server: PostgresqlServer, tmp_path: Path) -> Iterator[Service]:
    """A service with a backup; then its database is lost."""
    if "reference" in server.names():
        server.connection.do('DROP DATABASE "reference" WITH (FORCE)')
    server.load_reference("reference")
    one = Service(tmp_path, server)
    back_up_logically(BackupRequest(server.connection, "reference", "reference", str(one.backups))).add_proof("proven")
    one.content = server.content("reference")
    server.connection.do('DROP DATABASE "reference" WITH (FORCE)')
    yield one


def test_a_lost_service_is_recovered_phase_by_phase_and_its_times_are_measured(
    service: Service, server: PostgresqlServer, tell: t.Callable[[str], None]
) -> None:
    service.variables.update(
        recovery_infrastructure=service.hook("machines"), recovery_smoke=service.hook("smoke"), recovery_resume=service.hook("names")
    )
    done = service.recover("-e", "recovery_confirmed=all")
    assert done.status == 0, done.output
    assert server.content("reference") == service.content
    assert [service.marks(name) for name in ("machines", "smoke", "names")] == [1, 1, 1]
    assert service.state_of()["status"] == "complete"
    record = next(one for one in service.records() if one["procedure"] == "disaster_recovery")
    found = record["measurements"]
    assert 0 < found["rto_database_s"]["value"] < found["rto_api_s"]["value"] <= found["rto_s"]["value"]
    assert found["rto_database_s"]["target"] == 3600
    tell(
        f"disaster recovery of one small database: {found['rto_s']['value']:.1f} s, the database after {found['rto_database_s']['value']:.1f} s"
    )
