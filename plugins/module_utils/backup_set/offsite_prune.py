# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Retention of the off-site copies, by rules of their own.

A copy loses its `manifest.json` first, so that one whose removal was cut off is an incomplete upload, which no restore takes and a later
pruning clears away. Nothing is touched that does not bear the name of a set.
"""

from __future__ import annotations

import datetime
import json
import re
import typing as t

from .catalogue import SERVICES
from .object_store import ObjectStore
from .offsite import remote_service_sets, remote_sets
from .operations import pruned
from .prune import Keep, plan_prune

_SET_NAME = re.compile(r"^[0-9]{8}T[0-9]{6}Z-[a-z0-9_]+-[a-z_]+-[0-9a-f]{4}$")
"""The form of `sets.set_id`."""
INTERRUPTED_S = 86400.0
"""An upload to which nothing was added for so long will not be completed any more: it was given up."""


def prune_offsite(
    store: ObjectStore, keep: Keep, *, dry_run: bool = False, now: t.Optional[datetime.datetime] = None
) -> t.Dict[str, t.Any]:
    """Remove the copies that no rule keeps, and uploads and removals that were cut off a day ago or longer; without any rule nothing.

    Args:
        store: The store.
        keep: The rules for copies.
        dry_run: Whether only to tell.
        now: The time now; None for this machine's.

    Returns:
        As the pruning of the sets here: `removed`, `leftovers`, `reasons`, `freed_bytes`, `listing`, `diff`;
        `service_sets` (records of sets that are gone) and `decisions`.

    Raises:
        Unreachable: The store failed; what had been removed is gone, and the rest is as it was.
    """
    moment = now or datetime.datetime.now(datetime.timezone.utc)
    sets = remote_sets(store)
    plan = plan_prune(sets, keep, moment)
    leftovers = _interrupted(store, moment) if keep.has_rule else []
    records = _without_copies(store, {one.id for one in sets} - {one.id for one in plan.remove}) if keep.has_rule else []
    if not dry_run:
        for one in plan.remove:
            _remove(store, one.id)
        for name in leftovers:
            _remove(store, name, sealed=False)
        for name in records:
            store.call("deletefile", store.remote(SERVICES, f"{name}.json"))
    unruled = f"Nothing off-site is ever removed, as no rule says what may go (backup_offsite_keep_*); {len(sets)} copies are there"
    decisions = [] if keep.has_rule else [unruled]
    result = pruned(plan, sets, list(plan.remove), [*leftovers, *records])
    return {**result, "leftovers": leftovers, "service_sets": records, "decisions": decisions}


def _without_copies(store: ObjectStore, present: t.Container[str]) -> t.List[str]:
    """Names of the records that tell of no copy that is still there."""
    records = [one for one in remote_service_sets(store) if not one.get("damage")]
    return [str(one["id"]) for one in records if not any(member["set"] in present for member in one["members"])]


def _remove(store: ObjectStore, name: str, *, sealed: bool = True) -> None:
    if sealed:
        store.call("deletefile", store.remote(name, "manifest.json"))
    store.call("purge", store.remote(name))


def _interrupted(store: ObjectStore, now: datetime.datetime) -> t.List[str]:
    """Names of the sets without a manifest to which nothing was added for `INTERRUPTED_S`."""
    # The time of the upload, not the file's own, which rclone would ask for object by object.
    options = ("--recursive", "--files-only", "--no-mimetype", "--use-server-modtime")
    newest: t.Dict[str, datetime.datetime] = {}
    sealed = set()
    for entry in json.loads(store.call("lsjson", store.remote() + "/", *options) or "[]"):
        name, _slash, rest = entry["Path"].partition("/")
        if not rest or not _SET_NAME.match(name):
            continue
        if rest == "manifest.json":
            sealed.add(name)
        newest[name] = max(newest.get(name, _time(entry["ModTime"])), _time(entry["ModTime"]))
    return sorted(name for name, at in newest.items() if name not in sealed and (now - at).total_seconds() > INTERRUPTED_S)


def _time(text: str) -> datetime.datetime:
    # RFC 3339 with nanoseconds and any offset, which Python 3.9 cannot read whole.
    found = re.match(r"^(.{19})(?:\.\d+)?(Z|[+-]\d\d:\d\d)$", text)
    if found is None:
        return datetime.datetime.now(datetime.timezone.utc)
    offset = "+00:00" if found.group(2) == "Z" else found.group(2)
    return datetime.datetime.fromisoformat(found.group(1) + offset)
