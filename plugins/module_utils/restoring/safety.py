# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Safety copies: sets of what is about to be replaced or removed."""

from __future__ import annotations

import typing as t

from ..backup_set.sets import BackupSet, read_set
from ..errors import RunbookError


def safety_set(backup: t.Mapping[str, t.Any]) -> BackupSet:
    """The set that a backup has just taken, read to its end.

    Args:
        backup: The result of the backup.

    Raises:
        RunbookError: It cannot be read as it was written; then nothing may be replaced or removed.
    """
    taken = read_set(backup["backup_set"]["folder"])
    try:
        taken.require_whole()
    except RunbookError as error:
        error.next_step = "look at the disk of the backup folder; nothing was replaced or removed"
        raise
    return taken
