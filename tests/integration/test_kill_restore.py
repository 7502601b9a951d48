# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""kill -9 in the middle of a restore: the live database is the damaged one or the restored one, never between, and serves at once."""

from __future__ import annotations

import time
import typing as t
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.sets import BackupSet
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.connection import Session, identifier
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.dump import BackupRequest, back_up_logically
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.restore import RestoreRequest, restore_logically
from integration.faults import (
    FEWER,
    ROUNDS,
    Operation,
    Series,
    Victim,
    backends,
    load_logged_reference,
    order,
    own_process,
    postmaster,
    programs,
    serves,
)
from integration.postgresql_server import PostgresqlServer, running_server
from tools.waiting import wait_until

pytestmark = pytest.mark.slow

DAMAGE = (
    "TRUNCATE response_history; DROP TABLE billing.invoices; DELETE FROM documents WHERE id % 3 = 0; REFRESH MATERIALIZED VIEW daily_usage"
)


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
    what: str, states: TwoStates, tell: Callable[[str], None]
) -> None:
    server, series = states.server, Series(f"{what} in a restore", VICTIMS[what](states.server), FEWER if "process" in what else ROUNDS)
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
                wait_until("the server serves again", lambda: serves(server), 20)
            names, live = server.names(), server.content("reference")
            assert live == states.restored if outcome == "completed" else live in (states.damaged, states.restored)
            kept = [name for name in names if "_before_" in name]
            assert len(kept) == (live == states.restored)
            assert [server.content(name) for name in kept] == [states.damaged] * len(kept)
            assert outcome != "failed" or live == states.damaged or told["kind"] == "Undecided", told
            leftovers, swapped = leftovers + any("_restoring_" in name for name in names), swapped + len(kept)
            restore_logically(RestoreRequest(server.connection, "reference", states.set, analyze=False))
            assert server.content("reference") == states.restored
            assert not [name for name in server.names() if "_restoring_" in name]
            states.turn()
    series.conclude(tell, f"; {swapped} had done the swap, {leftovers} left a database, which the next run dropped")


def test_a_killed_run_whose_database_comes_into_being_only_afterwards_leaves_none_behind(states: TwoStates) -> None:
    server = states.server
    with Session(server.connection) as blocker:
        blocker.ask("BEGIN; LOCK TABLE pg_database IN SHARE MODE")
        killed = Operation(states.order())
        wait_until("the killed run creates its database", lambda: "CREATE DATABASE" in _active(server), 10, every_s=0.005)
        killed.process.kill()
        killed.finish()
        following = Operation(states.order())
        time.sleep(1.5)  # it looks around and finds nothing to clean up
        blocker.ask("COMMIT")
        outcome, told = following.finish()
    assert outcome == "completed", told
    assert server.content("reference") == states.restored
    assert not [name for name in server.names() if "_restoring_" in name]
    states.turn()


def test_what_the_server_still_does_for_a_killed_run_does_not_stop_the_next_one(tmp_path: Path, states: TwoStates) -> None:
    server = states.server
    server.sql("CREATE DATABASE slow")
    # Slow everywhere but here: the restored database has another name while its index is built.
    server.sql(
        "CREATE FUNCTION slow(id integer) RETURNS integer IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN"
        " PERFORM pg_sleep(0.01) WHERE current_database() <> 'slow'; RETURN id; END $$;"
        "CREATE TABLE things AS SELECT generate_series(1, 1500) AS id; CREATE INDEX ON things (slow(id))",
        "slow",
    )
    one = back_up_logically(BackupRequest(server.connection, "slow", "slow", str(tmp_path)))
    killed = Operation(order(server, "restore", database="slow", set_folder=one.folder))
    wait_until("the killed run builds the index", lambda: "CREATE INDEX" in _active(server), 20, every_s=0.005)
    killed.process.kill()
    killed.finish()
    assert "CREATE INDEX" in _active(server)
    (leftover,) = [name for name in server.names() if "slow_restoring_" in name]
    following = Operation(order(server, "restore", database="slow", set_folder=one.folder))
    wait_until("the next run drops what was left", lambda: leftover not in server.names(), 3)
    wait_until("the next run builds the index", lambda: "CREATE INDEX" in _active(server), 20, every_s=0.005)
    following.process.kill()
    following.finish()
    for name in server.names() - {"reference", "postgres"}:
        server.sql(f"DROP DATABASE {identifier(name)} WITH (FORCE)")


def _active(server: PostgresqlServer) -> str:
    return server.sql("SELECT string_agg(query, ' ') FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid()")
