# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What a snapshot's file holds, read without unpacking it.

A collection's snapshot is a tar file with `config.json` and a folder for each shard. One of the whole storage is a tar file of such files,
with a `config.json` that says which is whose, and the aliases (lib/collection/src/collection/snapshots.rs and
lib/storage/src/content_manager/snapshots/mod.rs of github.com/qdrant/qdrant). Its members may be sparse, so they are read by tarfile.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
import typing as t
from contextlib import contextmanager

from ..backup_set.sets import BackupSet
from ..errors import SetDamaged

_MOST_CONFIG_BYTES = 16 << 20


class Source(t.NamedTuple):
    """A collection's snapshot, ready to be read once."""

    stream: t.IO[bytes]
    size_bytes: int


@contextmanager
def open_snapshot(one: BackupSet, entry: t.Mapping[str, t.Any]) -> t.Iterator[Source]:
    """Open the snapshot of one collection of a set, a file of its own or a part of the storage's.

    Args:
        one: The set.
        entry: The collection's entry in the manifest: `path`, and `member` where it is a part of that file.

    Raises:
        SetDamaged: The file does not hold it.
    """
    path = one.path(entry["path"])
    if not entry.get("member"):
        with open(path, "rb", buffering=0) as stream:
            yield Source(t.cast("t.IO[bytes]", stream), int(entry["size_bytes"]))
        return
    try:
        with tarfile.open(path, "r:") as archive:
            member = archive.getmember(entry["member"])
            part = archive.extractfile(member)
            if part is None:
                raise KeyError(entry["member"])
            yield Source(part, member.size)
    except (tarfile.TarError, KeyError) as error:
        raise SetDamaged(
            "The snapshot of the storage does not hold a collection's", where=path, why=str(error), next_step="restore another set"
        ) from error


def read_storage(path: str) -> t.Dict[str, t.Any]:
    """`collections_mapping` (collection -> member) and `collections_aliases` of a snapshot of the whole storage.

    Raises:
        SetDamaged: It is none.
    """
    try:
        with tarfile.open(path, "r:") as archive:
            config = _json_member(archive, "config.json")
            names = set(archive.getnames())
    except (tarfile.TarError, OSError, ValueError, KeyError) as error:
        raise SetDamaged("This is no snapshot of a Qdrant storage", where=path, why=str(error)) from error
    missing = [member for member in config["collections_mapping"].values() if member not in names]
    if missing:
        raise SetDamaged("The snapshot of the storage is not complete", where=path, why=f"{', '.join(missing[:3])} is not in it")
    return config


def hash_members(path: str, members: t.Iterable[str]) -> t.Dict[str, t.Dict[str, t.Any]]:
    """`size_bytes` and `sha256` of parts of a snapshot of the whole storage, by their names."""
    found = {}
    with tarfile.open(path, "r:") as archive:
        for name in members:
            stream, digest, size = archive.extractfile(name), hashlib.sha256(), 0
            while stream is not None:
                block = stream.read(1 << 20)
                if not block:
                    break
                digest.update(block)
                size += len(block)
            found[name] = {"size_bytes": size, "sha256": digest.hexdigest()}
    return found


def tool_problems(one: BackupSet) -> t.List[str]:
    """Read every snapshot of a set to its end as the archive that it is, and hold its configuration against the manifest's.

    Returns:
        One sentence for each problem; empty when all is well.
    """
    problems = []
    for name, entry in one.manifest["content"]["collections"].items():
        try:
            with open_snapshot(one, entry) as source, tarfile.open(fileobj=source.stream, mode="r|") as archive:
                problems += [f"the snapshot of {name} {problem}" for problem in _problems(archive, entry)]
        except (SetDamaged, tarfile.TarError, OSError, ValueError, KeyError) as error:
            problems.append(f"the snapshot of {name} cannot be read: {error}")
    return problems


def _problems(archive: tarfile.TarFile, entry: t.Mapping[str, t.Any]) -> t.List[str]:
    config: t.Optional[t.Dict[str, t.Any]] = None
    shards = set()
    for member in archive:
        name = member.name[2:] if member.name.startswith("./") else member.name
        if name == "config.json" and member.size <= _MOST_CONFIG_BYTES:
            stream = archive.extractfile(member)
            config = json.loads(stream.read()) if stream is not None else None
        first = name.split("/", 1)[0]
        if first.isdigit() and "/" in name:
            shards.add(first)
    if config is None:
        return ["has no config.json"]
    found, expected = config.get("params") or {}, entry["config"].get("params") or {}
    problems = [f"is of a collection with another {key}" for key in ("vectors", "shard_number") if found.get(key) != expected.get(key)]
    if len(shards) < int(expected.get("shard_number") or 1) and not expected.get("sharding_method"):
        problems.append(f"holds {len(shards)} of {expected.get('shard_number')} shards")
    return problems


def _json_member(archive: tarfile.TarFile, name: str) -> t.Dict[str, t.Any]:
    member = archive.getmember(name)
    stream = archive.extractfile(member)
    if stream is None or member.size > _MOST_CONFIG_BYTES:
        raise KeyError(name)
    return t.cast("t.Dict[str, t.Any]", json.loads(stream.read()))
