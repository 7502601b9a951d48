# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Rollback points: sealed copies of what a service is configured by, beside one another in one folder.

A point is a backup set (backup_set.sets) of the kind `rollback_point`: a folder with `manifest.json`, its checksum, and the files. It is
written under a temporary name and gets its own when every byte is on the disk.
"""

from __future__ import annotations

import json
import os
import typing as t

from ..backup_set.catalogue import list_sets
from ..backup_set.checking import damaged
from ..backup_set.sets import BackupSet, read_set
from ..errors import SetDamaged, SetNotFound
from .survey import Entry, entry_from
from .unfinished import noted

KIND = "rollback_point"


def points_of(home: str, service: str = "") -> t.List[BackupSet]:
    """The points of a service (empty: of all), the newest first; those that cannot be read are among them."""
    found = [
        one
        for one in list_sets(home)
        if not one.manifest or (one.manifest.get("kind") == KIND and service in ("", one.manifest.get("store")))
    ]
    return sorted(found, key=lambda one: (str(one.manifest.get("at", "")), one.id), reverse=True)


def choose(home: str, service: str, name: str = "") -> BackupSet:
    """The point of that name; its files have not been read.

    Without a name it is the one that an unfinished change goes back to, for later ones hold what that change left half done; else the
    service's newest that was not taken by a restore.

    Raises:
        SetNotFound: There is none.
        SetDamaged: It cannot be read.
    """
    name = name or noted(home, service).get("point", "")
    there = [one for one in points_of(home, service) if one.manifest]
    fitting = [one for one in there if (one.id == name if name else not one.manifest.get("before_restore_of"))]
    if name and not fitting and os.path.isdir(os.path.join(home, name)) and "/" not in name and not name.startswith("."):
        problems = read_set(os.path.join(home, name)).damage or [f"it belongs to another service than {service}"]
        raise damaged_point(os.path.join(home, name), problems)
    if not fitting:
        why = f"there are {', '.join(one.id for one in there[:5])}" if there else "none was taken yet"
        what = f"There is no rollback point {name!r} of {service}" if name else f"There is no rollback point of {service}"
        raise SetNotFound(
            what, where=home, why=why, next_step="look at what there is with rollback_point_list, or take one with rollback_point_create"
        )
    return fitting[0]


def damaged_point(folder: str, problems: t.Sequence[str]) -> SetDamaged:
    """The error that names what is wrong with a point."""
    return damaged(folder, problems, "rollback point", "nothing was changed; name another point (rollback_point_list shows them)")


def require_whole(point: BackupSet) -> None:
    """Read every file of a point.

    Raises:
        SetDamaged: It is not as it was sealed.
    """
    problems = point.problems()
    if problems:
        raise damaged_point(point.folder, problems)


def entries_of(point: BackupSet) -> t.List[Entry]:
    """The files and folders that a point keeps, by path."""
    return [entry_from(told) for told in point.manifest["entries"]]


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
