# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Which backup sets belong together: one record for each backup of a whole service.

    services/<id>.json      the sets of all stores, whose moment they show, what was held meanwhile, which stores failed; with a checksum

Each store has a set of its own, sealed by itself; this record is what says that they were taken together. It is never needed to restore.
"""

from __future__ import annotations

import datetime
import os
import secrets
import typing as t

from ..errors import BadInput
from ..files import write_atomically
from ..sealed import sealed, unsealed
from ..state import slug
from .catalogue import SERVICES
from .sets import utc_now

FORMAT = "sre.runbooks/service-set/1"
_SECONDS = "%Y-%m-%dT%H:%M:%SZ"


def describe(
    service: str,
    members: t.Sequence[t.Mapping[str, t.Any]],
    failed: t.Sequence[t.Mapping[str, t.Any]] = (),
    *,
    held_at: str = "",
    released_at: str = "",
    held: t.Sequence[str] = (),
    run_id: str = "",
) -> t.Dict[str, t.Any]:
    """What a service set says.

    Args:
        service: Name of the profile.
        members: For each store that was backed up: `store`, `kind`, `method`, `set`, `host`, `consistent_at`, `size_bytes`.
        failed: For each that was not: `store`, `why`.
        held_at: When writes were held (UTC ISO 8601); empty when they were not.
        released_at: When they were let go again.
        held: Names of what was held.
        run_id: The run.

    Returns:
        The record: `consistent` is true when writes were held before the first set's moment and until after the last one's; then all
        sets show the service as it was at `consistent_at`. Otherwise their moments lie `spread_s` seconds apart.

    Raises:
        BadInput: There is neither a member nor a failure.
    """
    if not members and not failed:
        raise BadInput("A service set needs at least one store", next_step="name the stores that were backed up, or that failed")
    moments = sorted(str(one["consistent_at"]) for one in members)
    spread_s = (_time(moments[-1]) - _time(moments[0])).total_seconds() if moments else 0.0
    consistent = bool(moments and held and held_at and held_at <= moments[0] and released_at and moments[-1] <= released_at)
    return {
        "format": FORMAT,
        "service": service,
        "run_id": run_id,
        "written_at": utc_now(),
        "complete": not failed,
        "consistent": consistent,
        "consistent_at": (held_at if consistent else moments[-1]) if moments else "",
        "spread_s": 0.0 if consistent else spread_s,
        "held": {"what": list(held), "from": held_at, "until": released_at} if held else {},
        "members": [dict(one) for one in members],
        "failed": [dict(one) for one in failed],
    }


def write(backup_folder: str, record: t.Mapping[str, t.Any], *, dry_run: bool = False) -> t.Dict[str, t.Any]:
    """Write a service set below the backup folder and return it as a module's result."""
    stamp = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    name = f"{stamp}-{slug(str(record['service']), 40) or 'service'}-{secrets.token_hex(2)}"
    content = {**record, "id": name}
    path = os.path.join(os.path.abspath(backup_folder), SERVICES, f"{name}.json")
    if not dry_run:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        write_atomically(path, sealed(content))
    return {"changed": True, "service_set": {**content, "path": path}}


def list_service_sets(backup_folder: str) -> t.List[t.Dict[str, t.Any]]:
    """The service sets, the newest first; of one that is not what was written, `id`, `path` and `damage` alone."""
    folder = os.path.join(backup_folder, SERVICES)
    try:
        names = sorted((name for name in os.listdir(folder) if name.endswith(".json") and not name.startswith(".")), reverse=True)
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [_read(os.path.join(folder, name)) for name in names]


def remove_empty(backup_folder: str, present: t.Container[str], *, dry_run: bool = False) -> t.List[str]:
    """Remove the service sets of whose members on this host none is left; those with members elsewhere stay. Returns their names."""
    gone = []
    for one in list_service_sets(backup_folder):
        members = one.get("members", [])
        if one.get("damage") or any(member["set"] in present or member.get("elsewhere") for member in members):
            continue
        if not dry_run:
            os.unlink(one["path"])
        gone.append(str(one["id"]))
    return gone


def _read(path: str) -> t.Dict[str, t.Any]:
    name = os.path.basename(path)[: -len(".json")]
    try:
        with open(path, "rb") as stream:
            return {**unsealed(stream.read(), FORMAT), "path": path}
    except (ValueError, RecursionError):
        return {"id": name, "path": path, "damage": "it is not what was written"}
    except OSError as error:
        return {"id": name, "path": path, "damage": f"it cannot be read: {error.strerror}"}


def _time(text: str) -> datetime.datetime:
    return datetime.datetime.strptime(text, _SECONDS).replace(tzinfo=datetime.timezone.utc)
