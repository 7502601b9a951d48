# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""kill -9 in the middle of a backup: every finished set is whole, the database is as it was, the next backup cleans up."""

from __future__ import annotations

import shutil
import typing as t
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.catalogue import list_sets
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.backup import back_up
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.dump import BackupRequest
from integration.faults import (
    FEWER,
    ROUNDS,
    Operation,
    Series,
    Victim,
    backends,
    load_logged_reference,
    naming,
    order,
    own_process,
    postmaster,
    programs,
    serves,
)
from integration.postgresql_server import PostgresqlServer, running_server
from tools.waiting import wait_until

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresqlServer]:
    """A server with the reference database, which nobody writes to."""
    with running_server() as one:
        load_logged_reference(one, "reference")
        yield one


VICTIMS: dict[str, tuple[str, t.Callable[[PostgresqlServer], Victim]]] = {
    "the operation": ("logical", lambda server: own_process),
    "pg_dump": ("logical", lambda server: programs("pg_dump", "pg_dumpall")),
    "a server process of it": ("logical", backends),
    "the server": ("logical", postmaster),
    "the operation, physical": ("physical", lambda server: own_process),
    "pg_basebackup": ("physical", lambda server: programs("pg_basebackup")),
}


@pytest.mark.parametrize("what", VICTIMS)
def test_a_backup_that_is_killed_leaves_a_whole_set_or_none_and_the_next_one_cleans_up(
    what: str, server: PostgresqlServer, tmp_path: Path, tell: Callable[[str], None]
) -> None:
    method, find = VICTIMS[what]
    series = Series(f"{what} in a backup", find(server), ROUNDS if what in ("the operation", "pg_dump", "the server") else FEWER)
    wanted = order(server, "backup", database="reference", backup_folder=str(tmp_path / "sets"), method=method)
    request = BackupRequest(server.connection, "reference", "reference", str(tmp_path / "sets"))
    before, leftovers = server.content("reference"), 0
    for moment in series.moments(Operation(wanted)):
        shutil.rmtree(tmp_path / "sets")
        (tmp_path / "sets").mkdir()
        with series.round():
            outcome, told = series.strike(Operation(wanted), moment)
            if what == "the server":
                server.kill()
                server.restart_after_kill()
            elif what == "a server process of it":
                wait_until("the server serves again", lambda: serves(server), 20)
            sets = list_sets(str(tmp_path / "sets"))
            assert [one.problems() for one in sets] == [[]] * len(sets)
            assert [one.id for one in sets] == [told["backup_set"]["id"]] if outcome == "completed" else len(sets) <= 1
            left = [path for path in (tmp_path / "sets").iterdir() if path.name.startswith(".")]
            leftovers += len(left)
            assert outcome == "killed" or not left
            made = back_up(request, method)["backup_set"]["id"]
            assert [one.problems() for one in list_sets(str(tmp_path / "sets"))] == [[]] * (len(sets) + 1)
            assert sorted(path.name for path in (tmp_path / "sets").iterdir()) == sorted([made, *(one.id for one in sets)])
            assert not naming(str(tmp_path / "sets")), "nothing of a killed run works on"
            assert server.content("reference") == before
    series.conclude(tell, f"; {leftovers} left half a set, which the next run removed")
