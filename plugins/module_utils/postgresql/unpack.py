# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Unpacking a physical set into a data folder that a server can start on."""

from __future__ import annotations

import os
import shutil
import subprocess
import typing as t

from ..backup_set.chain import base_of
from ..backup_set.hashing import parallel
from ..backup_set.sets import BackupSet
from ..command import Command, Place, run
from ..errors import CommandFailed, SetDamaged, ToolMissing
from ..files import fsync_path, keep_reserve, tree_bytes
from ..pipeline import Pipeline
from ..process_tree import was_killed
from ..progress import Progress
from .exchange import Service
from .incremental import combine
from .scratch import own

_DECOMPRESSORS = {"gz": ["gzip", "-dc"], "zst": ["zstd", "-dcq"], "lz4": ["lz4", "-dcq"], "tar": []}


def unpack(one: BackupSet, folder: str, service: Service, progress: Progress) -> None:
    """Unpack a set's archives into a new data folder, let pg_verifybackup check every file, and make it durable.

    Raises:
        SetDamaged: A file is not what the server wrote.
    """
    os.mkdir(folder, 0o700)

    def look() -> None:
        keep_reserve(folder)
        progress.say("unpacking", lambda: tree_bytes(folder), one.manifest["cluster_bytes"], "bytes")

    if base_of(one):
        combine(one, folder, lambda link, part: _untar_set(link, part, look), service.tool_folder, progress)
    else:
        _untar_set(one, folder, look)
    inside = os.path.join(folder, "backup_manifest")
    progress.say("checking every file and making it durable")
    paths = [os.path.join(top, name) for top, folders, files in os.walk(folder) for name in [*folders, *files]] + [folder]
    for path in paths:
        own(path, service.account)
    durable = [lambda p=path: fsync_path(p) for path in paths if not os.path.islink(path)]
    parallel([lambda: _verify(one, folder, service), *durable], jobs=8)
    os.unlink(inside)
    fsync_path(folder)


def _untar_set(one: BackupSet, folder: str, look: t.Callable[[], None]) -> None:
    for archive in sorted(one.manifest["base_backup"]["archives"], key=lambda name: "pg_wal" in name):
        target = os.path.join(folder, "pg_wal") if "pg_wal" in archive else folder
        _untar(one.path(archive), target, look)
    manifest = one.path("base", "backup_manifest")
    if os.path.exists(manifest):
        shutil.copyfile(manifest, os.path.join(folder, "backup_manifest"))


def _verify(one: BackupSet, folder: str, service: Service) -> None:
    program = Place(tool_folder=service.tool_folder).program("pg_verifybackup")
    try:
        run(Command([program, "--quiet", "--no-parse-wal", folder]))
    except CommandFailed as error:
        if was_killed(error.facts.get("exit_status")):
            raise
        raise SetDamaged(f"pg_verifybackup finds {one.id} damaged", where=folder, why=error.why, next_step="use another set") from error


def _untar(path: str, target: str, look: t.Callable[[], None]) -> None:
    tar = Command(["tar", "--extract", "--file=-", "--blocking-factor=2048", f"--directory={target}"])
    commands = [Command([*decompressor(path), path]), tar] if decompressor(path) else [tar]
    with (
        open(path, "rb") as stream,
        Pipeline(*commands, stdin=subprocess.DEVNULL if len(commands) > 1 else stream, stdout=subprocess.DEVNULL) as pipeline,
    ):
        pipeline.watch(look, interval_s=0.1)


def decompressor(archive: str) -> t.List[str]:
    """The program and arguments that unpack an archive; empty for a plain tar.

    Raises:
        ToolMissing: Its ending is none that is known.
    """
    ending = archive.rsplit(".", 1)[-1]
    if ending not in _DECOMPRESSORS:
        raise ToolMissing(f"Nothing is known that unpacks {archive}", next_step="use another set")
    return _DECOMPRESSORS[ending]
