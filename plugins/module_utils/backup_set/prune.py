# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Which sets may go. The decision is a pure function over what there is."""

from __future__ import annotations

import datetime
import os
import shutil
import typing as t
from dataclasses import dataclass

from ..files import fsync_path
from .sets import BackupSet


@dataclass(frozen=True)
class Keep:
    """What to keep of every store and method.

    Attributes:
        last: So many of the newest sets.
        days: Sets younger than so many days.
    """

    last: int = 7
    days: int = 30


@dataclass(frozen=True)
class PrunePlan:
    """What goes and what stays, each with its reason."""

    remove: t.Sequence[BackupSet]
    reasons: t.Mapping[str, str]


_DAY_S = 86400


def plan_prune(sets: t.Sequence[BackupSet], keep: Keep, now: datetime.datetime) -> PrunePlan:
    """Decide which sets go.

    Whatever the rules say, of every store and method the newest proven set stays, and the newest that is not damaged or failed.

    Args:
        sets: All sets.
        keep: The rules; a set stays when any of them keeps it.
        now: The time now, with its zone.
    """
    groups: t.Dict[t.Tuple[str, str, str], t.List[BackupSet]] = {}
    for one in sorted(sets, key=lambda one: (one.consistent_at, one.id), reverse=True):
        if one.manifest:
            manifest = one.manifest
            groups.setdefault((str(manifest.get("kind")), str(manifest.get("store")), str(manifest.get("method"))), []).append(one)
    reasons: t.Dict[str, str] = {one.id: "its manifest cannot be read: look at it by hand" for one in sets if not one.manifest}
    remove = []
    for group in groups.values():
        good = [one for one in group if one.state != "failed"]
        proven = [one for one in group if one.state == "proven"]
        for number, one in enumerate(group):
            if proven and one is proven[0]:
                reasons[one.id] = "the newest proven set always stays"
            elif good and one is good[0]:
                reasons[one.id] = "the newest good set always stays"
            elif number < keep.last:
                reasons[one.id] = f"one of the newest {keep.last}"
            elif (now - _time(one)).total_seconds() <= keep.days * _DAY_S:
                reasons[one.id] = f"younger than {keep.days} days"
            else:
                reasons[one.id] = f"older than {keep.days} days and not one of the newest {keep.last}"
                remove.append(one)
    return PrunePlan(remove, reasons)


def _time(one: BackupSet) -> datetime.datetime:
    return datetime.datetime.strptime(one.consistent_at, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.timezone.utc)


def remove_set(one: BackupSet) -> None:
    """Remove a set. It first loses its name, so that a half-removed one is never taken for a set."""
    home, name = os.path.split(one.folder)
    doomed = os.path.join(home, f".{name}.partial")
    os.rename(one.folder, doomed)
    fsync_path(home)
    shutil.rmtree(doomed)
