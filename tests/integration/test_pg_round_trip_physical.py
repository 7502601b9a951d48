# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is backed up physically is what is restored: a whole server, or nothing."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput, RunbookError, WrongTarget
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.base_backup import back_up_physically
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.dump import BackupRequest
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.exchange import exchange_folders
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.restore_folder import FolderRequest, restore_folder, undo_folder
from integration.odd_database import ODD, odd_server
from integration.postgresql_server import PostgresqlServer, running_server


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresqlServer]:
    """A server with the odd database."""
    with odd_server() as one:
        yield one


def test_a_physical_set_brings_the_whole_server_back_and_can_be_undone(tmp_path: Path) -> None:
    with running_server() as server:
        server.load_reference("reference", 1)
        server.sql("CREATE DATABASE second")
        server.sql("CREATE TABLE kept AS SELECT generate_series(1, 100) AS id", "second")
        server.sql("CREATE ROLE clerk LOGIN PASSWORD 'clerk-password'")
        before = server.content("reference"), server.content("second")
        taken = back_up_physically(BackupRequest(server.connection, "reference", "reference", str(tmp_path / "sets")))
        server.sql("DROP DATABASE second; DROP ROLE clerk")
        server.sql("UPDATE cases SET title = 'wrong'; DROP TABLE documents CASCADE", "reference")
        changed = server.content("reference")
        result = restore_folder(FolderRequest(server.service, taken))
        # What is unlogged comes back empty: PostgreSQL empties it whenever it recovers (manual, CREATE TABLE, UNLOGGED).
        before[0]['"public"."session_cache"'] = {"rows": 0, "hash": "0"}
        assert (server.content("reference"), server.content("second")) == before
        assert replace(server.connection, user="clerk", password="clerk-password").ask("SELECT 1").strip() == "1"
        (note,) = result["notes"]
        assert note.startswith("unlogged tables and their indexes")
        assert Path(result["kept_as"]).is_dir()
        undone = undo_folder(server.service)
        assert undone["put_back"] == result["kept_as"]
        assert server.content("reference") == changed, "stopped in order, the replaced server has its unlogged rows too"
        assert "second" not in server.names()
        assert [path.name for path in server.folder.iterdir() if "restoring" in path.name or "exchange" in path.name] == []

        with running_server() as stranger:
            with pytest.raises(WrongTarget, match="from another server"):
                restore_folder(FolderRequest(stranger.service, taken))
            assert stranger.names() == {"postgres"}
            # The set brings its settings along, and its port is in use: the stranger goes on with its own data.
            with pytest.raises(RunbookError, match="already running on port") as failed:
                restore_folder(FolderRequest(stranger.service, taken, from_other_server=True))
            assert "runs on its former data folder" in failed.value.next_step
            assert stranger.names() == {"postgres"}
            server.stop()
            result = restore_folder(FolderRequest(stranger.service, taken, from_other_server=True))
            assert "not as in the replaced folder: postgresql.conf" in result["notes"][1]
            assert f"{taken.id} was taken on another server, " in result["notes"][2]
            assert (server.content("reference"), server.content("second")) == before


@pytest.mark.needs_root
def test_a_server_whose_data_folder_cannot_change_places_goes_on_with_it(server: PostgresqlServer) -> None:
    other = server.folder / "other"
    other.mkdir()
    before = server.names()
    subprocess.run(["mount", "--bind", server.data, server.data], check=True)  # what is mounted cannot be renamed (EBUSY, rename(2))
    try:
        with pytest.raises(RunbookError, match="runs on its former data folder"):
            exchange_folders(server.service, str(other), str(server.folder / "kept"))
        assert server.names() == before
        assert not list(server.folder.glob(".*exchange*"))
    finally:
        subprocess.run(["umount", "--lazy", server.data], check=True)
        other.rmdir()


def test_a_physical_backup_refuses_a_server_with_tablespaces_of_its_own(server: PostgresqlServer, tmp_path: Path) -> None:
    from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.scratch import own

    space = server.folder / "space"
    space.mkdir()
    own(str(space), server.account)
    server.sql(f"CREATE TABLESPACE elsewhere LOCATION '{space}'")
    try:
        with pytest.raises(BadInput, match="elsewhere"):
            back_up_physically(BackupRequest(server.connection, ODD, "reference", str(tmp_path)))
        assert list(tmp_path.iterdir()) == []
    finally:
        server.sql("DROP TABLESPACE elsewhere")
