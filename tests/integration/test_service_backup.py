# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""All stores of a service are backed up together: on several hosts, with writes held, and what fails is named."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.playbook_runs import Profile
from integration.postgresql_server import PostgresqlServer, running_server

LOCAL = 'ansible_connection=local ansible_python_interpreter="{{ ansible_playbook_python }}"'


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresqlServer]:
    """The server of all stores."""
    with running_server() as running:
        running.load_reference("reference", 1)
        running.sql("CREATE DATABASE billing")
        running.sql("CREATE TABLE invoices AS SELECT generate_series(1, 1000) AS id", "billing")
        yield running


@pytest.fixture
def profile(tmp_path: Path, server: PostgresqlServer) -> Profile:
    """A service with one store on its main host and one on another."""
    made = Profile(tmp_path, server)
    hosts = made.folder / "inventory" / "hosts.ini"
    hosts.write_text(f"[operator]\nlocalhost {LOCAL}\n[postgresql]\nlocalhost\n[app]\nsecond {LOCAL}\n")
    made.variables["service_name"] = "clinic"
    made.variables["backup_stores"] = [made.store, {**made.store, "name": "billing", "database": "billing", "on_host": "second"}]
    return made


def service_sets(profile: Profile) -> list[dict]:
    """The service sets, the oldest first."""
    return [json.loads(path.read_text()) for path in sorted((profile.backups / "services").glob("*.json"))]


def test_stores_on_two_hosts_are_backed_up_and_one_record_says_which_sets_belong_together(profile: Profile) -> None:
    done = profile.run("backup")
    assert done.status == 0, done.output
    (record,) = service_sets(profile)
    assert record["complete"] is True and record["consistent"] is False and record["service"] == "clinic"
    assert [(one["store"], one["host"], one["elsewhere"]) for one in record["members"]] == [
        ("reference", "localhost", False),
        ("billing", "second", True),
    ]
    assert sorted(one["set"] for one in record["members"]) == profile.sets()
    (run,) = profile.records()
    assert run["status"] == "succeeded" and run["target"] == "clinic"
    assert {"billing_backup_s", "reference_size_bytes", "size_bytes"} <= set(run["measurements"])
