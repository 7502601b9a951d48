# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The procedures on a Qdrant store: backup, verification, rehearsal, restore, undo and prune, dry runs, and no key in what is left."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from integration.playbook_runs import Profile, picture
from integration.postgresql_server import PostgresqlServer

from .qdrant_server import API_KEY, QdrantServer, qdrant_server

pytestmark = pytest.mark.slow
CONFIRM = ("-e", "confirm=statutes_prod")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QdrantServer]:
    """A server with the collection of the statutes, which its service knows by an alias, and another one."""
    with qdrant_server(tmp_path_factory.mktemp("qdrant") / "data") as one:
        one.fill("statutes_2026", 400)
        one.alias("statutes_prod", "statutes_2026")
        one.fill("notes", 30)
        yield one


@pytest.fixture
def profile(server: QdrantServer, tmp_path: Path) -> Profile:
    """A profile whose only store is that server."""
    nobody = SimpleNamespace(port=1, password="", tools="", data="", folder=tmp_path)
    one = Profile(tmp_path, t.cast(PostgresqlServer, nobody))
    one.store = {
        "kind": "qdrant",
        "name": "statutes_prod",
        "url": server.url,
        "api_key": "{{ lookup('ansible.builtin.env', 'QDRANT_KEY') }}",
        "collections": ["statutes_prod", "notes"],
        "rto_s": 7200,
        "rpo_s": 86400,
    }
    return one


def _state(server: QdrantServer) -> dict[str, t.Any]:
    names = server.collections()
    kept = {name: (server.points(name), server.snapshots(name)) for name in names}
    return {"aliases": server.aliases(), "content": kept, "snapshots": server.snapshots()}


def _run(profile: Profile, playbook: str, *options: str) -> str:
    done = profile.run(playbook, *options, QDRANT_KEY=API_KEY)
    assert done.status == 0, done.output
    return done.output


def test_backup_to_undo_by_the_procedures(server: QdrantServer, profile: Profile, tell: t.Callable[[str], None]) -> None:
    was = server.points("statutes_prod"), server.points("notes")
    _run(profile, "backup")
    assert len(profile.sets()) == 1
    _run(profile, "backup_verify")
    _run(profile, "restore_drill")
    assert server.collections() == ["notes", "statutes_2026"], "a rehearsal leaves nothing"

    server.ask("POST", "/collections/statutes_prod/points/delete", {"points": list(range(200))})
    server.fill("notes", 10, seed=99)
    spoilt = server.points("statutes_prod"), server.points("notes")
    before = _state(server)
    folders = picture(profile.backups)
    planned = _run(profile, "restore", "--check", "--diff", *CONFIRM)
    assert "in one step lead statutes_prod from statutes_2026 to statutes_prod_restoring_" in planned
    assert "take a backup set of notes, recover notes into it" in planned
    assert _state(server) == before and picture(profile.backups) == folders, "a dry run changes nothing"
    refused = profile.run("restore", QDRANT_KEY=API_KEY)
    assert refused.status != 0 and _state(server) == before, "nothing is replaced without a confirmation"

    _run(profile, "restore", *CONFIRM)
    assert (server.points("statutes_prod"), server.points("notes")) == was
    measured = profile.records()[-1]["measurements"]
    tell(f"restore of a Qdrant store by its procedure: RTO {measured['rto_s']['value']} s, cut off {measured['cut_off_s']['value']} s")

    _run(profile, "restore_undo", *CONFIRM)
    assert (server.points("statutes_prod"), server.points("notes")) == spoilt
    _run(profile, "restore_prune", "-e", "restore_keep_replaced=0", *CONFIRM)
    assert server.collections() == ["notes", "statutes_2026"]
    assert server.aliases() == {"statutes_prod": "statutes_2026"}
    assert not [name for name in profile.sets() if "before_restore" in name]
    _no_key_is_left(profile)


def test_a_backup_of_the_whole_storage_is_restored_too(server: QdrantServer, profile: Profile) -> None:
    profile.store["full_storage"] = True
    del profile.store["collections"]
    was = server.points("statutes_prod"), server.points("notes")
    _run(profile, "backup")
    server.ask("DELETE", "/collections/notes")
    _run(profile, "restore", *CONFIRM)
    assert (server.points("statutes_prod"), server.points("notes")) == was
    assert server.snapshots() == [] == server.snapshots("notes")


def test_a_wrong_key_is_named_but_not_shown(server: QdrantServer, profile: Profile) -> None:
    profile.store["api_key"] = "Wrong9Pangolin"
    before = _state(server)
    done = profile.run("backup", "-vvv")
    assert done.status != 0 and "refused the API key" in done.output, done.output
    assert "Traceback" not in done.output and "Pangolin" not in done.output
    assert _state(server) == before and profile.sets() == []


def _no_key_is_left(profile: Profile) -> None:
    for path in profile.folder.rglob("*"):
        if path.is_file():
            assert API_KEY.encode() not in path.read_bytes(), f"the API key is in {path}"
