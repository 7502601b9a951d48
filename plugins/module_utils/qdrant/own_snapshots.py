# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Snapshots that we let a server make, so that they go again, those of killed runs too.

Qdrant names its snapshots itself (`<collection>-<peer id>-<UTC time>.snapshot`), and goes on making one when nobody waits for it any more.
So before one is asked for, a note in the backup folder says which there were, and when that was. Its holder has a lock on the note: one
whose lock is free was left by a killed run, and the next removes from the server what appeared in those very seconds, if it is one.
"""

from __future__ import annotations

import datetime
import fcntl
import json
import os
import re
import secrets
import typing as t

from ..errors import RunbookError
from ..files import write_atomically
from .http import Refused
from .server import Server, Snapshot

_LOCK_FILE = re.compile(r"^(\.qdrant-[0-9a-f]{16}\.note)\.lock$")
_NAME = re.compile(r"-(\d{4}-\d{2}-\d{2}-\d{2}-\d{2}-\d{2})\.snapshot$")
_TIME = "%Y-%m-%d-%H-%M-%S"
_BEFORE, _AFTER = datetime.timedelta(seconds=2), datetime.timedelta(seconds=10)
"""Around our request, within which the time in its snapshot's name lies; hosts' clocks agree to within these."""


class OwnSnapshots:
    """The snapshots of one run. Use as a context manager: leaving it removes them from the server."""

    def __init__(self, server: Server, backup_folder: str) -> None:
        self._server = server
        self._path = os.path.join(os.path.abspath(backup_folder), f".qdrant-{secrets.token_hex(8)}.note")
        self._lock = -1
        self._notes: t.List[t.Dict[str, t.Any]] = []
        self.notes: t.List[str] = []

    def __enter__(self) -> "OwnSnapshots":
        os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
        # The lock is on a file of its own, as the note itself is replaced each time it is written.
        while True:
            self._lock = os.open(f"{self._path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            if os.path.exists(f"{self._path}.lock"):
                break
            os.close(self._lock)  # another run took it for a leftover before it was locked
        return self

    def __exit__(self, *_error: t.Any) -> None:
        try:
            for note in list(self._notes):
                try:
                    _remove_noted(self._server, note)
                    self._notes.remove(note)
                except RunbookError as error:
                    what = ", ".join(name for _collection, name in note["names"]) or f"that of {note['collection'] or 'the storage'}"
                    self.notes.append(f"a snapshot could not be removed from the server, the next backup will: {what}: {error.what}")
            if self._notes:
                self._write()
            else:
                _forget(self._path)
        finally:
            os.close(self._lock)

    def take(self, collection: str) -> Snapshot:
        """Let the server make a snapshot; it goes when the block is left, or by `remove`.

        One of the whole storage (no collection) leaves behind one of each collection, which go with it.
        """
        asked_at = _now()
        notes: t.List[t.Dict[str, t.Any]] = [
            {
                "url": str(self._server),
                "collection": one,
                "before": [known.name for known in self._server.snapshots(one)],
                "asked_at": asked_at,
                "names": [],
            }
            for one in [collection, *([] if collection else self._server.collections())]
        ]
        self._notes += notes
        self._write()
        try:
            made = self._server.create_snapshot(collection)
        finally:
            for note in notes:
                note["ended_at"] = _now()
        notes[0]["names"] = [[collection, made.name]]
        self._write()
        return made

    def own_too(self, collection: str, name: str) -> None:
        """A snapshot that came into being with one of ours goes with it."""
        self._notes = [note for note in self._notes if note["collection"] != collection]
        self._notes.append({"url": str(self._server), "collection": collection, "names": [[collection, name]]})
        self._write()

    def remove(self) -> None:
        """Remove all from the server now."""
        for note in list(self._notes):
            _remove_noted(self._server, note)
            self._notes.remove(note)

    def _write(self) -> None:
        write_atomically(self._path, json.dumps(self._notes).encode())


def remove_abandoned(server: Server, backup_folder: str, *, dry_run: bool = False) -> t.List[str]:
    """Remove from the server the snapshots that killed runs let it make; returns their names."""
    removed: t.List[str] = []
    for name in sorted(os.listdir(backup_folder)) if os.path.isdir(backup_folder) else []:
        match = _LOCK_FILE.match(name)
        if match is None:
            continue
        try:
            lock = os.open(os.path.join(backup_folder, name), os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            continue  # its run ended just now
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            removed += _clear(server, os.path.join(backup_folder, match.group(1)), dry_run)
        except BlockingIOError:
            continue  # its run lives
        finally:
            os.close(lock)
    return removed


def _clear(server: Server, path: str, dry_run: bool) -> t.List[str]:
    """Remove what one note names that is on this server, and the note when it names nothing else."""
    try:
        with open(path, encoding="utf-8") as stream:
            notes = json.load(stream)
    except FileNotFoundError:
        notes = []  # killed before it asked for anything, or after all was done
    ours = [note for note in notes if note["url"] == str(server)]
    removed = [name for note in ours for name in _remove_noted(server, note, dry_run=dry_run)]
    if len(ours) == len(notes) and not dry_run:
        _forget(path)
    return removed


def _forget(path: str) -> None:
    for one in (path, f"{path}.lock"):
        try:
            os.unlink(one)
        except FileNotFoundError:
            pass


def _remove_noted(server: Server, note: t.Mapping[str, t.Any], *, dry_run: bool = False) -> t.List[str]:
    names = [(str(collection), str(name)) for collection, name in note["names"]] or _appeared(server, note)
    for collection, name in names:
        if not dry_run:
            server.delete_snapshot(collection, name)
    return [name for _collection, name in names]


def _appeared(server: Server, note: t.Mapping[str, t.Any]) -> t.List[t.Tuple[str, str]]:
    """What the server made for a request whose answer nobody heard."""
    try:
        known = server.snapshots(note["collection"])
    except Refused as error:
        if error.status == 404:  # the collection is gone
            return []
        raise
    begin, end = _time(note["asked_at"]) - _BEFORE, _time(note.get("ended_at") or note["asked_at"]) + _AFTER
    names = [one.name for one in known if one.name not in note["before"]]
    made = [name for name in names for match in [_NAME.search(name)] if match and begin <= _time(match.group(1)) <= end]
    # Where there are two, one is somebody else's.
    return [(str(note["collection"]), name) for name in made] if len(made) == 1 else []


def _now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).strftime(_TIME)


def _time(text: str) -> datetime.datetime:
    return datetime.datetime.strptime(text, _TIME).replace(tzinfo=datetime.timezone.utc)
