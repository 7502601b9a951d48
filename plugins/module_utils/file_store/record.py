# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What a backup of files is asked to do, what it finds, and what its set then says of itself."""

from __future__ import annotations

import hashlib
import os
import socket
import typing as t
from dataclasses import dataclass, field

from ..backup_set.sets import utc_now
from .contents import SHOWN, Tally, shown
from .request import FilesStore
from .selection import Walk

METHOD = "archive"


@dataclass(frozen=True)
class FilesBackup:
    """What to back up.

    Attributes:
        store: The store.
        backup_folder: Folder of the sets.
        compression: `auto`, `zstd:<level>` or `gzip:<level>`.
        run_id: Run that it belongs to.
    """

    store: FilesStore
    backup_folder: str
    compression: str = "auto"
    run_id: str = ""


@dataclass
class Source:
    """One path of the store on its way into the set."""

    path: str
    name: str
    walk: Walk
    identity: t.Tuple[int, int]
    parts: t.List[t.Dict[str, t.Any]] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    changed: t.List[bytes] = field(default_factory=list)
    vanished: t.List[bytes] = field(default_factory=list)


def notes_of(sources: t.Sequence[Source]) -> t.List[str]:
    notes = []
    for source in sources:
        if source.changed:
            names = ", ".join(shown(name) for name in source.changed[:SHOWN])
            notes.append(f"changed each time it was read, so that the set may hold a mixture of moments: {names} in {source.path}")
        if source.vanished:
            notes.append(f"{len(source.vanished)} files of {source.path} were removed before they were read, and are not in the set")
        if source.tally.others:
            notes.append(f"{source.tally.others} devices or pipes of {source.path} are in the set as such, without content")
    return notes


def manifest_of(
    request: FilesBackup, sources: t.Sequence[Source], version: str, started_at: str, notes: t.Sequence[str]
) -> t.Dict[str, t.Any]:
    now, store = utc_now(), request.store
    total = Tally()
    for source in sources:
        for key, count in source.tally.told().items():
            setattr(total, key, getattr(total, key) + count)
    encrypted = sum(len(source.walk.secret) for source in sources)
    return {
        "kind": store.kind,
        "store": store.name,
        "method": METHOD,
        "server": {"address": socket.gethostname(), "version": version, "system_identifier": host_identity()},
        "started_at": started_at,
        "finished_at": now,
        "consistent_at": started_at,
        "run_id": request.run_id,
        "volume": store.volume.name if store.volume else "",
        "include": list(store.selection.include),
        "exclude": list(store.selection.exclude),
        "encryption": {"tool": store.encryption.tool, "recipients": list(store.encryption.recipients)}
        if encrypted and store.encryption
        else {},
        "content": {
            **total.told(),
            "encrypted_files": encrypted,
            "changed_while_read": [shown(name) for source in sources for name in source.changed][:SHOWN],
            "vanished": sum(len(source.vanished) for source in sources),
            "notes": list(notes),
            "paths": [
                {
                    "path": shown(os.fsencode(source.path)),
                    "type": "folder" if source.walk.is_folder else "file",
                    "member": "" if source.walk.is_folder else shown(os.path.basename(source.walk.top)),
                    **source.tally.told(),
                    "parts": source.parts,
                }
                for source in sources
            ],
        },
    }


def host_identity() -> str:
    """A name for this host that stays when its address changes: a digest of /etc/machine-id, which itself is private (machine-id(5))."""
    try:
        with open("/etc/machine-id", "rb") as stream:
            return hashlib.sha256(b"sre.runbooks " + stream.read().strip()).hexdigest()[:16]
    except OSError:
        return ""
