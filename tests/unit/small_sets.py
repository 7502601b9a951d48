# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Backup sets for tests: real ones on disk, and ones that only have a manifest."""

from __future__ import annotations

import io
import os
import typing as t
from pathlib import Path

from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.hashing import copy_hashed
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.sets import BackupSet, SetWriter

FILES = {"dump/toc.dat": b"table of contents", "dump/1.dat": b"x" * 5000, "globals.sql": b"CREATE ROLE clerk;\n"}


def make_set(
    folder: Path, files: t.Mapping[str, bytes] = FILES, *, store: str = "reference", at: str = "2026-11-21T02:00:00Z", **manifest: t.Any
) -> BackupSet:
    """A sealed set with these files."""
    with SetWriter(str(folder), store, manifest.get("method", "logical")) as writer:
        entries = {}
        for name, content in files.items():
            path = os.path.join(writer.folder, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            entries[name] = copy_hashed(io.BytesIO(content), path)
        told = {"kind": "files", "method": "logical", "store": store, "consistent_at": at, "server": {"system_identifier": "1"}, **manifest}
        return writer.seal(told, entries)


def described(
    name: str,
    at: str,
    states: t.Sequence[str] = (),
    *,
    store: str = "reference",
    method: str = "logical",
    server: str = "1",
    damage: str = "",
) -> BackupSet:
    """A set as its manifest and proofs describe it; there is no folder."""
    manifest = {
        "kind": "postgresql",
        "store": store,
        "method": method,
        "consistent_at": at,
        "server": {"system_identifier": server, "address": "db:5432"},
        "files": [{"path": "x", "size_bytes": 1, "sha256": ""}],
    }
    proofs = [{"state": state, "at": at, "run_id": "", "detail": ""} for state in states]
    return BackupSet("/backups/" + name, {} if damage else manifest, proofs, [damage] if damage else [])
