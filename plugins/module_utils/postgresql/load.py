# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Running pg_restore: parallel where the dump lies on this host, streamed where the programs are in a container or pod."""

from __future__ import annotations

import re
import subprocess
import typing as t

from ..backup_set.sets import BackupSet
from ..command import run
from ..errors import BadInput, CommandFailed
from ..files import keep_reserve
from ..pipeline import Pipeline
from ..progress import Progress
from .connection import Connection, connection_value

LOAD_SETTINGS = {
    "synchronous_commit": "off",
    "maintenance_work_mem": "512MB",
    "max_parallel_maintenance_workers": "0",
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
}
"""For the loading sessions alone. A lost tail of the log does not matter before the swap, whose commit is synchronous and comes
after it in the same log; sorting in memory and one worker an index measured fastest with parallel jobs."""

QUICK_STORAGE = {"default_toast_compression": "lz4"}
"""Where the server can: compressing long values by lz4 instead of pglz made 7.2 s of 10.5 s for a database of documents. What they
hold stays the same, and columns with a method of their own keep it (manual, 19.11.1, default_toast_compression)."""

_TELLING = re.compile(r"error:|ERROR:|DETAIL:|HINT:")
_TELLING_LINES = 6
_FINISHED = re.compile(r"finished item (\d+) TABLE DATA ")


def load_settings(connection: Connection, toast_compression: str) -> t.Dict[str, str]:
    """Settings for the loading sessions.

    Args:
        connection: The server.
        toast_compression: `auto` for lz4 where the server was built with it; `server` for its own default.
    """
    if toast_compression != "auto":
        return LOAD_SETTINGS
    can = connection.ask("SELECT 'lz4' = ANY(enumvals) FROM pg_settings WHERE name = 'default_toast_compression'").strip() == "t"
    return {**LOAD_SETTINGS, **QUICK_STORAGE} if can else LOAD_SETTINGS


def load_dump(
    connection: Connection,
    backup_set: BackupSet,
    database: str,
    jobs: int,
    progress: Progress,
    loaded: t.Callable[[str], None] = lambda label: None,
    settings: t.Optional[t.Mapping[str, str]] = None,
    data_folder: str = "",
) -> None:
    """Load the dump of a set into an empty database.

    Args:
        connection: The server.
        backup_set: A logical set.
        database: The empty database.
        jobs: Parallel jobs.
        progress: Where to report.
        settings: Settings for the loading sessions; None for LOAD_SETTINGS.
        loaded: Called with the label of each table whose data has arrived; its indexes may still be missing. Not called where the dump is
            streamed.
        data_folder: The server's, when it lies on this host: the load ends before it has taken the last room there.

    Raises:
        NoSpace: The disk of the data folder is almost full.
        BadInput: The dump is a directory, and the client programs are in a container or pod.
        CommandFailed: pg_restore stopped at its first error.
    """
    settings = LOAD_SETTINGS if settings is None else settings
    dump = backup_set.manifest["dump"]
    path = backup_set.path(dump["path"])
    arguments = [f"--dbname=dbname={connection_value(database)}", "--exit-on-error", "--no-password"]
    if connection.place.is_host:
        command = connection.command("pg_restore", *arguments, f"--jobs={jobs}", "--verbose", path, database=database, settings=settings)
        stdin: t.Any = subprocess.DEVNULL
        account = _Account(data_items(connection, backup_set), progress, loaded)
    elif dump["format"] == "custom":
        command = connection.command("pg_restore", *arguments, database=database, settings=settings)
        stdin = open(path, "rb")
        account = _Account({}, progress, loaded)
    else:
        raise BadInput(
            f"The set {backup_set.id} holds a dump in directory format, which cannot be streamed into {connection.place}",
            next_step="restore it with client programs on this host, or use a set that was taken through the container",
        )

    def look() -> None:
        if data_folder:
            keep_reserve(data_folder)
        account.read(pipeline.new_words(0))

    try:
        with Pipeline(command, stdin=stdin, stdout=subprocess.DEVNULL) as pipeline:
            pipeline.watch(look, interval_s=0.1)
            account.read(pipeline.new_words(0) + "\n")
    except CommandFailed as error:
        raise connection.explain(account.explained(error), database) from error
    finally:
        if stdin is not subprocess.DEVNULL:
            stdin.close()


def data_items(connection: Connection, backup_set: BackupSet) -> t.Dict[str, str]:
    """Number of each TABLE DATA item in the dump's table of contents -> label of the table, where that is certain."""
    command = connection.command("pg_restore", "--list", backup_set.path(backup_set.manifest["dump"]["path"]))
    # A line ends with schema, table and owner, unquoted: `2805; 0 16544 TABLE DATA public documents owner`. With spaces in names it may fit
    # several tables; those are left out, for a table that is hashed before its rows are there would seem to differ.
    owners = {role["name"] for role in backup_set.manifest["roles"]}
    starts = [(unquoted(label) + " ", label) for label in backup_set.manifest["fingerprint"]["tables"]]
    items = {}
    for line in run(command).stdout.splitlines():
        number, found, rest = line.partition(" TABLE DATA ")
        fitting = [label for start, label in starts if found and rest.startswith(start) and rest[len(start) :] in owners]
        if len(fitting) == 1:
            items[number.split(";")[0]] = fitting[0]
    return items


def unquoted(label: str) -> str:
    """`"schema"."table"` as `schema table`, the way pg_restore lists it."""
    return label[1:-1].replace('"."', " ").replace('""', '"')


class _Account:
    """Follows pg_restore's account of what it finished."""

    def __init__(self, items: t.Mapping[str, str], progress: Progress, loaded: t.Callable[[str], None]) -> None:
        self._items, self._progress, self._loaded = items, progress, loaded
        self._done, self._rest = 0, ""
        self._telling: t.List[str] = []

    def read(self, words: str) -> None:
        lines = (self._rest + words).split("\n")
        self._rest = lines.pop()
        for line in lines:
            if _TELLING.search(line) and len(self._telling) < _TELLING_LINES:
                self._telling.append(line.strip())
            finished = _FINISHED.search(line)
            if finished and finished.group(1) in self._items:
                self._done += 1
                self._loaded(self._items[finished.group(1)])
        self._progress.say("loading", self._done, len(self._items) or None, "tables")

    def explained(self, error: CommandFailed) -> CommandFailed:
        """The failure with pg_restore's first error lines, not its account of every object, nor the statements that it quotes."""
        why = "; ".join(self._telling) or error.why
        return CommandFailed(error.what, where=error.where, why=why, next_step=error.next_step, facts=error.facts)
