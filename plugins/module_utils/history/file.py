# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The file of a history: opening it for writing or for reading only, and SQLite's failures as errors that a person can act on."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
import typing as t
from urllib.parse import quote

from .. import state
from ..errors import BadInput, DeadlineExceeded, HistoryDamaged, NoSpace, RunbookError, Unreachable
from . import schema

BUSY_TIMEOUT_S = 15.0
"""How long a writer waits for another one; a record takes milliseconds, pruning a year a second or two."""
_PAUSE_S = 0.05
_NEXT_DAMAGED = "keep the file for inspection, move it away together with its -wal and -shm files, and a new history begins"


def path_of(folder: str, service: str) -> str:
    """The file of a service's history in the state folder.

    Raises:
        BadInput: The service's name has no letter or digit that a file name could have.
    """
    name = state.slug(service)
    if not name:
        raise BadInput("The history needs the name of the service", where=repr(service[:60]), next_step="set service_name in the profile")
    return os.path.join(folder, "history", f"{name}.sqlite3")


def open_for_writing(path: str, service: str) -> sqlite3.Connection:
    """Open the history at `path`, make it if there is none, and bring it to the newest version.

    Raises:
        BadInput: The folder cannot be used, or the file belongs to another service or program, or to a newer version.
        HistoryDamaged: The file is damaged; it is left as it is.
    """
    folder = state.make_folder(os.path.dirname(path))
    with explained(path):
        _make_file(path, state.file_mode(folder))
        database = _connect(f"file:{quote(path)}?mode=rw")
        try:
            _belongs(database, path)
            _set_up(database)
            if schema.version(database) < len(schema.MIGRATIONS):
                schema.migrate(database)
            _is_of_service(database, service, path, write=True)
        except BaseException:
            database.close()
            raise
    return database


def open_for_reading(path: str, service: str) -> t.Optional[sqlite3.Connection]:
    """Open the history at `path` without any right to change it; None where there is none yet.

    Raises:
        BadInput: The file belongs to another service or program, or to another version.
        HistoryDamaged: The file is damaged.
    """
    try:
        if os.stat(path).st_size == 0:
            return None
    except FileNotFoundError:
        return None
    except OSError:
        pass  # SQLite's own words follow
    with explained(path):
        database = _connect(f"file:{quote(path)}?mode=ro")
        try:
            database.execute("PRAGMA schema_version")
        except sqlite3.OperationalError as error:
            database.close()
            # Whoever may not write in the folder cannot open the files of the write-ahead log; without a log nobody writes,
            # and the file may be read as it stands (SQLite documentation, "Write-Ahead Logging", read-only databases).
            if "unable to open" not in str(error) or os.path.exists(path + "-wal"):
                raise
            database = _connect(f"file:{quote(path)}?mode=ro&immutable=1")
        try:
            _belongs(database, path)
            if schema.version(database) == 0:
                database.close()
                return None
            if schema.version(database) < len(schema.MIGRATIONS):
                raise BadInput(
                    "The history was written by an older version of the collection",
                    where=path,
                    next_step="record something into it once (a health check), which brings it up to date",
                )
            _is_of_service(database, service, path, write=False)
        except BaseException:
            database.close()
            raise
    return database


@contextlib.contextmanager
def explained(path: str) -> t.Iterator[None]:
    """Turn what SQLite says about the file into errors that say what to do."""
    try:
        yield
    except sqlite3.Error as error:
        raise _error(error, path) from error


@contextlib.contextmanager
def transaction(database: sqlite3.Connection) -> t.Iterator[None]:
    """One transaction: all of it or nothing, also when the process is killed."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise


def _connect(uri: str) -> sqlite3.Connection:
    database = sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None)
    # A damaged schema must not run anything (SQLite documentation, "Defense Against The Dark Arts").
    database.execute("PRAGMA trusted_schema = OFF")
    return database


def _make_file(path: str, mode: int) -> None:
    """Make an empty file with the right permissions; SQLite gives its log files the same."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, mode))
        os.chmod(path, mode)
    except FileExistsError:
        pass


def _set_up(database: sqlite3.Connection) -> None:
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            if schema.version(database) == 0:
                # Only a file without tables takes this up; then pruning gives room back without copying the whole file.
                database.execute("PRAGMA auto_vacuum = INCREMENTAL")
            # The change to write-ahead logging does not wait for others as statements do.
            database.execute("PRAGMA journal_mode = WAL")
            break
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE_S)
    database.execute("PRAGMA synchronous = FULL")


def _belongs(database: sqlite3.Connection, path: str) -> None:
    """Whether the file is a history at all, and of a version that this one understands."""
    mark = int(database.execute("PRAGMA application_id").fetchone()[0])
    have = schema.version(database)
    empty = database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
    if mark != schema.APPLICATION_ID and not empty:
        raise BadInput(
            "The file is a database of some other program, not a history",
            where=path,
            next_step="name another state folder, or move the file away",
        )
    if have > len(schema.MIGRATIONS):
        raise BadInput(
            "The history was written by a newer version of the collection",
            where=path,
            why=f"its version is {have}, this collection knows {len(schema.MIGRATIONS)}",
            next_step="update the collection here too",
        )


def _is_of_service(database: sqlite3.Connection, service: str, path: str, *, write: bool) -> None:
    """Two names can give one file name; their numbers must not mix."""
    found = database.execute("SELECT value FROM fact WHERE name = 'service'").fetchone()
    if found is None and write:
        database.execute("INSERT OR IGNORE INTO fact VALUES ('service', ?)", (service,))
        found = database.execute("SELECT value FROM fact WHERE name = 'service'").fetchone()
    if found is not None and found[0] != service:
        raise BadInput(
            "The history belongs to another service whose name gives the same file name",
            where=path,
            why=f"it was begun for {found[0]!r}, not for {service!r}",
            next_step="give one of the two services another service_name",
        )


def _error(error: sqlite3.Error, path: str) -> RunbookError:
    said = str(error)
    if "locked" in said or "busy" in said:
        return DeadlineExceeded(
            "The history stayed locked by another process",
            where=path,
            why=f"{said}, waited {BUSY_TIMEOUT_S:g} s",
            next_step="look for a run that hangs (procedure_run_info), then try again",
        )
    if "full" in said:
        return NoSpace("The history cannot grow", where=path, why=said, next_step="make room, or prune the history")
    if "readonly" in said or "unable to open" in said or "disk I/O" in said:
        return Unreachable(
            "The history cannot be used",
            where=path,
            why=said,
            next_step="look at the permissions of the file and its folder, and at the disk",
        )
    if isinstance(error, sqlite3.DatabaseError) and ("malformed" in said or "not a database" in said or "corrupt" in said):
        return HistoryDamaged("The history is damaged and was left as it is", where=path, why=said, next_step=_NEXT_DAMAGED)
    return HistoryDamaged("The history cannot be read as one", where=path, why=said, next_step=_NEXT_DAMAGED)
