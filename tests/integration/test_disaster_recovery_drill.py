# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The full drill: every store of the profile paralegal and all its backup sets lost at once, recovered by one procedure from proven
off-site copies, compared value for value, timed."""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
import time
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.object_store import ObjectStore
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.offsite import remote_sets
from integration import playbook_runs
from integration.object_store import option, running_store
from integration.playbook_runs import ROOT, Finished, finish, picture, start
from integration.postgresql_server import PostgresqlServer, running_server
from integration.qdrant_server import QdrantServer, qdrant_server
from integration.redis_server import RedisServer, running_redis

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
DATABASE, CACHE, VECTORS, FILES = "paralegal_prod", "cache", "statutes_prod", "configuration"


class Stack:
    """PostgreSQL, Valkey, Qdrant and files, where the profile paralegal is pointed to."""

    def __init__(self, folder: Path, database: PostgresqlServer, cache: RedisServer, vectors: QdrantServer, offsite: ObjectStore) -> None:
        self.folder, self.database, self.cache, self.vectors, self.offsite = folder, database, cache, vectors, offsite
        self.files, self.state, self.backups = folder / "configuration", folder / "state", folder / "backups"

    def fill(self) -> None:
        """What the service would have."""
        self.database.load_reference(DATABASE, megabytes=5)
        self.cache.fill(3000)
        self.vectors.fill("statutes_2026", 500)
        self.vectors.alias(VECTORS, "statutes_2026")
        (self.files / "sites").mkdir(parents=True)
        for number in range(50):
            (self.files / "sites" / f"site {number}.conf").write_text(f"listen {number}\n" * number)
        (self.files / "current").symlink_to("sites/site 7.conf")

    def content(self) -> dict[str, t.Any]:
        """Everything in it, value for value."""
        return {
            "rows": self.database.content(DATABASE),
            "keys": self.cache.content(),
            "points": self.vectors.points(VECTORS),
            "files": picture(self.files),
            "link": os.readlink(self.files / "current"),
        }

    def lose_everything(self) -> None:
        """kill -9 of every server, and all its data gone, with the backup sets."""
        self.database.kill()
        self.cache.stop()
        self.vectors.stop()
        for folder in (self.database.data, self.cache.data, self.vectors.folder, self.files, self.backups):
            shutil.rmtree(folder)

    def provide_empty_servers(self) -> None:
        """What the infrastructure of a service does: new machines with empty servers."""
        self.database.create()
        self.cache.data.mkdir()
        self.cache.start()
        self.vectors.start()

    def settings(self) -> dict[str, t.Any]:
        """Where the profile's addresses lead, and the hooks; the hook for the infrastructure asks this process to provide servers."""
        wait = (
            "import os, sys, time; open(sys.argv[1] + '/wanted', 'w').close()\n"
            "while not os.path.exists(sys.argv[1] + '/there'): time.sleep(0.05)"
        )
        own = {"kind": "postgresql", "name": DATABASE, "component": "database", "database": DATABASE, "rto_s": 3600, "rpo_s": 3600}
        cache = {"kind": "redis", "name": CACHE, "component": "cache", "rto_s": 900, "rpo_s": None}
        vectors = {"kind": "qdrant", "name": VECTORS, "component": "vector", "collections": [VECTORS], "rto_s": 7200, "rpo_s": 86400}
        files = {"kind": "files", "name": FILES, "paths": [str(self.files)], "rto_s": 3600, "rpo_s": 86400}
        server = {"login_host": "127.0.0.1", "login_port": self.database.port, "login_password": "{{ service_database_password }}"}
        return {
            "service_folder": str(self.folder / "paralegal"),
            "service_database_host": "127.0.0.1",
            "service_database_port": self.database.port,
            "service_database_user": "postgres",
            "service_database_container": "",
            "service_database_tool_folder": self.database.tools,
            "service_cache_port": self.cache.port,
            "service_vector_url": self.vectors.url,
            "backup_folder": str(self.backups),
            "backup_offsite": option(self.offsite),
            "backup_stores": [
                {**own, **server, "tool_folder": self.database.tools},
                {
                    **cache, "host": "127.0.0.1", "port": self.cache.port, "password": "{{ service_cache_password }}",
                    "tool_folder": self.cache.tools,
                },
                {**vectors, "url": self.vectors.url, "api_key": "{{ service_vector_api_key }}"},
                files,
            ],
            "recovery_checks": "{{ health_checks | selectattr('name', 'in', ['database', 'cache', 'vector']) }}",
            "recovery_infrastructure": [{"name": "machines", "command": [sys.executable, "-c", wait, str(self.folder)], "deadline_s": 60}],
            "recovery_resume": [{"name": "names", "command": [sys.executable, "-c", "print('names point here')"]}],
        }  # fmt: skip

    def run(self, playbook: str, *options: str) -> Finished:
        """Run a playbook on the profile paralegal."""
        own = {
            "PARALEGAL_DB_PASSWORD": self.database.password,
            "PARALEGAL_REDIS_PASSWORD": self.cache.password,
            "PARALEGAL_QDRANT_API_KEY": self.vectors.api_key,
        }
        settings = self.folder / "settings.json"
        settings.write_text(json.dumps(self.settings()))
        command = playbook_runs.command(playbook, ROOT / "inventories" / "paralegal", "-e", f"@{settings}", *options)
        return finish(start(command, playbook_runs.environment(self.state, **own)), 200)

    def told(self) -> list[str]:
        """What the phases of the recovery say in its record."""
        (record,) = self.state.glob("recoveries/*/recovery.json")
        return [line for phase in json.loads(record.read_text())["phases"] for line in phase["told"]]


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """Running, and filled."""
    with (
        running_server() as database,
        running_redis() as cache,
        qdrant_server(tmp_path / "vectors") as vectors,
        running_store(tmp_path / "s3") as offsite,
    ):
        one = Stack(tmp_path, database, cache, vectors, offsite)
        one.fill()
        yield one


def test_every_store_of_paralegal_and_its_sets_lost_at_once_are_recovered_from_proven_copies_value_for_value_within_their_objectives(
    stack: Stack, tell: t.Callable[[str], None]
) -> None:
    for procedure, options in (("backup", ()), ("backup_verify", ("-e", "backup_verify_all=true", "-e", "backup_verify_prove=true"))):
        saved = stack.run(procedure, *options)
        assert saved.status == 0, saved.output
    copies = {one.manifest["store"]: one for one in remote_sets(stack.offsite)}
    assert {name: one.state for name, one in copies.items()} == dict.fromkeys([DATABASE, CACHE, VECTORS, FILES], "proven")
    before = stack.content()
    stack.lose_everything()

    def provide() -> None:
        deadline = time.monotonic() + 120
        while not (stack.folder / "wanted").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        stack.provide_empty_servers()
        (stack.folder / "there").touch()

    provider = threading.Thread(target=provide)
    provider.start()
    done = stack.run("disaster_recovery", "-e", "confirm=paralegal", "-e", "recovery_confirmed=all")
    provider.join()
    assert done.status == 0, done.output
    after = stack.content()
    for part, was in before.items():
        assert after[part] == was, f"{part} are not what they were"
    records = [json.loads(path.read_text()) for path in (stack.state / "runs").glob("*/record.json")]
    (recovery,) = (one for one in records if one["procedure"] == "disaster_recovery")
    told = "\n".join(stack.told())
    for name, one in copies.items():
        assert f"{name}: {one.id} (proven, " in told, told
        assert f"{name}: Took the set {one.id}: no set here will do; this one was fetched from s3://backups/" in told, told
    assert "These sets were taken together (" in told
    assert f"{DATABASE}: {copies[DATABASE].id} was taken on another server, 127.0.0.1:{stack.database.port} (system_identifier " in told
    found = recovery["measurements"]
    for component in ("api", "database", "cache", "vector"):
        measured = found[f"rto_{component}_s"]
        assert measured["met"] is True, measured
        tell(f"disaster recovery of paralegal: {component} after {measured['value']:.1f} s, of {measured['target']:g} s (C18)")
    for path in stack.state.rglob("*"):
        for secret in (stack.database.password, stack.cache.password, stack.vectors.api_key, stack.offsite.secret_key):
            assert not path.is_file() or secret.encode() not in path.read_bytes(), path

    report = stack.run("recovery_report")
    assert report.status != 0, "the daily dump of paralegal cannot keep its hour"
    assert "up to 24 h can be lost" in report.message
    assert DATABASE in report.message
