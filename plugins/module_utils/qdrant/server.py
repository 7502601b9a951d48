# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What a Qdrant server has and does: collections, aliases, points, snapshots.

Source: api.qdrant.tech (the description in docs/redoc of github.com/qdrant/qdrant), from 1.7 on.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from ..errors import BadInput, WrongTarget
from .http import Http, OnBytes, Refused


@dataclass(frozen=True)
class Snapshot:
    """A snapshot on the server.

    Attributes:
        collection: Collection that it is of; empty for one of the whole storage.
        name: Its name there.
        size_bytes: Its size.
        checksum: SHA-256 as the server says it; empty where it is older than 1.8 and says none.
    """

    collection: str
    name: str
    size_bytes: int
    checksum: str


@dataclass(frozen=True)
class Server:
    """A server, by way of its API."""

    http: Http

    def __str__(self) -> str:
        return str(self.http)

    def version(self) -> str:
        """The server's version."""
        told = self.http.ask("GET", "/")
        version = told.get("version") if isinstance(told, dict) else None
        if not isinstance(version, str) or "qdrant" not in str(told.get("title", "")):
            raise self.http._stranger("GET /")
        return version

    def collections(self) -> t.List[str]:
        """Names of the collections."""
        return sorted(one["name"] for one in self.http.ask("GET", "/collections")["collections"])

    def aliases(self) -> t.Dict[str, str]:
        """Alias -> collection."""
        return {one["alias_name"]: one["collection_name"] for one in self.http.ask("GET", "/aliases")["aliases"]}

    def info(self, collection: str) -> t.Dict[str, t.Any]:
        """State, configuration and payload indexes of a collection."""
        return t.cast("t.Dict[str, t.Any]", self.http.ask("GET", _path(collection)))

    def count(self, collection: str) -> int:
        """The exact number of points."""
        answer = self.http.ask("POST", _path(collection, "points", "count"), {"exact": True}, timeout_s=self.http.work_timeout_s)
        return int(answer["count"])

    def scroll(self, collection: str, offset: t.Any, limit: int) -> t.Dict[str, t.Any]:
        """A page of points in the order of their ids, with payload and vectors."""
        body = {"limit": limit, "with_payload": True, "with_vector": True, "offset": offset}
        return t.cast("t.Dict[str, t.Any]", self.http.ask("POST", _path(collection, "points", "scroll"), body))

    def require_whole(self, collection: str) -> int:
        """The server's number (`peer_id`), once it is certain that it holds the whole collection.

        Raises:
            BadInput: Other nodes hold shards of it: a snapshot of this node would lack them.
        """
        told = self.http.ask("GET", _path(collection, "cluster"))
        if told.get("remote_shards"):
            raise BadInput(
                f"The collection {collection!r} is spread over several nodes",
                where=str(self),
                why=f"{len(told['remote_shards'])} shards, or copies, lie on other nodes; a snapshot holds those of one node only",
                next_step="back such a cluster up by the means of its operator; single nodes are supported here",
            )
        return int(told["peer_id"])

    def guard_identity(self, expected: str, peer_ids: t.Iterable[int]) -> None:
        """Raise WrongTarget unless the server has the number that the inventory says, where it says one."""
        for found in peer_ids:
            if expected and str(found) != expected:
                raise WrongTarget(
                    "This is not the Qdrant server that the inventory means",
                    where=str(self),
                    why=f"its peer id is {found}, expected is {expected}",
                    next_step="correct the store's url, or its peer_id when the server was set up anew",
                )

    def create_snapshot(self, collection: str) -> Snapshot:
        """Let the server make a snapshot of a collection, or of the whole storage when that is empty, and wait for it."""
        made = self.http.ask("POST", f"{_snapshots(collection)}?wait=true", timeout_s=self.http.work_timeout_s)
        if not isinstance(made, dict) or not made.get("name"):
            refused = Refused(
                "Qdrant took the order for a snapshot, but did not wait for it",
                where=str(self),
                next_step="look for a proxy in between that drops ?wait=true",
            )
            raise refused
        return _snapshot(collection, made)

    def snapshots(self, collection: str) -> t.List[Snapshot]:
        """The snapshots of a collection, or of the whole storage."""
        return [_snapshot(collection, one) for one in self.http.ask("GET", _snapshots(collection))]

    def delete_snapshot(self, collection: str, name: str) -> bool:
        """Remove a snapshot; returns whether there was one."""
        try:
            self.http.ask("DELETE", f"{_snapshots(collection)}/{quote(name, safe='')}?wait=true", timeout_s=self.http.work_timeout_s)
        except Refused as error:
            if error.status == 404:
                return False
            raise
        return True

    def download(self, snapshot: Snapshot, write: t.Callable[[memoryview], None]) -> int:
        """Read a snapshot in blocks; returns its size in bytes."""
        return self.http.download(f"{_snapshots(snapshot.collection)}/{quote(snapshot.name, safe='')}", write)

    def recover(self, collection: str, source: t.IO[bytes], size_bytes: int, name: str, checksum: str, on_bytes: OnBytes = None) -> None:
        """Send a snapshot and let it become the content of a collection, which is made when there is none.

        `priority=snapshot`: what is sent counts, not what other nodes have. The server keeps the file among the collection's snapshots
        under `name`.
        """
        wanted = urlencode({"wait": "true", "priority": "snapshot", **({"checksum": checksum} if checksum else {})})
        done = self.http.upload(f"{_snapshots(collection)}/upload?{wanted}", "snapshot", name, source, size_bytes, on_bytes)
        if done is not True:
            raise Refused(
                "Qdrant took the snapshot, but did not say that it was recovered", where=str(self), next_step="look at the server's log"
            )

    def delete_collection(self, collection: str) -> None:
        """Remove a collection and the aliases that lead to it."""
        self.http.ask("DELETE", f"{_path(collection)}?timeout=60", timeout_s=self.http.work_timeout_s)

    def change_aliases(self, actions: t.Sequence[t.Mapping[str, t.Any]]) -> None:
        """Carry out all actions on aliases, or none of them."""
        self.http.ask("POST", "/collections/aliases", {"actions": list(actions)})


def set_alias(alias: str, collection: str) -> t.Dict[str, t.Any]:
    """The action that lets an alias lead to a collection."""
    return {"create_alias": {"alias_name": alias, "collection_name": collection}}


def drop_alias(alias: str) -> t.Dict[str, t.Any]:
    """The action that removes an alias."""
    return {"delete_alias": {"alias_name": alias}}


def _path(collection: str, *parts: str) -> str:
    return "/".join(["/collections", quote(collection, safe=""), *parts])


def _snapshots(collection: str) -> str:
    return _path(collection, "snapshots") if collection else "/snapshots"


def _snapshot(collection: str, told: t.Mapping[str, t.Any]) -> Snapshot:
    return Snapshot(collection, str(told["name"]), int(told.get("size") or 0), str(told.get("checksum") or "").lower())
