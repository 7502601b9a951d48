# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""A rollback point is taken: what there is, sealed; or what an earlier point has, and with it what that one lacks."""

from __future__ import annotations

import hashlib
import io
import json
import os
import socket
import typing as t
from dataclasses import dataclass, replace

from ..backup_set.hashing import copy_hashed
from ..backup_set.sets import BackupSet, SetWriter, remove_leftovers, utc_now
from ..errors import BadInput, RunbookError
from ..state import utc_now as now
from ..state import utc_text
from . import objects as kube
from .points import KIND, entries_of, points_of, stored_path
from .survey import ABSENT, FILE, FOLDER, Entry, is_among, survey

MOST_BYTES = 100_000_000
"""Sum of the files' sizes that is still taken for configuration."""
_ATTEMPTS = 3


@dataclass(frozen=True)
class Contents:
    """What a point shall keep.

    Attributes:
        roots: Files and folders, beside those of `base`.
        secret: Files and folders whose content is shown to nobody.
        objects: Objects of Kubernetes, as the server gave them, beside those of `base`.
        images: Images of running containers.
        units: Units of systemd that the files belong to.
        notes: What is to be known of them.
        base: A point whose files and objects it keeps, too, as they were then.
    """

    roots: t.Sequence[str]
    secret: t.Sequence[str] = ()
    objects: t.Sequence[t.Mapping[str, t.Any]] = ()
    images: t.Sequence[t.Mapping[str, t.Any]] = ()
    units: t.Sequence[str] = ()
    notes: t.Sequence[str] = ()
    base: t.Optional[BackupSet] = None


def create(
    home: str,
    service: str,
    contents: Contents,
    *,
    reason: str = "",
    run_id: str = "",
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
        before_restore_of: The point whose restore will replace these files; a restore without a name passes over such points.
        dry_run: Whether only to look.

    Returns:
        The point (None: it would be taken), whether it is new, its manifest without the list of files, notes.

    Raises:
        BadInput: Something cannot be read, or the points themselves are in what shall be kept.
        RunbookError: A file does not stand still.
        NoSpace: The disk is full; no point was taken.
    """
    _must_be_outside(home, contents.roots)
    leftovers = remove_leftovers(home, dry_run=dry_run)
    notes = [f"removed the point that a killed run left half done: {name}" for name in leftovers if not dry_run]
    entries, unread = _look(contents, before_restore_of)
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
        entries, _unread = _look(contents, before_restore_of)
        manifest = {**_manifest(service, contents, entries), **extra}
    step = "let what writes to it come to rest, then run the procedure again"
    raise RunbookError("A file changes all the time", where=", ".join(contents.roots), why=f"also at attempt {_ATTEMPTS}", next_step=step)


def _must_be_outside(home: str, roots: t.Iterable[str]) -> None:
    inside = os.path.join(os.path.realpath(home), "")
    for root in roots:
        if inside.startswith(os.path.join(os.path.realpath(root), "")):
            why = "a restore would remove the points that were taken since"
            raise BadInput(
                f"The rollback points themselves are in {root}", where=home, why=why, next_step="name the files of configuration alone"
            )


def _look(contents: Contents, before_restore_of: str) -> t.Tuple[t.List[Entry], t.List[str]]:
    """What there is, and what `base` has; what a restore replaces is kept whatever its size."""
    entries, notes = survey(contents.roots, contents.secret, None if before_restore_of else MOST_BYTES)
    if contents.base is None:
        return entries, notes
    known = [
        replace(one, secret=one.secret or (one.kind == FILE and is_among(one.path, contents.secret))) for one in entries_of(contents.base)
    ]
    found = {one.path: one for one in [*(one for one in entries if not _is_covered(one.path, known)), *known]}
    return [found[path] for path in sorted(found)], notes


def _is_covered(path: str, known: t.Sequence[Entry]) -> bool:
    """Whether a restore of these entries brings a path back: it is one of them, or in a folder that is."""
    return any(path == one.path or (one.kind in (FOLDER, ABSENT) and path.startswith(one.path.rstrip("/") + "/")) for one in known)


def beyond(base: BackupSet, wanted: Contents) -> t.Optional[Contents]:
    """What a point has to keep that goes on from `base` and lacks nothing of what is wanted; None where `base` lacks nothing."""
    known = entries_of(base)
    roots = [root for root in wanted.roots if not _is_covered(os.path.abspath(root), known)]
    there = [tuple(told[key] for key in kube.NAMES) for told in base.manifest["objects"]]
    objects = [one for one in wanted.objects if tuple(kube.identity(one).values()) not in there]
    if not (roots or objects or set(wanted.secret) - set(base.manifest["secret"])):
        return None
    return replace(
        wanted,
        roots=roots,
        secret=list(dict.fromkeys([*base.manifest["secret"], *wanted.secret])),
        objects=objects,
        images=[*base.manifest["images"], *(one for one in wanted.images if one not in base.manifest["images"])],
        units=list(dict.fromkeys([*base.manifest["units"], *wanted.units])),
        base=base,
    )


def _is_the_same(newest: BackupSet, manifest: t.Mapping[str, t.Any]) -> bool:
    if newest.manifest.get("fingerprint") != manifest["fingerprint"] or _named(manifest) - _named(newest.manifest):
        return False
    # One that a restore took is not found without its name.
    return (bool(manifest["before_restore_of"]) or not newest.manifest.get("before_restore_of")) and not newest.problems()


def _named(manifest: t.Mapping[str, t.Any]) -> t.Set[t.Tuple[str, str]]:
    """The names and ids of images that a manifest tells of; how many containers ran from each makes no other point."""
    return {(one["image"], one["image_id"]) for one in manifest["images"]}


def _objects(contents: Contents) -> t.List[t.Tuple[t.Dict[str, t.Any], bytes]]:
    """What the manifest says of each object, and its text."""
    found: t.List[t.Tuple[t.Dict[str, t.Any], bytes]] = []
    for told in contents.base.manifest["objects"] if contents.base is not None else ():
        with open(contents.base.path(told["stored"]), "rb") as stream:  # type: ignore[union-attr]
            found.append((told, stream.read()))
    for one in contents.objects:
        named, text = kube.identity(one), _object_text(one)
        told = {"revision": kube.revision(one), "secret": named["kind"] == "Secret", "stored": kube.stored_name(len(found), named)}
        found.append(({**named, **told, "sha256": hashlib.sha256(text).hexdigest()}, text))
    return found


def _manifest(service: str, contents: Contents, entries: t.Sequence[Entry]) -> t.Dict[str, t.Any]:
    what = {
        "entries": [one.as_dict() for one in entries],
        "objects": [told for told, _text in _objects(contents)],
        "secret": list(contents.secret),
        "roots": [*(contents.base.manifest["roots"] if contents.base is not None else ()), *contents.roots],
    }
    return {
        "kind": KIND,
        "store": service,
        "method": "point",
        "server": {"host": socket.gethostname()},
        "units": list(contents.units),
        "images": list(contents.images),
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
    of_base = {one.path for one in entries_of(contents.base)} if contents.base is not None else frozenset()
    with SetWriter(home, str(manifest["store"]), f"{moment.microsecond // 1000:03d}") as writer:
        for one in entries:
            if one.kind != FILE:
                continue
            stored = stored_path(one.path)
            target = os.path.join(writer.folder, stored)
            os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
            try:
                with open(contents.base.path(stored) if contents.base and one.path in of_base else one.path, "rb", buffering=0) as source:
                    files[stored] = copy_hashed(source, target, 0o600 & one.mode or 0o400)
            except FileNotFoundError:
                return None
            if files[stored]["sha256"] != one.sha256:
                return None
        for told, text in _objects(contents):
            target = os.path.join(writer.folder, told["stored"])
            os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
            files[told["stored"]] = copy_hashed(io.BytesIO(text), target)
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
