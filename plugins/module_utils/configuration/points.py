# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Rollback points: sealed copies of what a service is configured by, beside one another in one folder.

A point is a backup set (backup_set.sets) of the kind `rollback_point`: a folder with `manifest.json`, its checksum, and the files. It is
written under a temporary name and gets its own when every byte is on the disk.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import socket
import typing as t
from dataclasses import dataclass, field

from ..backup_set.catalogue import list_sets
from ..backup_set.hashing import copy_hashed
from ..backup_set.sets import BackupSet, SetWriter, read_set, remove_leftovers, utc_now
from ..errors import RunbookError, SetDamaged, SetNotFound
from ..state import utc_now as now
from ..state import utc_text
from . import objects as kube
from .survey import FILE, Entry, entry_from, survey

KIND = "rollback_point"
_ATTEMPTS = 3


@dataclass(frozen=True)
class Contents:
    """What a point shall keep.

    Attributes:
        roots: Files and folders.
        secret: Files and folders whose content is shown to nobody.
        objects: Objects of Kubernetes, as the server gave them.
        images: Images of running containers.
        units: Units of systemd that the files belong to.
        notes: What is to be known of them.
    """

    roots: t.Sequence[str]
    secret: t.Sequence[str] = ()
    objects: t.Sequence[t.Mapping[str, t.Any]] = ()
    images: t.Sequence[t.Mapping[str, t.Any]] = ()
    units: t.Sequence[str] = ()
    notes: t.Sequence[str] = field(default_factory=list)


def points_of(home: str, service: str = "") -> t.List[BackupSet]:
    """The points of a service (empty: of all), the newest first; those that cannot be read are among them."""
    found = [
        one
        for one in list_sets(home)
        if not one.manifest or (one.manifest.get("kind") == KIND and service in ("", one.manifest.get("store")))
    ]
    return sorted(found, key=lambda one: (str(one.manifest.get("at", "")), one.id), reverse=True)


def choose(home: str, service: str, name: str = "") -> BackupSet:
    """The point of that name, else the service's newest that was not taken by a restore; its files have not been read.

    Raises:
        SetNotFound: There is none.
        SetDamaged: It cannot be read.
    """
    there = [one for one in points_of(home, service) if one.manifest]
    fitting = [one for one in there if (one.id == name if name else not one.manifest.get("before_restore_of"))]
    if name and not fitting and os.path.isdir(os.path.join(home, name)) and "/" not in name and not name.startswith("."):
        damage = read_set(os.path.join(home, name)).damage or [f"it belongs to another service than {service}"]
        raise damaged_point(name, home, damage)
    if not fitting:
        why = f"there are {', '.join(one.id for one in there[:5])}" if there else "none was taken yet"
        what = f"There is no rollback point {name!r} of {service}" if name else f"There is no rollback point of {service}"
        raise SetNotFound(
            what, where=home, why=why, next_step="look at what there is with rollback_point_list, or take one with rollback_point_create"
        )
    return fitting[0]


def damaged_point(name: str, home: str, problems: t.Sequence[str]) -> SetDamaged:
    """The error that names what is wrong with a point."""
    shown = "; ".join(problems[:5]) + (f"; and {len(problems) - 5} more" if len(problems) > 5 else "")
    step = "nothing was changed; name another point (rollback_point_list shows them)"
    return SetDamaged(f"The rollback point {name} is damaged", where=home, why=shown, next_step=step, facts={"problems": list(problems)})


def require_whole(point: BackupSet) -> None:
    """Read every file of a point.

    Raises:
        SetDamaged: It is not as it was sealed.
    """
    problems = point.problems()
    if problems:
        raise damaged_point(point.id, os.path.dirname(point.folder), problems)


def entries_of(point: BackupSet) -> t.List[Entry]:
    """The files and folders that a point keeps, by path."""
    return [entry_from(told) for told in point.manifest["entries"]]


def create(
    home: str,
    service: str,
    contents: Contents,
    *,
    reason: str = "",
    run_id: str = "",
    most_bytes: t.Optional[int] = None,
    before_restore_of: str = "",
    dry_run: bool = False,
) -> t.Tuple[t.Optional[BackupSet], bool, t.Dict[str, t.Any], t.List[str]]:
    """Take a point, unless the newest of the service holds exactly the same and is whole.

    Args:
        home: Folder of the points.
        service: Name of the service.
        contents: What the point shall keep.
        reason: Why it is taken.
        run_id: The run that takes it.
        most_bytes: Sum of the files' sizes that is still taken for configuration; None for any.
        before_restore_of: The point whose restore will replace these files; a restore without a name passes over such points.
        dry_run: Whether only to look.

    Returns:
        The point (None: it would be taken), whether it is new, its manifest without the list of files, notes.

    Raises:
        BadInput: Something cannot be read.
        RunbookError: A file does not stand still.
        NoSpace: The disk is full; no point was taken.
    """
    leftovers = remove_leftovers(home, dry_run=dry_run)
    notes = [f"removed the point that a killed run left half done: {name}" for name in leftovers if not dry_run]
    entries, unread = survey(contents.roots, contents.secret, most_bytes)
    extra = {"reason": reason, "run_id": run_id, "before_restore_of": before_restore_of}
    manifest = {**_manifest(service, contents, entries), **extra}
    notes += [*contents.notes, *unread]
    newest = next((one for one in points_of(home, service) if one.manifest), None)
    if newest is not None and _is_the_same(newest, manifest):
        return newest, False, newest.manifest, notes
    if dry_run:
        return None, True, manifest, notes
    for _attempt in range(_ATTEMPTS):
        point = _write(home, manifest, entries, contents)
        if point is not None:
            return point, True, point.manifest, notes
        entries, _unread = survey(contents.roots, contents.secret, most_bytes)
        manifest = {**_manifest(service, contents, entries), **extra}
    step = "let what writes to it come to rest, then run the procedure again"
    raise RunbookError("A file changes all the time", where=", ".join(contents.roots), why=f"also at attempt {_ATTEMPTS}", next_step=step)


def _is_the_same(newest: BackupSet, manifest: t.Mapping[str, t.Any]) -> bool:
    if newest.manifest.get("fingerprint") != manifest["fingerprint"]:
        return False
    # One that a restore took is not found without its name.
    return (bool(manifest["before_restore_of"]) or not newest.manifest.get("before_restore_of")) and not newest.problems()


def _manifest(service: str, contents: Contents, entries: t.Sequence[Entry]) -> t.Dict[str, t.Any]:
    objects = []
    for number, one in enumerate(contents.objects):
        named = kube.identity(one)
        told = {"revision": kube.revision(one), "secret": named["kind"] == "Secret", "stored": kube.stored_name(number, named)}
        objects.append({**named, **told, "sha256": hashlib.sha256(_object_text(one)).hexdigest()})
    what = {
        "entries": [one.as_dict() for one in entries],
        "objects": objects,
        "images": list(contents.images),
        "roots": list(contents.roots),
    }
    return {
        "kind": KIND,
        "store": service,
        "method": "point",
        "server": {"host": socket.gethostname()},
        "units": list(contents.units),
        "secret": list(contents.secret),
        "fingerprint": hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest(),
        **what,
    }


def _object_text(one: t.Mapping[str, t.Any]) -> bytes:
    return (json.dumps(kube.cleaned(one), indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def _write(home: str, manifest: t.Mapping[str, t.Any], entries: t.Sequence[Entry], contents: Contents) -> t.Optional[BackupSet]:
    """Write and seal; None when a file is not any more what was looked at."""
    os.makedirs(home, mode=0o700, exist_ok=True)
    moment = now()
    files: t.Dict[str, t.Dict[str, t.Any]] = {}
    with SetWriter(home, str(manifest["store"]), f"{moment.microsecond // 1000:03d}") as writer:
        for one in entries:
            if one.kind != FILE:
                continue
            stored = stored_path(one.path)
            target = os.path.join(writer.folder, stored)
            os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
            try:
                with open(one.path, "rb", buffering=0) as source:
                    files[stored] = copy_hashed(source, target, 0o600 & one.mode or 0o400)
            except FileNotFoundError:
                return None
            if files[stored]["sha256"] != one.sha256:
                return None
        for told, kept in zip(manifest["objects"], contents.objects):
            target = os.path.join(writer.folder, told["stored"])
            os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
            files[told["stored"]] = _write_text(target, _object_text(kept))
        for top, folders, _names in os.walk(writer.folder):
            for name in folders:
                os.chmod(os.path.join(top, name), 0o700)
        at = {
            "at": utc_text(moment),
            "consistent_at": f"{moment:%Y-%m-%dT%H:%M:%SZ}",
            "started_at": utc_text(moment),
            "finished_at": utc_now(),
        }
        return writer.seal({**manifest, **at}, files)


def _write_text(path: str, text: bytes) -> t.Dict[str, t.Any]:
    return copy_hashed(io.BytesIO(text), path)


def stored_path(path: str) -> str:
    """Where a point keeps the content of a file."""
    return "files" + path


def objects_of(point: BackupSet) -> t.List[t.Dict[str, t.Any]]:
    """The objects of Kubernetes that a point keeps, as they can be applied."""
    found = []
    for told in point.manifest["objects"]:
        with open(point.path(told["stored"]), encoding="utf-8") as stream:
            found.append(json.load(stream))
    return found


def summary(point: BackupSet, problems: t.Optional[t.Sequence[str]] = None) -> t.Dict[str, t.Any]:
    """What lists and results show of a point; no content of files."""
    manifest = point.manifest
    return {
        "id": point.id,
        "folder": point.folder,
        "service": manifest.get("store", ""),
        "at": manifest.get("at", ""),
        "reason": manifest.get("reason", ""),
        "before_restore_of": manifest.get("before_restore_of", ""),
        "run_id": manifest.get("run_id", ""),
        "size_bytes": point.size_bytes,
        "paths": [one["path"] for one in manifest.get("entries", []) if one["kind"] != "absent"],
        "absent": [one["path"] for one in manifest.get("entries", []) if one["kind"] == "absent"],
        "objects": [
            {key: one[key] for key in ("api_version", "kind", "namespace", "name", "revision")} for one in manifest.get("objects", [])
        ],
        "images": manifest.get("images", []),
        "units": manifest.get("units", []),
        "problems": list(point.damage if problems is None else problems),
    }
