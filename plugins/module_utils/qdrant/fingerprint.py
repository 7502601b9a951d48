# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What a collection is known by, and whether a restored one is the one that was backed up.

Qdrant cannot count under a snapshot's own view. So points are counted, and some of them read, before and after the snapshot is made: where
both agree nobody wrote meanwhile and the restored collection must be equal; where not, its number of points must lie between the two.
"""

from __future__ import annotations

import hashlib
import json
import typing as t

from ..restoring.comparison import Comparison
from .server import Server

_PAGE_POINTS = 100
_CONFIG_PARTS = ("params", "hnsw_config", "optimizer_config", "quantization_config", "wal_config", "strict_mode_config", "metadata")
ESSENTIAL = ("vectors", "sparse_vectors", "shard_number", "sharding_method")
"""Parts of `params` that decide how points are stored. A recovery into a collection that exists keeps that one's other settings."""


def state_of(server: Server, collection: str, sample_points: int) -> t.Dict[str, t.Any]:
    """What may change while a snapshot is made.

    Args:
        server: The server.
        collection: The collection.
        sample_points: So many points, the first by id, are read with payload and vectors; -1 for all, 0 for none.

    Returns:
        `points`: exact number; `sample`: {`points`, `sha256`}.
    """
    return {"points": server.count(collection), "sample": sample(server, collection, sample_points)}


def sample(server: Server, collection: str, points: int) -> t.Dict[str, t.Any]:
    """A digest of the first points of a collection: SHA-256 over each one's JSON with sorted keys."""
    digest, done, offset = hashlib.sha256(), 0, None
    while points < 0 or done < points:
        page = server.scroll(collection, offset, _PAGE_POINTS if points < 0 else min(_PAGE_POINTS, points - done))
        for one in page["points"]:
            kept = {key: one.get(key) for key in ("id", "payload", "vector")}
            digest.update(json.dumps(kept, sort_keys=True, ensure_ascii=False).encode() + b"\n")
        done += len(page["points"])
        offset = page.get("next_page_offset")
        if offset is None:
            break
    return {"points": done, "sha256": digest.hexdigest()}


def settings_of(info: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    """Configuration and payload indexes of a collection, of what `GET /collections/{name}` told."""
    config = info.get("config") or {}
    schema = {
        field: {key: value for key, value in one.items() if key != "points"} for field, one in (info.get("payload_schema") or {}).items()
    }
    return {"config": {part: config[part] for part in _CONFIG_PARTS if config.get(part) is not None}, "payload_schema": schema}


def compare_collection(
    expected: t.Mapping[str, t.Any],
    found: t.Mapping[str, t.Any],
    result: Comparison,
    *,
    name: str,
    same_versions: bool,
    in_place: bool = False,
) -> None:
    """Hold a restored collection against its manifest's fingerprint; what comes of it is added to `result`.

    Args:
        expected: The manifest's: `before`, `after` (of `state_of`), `config`, `payload_schema`.
        found: The restored one's: `points`, `sample`, `config`, `payload_schema`.
        result: What was found so far.
        name: What to call the collection.
        same_versions: Whether the server has the version of the backup; another may have settings that it did not know.
        in_place: Whether the snapshot was recovered into a collection that existed, which keeps its own settings.
    """
    low, high = sorted((expected["before"]["points"], expected["after"]["points"]))
    if not low <= found["points"] <= high:
        wanted = str(low) if low == high else f"{low} to {high}"
        result.differences.append(f"{name} has {found['points']} points, not {wanted}")
    elif low != high:
        result.unknown.append(f"the exact number of points of {name}: it was written to during the backup ({low} to {high})")
    _compare_sample(expected, found, result, name)
    differing = _differences(expected["config"], found["config"], same_versions)
    essential = [one for one in differing if one.startswith("params.") and one.split(".")[1] in ESSENTIAL]
    if in_place:
        others = [one for one in differing if one not in essential]
        result.unknown += [f"{name} keeps its own setting of {one}" for one in others]
        differing = essential
    result.differences += [f"{name} has another {one}" for one in differing]
    for field, wanted in expected["payload_schema"].items():
        if field not in found["payload_schema"]:
            result.differences.append(f"{name} lacks the payload index of {field}")
        elif _differences(wanted, found["payload_schema"][field], same_versions):
            result.differences.append(f"{name} has another payload index of {field}")
    for key, amount in (("collections", 1), ("points", found["points"]), ("payload_indexes", len(expected["payload_schema"]))):
        result.compared[key] = result.compared.get(key, 0) + amount


def _compare_sample(expected: t.Mapping[str, t.Any], found: t.Mapping[str, t.Any], result: Comparison, name: str) -> None:
    before, after = expected["before"]["sample"], expected["after"]["sample"]
    if before != after:
        result.unknown.append(f"the content of {name}: points that would be compared were changed during the backup")
    elif found["sample"] != before:
        result.differences.append(f"{name} has other content in the first {before['points']} points")
    result.compared["points_read"] = result.compared.get("points_read", 0) + (before["points"] if before == after else 0)


def _differences(expected: t.Any, found: t.Any, same_versions: bool, path: str = "") -> t.List[str]:
    """Paths of settings that differ. What one side does not have counts as differing only between equal versions."""
    if isinstance(expected, dict) and isinstance(found, dict):
        paths: t.List[str] = []
        for key in sorted({*expected, *found}):
            one, other = expected.get(key), found.get(key)
            if not same_versions and (one is None or other is None) and key not in ESSENTIAL:
                continue
            paths += _differences(one, other, same_versions, f"{path}.{key}" if path else key)
        return paths
    return [] if expected == found else [path]
