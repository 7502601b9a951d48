# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Volumes go by their exact names only, never while a container has them, and after a copy of their files."""

from __future__ import annotations

import os
import typing as t

from ..errors import BadInput
from ..file_store.backup import back_up, describe
from ..file_store.record import FilesBackup
from ..file_store.request import FilesStore
from ..file_store.volume import Volume
from ..files import tree_bytes
from .docker_model import VOLUME, Container, Item


def volumes_to_remove(names: t.Sequence[str], containers: t.Sequence[Container]) -> t.Tuple[t.List[Item], t.List[str]]:
    """The named volumes that are there, and a sentence for each that is not.

    Raises:
        BadInput: A container has one of them, running or not; the message names all of these. Nothing was changed.
    """
    found, notes, used = [], [], []
    for name in dict.fromkeys(names):
        told = Volume(name).inspect()
        if told is None:
            notes.append(f"There is no volume {name}")
            continue
        users = [f"{one.name} ({'runs' if one.running else 'is stopped'})" for one in containers if name in one.volumes]
        if users:
            used.append(f"{name} is used by {', '.join(sorted(users))}")
        folder = str(told.get("Mountpoint") or "")
        size_bytes = tree_bytes(folder) if os.access(folder, os.R_OK | os.X_OK) else 0
        found.append(Item(VOLUME, name, name, "it was named, and no container has it", size_bytes))
    if used:
        raise BadInput(
            "A volume that was named is in use",
            why="; ".join(used),
            next_step="remove these containers first if nobody needs the data any more; nothing was changed",
        )
    return found, notes


def copies(items: t.Sequence[Item], backup_folder: str, run_id: str) -> t.List[FilesBackup]:
    """The safety copies to take of these volumes.

    Raises:
        BadInput: There is no folder for them, or the files of a volume cannot be read from here.
        NoSpace: There is too little room.
    """
    if items and not backup_folder:
        raise BadInput(
            "A volume is copied before it is removed, and no folder is named for the copy",
            next_step="name backup_folder, or give safety_copy: false if nobody will ever want the data back",
        )
    requests = [FilesBackup(FilesStore(item.name, volume=Volume(item.name)), backup_folder, run_id=run_id) for item in items]
    for request in requests:
        describe(request)
    return requests


def copy(request: FilesBackup) -> str:
    """Take the copy; returns the name of its backup set."""
    return str(back_up(request)["backup_set"].get("name") or request.store.name)
