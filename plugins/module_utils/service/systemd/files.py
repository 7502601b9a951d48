# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The files of a unit, and whether what runs is what they say."""

from __future__ import annotations

import glob
import os
import time
import typing as t

from ..reading import Reading, ctime_of
from .state import FOLDERS, Unit


def drop_ins_of(name: str) -> t.List[str]:
    """The drop-ins that there are for a unit (systemd.unit(5)): its own, its template's, those of its name's prefixes and of its type."""
    stem, _dot, kind = name.rpartition(".")
    names = [name, kind]
    stems = [stem, stem.partition("@")[0] + "@"] if "@" in stem else [stem]
    names += [f"{one}.{kind}" for one in stems[1:]]
    prefix, parts = stem.partition("@")[0], []
    while "-" in prefix.rstrip("-"):
        prefix = prefix.rstrip("-").rpartition("-")[0] + "-"
        parts += [f"{prefix}@.{kind}", f"{prefix}.{kind}"] if "@" in stem else [f"{prefix}.{kind}"]
    tops = ("/etc/systemd/system.control", "/run/systemd/system.control", "/run/systemd/transient", "/run/systemd/generator", *FOLDERS)
    found = {os.path.realpath(top) for top in tops}
    return sorted(
        path for top in found for one in (*names, *parts) for path in glob.glob(f"{glob.escape(top)}/{glob.escape(one)}.d/*.conf")
    )


def is_stale(unit: Unit) -> bool:
    """Whether a unit's files are others than those that systemd has read.

    NeedDaemonReload does not tell of a drop-in whose folder was not there when systemd last looked.
    """
    paths = unit.get("DropInPaths", "").split()
    read = {os.path.basename(path) for path in paths}
    there = {os.path.basename(path) for path in drop_ins_of(unit.name) if os.path.realpath(path) != os.devnull}
    # What was read may lie where this does not look: under another name of the unit, or in a folder of a generator.
    return unit.get("NeedDaemonReload") == "yes" or bool(there - read) or not all(map(os.path.lexists, paths))


def is_outdated(unit: Unit, reading: Reading) -> bool:
    """Whether a unit runs since before one of its files changed last, or before they are read; or has to start again for `reading`.

    Its start is told by the monotonic clock, so that a wall clock which was set since does not matter.
    """
    began = int(unit.get("ExecMainStartTimestampMonotonic") or unit.get("ActiveEnterTimestampMonotonic") or 0) / 1e6
    if is_stale(unit):
        return True
    if not unit.active or not began:
        return False
    patterns = [unit.get("FragmentPath", ""), *unit.get("DropInPaths", "").split(), *(path for path, _may in unit.environment_files)]
    paths = (path for pattern in patterns if pattern for path in glob.glob(pattern))
    started_at = time.time() - time.clock_gettime(time.CLOCK_MONOTONIC) + began
    has_changed = any(ctime_of(path) > started_at for path in paths)
    if reading.started_since is not None:
        # A file that came back has changed, too: what ran all along has read it as it is again.
        return started_at >= reading.started_since and (bool(reading.files) or has_changed)
    return reading.is_outdated(started_at) or has_changed


def notes_on(units: t.Sequence[Unit]) -> t.List[str]:
    """What stands out about units that run."""
    stale = [unit.name for unit in units if is_stale(unit)]
    unbound = [unit.name for unit in units if unit.active and unit.get("UnitFileState") == "disabled"]
    notes = []
    if stale:
        notes.append(f"Files of {', '.join(stale)} have changed since systemd read them; service_apply lets them take effect")
    if unbound:
        notes.append(f"Not enabled, so not started with the machine: {', '.join(unbound)}")
    return notes
