# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""kill -9 in the middle of a physical restore: the server runs on the old data folder or on the new one, each of them whole."""

from __future__ import annotations

import shutil
import time
import typing as t
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.sets import BackupSet
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.base_backup import back_up_physically
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.dump import BackupRequest
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.restore_folder import FolderRequest, restore_folder
from integration.faults import (
    FEWER,
    ROUNDS,
    Operation,
    Series,
    Victim,
    load_logged_reference,
    order,
    own_process,
    own_session,
    programs,
    serves,
)
from integration.postgresql_server import PostgresqlServer, running_server
from tools.waiting import wait_until

pytestmark = pytest.mark.slow


class TwoFolders:
    """A server in one of two states, each of them in a physical set, so that restoring the other is always a change."""

    def __init__(self, server: PostgresqlServer, folder: Path) -> None:
        self.server, self.temporary = server, folder / "tmp"
        self.temporary.mkdir()
        self.temporary.chmod(0o755)
        load_logged_reference(server, "reference")
        request = BackupRequest(server.connection, "reference", "reference", str(folder / "sets"))
        self._sets, self._contents = [], []
        for damage in ("", "TRUNCATE response_history; DROP TABLE billing.invoices; REFRESH MATERIALIZED VIEW daily_usage"):
            server.sql(damage, "reference")
            self._sets.append(back_up_physically(request))
            self._contents.append(server.content("reference"))
        self._now = 1

    @property
    def damaged(self) -> dict[str, t.Any]:
        """The database's content before the restore."""
        return self._contents[self._now]

    @property
    def restored(self) -> dict[str, t.Any]:
        """Its content afterwards."""
        return self._contents[1 - self._now]

    @property
    def wanted(self) -> BackupSet:
        """The set to restore."""
        return self._sets[1 - self._now]

    def start(self) -> Operation:
        """The restore, in a process of its own."""
        return Operation(order(self.server, "restore", set_folder=self.wanted.folder), str(self.temporary))

    def leftovers(self) -> set[str]:
        """What lies around beside the data folder, but for what was replaced."""
        known = {"data", "data.restore.lock", "server.log"}
        return {path.name for path in self.server.folder.iterdir() if "_before_" not in path.name} - known

    def turn(self) -> None:
        """The restored state is the damaged one of the next round; what was replaced goes."""
        self._now = 1 - self._now
        for path in self.server.folder.glob("data_before_*"):
            shutil.rmtree(path)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoFolders]:
    """A server of its own, and two sets of it."""
    with running_server() as one:
        yield TwoFolders(one, tmp_path_factory.mktemp("physical"))


def running_postmaster(server: PostgresqlServer) -> Victim:
    """The server of whichever data folder is in place; there is none while the folders change places."""

    def find(operation: Operation) -> list[int]:
        try:
            return [server.pid()] if operation.runs else []
        except (FileNotFoundError, IndexError):
            return []

    return find


VICTIMS: dict[str, Victim] = {
    "the operation": own_process,
    "what exchanges the folders": own_session,
    "a tool of it": programs("tar", "zstd", "gzip", "pg_verifybackup", "pg_ctl", "psql"),
}


@pytest.mark.parametrize("what", VICTIMS)
def test_a_physical_restore_that_is_killed_leaves_the_old_or_the_new_data_and_the_next_one_cleans_up(
    what: str, folders: TwoFolders, tell: Callable[[str], None]
) -> None:
    server, series = folders.server, Series(f"{what} in a physical restore", VICTIMS[what], FEWER if "tool" in what else ROUNDS)
    moments = series.moments(folders.start())
    folders.turn()
    exchanged = completed_by_next = left = 0
    for moment in moments:
        with series.round():
            damaged_folder = server.data.stat().st_ino
            operation = folders.start()
            outcome, told = series.strike(operation, moment)
            wait_until("what runs in a session of its own ends", operation.has_ended, 60)
            if what == "the operation" or serves(server):
                live = server.content("reference")
                assert live == folders.restored if outcome == "completed" else live in (folders.damaged, folders.restored), told
                exchanged += live == folders.restored
            else:
                completed_by_next += 1
            assert serves(server) or outcome == "failed", told
            left += bool(folders.leftovers())
            restore_folder(FolderRequest(server.service, folders.wanted))
            assert server.content("reference") == folders.restored
            assert folders.leftovers() == set()
            assert damaged_folder in [path.stat().st_ino for path in server.folder.glob("data_before_*")]
            folders.turn()
    more = f"; {exchanged} had exchanged the folders, {left} left something, which the next run removed"
    series.conclude(tell, more + (f"; {completed_by_next} times the server was down until the next run" if completed_by_next else ""))


def test_a_server_that_is_killed_during_a_physical_restore_has_the_old_or_the_new_data_and_the_next_one_cleans_up(
    folders: TwoFolders, tell: Callable[[str], None]
) -> None:
    server = folders.server
    series = Series("the server in a physical restore", running_postmaster(server))
    moments = series.moments(folders.start())
    folders.turn()
    exchanged = was_down = 0
    for moment in moments:
        with series.round():
            operation = folders.start()
            outcome, told = series.strike(operation, moment)
            wait_until("what runs in a session of its own ends", operation.has_ended, 60)
            if not serves(server):
                was_down += 1
                server.wait_until_gone()
                server.restart_after_kill()
            live = server.content("reference")
            assert live == folders.restored if outcome == "completed" else live in (folders.damaged, folders.restored), told
            exchanged += live == folders.restored
            restore_folder(FolderRequest(server.service, folders.wanted))
            assert server.content("reference") == folders.restored
            assert folders.leftovers() == set()
            folders.turn()
    series.conclude(tell, f"; {exchanged} had exchanged the folders; {was_down} times the server was down")


def test_a_server_that_was_killed_is_replaced_like_one_that_runs(folders: TwoFolders) -> None:
    folders.server.kill()
    began = time.monotonic()
    restore_folder(FolderRequest(folders.server.service, folders.wanted))
    assert time.monotonic() - began < 60
    assert folders.server.content("reference") == folders.restored
    folders.turn()
