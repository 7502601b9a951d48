# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Collections on disk over Qdrant's own engine (the wheel `qdrant-edge-py`), each with one shard as a single-node server has it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
import threading
import typing as t
import uuid
from pathlib import Path

import qdrant_edge as edge

Json = dict[str, t.Any]

HNSW: Json = {"m": 16, "ef_construct": 100, "full_scan_threshold": 10000, "max_indexing_threads": 0, "on_disk": False}
OPTIMIZER: Json = {
    "deleted_threshold": 0.2,
    "vacuum_min_vector_number": 1000,
    "default_segment_number": 0,
    "max_segment_size": None,
    "memmap_threshold": None,
    "indexing_threshold": 20000,
    "flush_interval_sec": 5,
    "max_optimization_threads": None,
}
WAL: Json = {"wal_capacity_mb": 32, "wal_segments_ahead": 0}
"""Defaults of a server without settings, as `GET /collections/{name}` of the documentation shows them."""
_SCHEMA = {
    "keyword": "Keyword",
    "integer": "Integer",
    "float": "Float",
    "geo": "Geo",
    "text": "Text",
    "bool": "Bool",
    "datetime": "Datetime",
}


class Refused(Exception):
    """A request that Qdrant answers with an error.

    Attributes:
        status: HTTP status.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def _vectors(params: Json) -> dict[str, edge.EdgeVectorParams]:
    wanted = params.get("vectors") or {}
    named = {"": wanted} if "size" in wanted else wanted
    return {name: edge.EdgeVectorParams(size=one["size"], distance=getattr(edge.Distance, one["distance"])) for name, one in named.items()}


def _shard_config(params: Json) -> edge.EdgeConfig:
    sparse = {name: edge.EdgeSparseVectorParams() for name in params.get("sparse_vectors") or {}}
    # Without a log of its own a change is durable once it was flushed, which is done before it is acknowledged.
    return edge.EdgeConfig(vectors=_vectors(params), sparse_vectors=sparse or None, wal_enabled=False)


def _vector(value: t.Any) -> t.Any:
    if isinstance(value, dict):
        return {name: edge.SparseVector(**one) if isinstance(one, dict) else one for name, one in value.items()}
    return value


def _plain(value: t.Any) -> t.Any:
    """A vector of the engine as JSON."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, edge.SparseVector):
        return {"indices": list(value.indices), "values": list(value.values)}
    return value


def _id(value: t.Any) -> t.Any:
    return value if isinstance(value, int) else str(value)


def _engine_id(value: t.Any) -> t.Any:
    return value if isinstance(value, int) else uuid.UUID(str(value))


def _filter(wanted: Json | None) -> edge.Filter | None:
    """The filters that tests need: `must` of exact values."""
    if not wanted:
        return None
    return edge.Filter(must=[edge.FieldCondition(one["key"], match=edge.MatchValue(one["match"]["value"])) for one in wanted["must"]])


class Collection:
    """One collection in a folder: `config.json`, `payload_index.json`, `0/` with the shard."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lock = threading.RLock()
        self.config: Json = json.loads((folder / "config.json").read_text())
        self.schema: dict[str, t.Any] = json.loads((folder / "payload_index.json").read_text())["schema"]
        old, shard = folder / "0.old", folder / "0"
        if old.exists():  # killed while a recovery put the new shard in place
            if not shard.exists():
                old.rename(shard)
            shutil.rmtree(old, ignore_errors=True)
        self.shard = edge.EdgeShard.load(str(shard))

    @classmethod
    def create(cls, folder: Path, config: Json) -> Collection:
        """Make an empty collection."""
        (folder / "0").mkdir(parents=True)
        shard = edge.EdgeShard.create(str(folder / "0"), _shard_config(config["params"]))
        shard.flush()
        shard.close()
        (folder / "0" / "shard_config.json").write_text(json.dumps({"type": "ReplicaSet"}))
        (folder / "payload_index.json").write_text(json.dumps({"schema": {}}))
        (folder / "config.json").write_text(json.dumps(config))
        return cls(folder)

    def close(self) -> None:
        """Let the shard's files go."""
        with self.lock:
            self.shard.flush()
            self.shard.close()

    def _update(self, operation: edge.UpdateOperation) -> None:
        with self.lock:
            self.shard.update(operation)
            self.shard.flush()

    def upsert(self, points: list[Json]) -> None:
        """Write points, replacing those of the same id."""
        made = [edge.Point(_engine_id(one["id"]), _vector(one["vector"]), one.get("payload")) for one in points]
        self._update(edge.UpdateOperation.upsert_points(made))

    def delete(self, ids: list[t.Any]) -> None:
        """Remove points."""
        self._update(edge.UpdateOperation.delete_points([_engine_id(one) for one in ids]))

    def index(self, field: str, schema: t.Any) -> None:
        """Make a payload index."""
        kind = schema if isinstance(schema, str) else schema["type"]
        with self.lock:
            self._update(edge.UpdateOperation.create_field_index(field, getattr(edge.PayloadSchemaType, _SCHEMA[kind])))
            self.schema[field] = {"data_type": kind, "points": self.count(None)}
            (self.folder / "payload_index.json").write_text(json.dumps({"schema": self.schema}))

    def count(self, wanted: Json | None, exact: bool = True) -> int:
        """How many points fit."""
        with self.lock:
            return int(self.shard.count(edge.CountRequest(exact=exact, filter=_filter(wanted))))

    def scroll(self, body: Json) -> Json:
        """A page of points in the order of their ids."""
        offset = body.get("offset")
        request = edge.ScrollRequest(
            offset=None if offset is None else _engine_id(offset),
            limit=body.get("limit", 10),
            filter=_filter(body.get("filter")),
            with_payload=body.get("with_payload", True),
            with_vector=body.get("with_vector", False),
        )
        with self.lock:
            records, following = self.shard.scroll(request)
        points = []
        for one in records:
            point = {"id": _id(one.id), "payload": one.payload}
            if one.vector is not None:
                point["vector"] = _plain(one.vector)
            points.append(point)
        return {"points": points, "next_page_offset": None if following is None else _id(following)}

    def nearest(self, vector: list[float], limit: int, wanted: Json | None) -> list[Json]:
        """The points nearest to a vector."""
        request = edge.SearchRequest(query=edge.Query.Nearest(vector), limit=limit, filter=_filter(wanted), with_payload=True)
        with self.lock:
            found = self.shard.search(request)
        return [{"id": _id(one.id), "version": one.version, "score": one.score, "payload": one.payload} for one in found]

    def info(self) -> Json:
        """What `GET /collections/{name}` tells."""
        with self.lock:
            state = self.shard.info()
            schema = {field: {**one, "points": state.points_count} for field, one in self.schema.items()}
        return {
            "status": "green",
            "optimizer_status": "ok",
            "indexed_vectors_count": state.indexed_vectors_count,
            "points_count": state.points_count,
            "segments_count": state.segments_count,
            "config": self.config,
            "payload_schema": schema,
        }

    def pack(self, archive: Path) -> None:
        """Write the collection as it is now into a tar file; holes stay holes."""
        with self.lock:
            self.shard.flush()
            pack(archive, self.folder, ["0", "config.json", "payload_index.json"])

    def replace_shard(self, unpacked: Path) -> None:
        """Let the shard of an unpacked snapshot take the place of this one's."""
        with self.lock:
            self.shard.close()
            shutil.rmtree(self.folder / "0.old", ignore_errors=True)
            (self.folder / "0").rename(self.folder / "0.old")
            (unpacked / "0").rename(self.folder / "0")
            os.replace(unpacked / "payload_index.json", self.folder / "payload_index.json")
            self.schema = json.loads((self.folder / "payload_index.json").read_text())["schema"]
            self.shard = edge.EdgeShard.load(str(self.folder / "0"))
            shutil.rmtree(self.folder / "0.old")


def pack(archive: Path, folder: Path, names: list[str]) -> None:
    """GNU tar writes the holes of the engine's preallocated files as holes; Python's tarfile would write them out."""
    subprocess.run(["tar", "--sparse", "--format=gnu", "-cf", str(archive), "-C", str(folder), *names], check=True)


def unpack(archive: Path, target: Path) -> Json:
    """Unpack a collection's snapshot and return its configuration.

    Raises:
        Refused: It is none.
    """
    try:
        with tarfile.open(archive, "r:") as source:
            # Python 3.11.4 and later unpack only what stays in the folder, when they are asked.
            source.extractall(target, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))  # type: ignore[arg-type]
        config: Json = json.loads((target / "config.json").read_text())
        json.loads((target / "payload_index.json").read_text())
        edge.EdgeShard.load(str(target / "0")).close()
    except (tarfile.TarError, OSError, ValueError) as error:
        raise Refused(500, f"Service internal error: failed to restore the snapshot: {error}") from error
    return config
