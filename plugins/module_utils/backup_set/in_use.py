# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Who works with a set, so that retention does not take it away from under them.

Whoever reads the files of a set (to verify, copy, rehearse or restore it) holds a shared lock (flock) on its folder; whoever removes
one needs that lock alone. Between the choice of a set and its restore, which are two programs, a note in the set stands for it.
"""

from __future__ import annotations

import fcntl
import os
import time
import typing as t
from contextlib import contextmanager

from ..errors import RunbookError
from ..files import write_atomically

CHOSEN = ".chosen"
"""Name of the note in a set; its time says when."""
CHOSEN_S = 4 * 3600.0
"""How long a chosen set is spared: as long as a run holds its lease by default (procedure_lease_s)."""


_PATIENCE_S = 1.0
"""A run that only asks whether a set is in use has it for an instant."""


def hold(folder: str) -> t.Optional[int]:
    """Take a shared lock on a set; returns the descriptor that holds it, None where the folder is gone or just being removed."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    give_up = time.monotonic() + _PATIENCE_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return descriptor
        except OSError:
            if time.monotonic() > give_up:
                os.close(descriptor)
                return None
            time.sleep(0.01)


@contextmanager
def claimed(folder: str) -> t.Iterator[bool]:
    """Have a set for oneself while the block runs; yields whether nobody else works with it."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield False
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            free = True
        except BlockingIOError:
            free = False
        yield free
    finally:
        os.close(descriptor)


def note_chosen(folder: str) -> None:
    """Write into a set that it was chosen, for a restore that is about to begin; that it could not be noted stops nothing."""
    try:
        write_atomically(os.path.join(folder, CHOSEN), b"")
    except (OSError, RunbookError):
        return


def in_use(backup_folder: str, names: t.Iterable[str], now: t.Optional[float] = None) -> t.Dict[str, str]:
    """Which of these sets are in use: name -> by what."""
    moment = time.time() if now is None else now
    found = {}
    for name in names:
        with claimed(os.path.join(backup_folder, name)) as free:
            if not free:
                found[name] = "it is being read, copied or restored"
                continue
        try:
            age_s = moment - os.stat(os.path.join(backup_folder, name, CHOSEN)).st_mtime
        except OSError:
            continue
        if age_s <= CHOSEN_S:
            found[name] = f"it was chosen for a restore or a rehearsal {max(0, age_s) / 60:.0f} minutes ago"
    return found
