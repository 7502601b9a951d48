# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Folders for rehearsals, which leave nothing behind."""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import tempfile
import typing as t
from contextlib import contextmanager

from ..files import nobody_holds

SCRATCH_PREFIX = ".sre-runbooks-scratch-"


@contextmanager
def scratch_folder(parent: str) -> t.Iterator[str]:
    """A folder for a rehearsal, gone when the block is left; locked meanwhile, so that nobody takes it for a leftover."""
    folder = tempfile.mkdtemp(prefix=SCRATCH_PREFIX, dir=parent)
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def is_abandoned(folder: str) -> bool:
    """Whether nobody works in a scratch folder any more, or it is gone."""
    try:
        return nobody_holds(folder)
    except FileNotFoundError:
        return True


def remove_scratch_folders(parent: str, account: str = "") -> t.List[str]:
    """Remove our scratch folders, and those of an account that we ran servers as, that killed rehearsals left; returns their names."""
    owners = {os.geteuid(), pwd.getpwnam(account).pw_uid if account else os.geteuid()}
    removed = []
    for entry in os.scandir(parent):
        if not entry.name.startswith(SCRATCH_PREFIX) or entry.stat(follow_symlinks=False).st_uid not in owners:
            continue
        if is_abandoned(entry.path):
            shutil.rmtree(entry.path, ignore_errors=True)
            removed.append(entry.name)
    return removed
