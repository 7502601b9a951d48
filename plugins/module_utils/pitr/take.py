# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Taking a backup into the archive: full, differential or incremental; what no rule keeps goes."""

from __future__ import annotations

import subprocess
import time
import typing as t

from ..errors import CommandFailed
from ..files import keep_reserve, require_space
from ..pipeline import Pipeline
from ..postgresql.server_info import guard_identity, server_info
from ..progress import Progress
from ..restoring.result import told
from .archive import Holdings, holdings, require_stanza
from .choice import kind_that_is_due
from .model import Archive
from .program import command, explain
from .server import mark

_EXPECTED_RATIO = 0.5
"""Part of the server's files that a full backup is expected to need; measured are 0.13 to 0.35."""


def choose_kind(found: Holdings, kind: str, full_every_days: float, differential_every_days: float) -> str:
    """`kind`, or what is due when it is `auto`. Without a full backup everything is full."""
    if not any(one.type == "full" for one in found.backups):
        return "full"
    words = {"full": "full", "differential": "diff", "incremental": "incr"}
    return words.get(kind) or kind_that_is_due(found.backups, time.time(), full_every_days, differential_every_days)


def take(
    archive: Archive, kind: str = "auto", *, full_every_days: float = 7, differential_every_days: float = 1, dry_run: bool = False
) -> t.Dict[str, t.Any]:
    """Take a backup.

    Args:
        archive: The server.
        kind: `full`, `differential`, `incremental`, or `auto` for what is due.
        full_every_days: For `auto`, days between full backups.
        differential_every_days: For `auto`, days between differential ones; 0 for none.
        dry_run: Whether only to say what would be done.

    Returns:
        `changed`, `plan`; and unless it was a dry run `backup`, `removed` (labels that no rule keeps), `duration_s`, `size_bytes`, `notes`.

    Raises:
        RunbookError: It failed; earlier backups are as they were. What is half done is cleaned up, or resumed, by the next.
    """
    guard_identity(server_info(archive.connection), archive.expected_identifier, archive.connection)
    found = holdings(archive, with_log=False)
    require_stanza(archive, found)
    chosen = choose_kind(found, kind, full_every_days, differential_every_days)
    cluster_bytes = int(archive.connection.ask("SELECT sum(pg_database_size(oid)) FROM pg_database"))
    steps = [f"take a {chosen} backup of the server ({cluster_bytes / 1e6:.0f} MB) into stanza {archive.stanza}, {archive.repository}"]
    on_disk = archive.repository.type == "posix"
    if on_disk and chosen == "full":
        require_space(archive.repository.path, int(cluster_bytes * _EXPECTED_RATIO))
    if dry_run:
        return {"changed": True, **told(steps)}
    began, progress = time.monotonic(), Progress(f"Backing up the server into stanza {archive.stanza}")
    one = command(archive, f"--type={chosen}", "backup")

    def look() -> None:
        if on_disk:
            keep_reserve(archive.repository.path)
        progress.say(f"{chosen} backup", time.monotonic() - began, None, "s")

    try:
        with Pipeline(one, stdout=subprocess.DEVNULL) as pipeline:
            pipeline.watch(look, interval_s=0.1)
    except CommandFailed as error:
        raise explain(archive, error) from error
    duration_s = round(time.monotonic() - began, 3)
    # From here on moments after the backup can be told apart, also on a server where nothing happens.
    _at, late = mark(archive, archive.wal_wait_s)
    after = holdings(archive, with_log=False)
    made = after.backups[-1]
    kept = {entry.label for entry in after.backups}
    notes = [late] if late else []
    if made.error:
        notes.append(f"the server has pages with wrong checksums; they are in {made.label} as they are: find them with pg_amcheck")
    return {
        "changed": True,
        **told([*steps, f"took {made.label}, {made.added_bytes / 1e6:.1f} MB added in {duration_s:.1f} s"]),
        "backup": made.told(),
        "removed": [entry.label for entry in found.backups if entry.label not in kept],
        "duration_s": duration_s,
        "size_bytes": made.added_bytes,
        "notes": notes,
    }
