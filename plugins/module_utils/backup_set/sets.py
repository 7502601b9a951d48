# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""One backup set on disk: how it comes into being, is sealed, read, verified and proven.

    <set id>/manifest.json          what, when, from which server, every file with size and SHA-256
    <set id>/manifest.json.sha256   checksum of the manifest (the form of sha256sum)
    <set id>/proof.json             what has been proven of it since: verified, proven, failed
    <set id>/...                    the store's native files

While it is written a set is called `.<set id>.partial`, and its writer holds a lock (flock) on that folder: one whose lock is
free was left behind by a killed run and is removed by the next.
"""

from __future__ import annotations

import datetime
import fcntl
import hashlib
import json
import os
import re
import secrets
import shutil
import typing as t
import weakref
from contextlib import contextmanager
from dataclasses import dataclass, field

from ..errors import BadInput, NoSpace, SetNotFound
from ..files import fsync_path, nobody_holds, remove_tree, write_atomically
from ..process_tree import end_all, writers_below
from .checking import check_files, damaged
from .in_use import hold

FORMAT = "sre.runbooks/backup-set/1"
PROOF_FORMAT = "sre.runbooks/proof/1"
_PARTIAL = re.compile(r"^\.(?P<id>.+)\.partial$")
_STATES = ("written", "verified", "proven")
_UNPROVEN = "failed"


def utc_now() -> str:
    """The time now, as UTC ISO 8601 with seconds."""
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def set_id(store: str, method: str) -> str:
    """A new name for a set: UTC time, store, method and four random digits, e.g. `20261121T020000Z-reference-logical-1f3a`."""
    stamp = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    slug = re.sub(r"[^a-z0-9]+", "_", store.lower()).strip("_") or "store"
    return f"{stamp}-{slug[:40]}-{method}-{secrets.token_hex(2)}"


@dataclass
class BackupSet:
    """A finished set.

    Attributes:
        folder: Where it is.
        manifest: Its manifest.
        proofs: What has been proven of it, oldest first: {`state`, `at`, `run_id`, `detail`}.
        damage: What is wrong with the manifest or the proofs themselves; empty when they can be read.
        is_here: Whether its files are in the folder; of one that would have to be fetched only the manifest is known.
    """

    folder: str
    manifest: t.Dict[str, t.Any]
    proofs: t.List[t.Dict[str, t.Any]] = field(default_factory=list)
    damage: t.List[str] = field(default_factory=list)
    is_here: bool = True
    _held: t.Optional[int] = field(default=None, init=False, repr=False, compare=False)

    @property
    def id(self) -> str:
        """The set's name."""
        return os.path.basename(self.folder)

    @property
    def state(self) -> str:
        """`written`, `verified`, `proven`, or `failed` when the last look at it found it wanting."""
        if self.damage:
            return _UNPROVEN
        state = "written"
        for proof in self.proofs:
            if proof["state"] == _UNPROVEN:
                state = _UNPROVEN
            elif state == _UNPROVEN or _STATES.index(proof["state"]) > _STATES.index(state):
                state = proof["state"]
        return state

    @property
    def size_bytes(self) -> int:
        """Sum of the sizes of its files."""
        return sum(int(entry["size_bytes"]) for entry in self.manifest.get("files", []))

    @property
    def consistent_at(self) -> str:
        """The moment whose state it holds (UTC ISO 8601)."""
        return str(self.manifest.get("consistent_at", ""))

    def path(self, *parts: str) -> str:
        """A path inside the set."""
        return os.path.join(self.folder, *parts)

    def hold(self) -> None:
        """Keep others from removing the set as long as this object lives."""
        # One in the making has a dot in front of its name, and is locked by who makes it.
        if self._held is None and self.is_here and not self.id.startswith("."):
            self._held = hold(self.folder)
            if self._held is not None:
                weakref.finalize(self, os.close, self._held)

    def problems(
        self, jobs: int = 2, on_bytes: t.Optional[t.Callable[[int], None]] = None, md5: t.Optional[t.Dict[str, str]] = None
    ) -> t.List[str]:
        """Read every file and say what is not as the manifest has it (`check_files`); empty when all is well. The set is then held."""
        self.hold()
        return list(self.damage) or check_files(self.folder, self.manifest["files"], jobs=jobs, on_bytes=on_bytes, md5=md5)

    def require_whole(self, jobs: int = 2, on_bytes: t.Optional[t.Callable[[int], None]] = None) -> None:
        """Raise SetDamaged unless `problems` finds none. One that is not here is compared when it is fetched."""
        problems = self.problems(jobs, on_bytes) if self.is_here else self.damage
        if problems:
            raise damaged(self.folder, problems)

    def add_proof(self, state: str, *, run_id: str = "", detail: str = "") -> None:
        """Write down that the set was seen `verified`, `proven` or `failed`."""
        if state not in (*_STATES[1:], _UNPROVEN):
            raise BadInput(f"There is no proof called {state!r}", next_step="use verified, proven or failed")
        self.proofs.append({"state": state, "at": utc_now(), "run_id": run_id, "detail": detail})
        write_atomically(self.path("proof.json"), _proof_text(self.proofs))

    def mark_failed(self, problems: t.Sequence[str], run_id: str = "") -> None:
        """`add_proof` that the set was found wanting; that it could not be written down must not hide what was found."""
        try:
            self.add_proof(_UNPROVEN, run_id=run_id, detail="; ".join(problems[:5]))
        except (OSError, NoSpace):
            pass

    def summary(self) -> t.Dict[str, t.Any]:
        """What lists and results show of it."""
        keys = ("kind", "store", "database", "method", "server", "started_at", "finished_at", "consistent_at")
        return {
            "id": self.id,
            "folder": self.folder,
            "state": self.state,
            "size_bytes": self.size_bytes,
            "damage": list(self.damage),
            "proofs": list(self.proofs),
            **{key: self.manifest.get(key) for key in keys},
        }


def read_set(folder: str) -> BackupSet:
    """Read a set's manifest and proofs; what is wrong with them is in `damage`, files are not read.

    Raises:
        SetNotFound: There is no such folder.
    """
    if not os.path.isdir(folder):
        raise SetNotFound(
            "There is no such backup set", where=folder, next_step="list the sets with the module sre.runbooks.backup_set_info"
        )
    manifest, damage = _read_manifest(folder)
    proofs, proof_damage = _read_proofs(folder)
    return BackupSet(folder, manifest, proofs, damage + proof_damage)


def _read_manifest(folder: str) -> t.Tuple[t.Dict[str, t.Any], t.List[str]]:
    try:
        with open(os.path.join(folder, "manifest.json"), "rb") as stream:
            text = stream.read()
        with open(os.path.join(folder, "manifest.json.sha256"), "rb") as stream:
            expected = stream.read()
    except FileNotFoundError as error:
        return {}, [f"{os.path.basename(error.filename)} is missing"]
    except OSError as error:
        return {}, [f"{os.path.basename(error.filename or folder)} cannot be read: {error.strerror}"]
    if expected != _checksum_line(text):
        return {}, ["manifest.json and manifest.json.sha256 do not belong together"]
    manifest = json.loads(text)
    if manifest.get("format") != FORMAT:
        return {}, [f"manifest.json has the format {manifest.get('format')!r}, not {FORMAT!r}"]
    return manifest, []


def _read_proofs(folder: str) -> t.Tuple[t.List[t.Dict[str, t.Any]], t.List[str]]:
    try:
        with open(os.path.join(folder, "proof.json"), "rb") as stream:
            text = stream.read()
        entries: t.List[t.Dict[str, t.Any]] = json.loads(text)["entries"]
        if text != _proof_text(entries):
            raise ValueError
    except FileNotFoundError:
        return [], []
    except (ValueError, KeyError, TypeError):
        return [], ["proof.json is not what was written"]
    except OSError as error:
        return [], [f"proof.json cannot be read: {error.strerror}"]
    return entries, []


def _proof_text(entries: t.Sequence[t.Mapping[str, t.Any]]) -> bytes:
    digest = hashlib.sha256(json.dumps(entries, sort_keys=True).encode()).hexdigest()
    content = {"format": PROOF_FORMAT, "entries": entries, "sha256": digest}
    return (json.dumps(content, indent=1, sort_keys=True) + "\n").encode()


def _checksum_line(text: bytes) -> bytes:
    return f"{hashlib.sha256(text).hexdigest()}  manifest.json\n".encode()


class SetWriter:
    """A set in the making. Use as a context manager: leaving it without `seal` removes what was written.

    Attributes:
        id: The set's name to be.
        folder: Where to write its files now.
    """

    def __init__(self, backup_folder: str, store: str, method: str) -> None:
        self.id = set_id(store, method)
        self._home = os.path.abspath(backup_folder)
        self.folder = os.path.join(self._home, f".{self.id}.partial")
        self._lock = -1

    def __enter__(self) -> "SetWriter":
        os.makedirs(self._home, mode=0o700, exist_ok=True)
        with _folder_lock(self._home):
            os.mkdir(self.folder, 0o700)
            self._lock = os.open(self.folder, os.O_RDONLY | os.O_CLOEXEC)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return self

    def __exit__(self, *_error: t.Any) -> None:
        if os.path.isdir(self.folder):
            end_all(writers_below(self.folder))
            shutil.rmtree(self.folder, ignore_errors=True)
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def seal(self, manifest: t.Mapping[str, t.Any], files: t.Mapping[str, t.Mapping[str, t.Any]]) -> BackupSet:
        """Write the manifest as the last file and give the set its name; all must be on disk already but folders.

        Args:
            manifest: What to say of the set; format, id and files are added.
            files: Path below the set -> `size_bytes`, `sha256`.
        """
        entries = [{"path": path, **dict(entry)} for path, entry in sorted(files.items())]
        content = {**manifest, "format": FORMAT, "id": self.id, "files": entries}
        text = (json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()
        for top, _folders, _names in os.walk(self.folder, topdown=False):
            fsync_path(top)
        write_atomically(os.path.join(self.folder, "manifest.json.sha256"), _checksum_line(text))
        write_atomically(os.path.join(self.folder, "manifest.json"), text)
        final = os.path.join(self._home, self.id)
        os.rename(self.folder, final)
        fsync_path(self._home)
        return BackupSet(final, content)


def remove_leftovers(backup_folder: str, *, dry_run: bool = False) -> t.List[str]:
    """Remove what killed runs left half written, and end what still writes there; folders whose run lives are kept. Returns their names."""
    if not os.path.isdir(backup_folder):
        return []
    removed = []
    with _folder_lock(backup_folder):
        for name in sorted(os.listdir(backup_folder)):
            path = os.path.join(backup_folder, name)
            if _PARTIAL.match(name) and os.path.isdir(path) and nobody_holds(path):
                if not dry_run:
                    end_all(writers_below(path))
                    remove_tree(path)
                removed.append(name)
    return removed


@contextmanager
def _folder_lock(folder: str) -> t.Iterator[None]:
    """Between making a folder and locking it nobody may take it for a leftover: both sides hold this lock meanwhile."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
