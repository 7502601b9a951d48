# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Copies of backup sets in an object store, by rclone.

A set lies under its name below the prefix. `manifest.json` is uploaded last, after the others were compared: a set without it is
an interrupted upload, which the next upload completes and no restore ever takes. Which sets belong together is told in `services/`.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import typing as t

from ..command import run
from ..errors import SetDamaged
from ..files import fsync_tree, no_space_or, require_space
from ..progress import Progress
from .arrivals import Arrivals, InBackground
from .catalogue import SERVICES, list_sets
from .checking import SEAL_FILES, check_files, damaged
from .hashing import hash_md5
from .in_use import CHOSEN
from .object_store import LONG_PATIENCE, ObjectStore
from .service_sets import list_service_sets
from .sets import BackupSet, SetWriter, read_set

_SEALS = ("manifest.json.sha256", "manifest.json")
"""What tells of a set; `manifest.json` is sent last of all."""
_SEALS_BYTES = 1 << 20
"""Room for what is not among a set's files: manifest, its checksum, proofs."""
_SINGLE_PART_BYTES = 200 << 20
"""From this size on rclone uploads in parts (manual, `--s3-upload-cutoff`), and the store knows no MD5 but the one that rclone tells it."""
_WITHOUT_MD5 = {"RCLONE_LOCAL_HASHES": "sha256"}
"""Keeps rclone from reading every file for its MD5 before it sends it (`--local-hashes`; older versions do not know it and read)."""


def upload(store: ObjectStore, backup_set: BackupSet, *, download_check: bool = False) -> t.Dict[str, t.Any]:
    """Copy a set into the store, compare checksums there, then add the manifest; what is there already is not sent again.

    Every file is read once beside the transfer: for its SHA-256, which the manifest has, and for its MD5, which the store has taken of
    what it received.

    Args:
        store: The store.
        backup_set: The set; no manifest is sent unless all its files are as it says.
        download_check: Compare by reading everything back instead of by the checksums that the store keeps.

    Returns:
        `changed`, `location`, `bytes`.

    Raises:
        SetDamaged: The set, or the copy, is not what the manifest says.
        Unreachable: The store failed.
    """
    remote, location = store.remote(backup_set.id), f"s3://{store.path(backup_set.id)}"
    md5: t.Dict[str, str] = {}
    reading = InBackground(lambda: backup_set.problems(jobs=1, md5=md5))
    known = _checksums(store, backup_set.id)
    there = "manifest.json" in known
    if there:  # what is there may be the better one of the two
        problems = reading.result()
        if problems:
            raise damaged(backup_set.folder, problems)
        if not _differences(store, backup_set, md5, ["proof.json"], download_check=download_check):
            return {"changed": _bring_proof(store, backup_set, known), "location": location, "bytes": 0}
    progress = Progress(f"Copying {backup_set.id} off-site")
    send = ("copy", backup_set.folder, remote, *_excluding(["manifest.json"]))
    # Our own comparison, of all files together, takes the place of rclone's, which has each file read twice more by itself.
    ours = ("--ignore-checksum", "--s3-no-head", *(["--checksum"] if known else []))
    small = all(entry["size_bytes"] < _SINGLE_PART_BYTES for entry in backup_set.manifest.get("files", []))
    unhashed = _WITHOUT_MD5 if small and not known else {}
    store.transfer(progress, "uploading", backup_set.size_bytes, *send, *ours, environment=unhashed)
    progress.say("comparing checksums")
    problems = reading.result()
    if problems:
        store.call("purge", remote)
        raise damaged(backup_set.folder, problems)
    differing = _differences(store, backup_set, md5, ["manifest.json"], download_check=download_check)
    if differing:  # damaged on the way: rclone finds by itself what differs
        store.transfer(progress, "uploading again what differs", backup_set.size_bytes, *send, "--checksum")
        differing = _differences(store, backup_set, md5, ["manifest.json"], download_check=download_check)
    if differing:
        raise SetDamaged(
            f"The off-site copy of {backup_set.id} differs",
            where=str(store),
            why="missing, or with other content: " + ", ".join(differing[:5]),
            next_step="run the off-site copy again",
        )
    store.call("copyto", backup_set.path("manifest.json"), f"{remote}/manifest.json")
    return {"changed": True, "location": location, "bytes": backup_set.size_bytes}


def upload_proof(store: ObjectStore, backup_set: BackupSet, *, dry_run: bool = False) -> t.Dict[str, t.Any]:
    """Bring what has been proven of a set to its copy; nothing without a copy, or when the copy has it.

    Returns:
        `changed`, `location` (empty without a copy), `bytes`.
    """
    known = _checksums(store, backup_set.id)
    there = "manifest.json" in known
    return {
        "changed": there and _bring_proof(store, backup_set, known, dry_run=dry_run),
        "location": f"s3://{store.path(backup_set.id)}" if there else "",
        "bytes": 0,
    }


def _bring_proof(store: ObjectStore, one: BackupSet, known: t.Mapping[str, str], *, dry_run: bool = False) -> bool:
    """Whether the copy, which has the files `known` with their MD5, lacks the newest proof; then it gets it."""
    proof = one.path("proof.json")
    if not os.path.exists(proof) or known.get("proof.json") == hash_md5(proof):
        return False
    if not dry_run:
        store.call("copyto", proof, store.remote(one.id, "proof.json"))
    return True


def _excluding(names: t.Sequence[str]) -> t.List[str]:
    return [flag for name in (*names, CHOSEN) for flag in ("--exclude", "/" + name)]


def _checksums(store: ObjectStore, name: str) -> t.Dict[str, str]:
    """Path -> MD5 of everything in the copy of a set; empty where the store does not tell. Without a copy there is nothing."""
    options = ("--recursive", "--files-only", "--hash", "--no-modtime", "--no-mimetype")
    found = json.loads(store.call("lsjson", store.remote(name) + "/", *options) or "[]")
    return {entry["Path"]: entry.get("Hashes", {}).get("md5", "") for entry in found}


def _differences(
    store: ObjectStore, one: BackupSet, md5: t.Mapping[str, str], leave_out: t.Sequence[str], *, download_check: bool = False
) -> t.List[str]:
    """The files of a set whose copy is missing or has another checksum; `md5` is of those that its manifest lists."""
    seals = [name for name in sorted(SEAL_FILES - {CHOSEN, *leave_out}) if os.path.exists(one.path(name))]
    here = {**md5, **{name: hash_md5(one.path(name)) for name in seals}}
    there = {} if download_check else _checksums(store, one.id)
    if download_check or any(there.get(path) == "" for path in here):
        return _read_back(store, one, leave_out)
    return sorted(path for path, checksum in here.items() if there.get(path) != checksum)


def _read_back(store: ObjectStore, one: BackupSet, leave_out: t.Sequence[str]) -> t.List[str]:
    """The files of a set whose copy is missing or another one, byte for byte."""
    how = ("--one-way", "--download", "--combined", "-", *_excluding(leave_out), *LONG_PATIENCE)
    done = run(store.command("check", one.folder, store.remote(one.id), *how), check=False)
    differing = [line[2:] for line in done.stdout.splitlines() if line[:2] in ("+ ", "* ")]
    if done.status != 0 and not differing:
        raise store.unreachable("; ".join(done.stderr.strip().splitlines()))
    return differing


def remote_sets(store: ObjectStore) -> t.List[BackupSet]:
    """The complete sets in the store, the newest first, by their manifests and proofs alone: their folders are not here."""
    with tempfile.TemporaryDirectory(prefix="sre-runbooks-") as folder:
        seals = [flag for name in (*_SEALS, "proof.json") for flag in ("--include", f"/*/{name}")]
        # Without the slash rclone asks whether the prefix is a file, and takes a refusal for a yes.
        store.call("copy", store.remote() + "/", folder, *seals)
        return [one for one in list_sets(folder) if os.path.exists(one.path("manifest.json"))]


def upload_service_set(store: ObjectStore, path: str) -> None:
    """Copy a record of which sets belong together."""
    store.call("copyto", path, store.remote(SERVICES, os.path.basename(path)))


def remote_service_sets(store: ObjectStore) -> t.List[t.Dict[str, t.Any]]:
    """The records in the store of which sets belong together, the newest first."""
    with tempfile.TemporaryDirectory(prefix="sre-runbooks-") as folder:
        store.call("copy", store.remote() + "/", folder, "--include", f"/{SERVICES}/*.json")
        return [{key: value for key, value in one.items() if key != "path"} for one in list_service_sets(folder)]


def require_room(one: BackupSet, backup_folder: str) -> None:
    """Raise NoSpace unless a set of the store fits into the backup folder, which may not exist yet."""
    require_space(backup_folder, one.size_bytes + _SEALS_BYTES)


def download(store: ObjectStore, name: str, backup_folder: str, size_bytes: t.Optional[int] = None) -> BackupSet:
    """Fetch a set from the store into the backup folder; it gets its name only when every file has its checksum and is on disk.

    Args:
        store: The store.
        name: Name of the set.
        backup_folder: Folder of the sets.
        size_bytes: Size of its files by its manifest; None to ask the store.

    Raises:
        SetDamaged: The copy is not what its manifest says.
        NoSpace: There is too little room.
    """
    progress = Progress(f"Fetching {name} from off-site")
    size = int(json.loads(store.call("size", store.remote(name), "--json"))["bytes"]) if size_bytes is None else size_bytes
    require_space(backup_folder, size + _SEALS_BYTES)
    final = os.path.join(os.path.abspath(backup_folder), name)
    with SetWriter(backup_folder, "fetched", "offsite") as writer:
        fetch = ("copy", store.remote(name), writer.folder)
        try:
            with Arrivals(writer.folder) as arrived:
                # Every file is compared by SHA-256 as it comes; rclone's own comparison would only take processor time.
                store.transfer(progress, "downloading", size, *fetch, "--ignore-checksum")
            problems = _problems(writer.folder, arrived.sha256())
            if problems:  # on the way or in the store? What differs from the store's checksums is fetched again
                store.transfer(progress, "downloading again what is damaged", size, *fetch, "--checksum")
                problems = _problems(writer.folder)
            if problems:
                raise damaged(final, problems)
            fsync_tree(writer.folder)
        except OSError as error:
            raise no_space_or(error, writer.folder) from error
        if os.path.isdir(final):  # the damaged one that this replaces: kept out of the way until the new one is in place
            damaged_name = os.path.join(os.path.abspath(backup_folder), f".{name}.partial")
            os.rename(final, damaged_name)
            os.rename(writer.folder, final)
            shutil.rmtree(damaged_name)
        else:
            os.rename(writer.folder, final)
    return read_set(final)


def _problems(folder: str, hashed: t.Optional[t.Mapping[str, str]] = None) -> t.Sequence[str]:
    fetched = read_set(folder)
    return fetched.damage or check_files(folder, fetched.manifest["files"], hashed=hashed)
