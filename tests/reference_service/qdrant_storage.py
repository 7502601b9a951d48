# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""All collections, aliases and snapshots of one Qdrant server, on disk."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import random
import shutil
import tempfile
import threading
import time
import typing as t
import urllib.request
from pathlib import Path
from urllib.parse import unquote, urlsplit

from .qdrant_engine import HNSW, OPTIMIZER, WAL, Collection, Json, Refused, pack, unpack

_FORBIDDEN = '<>:"/\\|?*\0\x1f'
"""Characters that the name of a collection cannot have."""
_FULL = "Service internal error: Failed to write: No space left on device (os error 28)"


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as source:
        while block := source.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


class Storage:
    """What the server holds.

    Attributes:
        faults: What goes wrong at present (qdrant_server.py says which there are).
        peer_id: The server's number, kept with its data.
    """

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self.faults: Json = {}
        self._lock = threading.RLock()
        for name in ("collections", "snapshots", "snapshots_temp"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        for leftover in (folder / "snapshots_temp").iterdir():
            shutil.rmtree(leftover, ignore_errors=True) if leftover.is_dir() else leftover.unlink()
        state = folder / "raft_state.json"
        if not state.exists():
            state.write_text(json.dumps({"peer_id": random.getrandbits(50)}))
        self.peer_id = int(json.loads(state.read_text())["peer_id"])
        self._aliases_file = folder / "aliases.json"
        self._aliases: dict[str, str] = json.loads(self._aliases_file.read_text()) if self._aliases_file.exists() else {}
        self._collections = {path.name: Collection(path) for path in (folder / "collections").iterdir() if (path / "config.json").exists()}

    def names(self) -> list[str]:
        """The collections."""
        return sorted(self._collections)

    def exists(self, name: str) -> bool:
        """Whether there is a collection, or an alias, of that name."""
        return name in self._collections or name in self._aliases

    def _real(self, name: str) -> str:
        real = self._aliases.get(name, name)
        if real not in self._collections:
            raise Refused(404, f"Not found: Collection `{name}` doesn't exist!")
        return real

    def get(self, name: str) -> Collection:
        """A collection by its name or an alias."""
        return self._collections[self._real(name)]

    def create(self, name: str, body: Json) -> None:
        """Make an empty collection."""
        params = {
            "vectors": body.get("vectors", {}),
            "shard_number": body.get("shard_number", 1),
            "replication_factor": 1,
            "write_consistency_factor": 1,
            "on_disk_payload": body.get("on_disk_payload", True),
        }
        if body.get("sparse_vectors"):
            params["sparse_vectors"] = body["sparse_vectors"]
        self._make(
            name,
            {
                "params": params,
                "hnsw_config": {**HNSW, **(body.get("hnsw_config") or {})},
                "optimizer_config": {**OPTIMIZER, **(body.get("optimizers_config") or {})},
                "wal_config": WAL,
                "quantization_config": body.get("quantization_config"),
            },
        )

    def _make(self, name: str, config: Json) -> None:
        with self._lock:
            if not name or len(name) > 255 or any(character in _FORBIDDEN for character in name):
                raise Refused(422, f"Validation error in path parameters: [collection_name: {name!r}]")
            if name in self._aliases:
                raise Refused(400, f"Wrong input: Alias with the same name already exists: `{name}`")
            if name in self._collections:
                raise Refused(409, f"Wrong input: Collection `{name}` already exists!")
            self._collections[name] = Collection.create(self.folder / "collections" / name, config)

    def delete(self, name: str) -> bool:
        """Remove a collection and its aliases. Its snapshots stay on the disk."""
        with self._lock:
            collection = self._collections.pop(name, None)
            if collection is None:
                return False
            self._save_aliases({alias: real for alias, real in self._aliases.items() if real != name})
            collection.close()
            shutil.rmtree(collection.folder)
            return True

    def aliases_of(self, name: str | None) -> list[Json]:
        """All aliases, or those of one collection."""
        real = None if name is None else self._real(name)
        return [{"alias_name": alias, "collection_name": one} for alias, one in sorted(self._aliases.items()) if real in (None, one)]

    def change_aliases(self, actions: list[Json]) -> None:
        """Carry out all actions, or none."""
        with self._lock:
            aliases = dict(self._aliases)
            for action in actions:
                [(kind, what)] = action.items()
                if kind == "create_alias":
                    if what["alias_name"] in self._collections:
                        raise Refused(409, f"Wrong input: Collection `{what['alias_name']}` already exists!")
                    if what["collection_name"] not in self._collections:
                        raise Refused(404, f"Not found: Collection `{what['collection_name']}` doesn't exist!")
                    aliases[what["alias_name"]] = what["collection_name"]
                elif kind == "delete_alias":
                    aliases.pop(what["alias_name"], None)
                elif kind == "rename_alias":
                    if what["old_alias_name"] not in aliases:
                        raise Refused(404, f"Not found: Alias {what['old_alias_name']} does not exists!")
                    aliases[what["new_alias_name"]] = aliases.pop(what["old_alias_name"])
                else:
                    raise Refused(400, f"Format error in JSON body: unknown action {kind}")
            self._save_aliases(aliases)

    def _save_aliases(self, aliases: dict[str, str]) -> None:
        temporary = self._aliases_file.with_suffix(".partial")
        temporary.write_text(json.dumps(aliases))
        temporary.rename(self._aliases_file)
        self._aliases = aliases

    def snapshot_folder(self, collection: str | None) -> Path:
        """Where snapshots are kept."""
        folder = self.folder / "snapshots" / (self._aliases.get(collection, collection) if collection else "")
        folder.mkdir(exist_ok=True)
        return folder

    def snapshots(self, collection: str | None) -> list[Json]:
        """The snapshots of a collection, or of the whole storage."""
        if collection is not None:
            self._real(collection)
        found = self.snapshot_folder(collection).glob("[!.]*")
        return [self._describe(path) for path in sorted(found) if path.is_file() and path.suffix != ".checksum"]

    def _describe(self, path: Path) -> Json:
        checksum = path.with_name(path.name + ".checksum")
        at = datetime.datetime.fromtimestamp(path.stat().st_mtime, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S")
        noted = checksum.read_text() if checksum.exists() else None
        return {"name": path.name, "creation_time": at, "size": path.stat().st_size, "checksum": noted}

    def snapshot_file(self, collection: str | None, name: str) -> Path:
        """The file of a snapshot."""
        if collection is not None:
            self._real(collection)
        path = self.snapshot_folder(collection) / os.path.basename(name)
        if not path.is_file():
            raise Refused(404, f"Not found: Snapshot {name} not found")
        return path

    def delete_snapshot(self, collection: str | None, name: str) -> None:
        """Remove a snapshot."""
        path = self.snapshot_file(collection, name)
        path.unlink()
        path.with_name(name + ".checksum").unlink(missing_ok=True)

    def take_snapshot(self, collection: str | None) -> Json:
        """Make a snapshot of a collection, or one of the whole storage, which leaves those of the collections behind."""
        at = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d-%H-%M-%S")
        if collection is not None:
            real = self._real(collection)
            target = self.snapshot_folder(real) / f"{real}-{self.peer_id}-{at}.snapshot"
            return self._store(target, self._collections[real].pack)
        with self._lock:
            mapping = {name: self.take_snapshot(name)["name"] for name in self.names()}
            return self._store(
                self.snapshot_folder(None) / f"full-snapshot-{at}.snapshot", lambda archive: self._pack_all(archive, mapping)
            )

    def _pack_all(self, archive: Path, mapping: dict[str, str]) -> None:
        with tempfile.TemporaryDirectory(dir=self.folder / "snapshots_temp") as folder:
            for name, snapshot in mapping.items():
                os.link(self.snapshot_folder(name) / snapshot, Path(folder) / snapshot)
            config = {"collections_mapping": mapping, "collections_aliases": self._aliases}
            (Path(folder) / "config.json").write_text(json.dumps(config, indent=2))
            pack(archive, Path(folder), [*mapping.values(), "config.json"])

    def _store(self, target: Path, pack: t.Callable[[Path], None]) -> Json:
        temporary = self.folder / "snapshots_temp" / f"{target.name}-{random.getrandbits(32):x}"
        pack(temporary)
        self._trouble("snapshot")
        checksum = _sha256(temporary) if not self.faults.get("wrong_checksum") else hashlib.sha256(b"another").hexdigest()
        target.with_name(target.name + ".checksum").write_text(checksum)
        temporary.rename(target)
        return self._describe(target)

    def _trouble(self, work: str) -> None:
        time.sleep(self.faults.get("delay_s", 0))
        if self.faults.get("full") == work:
            raise Refused(500, _FULL)
        self.die_at(work)

    def die_at(self, work: str) -> None:
        """End the server at once, as kill -9 does, when a fault says so."""
        if self.faults.get("die_at") == work:
            os._exit(137)

    def recover_from(self, collection: str, location: str, checksum: str | None, api_key: str | None) -> bool:
        """Recover from a snapshot that the server fetches itself."""
        parts = urlsplit(location)
        if parts.scheme == "file":
            path = Path(unquote(parts.path)).resolve()
            if not path.is_relative_to((self.folder / "snapshots").resolve()):
                raise Refused(403, f"Forbidden: Snapshot file path must be inside the snapshots directory {self.folder}")
            return self.recover(collection, path, checksum)
        with tempfile.TemporaryDirectory(dir=self.folder / "snapshots_temp") as folder:
            path = Path(folder) / "fetched"
            request = urllib.request.Request(location, headers={"api-key": api_key} if api_key else {})
            with urllib.request.urlopen(request) as source, path.open("wb") as target:
                shutil.copyfileobj(source, target)
            return self.recover(collection, path, checksum)

    def recover(self, collection: str, snapshot: Path, checksum: str | None) -> bool:
        """Let a snapshot's content take the place of a collection's, which is made when there is none."""
        if checksum and (found := _sha256(snapshot)) != checksum.lower():
            snapshot.unlink()
            raise Refused(400, f"Wrong input: Snapshot checksum mismatch: expected {checksum}, got {found}")
        real = self._aliases.get(collection, collection)
        with tempfile.TemporaryDirectory(dir=self.folder / "snapshots_temp") as folder:
            config = unpack(snapshot, Path(folder))
            self._trouble("recover")
            if real not in self._collections:
                self._make(real, config)
            target = self._collections[real]
            for key in ("vectors", "shard_number"):
                if config["params"][key] != target.config["params"][key]:
                    raise Refused(400, f"Wrong input: Snapshot is not compatible with existing collection: Collection {key}")
            target.replace_shard(Path(folder))
        lost = self.faults.get("lose_points", 0)
        if lost:
            target.delete([one["id"] for one in target.scroll({"limit": lost})["points"]])
        return True
