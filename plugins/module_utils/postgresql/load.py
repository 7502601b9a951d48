# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Running pg_restore: parallel where the dump lies on this host, streamed where the programs are in a container or pod."""

from __future__ import annotations

import re
import subprocess
import typing as t

from ..backup_set.sets import BackupSet
from ..command import Pipeline
from ..errors import BadInput, CommandFailed
from ..progress import Progress
from .connection import Connection, connection_value
from .dump import full_disk

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

_FINISHED = re.compile(r"finished item \d+ TABLE DATA (?P<name>.+)$")


def load_dump(connection: Connection, backup_set: BackupSet, database: str, jobs: int, progress: Progress) -> None:
    """Load the dump of a set into an empty database.

    Raises:
        BadInput: The dump is a directory, and the client programs are in a container or pod.
        CommandFailed: pg_restore stopped at its first error.
    """
    dump = backup_set.manifest["dump"]
    path = backup_set.path(dump["path"])
    arguments = [f"--dbname=dbname={connection_value(database)}", "--exit-on-error", "--no-password"]
    total = len(backup_set.manifest["fingerprint"]["tables"])
    if connection.place.is_host:
        command = connection.command("pg_restore", *arguments, f"--jobs={jobs}", "--verbose", path, database=database, settings=LOAD_SETTINGS)
        stdin: t.Any = subprocess.DEVNULL
    elif dump["format"] == "custom":
        command = connection.command("pg_restore", *arguments, database=database, settings=LOAD_SETTINGS)
        stdin = open(path, "rb")
    else:
        raise BadInput(
            f"The set {backup_set.id} holds a dump in directory format, which cannot be streamed into {connection.place}",
            next_step="restore it with client programs on this host, or use a set that was taken through the container",
        )
    try:
        with Pipeline(command, stdin=stdin, stdout=subprocess.DEVNULL) as pipeline:
            pipeline.watch(lambda: progress.say("loading", len(_FINISHED.findall(pipeline.said(0))), total, "tables"))
    except CommandFailed as error:
        raise full_disk(connection.explain(_without_chatter(error), database), database) from error
    finally:
        if stdin is not subprocess.DEVNULL:
            stdin.close()


def _without_chatter(error: CommandFailed) -> CommandFailed:
    """The failure with pg_restore's error lines alone, not its account of every object."""
    parts = [part.strip() for part in error.why.split(";")]
    telling = [part for part in parts if "error:" in part or "ERROR:" in part or "DETAIL:" in part or "HINT:" in part]
    return CommandFailed(error.what, where=error.where, why="; ".join(telling) or error.why, next_step=error.next_step, facts=error.facts)
