# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""kill -9 in the middle of a restore: the live database is the damaged one or the restored one, never between, and serves at once."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator

import pytest
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.sets import BackupSet
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.connection import identifier
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.dump import BackupRequest, back_up_logically
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.restore import RestoreRequest, restore_logically
from integration.faults import Operation, Series, Victim, backends, load_logged_reference, order, own_process, postmaster, programs, serves, wait_until
from integration.postgresql_server import PostgresqlServer, running_server

pytestmark = pytest.mark.slow

DAMAGE = "TRUNCATE response_history; DROP TABLE billing.invoices; DELETE FROM documents WHERE id % 3 = 0; REFRESH MATERIALIZED VIEW daily_usage"


class TwoStates:
    """A server whose database is as in one of two sets, so that restoring the other is always the repair of a damage."""

    def __init__(self, server: PostgresqlServer, folder: str) -> None:
        self.server = server
        load_logged_reference(server, "reference")
        request = BackupRequest(server.connection, "reference", "reference", folder)
        self._sets, self._contents = [], []
        for damage in ("", DAMAGE):
            server.sql(damage, "reference")
            self._sets.append(back_up_logically(request))
            self._contents.append(server.content("reference"))
        assert self._contents[0] != self._contents[1]
        self._now = 1

    @property
    def damaged(self) -> dict[str, t.Any]:
        """The live database's content before the restore."""
        return self._contents[self._now]

    @property
    def restored(self) -> dict[str, t.Any]:
        """Its content afterwards."""
        return self._contents[1 - self._now]

    @property
    def set(self) -> BackupSet:
        """The set to restore."""
        return self._sets[1 - self._now]

    def order(self) -> dict[str, t.Any]:
        """The restore, for a process of its own."""
        return order(self.server, "restore", database="reference", set_folder=self.set.folder)

    def turn(self) -> None:
        """The restored state is the damaged one of the next round; what was replaced is dropped."""
        self._now = 1 - self._now
        for name in self.server.names() - {"reference", "postgres"}:
            self.server.sql(f"DROP DATABASE {identifier(name)}")


@pytest.fixture(scope="module")
def states(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoStates]:
    """A server of its own, and two sets of it."""
    with running_server() as one:
        yield TwoStates(one, str(tmp_path_factory.mktemp("sets")))


VICTIMS: dict[str, t.Callable[[PostgresqlServer], Victim]] = {
    "the operation": lambda server: own_process,
    "pg_restore": lambda server: programs("pg_restore"),
    "a server process of it": backends,
    "the server": postmaster,
}


@pytest.mark.parametrize("what", VICTIMS)
def test_a_restore_that_is_killed_leaves_the_damaged_or_the_restored_database_and_the_next_one_cleans_up(
    what: str, states: TwoStates, capsys: pytest.CaptureFixture[str]
) -> None:
    server, series = states.server, Series(f"{what} in a restore", VICTIMS[what](states.server))
    moments = series.moments(Operation(states.order()))
    states.turn()
    leftovers = swapped = 0
    for moment in moments:
        with series.round():
            outcome, told = series.strike(Operation(states.order()), moment)
            if what == "the server":
                server.kill()
                server.restart_after_kill()
            elif what == "a server process of it":
                wait_until(lambda: serves(server), 20, "the server serves again")
            names, live = server.names(), server.content("reference")
            assert live == states.restored if outcome == "completed" else live in (states.damaged, states.restored)
            kept = [name for name in names if "_before_" in name]
            assert len(kept) == (live == states.restored)
            assert [server.content(name) for name in kept] == [states.damaged] * len(kept)
            assert outcome != "failed" or live == states.damaged, told
            leftovers, swapped = leftovers + any("_restoring_" in name for name in names), swapped + len(kept)
            restore_logically(RestoreRequest(server.connection, "reference", states.set, analyze=False))
            assert server.content("reference") == states.restored
            assert not [name for name in server.names() if "_restoring_" in name]
            states.turn()
    series.conclude(capsys, f"; {swapped} had done the swap, {leftovers} left a database, which the next run dropped")
