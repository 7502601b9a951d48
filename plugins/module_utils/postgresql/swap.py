# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Putting one database in the place of another, in a single transaction.

`ALTER DATABASE ... RENAME` takes an exclusive lock on the database and then waits, up to five seconds, until nobody is connected
to it (dbcommands.c: RenameDatabase, CountOtherDBBackends). A new connection waits for that lock. So one session begins the
renames while another ends the clients: nothing in between is ever committed, and whoever dies on the way, PostgreSQL rolls back
or completes all of it. Which of the two is asked of the server when the answer to the commit is lost.
"""

from __future__ import annotations

import threading
import time
import typing as t

from ..errors import BadInput, CommandFailed, RunbookError, Undecided
from ..restoring.names import names_derived_from
from .connection import Connection, Session, identifier, literal

_ATTEMPTS = 3
_ANSWER_WAIT_S = 10.0
"""For a server that went away while it committed: one that restarts after a crash is back by then."""


def swap(connection: Connection, renames: t.Sequence[t.Tuple[str, str]]) -> float:
    """Rename databases in one transaction, ending the clients that are connected to them.

    Args:
        connection: A role that may rename them and end their clients.
        renames: Pairs (name now, name then), in order.

    Returns:
        Seconds for which clients could not work.

    Raises:
        BadInput: A prepared transaction holds one of them.
        Undecided: The connection broke during the commit, and the server did not come back to be asked what became of it.
        RunbookError: Clients came back faster than they could be ended; nothing was changed.
    """
    names = [name for name, _new in renames]
    _refuse_prepared_transactions(connection, names)
    for _attempt in range(_ATTEMPTS):
        try:
            return _swap_once(connection, renames, names)
        except CommandFailed as error:
            if "is being accessed by other users" not in error.why:
                raise
            last = error
    raise RunbookError(
        "The databases could not change places",
        where=", ".join(names),
        why=f"clients were still connected after {_ATTEMPTS} attempts of 5 s: {last.why}",
        next_step="stop the service's clients (or their pooler) and run the procedure again; the live database is unchanged",
    )


def _swap_once(connection: Connection, renames: t.Sequence[t.Tuple[str, str]], names: t.Sequence[str]) -> float:
    statements = ["BEGIN", *(f"ALTER DATABASE {identifier(old)} RENAME TO {identifier(new)}" for old, new in renames)]
    done = threading.Event()
    failures: t.List[BaseException] = []

    def end_clients(session: Session) -> None:
        try:
            while not done.is_set():
                session.ask(_END_CLIENTS.format(names=", ".join(literal(name) for name in names)))
                done.wait(0.01)
        except RunbookError as error:
            failures.append(error)

    with Session(connection) as renaming, Session(connection) as ending:
        backend = int(renaming.ask("SELECT pg_backend_pid()"))
        ending.ask("SELECT 1")
        began = time.monotonic()
        mark = renaming.send(";\n".join(statements))
        thread = threading.Thread(target=end_clients, args=(ending,), daemon=True)
        thread.start()
        try:
            renaming.receive(mark)
        finally:
            done.set()
            thread.join()
        if failures and not isinstance(failures[0], CommandFailed):
            raise failures[0]
        # Nobody is connected, and the locks keep it so; who comes after the commit is a client of the new database, and stays.
        _commit(renaming, backend, renames)
        return time.monotonic() - began


def _commit(renaming: Session, backend: int, renames: t.Sequence[t.Tuple[str, str]]) -> None:
    """Commit; when the answer is lost, let the server tell by its databases' names what became of it."""
    try:
        renaming.ask("COMMIT")
    except RunbookError as error:
        appearing = {new for _old, new in renames} - {old for old, _new in renames}
        known = _names_after(renaming.connection, backend)
        if known is None:
            raise Undecided(
                "The connection broke while the databases changed places, and nobody can tell yet whether they did",
                where=str(renaming.connection),
                why=error.why,
                next_step=f"when the server answers again, list its databases: {' and '.join(sorted(appearing))} exists if they did",
                changed=True,
            ) from error
        if not appearing <= known:
            raise


def _names_after(connection: Connection, backend: int) -> t.Optional[t.Set[str]]:
    """The databases' names once that server process is gone, be it in the middle of a commit; None when the server stays away."""
    give_up = time.monotonic() + _ANSWER_WAIT_S
    while time.monotonic() < give_up:
        try:
            if connection.ask(_END_BACKEND.format(backend=backend)).strip() == "0":
                return set(connection.ask_json("SELECT json_agg(datname) FROM pg_database"))
        except RunbookError:
            pass  # one that is coming down or up says so in many ways
        time.sleep(0.1)
    return None


_END_BACKEND = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid = {backend} AND application_name = 'sre.runbooks'"
_END_CLIENTS = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE datname IN ({names}) AND pid <> pg_backend_pid()
"""


def _refuse_prepared_transactions(connection: Connection, names: t.Sequence[str]) -> None:
    held = connection.ask_json(
        f"SELECT json_agg(database || ': ' || gid) FROM pg_prepared_xacts WHERE database IN ({', '.join(literal(name) for name in names)})"
    )
    if held:
        raise BadInput(
            "Prepared transactions hold the database",
            where="; ".join(held),
            next_step="commit or roll them back (COMMIT PREPARED, ROLLBACK PREPARED), then run the procedure again; nothing was changed",
        )


def choose_replaced(database: str, known: t.Iterable[str], replaced: str = "") -> str:
    """The kept database that an undo puts back: the named one, or the newest `<name>_before_<time>`.

    Raises:
        BadInput: There is none.
    """
    kept = names_derived_from(database, "before", known)
    if replaced and replaced not in kept:
        raise BadInput(f"There is no database {replaced!r} that a restore of {database!r} replaced", next_step=f"choose one of {kept}")
    if not kept:
        raise BadInput(
            f"No replaced database of {database!r} is kept",
            why="no restore replaced it, or what it replaced was pruned",
            next_step="restore an earlier backup set instead (restore_set=...)",
        )
    return replaced or kept[0]
