# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The collections that a run has begun to make, so that the next one removes those of a killed run and no others.

After a restore the collection that serves is called `<name>_restoring_<time>`. A service that builds a new one, and leads its alias there,
leaves it behind without an alias: by its name alone it would pass for a leftover. So what is begun is noted in the backup folder first.
"""

from __future__ import annotations

import hashlib
import json
import os
import typing as t
from contextlib import contextmanager

from ..errors import LeaseHeld, RunbookError
from ..files import locked, write_json
from .server import Server


@contextmanager
def only_one(backup_folder: str, server: Server, *, dry_run: bool = False) -> t.Iterator[None]:
    """One restore on a server at a time, as far as this host knows; a dry run waits for nobody and leaves no lock file.

    Raises:
        LeaseHeld: Another is running.
    """
    if dry_run:
        yield
        return
    with locked(_path(backup_folder, server, "restore.lock"), wait_s=5.0) as free:
        if not free:
            raise LeaseHeld("Another restore is running on this Qdrant server", where=str(server), next_step="wait for it")
        yield


@contextmanager
def begun(backup_folder: str, server: Server, names: t.Sequence[str]) -> t.Iterator[None]:
    """Note the collections that the block will make, under `only_one`; those that serve in the end, or are gone, are forgotten again."""
    path = _path(backup_folder, server, "begun.json")
    write_json(path, sorted({*_noted(path), *names}))
    try:
        yield
    finally:
        try:
            left = leftovers(backup_folder, server, server.collections(), server.aliases())
        except RunbookError:
            pass  # the server does not answer: the next run looks
        else:
            if left:
                write_json(path, left)
            else:
                os.unlink(path)


def leftovers(backup_folder: str, server: Server, known: t.Sequence[str], aliases: t.Mapping[str, str]) -> t.List[str]:
    """Collections that were begun and that no alias leads to: half made, by a run that was killed or that is still at work.

    Args:
        backup_folder: Folder of the sets, where the note lies.
        server: The server.
        known: Its collections.
        aliases: Its aliases.
    """
    there, serving = set(known), set(aliases.values())
    return [name for name in _noted(_path(backup_folder, server, "begun.json")) if name in there and name not in serving]


def _noted(path: str) -> t.List[str]:
    try:
        with open(path, encoding="utf-8") as stream:
            return [str(name) for name in json.load(stream)]
    except FileNotFoundError:
        return []
    except (ValueError, TypeError):
        raise RunbookError(
            "The note of collections that were begun is not what was written",
            where=path,
            next_step="look which collections of the server are half made, remove them and the note",
        ) from None


def _path(backup_folder: str, server: Server, what: str) -> str:
    digest = hashlib.sha256(str(server).encode()).hexdigest()[:12]
    return os.path.join(backup_folder, f".qdrant-{digest}-{what}")
