# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Taking a set of files."""

from __future__ import annotations

import itertools
import os
import re
import time
import typing as t

from ..backup_set.hashing import FollowingHasher
from ..backup_set.sets import SetWriter, remove_leftovers, utc_now
from ..errors import BadInput, CommandFailed, RunbookError
from ..files import no_space_or, require_folder_writable, require_space
from ..progress import Progress
from .archive import Packed, pack
from .contents import SHOWN, shown
from .record import METHOD, FilesBackup, Source, manifest_of, notes_of
from .selection import Walk, ancestors
from .tools import Tools

_RETRIES = 3
_RETRY_AFTER_S = 0.3
"""What writes a file is often done with it a moment later."""


def describe(request: FilesBackup) -> t.Dict[str, t.Any]:
    """The result of a dry run: everything that could stop the backup is looked at.

    Raises:
        RunbookError: Something would stop it.
    """
    _tools, _version, sources = _prepare(request)
    plan = _plan(request, sources)
    return {"changed": True, "plan": plan, "diff": {"before": "", "after": "".join(f"{step}\n" for step in plan)}}


def back_up(request: FilesBackup) -> t.Dict[str, t.Any]:
    """Take a new set.

    Returns:
        `backup_set`, `duration_s`, `plan`, `notes`.

    Raises:
        RunbookError: It failed; no set came of it.
    """
    began, started_at = time.monotonic(), utc_now()
    tools, version, sources = _prepare(request)
    remove_leftovers(request.backup_folder)
    progress = Progress(f"Backing up {request.store.name}")
    try:
        with SetWriter(request.backup_folder, request.store.name, METHOD) as writer, FollowingHasher(writer.folder) as hasher:
            for source in sources:
                try:
                    _take(request, tools, source, writer.folder, progress)
                finally:
                    # That it is gone is why tar failed, if it did.
                    _require_still_there(source)
            notes = notes_of(sources)
            sealed = writer.seal(manifest_of(request, sources, version, started_at, notes), hasher.finish())
    except OSError as error:
        raise no_space_or(error, request.backup_folder) from error
    return {
        "changed": True,
        "backup_set": sealed.summary(),
        "duration_s": round(time.monotonic() - began, 3),
        "content": sealed.manifest["content"],
        "notes": notes,
        "plan": _plan(request, sources),
    }


def _prepare(request: FilesBackup) -> t.Tuple[Tools, str, t.List[Source]]:
    store = request.store
    tools = Tools(store.tool_folder, store.encryption)
    version = tools.version()
    tools.compressing(request.compression)
    if store.selection.encrypt:
        if store.encryption is None:
            raise BadInput(
                f"Files of {store.name} are to be encrypted, but no key is named",
                why=f"encrypt: {', '.join(store.selection.encrypt)}",
                next_step="name tool and recipients in backup_encryption of the profile",
            )
        store.encryption.check()
    require_folder_writable(request.backup_folder)
    require_space(request.backup_folder, 0)
    names: t.Set[str] = set()
    return tools, version, [_source(request, path, names) for path in store.sources()]


def _source(request: FilesBackup, path: str, names: t.Set[str]) -> Source:
    real = os.path.realpath(path)
    try:
        status = os.stat(real)
        if os.path.isdir(real):
            os.scandir(real).close()
    except OSError as error:
        raise BadInput(
            "What is to be backed up cannot be read" if error.errno == 13 else "What is to be backed up is not there",
            where=path,
            why=error.strerror or str(error),
            next_step="correct the paths of the store, or let the procedure run as root (become: true)",
        ) from error
    name = _free_name(request.store.into, request.store.volume.name if request.store.volume else path, names)
    walk = Walk(os.fsencode(real), request.store.selection, without=[request.backup_folder])
    return Source(path, name, walk, (status.st_dev, status.st_ino))


def _free_name(into: str, path: str, names: t.Set[str]) -> str:
    """Where a path's archive lies in the set: its own name, in letters that any file system and object store takes."""
    folder = "/".join(re.sub(r"[^A-Za-z0-9._-]+", "_", part) for part in into.split("/") if part.strip("."))
    base = re.sub(r"[^A-Za-z0-9._-]+", "_", os.path.basename(path).lstrip(".")) or "files"
    for number in itertools.count(1):
        name = os.path.join(folder, base if number == 1 else f"{base}-{number}")
        if name not in names:
            break
    names.add(name)
    return name


def _plan(request: FilesBackup, sources: t.Sequence[Source]) -> t.List[str]:
    compressor = os.path.basename(Tools(request.store.tool_folder).compressing(request.compression)[0].argv[0])
    lines = [f"archive {source.path} with tar and {compressor}" for source in sources]
    selection = request.store.selection
    if selection.include:
        lines.append(f"take only {', '.join(selection.include)}")
    if selection.exclude:
        lines.append(f"leave out {', '.join(selection.exclude)}")
    if selection.encrypt and request.store.encryption:
        lines.append(f"encrypt {', '.join(selection.encrypt)} with {request.store.encryption.tool}")
    return [*lines, f"seal the set in {request.backup_folder}, with the SHA-256 of every file"]


def _take(
    request: FilesBackup,
    tools: Tools,
    source: Source,
    folder: str,
    progress: Progress,
) -> None:
    walk = source.walk

    def part(names: t.Iterable[bytes], suffix: str, secret: bool) -> Packed:
        packed = pack(
            tools,
            walk.folder,
            names,
            folder,
            source.name + suffix,
            compression=request.compression,
            secret=secret,
            on_bytes=lambda done: progress.say(f"reading {source.path}", done, None, "bytes"),
        )
        source.parts.append({"archive": packed.archive, "contents": packed.contents, "encrypted": secret, **packed.tally.told()})
        source.vanished += packed.told.vanished
        if secret or not suffix:
            source.tally.files += packed.tally.files
            source.tally.size_bytes += packed.tally.size_bytes
            source.tally.links += packed.tally.links
            source.tally.others += packed.tally.others
            source.tally.folders += 0 if secret else packed.tally.folders
        return packed

    plain = part(walk.names(), "", False)
    _again(plain, walk, lambda names, number: part(names, f".again{number}", False), source)
    if walk.secret:
        secret = part([*ancestors(walk.secret, walk.is_folder), *walk.secret], ".secret", True)
        _again(secret, walk, lambda names, number: part(names, f".secret.again{number}", True), source)


def _again(first: Packed, walk: Walk, part: t.Callable[[t.Iterable[bytes], int], Packed], source: Source) -> None:
    """Take what changed while it was read once more, with all its links; what changes each time is told."""
    packed = first
    links = first.linked
    for number in range(1, _RETRIES + 1):
        changed = [name for name in packed.told.changed if _is_file(walk, name)]
        if not changed:
            return
        time.sleep(_RETRY_AFTER_S)
        names = list(dict.fromkeys(other for name in changed for other in links.get(name, [name])))
        names = [name for name in names if os.path.lexists(os.path.join(walk.folder, name))]
        if not names:
            return
        packed = part([*ancestors(names, walk.is_folder), *names], number)
    source.changed += [name for name in packed.told.changed if _is_file(walk, name)]


def _is_file(walk: Walk, name: bytes) -> bool:
    """Folders change whenever a file comes or goes; only what is in them counts."""
    path = os.path.join(walk.folder, name)
    return os.path.isfile(path) and not os.path.islink(path)


def _require_still_there(source: Source) -> None:
    try:
        status = os.stat(source.walk.top)
    except OSError:
        status = None
    if status is None or (source.walk.is_folder and (status.st_dev, status.st_ino) != source.identity):
        raise RunbookError(
            "What was being backed up vanished meanwhile",
            where=source.path,
            why=f"{len(source.vanished)} of its names were gone before they were read; it was removed or replaced",
            next_step="find out who removed it; no set was made, and earlier sets are as they were",
        )
    gone = [name for name in source.vanished if name.count(b"/") == 0 and not os.path.lexists(os.path.join(source.walk.folder, name))]
    if gone and len(source.vanished) > max(SHOWN, source.tally.total // 10):
        raise CommandFailed(
            "Much of what was being backed up vanished meanwhile",
            where=source.path,
            why=f"{len(source.vanished)} names were gone before they were read, {shown(gone[0])} among them",
            next_step="find out who removes it, or exclude what comes and goes; no set was made",
        )
