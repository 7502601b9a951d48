# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""One recovery: a collection's snapshot of a set is sent to a server, becomes a collection there, and is held against the manifest."""

from __future__ import annotations

import typing as t

from ..backup_set.sets import BackupSet
from ..errors import NotTheSame, RunbookError, Unreachable
from ..progress import Progress
from ..restoring.comparison import Comparison
from .archive import open_snapshot
from .fingerprint import compare_collection, sample, settings_of
from .http import Refused
from .names import UPLOAD_PREFIX
from .server import Server


def minor(version: str) -> t.Tuple[int, int]:
    """The first two numbers of a version; snapshots fit between servers that share them."""
    parts = [*(int(part) if part.isdigit() else 0 for part in version.split(".")), 0, 0]
    return parts[0], parts[1]


def recover(server: Server, one: BackupSet, name: str, target: str, progress: Progress) -> None:
    """Let a collection of a set become the content of `target`, and remove the file that the server keeps of it.

    Args:
        server: Where to.
        one: The set, whose files were checked.
        name: The collection's name in the set.
        target: Collection; made when there is none.
        progress: Told of the bytes sent.

    Raises:
        Refused: The server would not; `about_snapshot` says whether the snapshot may be the reason.
        RunbookError: It is gone, full, or refused the key.
    """
    entry = one.manifest["content"]["collections"][name]
    file_name = f"{UPLOAD_PREFIX}{one.id}.snapshot"
    with open_snapshot(one, entry) as source:

        def tell(done: int) -> None:
            step = f"sending {name}" if done < source.size_bytes else f"{name} is recovered by the server"
            progress.say(step, done, source.size_bytes, "bytes")

        try:
            server.recover(target, source.stream, source.size_bytes, file_name, str(entry.get("sha256") or ""), tell)
        except Refused as error:
            error.what = f"Qdrant could not recover {name} from {one.id}"
            error.next_step = "look at the server's log; restore another set (restore_set=...) when the snapshot is the reason"
            raise
    server.delete_snapshot(target, file_name)


def compare_recovered(
    server: Server, one: BackupSet, name: str, target: str, comparison: Comparison, *, same_versions: bool, in_place: bool = False
) -> None:
    """Hold a recovered collection against the manifest; what comes of it is added to `comparison`.

    Raises:
        NotTheSame: It differs.
    """
    content = one.manifest["content"]
    expected = content["collections"][name]
    found = {
        "points": server.count(target),
        "sample": sample(server, target, content["sample_points"]),
        **settings_of(server.info(target)),
    }
    compare_collection(expected, found, comparison, name=name, same_versions=same_versions, in_place=in_place)
    if not comparison.same:
        raise NotTheSame(
            f"What was restored from {one.id} is not what was backed up",
            where=target,
            why="; ".join(comparison.differences[:5]),
            next_step="restore another set (restore_set=...); the live collections are as they were",
            facts={"comparison": comparison.as_dict()},
        )


def drop(server: Server, collection: str) -> None:
    """Remove a collection that nobody uses, first the files that we sent to it: Qdrant keeps those of collections that are gone."""
    try:
        for snapshot in server.snapshots(collection):
            if snapshot.name.startswith(UPLOAD_PREFIX):
                server.delete_snapshot(collection, snapshot.name)
        server.delete_collection(collection)
    except Refused as error:
        if error.status != 404:
            raise


def drop_quietly(server: Server, collections: t.Iterable[str]) -> t.List[str]:
    """`drop` of several after a failure; returns those that could not be removed, which the next run does."""
    left = []
    for collection in collections:
        try:
            drop(server, collection)
        except Unreachable:
            left.append(collection)
            break
        except RunbookError:
            left.append(collection)
    return left
