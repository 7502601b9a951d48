# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What a restore of files will do, decided before anything is changed."""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass, field

from ..backup_set.sets import BackupSet
from ..errors import BadInput, WrongTarget
from ..files import require_space
from .request import FilesStore
from .swap import beside, derived_from, free_stamp
from .tools import Tools
from .unpacked import SourcePath, is_encrypted, paths_of


@dataclass(frozen=True)
class FilesRestore:
    """What to restore and where.

    Attributes:
        store: The store; its paths say what is restored and where. Without paths everything goes where it was.
        backup_set: A set of files.
        replace: Whether a folder becomes exactly what the set holds; else what only the live folder has stays in it.
        from_other_server: Whether a set with other paths may be restored here.
    """

    store: FilesStore
    backup_set: BackupSet
    replace: bool = True
    from_other_server: bool = False


@dataclass(frozen=True)
class Target:
    """One path and what will be done there."""

    source: SourcePath
    live: str
    staging: str
    kept_as: str

    @property
    def new(self) -> str:
        """What takes the place of `live`: the staging folder, or the one file in it."""
        return self.staging if self.source.is_folder else os.path.join(self.staging, self.source.member)


@dataclass
class FilesPlan:
    """What a restore will do; made without changing anything."""

    targets: t.List[Target]
    leftovers: t.List[str]
    containers: t.List[str] = field(default_factory=list)
    create_volume: bool = False

    def steps(self, request: FilesRestore) -> t.List[str]:
        """The plan in sentences, for dry runs."""
        lines = [f"remove {path}, left behind by a run that was killed" for path in self.leftovers]
        if self.create_volume and request.store.volume:
            lines.append(f"create the volume {request.store.volume.name}")
        for target in self.targets:
            lines.append(f"unpack {request.backup_set.id} beside {target.live} and compare every file with the set's list")
            if target.kept_as and target.source.is_folder and not request.replace:
                lines.append(f"copy what only {target.live} has to what was unpacked")
        if self.containers:
            lines.append(f"stop the containers {', '.join(self.containers)} meanwhile")
        for target in self.targets:
            if target.kept_as:
                lines.append(f"let it take the place of {target.live} in one step; what is replaced is kept as {target.kept_as}")
            else:
                lines.append(f"put it at {target.live}, where nothing is now")
        return lines


def plan_restore(request: FilesRestore) -> FilesPlan:
    """Look at everything that could stop the restore, before anything is changed.

    Raises:
        RunbookError: The set does not fit, a tool, a key or room is missing, or a path cannot change places.
    """
    one, store = request.backup_set, request.store
    sources = paths_of(one)
    tools = Tools(store.tool_folder, store.encryption)
    tools.version()
    for source in sources:
        for part in source.parts:
            tools.program(os.path.basename(tools.decompressing(part["archive"]).argv[0]))
    if is_encrypted(sources):
        if store.encryption is None:
            raise BadInput(
                f"{one.id} holds encrypted files, and no key is named", next_step="give backup_encryption with its identity_file"
            )
        store.encryption.decrypting()
    create = bool(store.volume and store.volume.inspect() is None)
    pairs = [(sources[0], "")] if create else matched(request, sources)
    lives = [live for _source, live in pairs]
    if not create:
        for live in lives:
            _require_exchangeable(live, one)
        _require_room(pairs)
    now = free_stamp(lives)
    targets = [
        Target(source, live, beside(live, "restoring", now), beside(live, "before", now) if os.path.lexists(live) else "")
        for source, live in pairs
    ]
    users = store.volume.users() if store.volume and not create else []
    leftovers = [path for live in lives for path in derived_from(live, "restoring").values()] if not create else []
    return FilesPlan(targets, leftovers, users, create)


def matched(request: FilesRestore, sources: t.Sequence[SourcePath]) -> t.List[t.Tuple[SourcePath, str]]:
    """Each path of the set that is wanted, and where it goes."""
    if request.store.volume is None and not request.store.paths:
        return [(source, os.path.realpath(source.path)) for source in sources]
    wanted = request.store.sources()
    known = {source.path: source for source in sources}
    if all(path in known for path in wanted):
        return [(known[path], os.path.realpath(path)) for path in wanted]
    alike = len(wanted) == len(sources) and (
        request.store.volume is not None
        or all(os.path.basename(path) == os.path.basename(source.path) for path, source in zip(wanted, sources))
    )
    if alike and (request.from_other_server or request.store.volume is not None):
        return [(source, os.path.realpath(path)) for source, path in zip(sources, wanted)]
    held = f"the set holds {', '.join(known)}; wanted is {', '.join(wanted)}"
    if alike:
        raise WrongTarget(
            f"The backup set {request.backup_set.id} is of other paths",
            where=request.store.name,
            why=held,
            next_step="choose a set of these paths, or say that it is meant: restore_from_other_server=true",
        )
    raise BadInput(f"{request.backup_set.id} does not hold what is wanted", why=held, next_step="correct the paths, or choose another set")


def _require_exchangeable(live: str, one: BackupSet) -> None:
    home = os.path.dirname(live)
    if os.path.ismount(live):
        raise BadInput(
            "A mount point cannot change places with another folder",
            where=live,
            next_step="name the folders in it as the store's paths, or mount its parent",
        )
    if one.is_here and os.path.realpath(one.folder).startswith(live + "/"):
        raise BadInput(
            "The backup set lies in the folder that would be replaced",
            where=one.folder,
            next_step="name narrower paths in the store, or keep the sets elsewhere",
        )
    probe = home
    while not os.path.exists(probe):
        probe = os.path.dirname(probe)
    if not os.access(probe, os.W_OK | os.X_OK):
        raise BadInput("Nothing can be put there", where=live, why=f"no permission at {probe}", next_step="let the procedure run as root")


def _require_room(pairs: t.Sequence[t.Tuple[SourcePath, str]]) -> None:
    needed: t.Dict[int, t.Tuple[str, int]] = {}
    for source, live in pairs:
        probe = os.path.dirname(live)
        while not os.path.exists(probe):
            probe = os.path.dirname(probe)
        device = os.stat(probe).st_dev
        before = needed.get(device, (probe, 0))[1]
        needed[device] = (probe, before + int(source.size_bytes * 1.05))
    for probe, size in needed.values():
        require_space(probe, size)
