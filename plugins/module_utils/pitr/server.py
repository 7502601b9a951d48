# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The live server's side of archiving: its settings, its own account of what was archived, and a commit by which moments can be told."""

from __future__ import annotations

import time
import typing as t

from ..errors import RunbookError
from .model import Archive

_ARCHIVER = """
SELECT json_build_object(
    'archived', archived_count, 'failed', failed_count, 'last_archived', coalesce(last_archived_wal, ''),
    'last_archived_at', extract(epoch FROM last_archived_time), 'last_failed', coalesce(last_failed_wal, ''),
    'last_failed_at', extract(epoch FROM last_failed_time), 'now', extract(epoch FROM clock_timestamp()),
    'waiting', (SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'),
    'mode', current_setting('archive_mode'), 'command', current_setting('archive_command'),
    'timeout_s', (SELECT setting::int FROM pg_settings WHERE name = 'archive_timeout'),
    'position', (CASE WHEN pg_is_in_recovery() THEN '0/0' ELSE pg_current_wal_insert_lsn()::text END))
FROM pg_stat_archiver
"""


def archiver(archive: Archive) -> t.Optional[t.Dict[str, t.Any]]:
    """What the server says of its archiving; None when it does not answer."""
    try:
        return dict(archive.connection.ask_json(_ARCHIVER))
    except RunbookError:
        return None


def is_failing(told: t.Mapping[str, t.Any]) -> bool:
    """Whether the last attempt to archive a segment failed."""
    failed, archived = told["last_failed_at"] or 0.0, told["last_archived_at"] or 0.0
    return bool(told["waiting"]) and failed > archived


def mark(archive: Archive, wait_s: float) -> t.Tuple[float, str]:
    """Write a commit into the log and have the log archived up to it, so that every moment until now can be restored.

    PostgreSQL stops a recovery at commits only: without this, a quiet server could be restored to its last commit but not to "ten minutes
    ago". It changes no data: a transaction gets its number and commits.

    Args:
        archive: The server.
        wait_s: Seconds to wait until it is archived.

    Returns:
        The commit's time (seconds since 1970, of the server's clock); and why it is not archived, empty when it is.
    """
    at, segment = (
        archive.connection.ask(
            "BEGIN; SELECT txid_current() \\g /dev/null\nCOMMIT; "
            "SELECT extract(epoch FROM clock_timestamp()), pg_walfile_name(pg_switch_wal());"
        )
        .strip()
        .split("|")
    )
    give_up = time.monotonic() + wait_s
    while True:
        told = archiver(archive)
        if told and told["last_archived"][:24] >= segment:
            return float(at), ""
        if time.monotonic() > give_up:
            failing = " and its last attempt failed" if told and is_failing(told) else ""
            return float(at), f"the server has not archived {segment} within {wait_s:.0f} s{failing}"
        time.sleep(0.1)
