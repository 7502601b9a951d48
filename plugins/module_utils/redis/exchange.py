# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Letting the files of a stopped server change places with others, so that neither a failure nor a kill leaves it without its data.

The entry that the server begins with (its append-only folder, or its RDB file) changes places in a single system call (renameat2,
RENAME_EXCHANGE), so that a server which somebody starts in the middle has the old data or the new. Stopping, exchanging and starting run in
a process of their own session, which goes on when the run that asked for them is killed. A journal in the data folder says what was meant;
should even that process die, the next run completes it.
"""

from __future__ import annotations

import glob
import json
import os
import time
import typing as t
from contextlib import contextmanager

from ..errors import LeaseHeld, NotTheSame, RunbookError
from ..files import exchange, fsync_path, inode_of, locked, write_json
from ..restoring.names import stamp
from ..restoring.own_session import in_own_session
from .client import Client
from .content import keyspace
from .service import Service, with_start

_LOCK = ".restore.lock"
_JOURNAL = ".exchange.json"
_FORMER = "the server has its former data; look at its log, or choose another set"


@contextmanager
def nobody_else_in(data_folder: str) -> t.Iterator[None]:
    """Hold the lock of everything that replaces, puts back or removes files of a data folder.

    Raises:
        LeaseHeld: Another run holds it.
    """
    with locked(os.path.join(data_folder, _LOCK)) as free:
        if not free:
            raise LeaseHeld("Another restore of this server is running", where=data_folder, next_step="wait for it, or end it")
        yield


def undone_folder(data_folder: str) -> str:
    """A name for what an undo, or a return to former files, replaces."""
    return os.path.join(data_folder, f"undone_{stamp(lambda at: os.path.lexists(os.path.join(data_folder, f'undone_{at}')))}")


def exchange_files(
    service: Service, other: str, kept_as: str, entries: t.Sequence[str], expected: t.Optional[t.Mapping[str, int]] = None
) -> float:
    """Let entries of the data folder change places with those of another folder in it, which is then called `kept_as`.

    Args:
        service: The server; it is stopped meanwhile, and runs afterwards.
        other: Folder in the data folder with the files that shall be used.
        kept_as: Its name afterwards, when it holds those that were used.
        entries: Names of the files and folders, the one first that the server begins with; one that is missing on a side will be there.
        expected: How many `keys` the server must have loaded then, and how many of these may have expired (`expires`); None for any.

    Returns:
        Seconds for which the server did not serve.

    Raises:
        RunbookError: It failed; the server runs on the files that it had before.
    """
    live = service.data_folder
    journal = {
        "live": live,
        "other": other,
        "kept_as": kept_as,
        "entries": _noted(other, entries),
        "start_command": list(service.start_command),
        "waits": service.waits,
        "expected": expected,
    }
    write_json(os.path.join(live, _JOURNAL), journal)
    outcome = os.path.join(live, f"{_JOURNAL[: -len('.json')]}.{os.getpid()}.json")
    return in_own_session(
        lambda: complete(service, journal), outcome, what="The exchange of the server's files", where=live, next_step=_FORMER
    )


def _noted(other: str, names: t.Iterable[str]) -> t.List[t.Dict[str, t.Any]]:
    return [{"name": name, "inode": inode_of(os.path.join(other, name))} for name in names]


def complete(service: Service, journal: t.Mapping[str, t.Any]) -> None:
    """Do what the journal says, or the rest of it: stop, exchange, start, compare, rename, remove the journal. May be repeated.

    Files with which the server does not start, or with other keys than it should have, are exchanged back, by a journal of that. Those that
    had been exchanged before may have been in use since: they are not compared any more, and are kept when they are exchanged back.
    """
    live, other = journal["live"], journal["other"]
    service = with_start(service, journal)
    is_new = any(_is_to_move(journal, entry) for entry in journal["entries"])
    if is_new:
        _stop(service, journal)
    try:
        for entry in journal["entries"]:
            if _is_to_move(journal, entry):
                _exchange(os.path.join(live, entry["name"]), os.path.join(other, entry["name"]))
                fsync_path(other)
                fsync_path(live)
        _start(service, journal if is_new else {**journal, "expected": None})
    except (RunbookError, OSError):
        if not journal.get("is_return"):
            _go_back(service, {**journal, "kept_as": other if is_new else undone_folder(live)})
        raise
    if os.path.isdir(other):
        os.rename(other, journal["kept_as"])
    fsync_path(live)
    os.unlink(os.path.join(live, _JOURNAL))


def _go_back(service: Service, journal: t.Mapping[str, t.Any]) -> None:
    moved = [entry["name"] for entry in journal["entries"] if _has_moved(journal, entry)]
    back = {**journal, "entries": _noted(journal["other"], moved), "expected": None, "is_return": True}
    write_json(os.path.join(journal["live"], _JOURNAL), back)
    complete(service, back)


def _has_moved(journal: t.Mapping[str, t.Any], entry: t.Mapping[str, t.Any]) -> bool:
    """Judged by the side that nobody writes to, and that is gone when all is done: the server replaces the files in use by new ones."""
    return inode_of(os.path.join(journal["other"], entry["name"])) != entry["inode"] or not os.path.isdir(journal["other"])


def _is_to_move(journal: t.Mapping[str, t.Any], entry: t.Mapping[str, t.Any]) -> bool:
    """One that neither side has never moves."""
    exists = entry["inode"] or os.path.lexists(os.path.join(journal["live"], entry["name"]))
    return bool(exists) and not _has_moved(journal, entry)


def _exchange(here: str, there: str) -> None:
    if os.path.lexists(here) and os.path.lexists(there):
        exchange(here, there)
    elif os.path.lexists(there):
        os.rename(there, here)
    elif os.path.lexists(here):
        os.rename(here, there)


def _require_loaded(client: Client, expected: t.Optional[t.Mapping[str, int]]) -> None:
    """Compare how many keys the server has loaded, with those that have expired since; what clients did since then does not count."""
    if expected is None:
        return
    state = client.info("persistence")
    if "rdb_last_load_keys_loaded" in state:
        loaded = int(state["rdb_last_load_keys_loaded"]) + int(state["rdb_last_load_keys_expired"])
        wrong = loaded != expected["keys"]
    else:  # Redis 6
        loaded = sum(one["keys"] for one in keyspace(client).values())
        wrong = expected["keys"] > expected["expires"] and loaded == 0
    if wrong:
        raise NotTheSame(
            "The server did not load what was restored",
            where=str(client.server),
            why=f"it loaded {loaded} keys instead of {expected['keys']}",
        )


def _start(service: Service, journal: t.Mapping[str, t.Any]) -> None:
    try:
        with service.start() as client:
            _require_loaded(client, journal["expected"])
    except RunbookError as error:
        if journal.get("is_return"):
            os.unlink(os.path.join(journal["live"], _JOURNAL))
            error.changed = True
            error.next_step = (
                "the server does not run, and has its former files: start it by hand, and name server_start_command in the profile"
            )
        raise


def _stop(service: Service, journal: t.Mapping[str, t.Any]) -> None:
    try:
        service.stop()
    except RunbookError as error:
        if journal.get("is_return"):
            # Whoever still runs may save over the former files, once they are in its folder.
            error.changed = True
            error.next_step = "stop the server by hand, then run the procedure again: it gives the server its former files back"
            raise
        time.sleep(0.5)  # it may have been asked to go down and not have begun yet
        service.start().close()
        os.unlink(os.path.join(journal["live"], _JOURNAL))
        raise


def read_journal(data_folder: str) -> t.Optional[t.Dict[str, t.Any]]:
    """The journal of an exchange whose process died; None when there is none."""
    try:
        with open(os.path.join(data_folder, _JOURNAL), encoding="utf-8") as stream:
            journal: t.Dict[str, t.Any] = json.load(stream)
    except FileNotFoundError:
        return None
    return journal


def complete_interrupted(service: Service) -> str:
    """Complete an exchange whose process died; returns a sentence about it, or nothing when there was none."""
    live = service.data_folder
    for untold in glob.glob(os.path.join(glob.escape(live), _JOURNAL[: -len("json")] + "*.json")):
        os.unlink(untold)  # the run that asked was killed before it was told
    journal = read_journal(live)
    if journal is None:
        return ""
    if journal.get("is_return"):
        complete(service, journal)
        return "gave the server its former files back, which an earlier run had begun"
    if any(_has_moved(journal, entry) for entry in journal["entries"]):
        complete(service, journal)
        return "completed the exchange of files that an earlier run had begun"
    with_start(service, journal).start().close()
    os.unlink(os.path.join(live, _JOURNAL))
    return "an earlier run was killed before it exchanged the files; the server has its former data"
