# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Restore of a Redis server: beside its data, loaded and compared in a server of its own, then put in the place of what is there."""

from __future__ import annotations

import os
import re
import shutil
import time
import typing as t
from dataclasses import dataclass, field

from ..backup_set.hashing import copy_hashed
from ..backup_set.sets import BackupSet
from ..errors import BadInput, NotTheSame, SetDamaged
from ..files import fsync_tree, keep_reserve, remove_tree, require_space
from ..progress import Progress
from ..restoring.names import stamp
from ..restoring.result import Clock, told
from .client import Server
from .content import compare, keyspace, sample_types
from .discovery import Found, Wishes, find
from .exchange import complete_interrupted, exchange_files, nobody_else_in, read_journal
from .programs import Programs
from .scratch import require_memory, scratch_server, write_append_only
from .service import Files

_STAMP = re.compile(r"^(?P<word>restoring|before|undone)_\d{8}T\d{6}Z$")
_APPEND_RATIO = 2.2
"""The file, and the append-only files made of it."""


@dataclass(frozen=True)
class RestoreRequest:
    """What to restore and where.

    Attributes:
        server: The server whose data is replaced; it need not run.
        backup_set: A set of a Redis server.
        wishes: What the profile says of its files.
    """

    server: Server
    backup_set: BackupSet
    wishes: Wishes = field(default_factory=Wishes)


@dataclass(frozen=True)
class RestorePlan:
    """What a restore will do; made without changing anything."""

    found: Found
    restoring: str
    kept_as: str
    leftovers: t.Sequence[str]

    def steps(self, one: BackupSet) -> t.List[str]:
        """The plan in sentences, for dry runs."""
        folder = self.found.service.data_folder
        lines = [f"remove {path}, left behind by a run that was killed" for path in self.leftovers]
        lines.append(f"copy {one.id} into {self.restoring}, check it, load it into a server of its own, and compare its keys")
        if self.found.files.append_only:
            lines.append("let that server write the append-only files with which the live one begins")
        stop = "stop the server, " if self.found.runs else ""
        lines.append(
            f"{stop}let the files in {folder} and those change places, start the server; the replaced ones are kept as {self.kept_as}"
        )
        return lines


def folders_called(data_folder: str, *words: str) -> t.List[str]:
    """Folders `<word>_<time>` in a data folder, the newest first."""
    found = [(name[-16:], os.path.join(data_folder, name)) for name in os.listdir(data_folder) if _is_called(name, words)]
    return [path for _time, path in sorted(found, reverse=True)]


def _is_called(name: str, words: t.Container[str]) -> bool:
    match = _STAMP.match(name)
    return match is not None and match.group("word") in words


def require_redis_set(one: BackupSet) -> None:
    """Raise SetDamaged or BadInput unless it is a whole set of a Redis server."""
    if one.damage:
        raise SetDamaged(f"The backup set {one.id} is damaged", where=one.folder, why="; ".join(one.damage), next_step="use another set")
    if one.manifest.get("kind") != "redis":
        raise BadInput(f"{one.id} is no set of a Redis server", where=one.folder, next_step="choose a set of this store")


def plan(request: RestoreRequest) -> RestorePlan:
    """Look at everything that could stop the restore, before anything is changed.

    Raises:
        RunbookError: The set does not fit, a program, a folder, room or memory is missing, or the server is a replica.
    """
    one = request.backup_set
    require_redis_set(one)
    found = find(request.server, request.wishes, bool(one.manifest.get("append_only")))
    folder = found.service.data_folder
    require_space(folder, int(one.size_bytes * (_APPEND_RATIO if found.files.append_only else 1)))
    require_memory(int(one.manifest.get("used_memory_bytes", 0)))
    now = stamp(lambda at: any(os.path.lexists(os.path.join(folder, f"{word}_{at}")) for word in ("restoring", "before")))
    return RestorePlan(
        found=found,
        restoring=os.path.join(folder, f"restoring_{now}"),
        kept_as=os.path.join(folder, f"before_{now}"),
        leftovers=folders_called(folder, "restoring"),
    )


def describe(request: RestoreRequest) -> t.Dict[str, t.Any]:
    """The result of a dry run: the set is read, everything is looked at, nothing is changed."""
    request.backup_set.require_whole()
    ready = plan(request)
    steps = ready.steps(request.backup_set)
    if read_journal(ready.found.service.data_folder):
        steps.insert(0, "complete the exchange of files that an earlier run had begun")
    return {"changed": True, "store": request.backup_set.manifest["store"], "kept_as": ready.kept_as, **told(steps)}


def restore(request: RestoreRequest) -> t.Dict[str, t.Any]:
    """Restore a set.

    Returns:
        `kept_as`, `comparison`, `cut_off_s`, `serving_after_s` (seconds from the call until the server served), `serving_at`,
        `durations_s` by step, `notes`, `plan`.

    Raises:
        RunbookError: Something failed; the live server has its former data.
    """
    clock, one = Clock(), request.backup_set
    progress = Progress(f"Restoring {one.manifest.get('store', 'a Redis server')}")
    require_redis_set(one)
    first = find(request.server, request.wishes, bool(one.manifest.get("append_only")))
    with nobody_else_in(first.service.data_folder):
        note = complete_interrupted(first.service)
        one.require_whole(on_bytes=lambda done: progress.say("checking the set", done, one.size_bytes, "bytes"))
        clock.lap("check_set")
        ready = plan(request)
        service = ready.found.service
        ready.found.programs.remove_leftovers(service.data_folder)
        for path in ready.leftovers:
            remove_tree(path)
        try:
            comparison, loaded = _prepare(one, ready, clock, progress)
        except BaseException:
            shutil.rmtree(ready.restoring, ignore_errors=True)
            raise
        # From here on that name may be the replaced files': nothing is removed any more, the next run tidies up.
        progress.say("exchanging the files")
        cut_off_s = exchange_files(service, ready.restoring, ready.kept_as, ready.found.files.entries(), loaded)
    clock.lap("exchange")
    return {
        "changed": True,
        "store": one.manifest["store"],
        "kept_as": ready.kept_as,
        "comparison": comparison,
        **told(ready.steps(one)),
        "cut_off_s": round(cut_off_s, 3),
        "serving_after_s": clock.total(),
        "serving_at": time.time(),
        "durations_s": clock.laps,
        "notes": [note] if note else [],
    }


def _prepare(one: BackupSet, ready: RestorePlan, clock: Clock, progress: Progress) -> t.Tuple[t.Dict[str, t.Any], t.Dict[str, int]]:
    service, files = ready.found.service, ready.found.files
    status = os.stat(service.data_folder)
    os.mkdir(ready.restoring, 0o700)
    _give(ready.restoring, status)
    copy_into(one, os.path.join(ready.restoring, files.rdb), progress)
    _give(os.path.join(ready.restoring, files.rdb), status)
    clock.lap("copy")
    comparison, loaded = load_and_compare(
        one, ready.restoring, ready.found.programs, files, progress, clock, service.account, service.timeout_s
    )
    for top, folders, names in os.walk(ready.restoring):
        for name in [*folders, *names]:
            _give(os.path.join(top, name), status)
    fsync_tree(ready.restoring)
    clock.lap("make_durable")
    return comparison, loaded


def _give(path: str, owner: os.stat_result) -> None:
    if os.geteuid() == 0:
        os.lchown(path, owner.st_uid, owner.st_gid)


def copy_into(one: BackupSet, target: str, progress: Progress) -> None:
    """Copy the set's file, and compare what was read with the manifest.

    Raises:
        SetDamaged: It is not what was backed up.
        NoSpace: The disk is almost full.
    """
    path = one.manifest["rdb"]["path"]

    def look(done: int) -> None:
        keep_reserve(os.path.dirname(target))
        progress.say("copying the file", done, one.size_bytes, "bytes")

    with open(one.path(path), "rb", buffering=0) as source:
        copied = copy_hashed(source, target, on_bytes=look)
    if copied["sha256"] != next(entry["sha256"] for entry in one.manifest["files"] if entry["path"] == path):
        raise SetDamaged(
            f"The backup set {one.id} is damaged", where=one.folder, why=f"{path} changed while it was read", next_step="use another set"
        )


def load_and_compare(
    one: BackupSet, folder: str, programs: Programs, files: Files, progress: Progress, clock: Clock, account: str, timeout_s: float
) -> t.Tuple[t.Dict[str, t.Any], t.Dict[str, int]]:
    """Check a copied file, load it into a server of its own, compare its keys with the manifest, and write what the live server needs.

    Returns:
        The comparison, and how many `keys` the file has, of which how many expire (`expires`).

    Raises:
        SetDamaged: The checker found something, or the server could not load it.
        NotTheSame: It has other keys than were backed up.
    """
    progress.say("checking the file")
    checked = programs.check_rdb(os.path.join(folder, files.rdb))
    clock.lap("check_rdb")
    if checked.problem:
        raise SetDamaged(
            f"The RDB file of {one.id} is not in order",
            where=one.folder,
            why=checked.problem,
            next_step="use another set; nothing live was touched",
        )
    progress.say("loading the file into a server of its own")
    databases = int(one.manifest["server"].get("databases", 16))
    with scratch_server(
        folder, programs, rdb_name=files.rdb, databases=databases, append_names=files.settings(), account=account, timeout_s=timeout_s
    ) as client:
        clock.lap("load")
        found = keyspace(client)
        comparison = compare(one.manifest["content"], found, sample_types(client, found))
        loaded = {what: sum(one_database[what] for one_database in found.values()) for what in ("keys", "expires")}
        if comparison["differences"]:
            raise NotTheSame(
                f"The set {one.id} does not restore to what was backed up",
                where=one.folder,
                why="; ".join(comparison["differences"][:5]),
                next_step="use another set; nothing live was touched",
                facts={"comparison": comparison},
            )
        if checked.keys not in (-1, loaded["keys"]):
            raise NotTheSame(
                f"The set {one.id} loads {loaded['keys']} of {checked.keys} keys", where=one.folder, next_step="use another set"
            )
        clock.lap("compare")
        if files.append_only:
            progress.say("writing the append-only files")
            client.call("SELECT", 0)
            write_append_only(client, folder, timeout_s)
            clock.lap("append_only")
    return comparison, loaded
