# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Folders for rehearsals and for keys, which leave nothing behind."""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import tempfile
import typing as t
from contextlib import contextmanager, suppress

from ..files import nobody_holds, remove_tree

SCRATCH_PREFIX = ".sre-runbooks-scratch-"


@contextmanager
def scratch_folder(parent: str) -> t.Iterator[str]:
    """A folder of one's own, gone when the block is left; locked meanwhile, so that nobody takes it for a leftover."""
    folder, descriptor = _locked_folder(parent)
    try:
        yield folder
    finally:
        with suppress(OSError):  # then it is a leftover, which the next run removes
            remove_tree(folder)
        os.close(descriptor)


def _locked_folder(parent: str) -> t.Tuple[str, int]:
    while True:
        folder = tempfile.mkdtemp(prefix=SCRATCH_PREFIX, dir=parent)
        with suppress(FileNotFoundError):
            descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.path.isdir(folder):  # otherwise somebody took it for a leftover before it was locked
                return folder, descriptor
            os.close(descriptor)


def is_abandoned(folder: str) -> bool:
    """Whether nobody works in a scratch folder any more, or it is gone."""
    try:
        return nobody_holds(folder)
    except FileNotFoundError:
        return True


def remove_scratch_folders(parent: str, account: str = "") -> t.List[str]:
    """Remove our scratch folders, and those of an account that we ran servers as, that killed runs left; returns their names."""
    owners = {os.geteuid(), pwd.getpwnam(account).pw_uid if account else os.geteuid()}
    removed = []
    for name in os.listdir(parent):
        path = os.path.join(parent, name)
        with suppress(OSError):  # gone meanwhile, or somebody works in it
            if name.startswith(SCRATCH_PREFIX) and os.lstat(path).st_uid in owners:
                descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(path, ignore_errors=True)
                finally:
                    os.close(descriptor)
                removed.append(name)
    return removed
