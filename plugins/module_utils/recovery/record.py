# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The record of a recovery, by which a run goes on where the one before it ended.

<state folder>/recoveries/<id>/recovery.json    phases, stores, gates, moments; with its own SHA-256
<state folder>/recoveries/<id>/go-<phase>       made by a person: the phase may begin
<state folder>/recoveries/<id>/stop             made by a person: no further phase may begin
"""

from __future__ import annotations

import os
import secrets
import typing as t
from dataclasses import dataclass, field

from ..backup_set.catalogue import named
from ..errors import BadInput, RunbookError
from ..files import write_atomically
from ..readable import span
from ..sealed import sealed, unsealed
from ..state import file_mode, make_folder, slug, utc_now, utc_text, utc_time

FORMAT = "sre.runbooks/recovery/1"
FOLDER, FILE = "recoveries", "recovery.json"
PHASES: t.Mapping[str, t.Sequence[str]] = {
    "disaster": ("assess", "infrastructure", "data", "verify", "resume"),
    "corruption": ("stop_writes", "scope", "restore", "verify", "resume"),
}
"""The phases of each kind of recovery, in order."""
_IN_EVERY_RUN: t.Mapping[str, t.Sequence[str]] = {"disaster": (), "corruption": ("stop_writes", "resume")}
"""Phases that are done in each run: since the last one somebody may have let the service be written to again."""
_SETS_ARE_CHOSEN_IN = {"disaster": "data", "corruption": "scope"}
PENDING, RUNNING, DONE, FAILED = "pending", "running", "done", "failed"
OPEN, COMPLETE, GIVEN_UP = "open", "complete", "given up"


@dataclass
class Recovery:
    """A recovery and its record on disk.

    Attributes:
        folder: Where it is kept.
        content: What the file holds: id, kind, service, store_names, set (words for the sets), status, began_at, taken_up_at, since,
            phases, stores (what is known of their restores), waited_s.
        withdrawn: Phases whose files `go-<phase>` go when it is saved: what was agreed to was agreed to for another attempt.
    """

    folder: str
    content: t.Dict[str, t.Any]
    withdrawn: t.List[str] = field(default_factory=list)

    @property
    def id(self) -> str:
        """Its name."""
        return str(self.content["id"])

    @property
    def set_to_restore(self) -> str:
        """The set with which the damage was compared; before that, the words for it."""
        return str(next((entry["set"] for entry in self.content["phases"] if entry.get("set")), self.content.get("set", "")))

    def phase(self, name: str) -> t.Dict[str, t.Any]:
        """The entry of a phase.

        Raises:
            BadInput: This kind of recovery has no such phase.
        """
        for entry in self.content["phases"]:
            if entry["name"] == name:
                return t.cast("t.Dict[str, t.Any]", entry)
        raise BadInput(
            f"A recovery after {self.content['kind']} has no phase {name!r}",
            next_step=f"use one of {', '.join(PHASES[self.content['kind']])}",
        )

    def save(self) -> None:
        """Write it down, whole or not at all."""
        make_folder(os.path.dirname(self.folder))
        make_folder(self.folder)
        for name in self.withdrawn:
            _remove(os.path.join(self.folder, f"go-{name}"))
        write_atomically(os.path.join(self.folder, FILE), sealed({**self.content, "format": FORMAT}), file_mode(self.folder))

    def start(self, name: str, run_id: str) -> None:
        """A phase begins."""
        self.phase(name).update(status=RUNNING, began_at=utc_text(utc_now()), finished_at=None, run_id=run_id, problem="")

    def leave(self, name: str, told: t.Sequence[str], chosen: str = "") -> None:
        """A phase has ended well; `told` is what it found or did, in sentences, `chosen` the set that it has chosen."""
        self.phase(name).update(status=DONE, finished_at=utc_text(utc_now()), told=list(told), problem="", set=chosen)

    def fail(self, problem: str) -> str:
        """The phase that was under way has failed; its name, empty when none was."""
        for entry in self.content["phases"]:
            if entry["status"] == RUNNING:
                entry.update(status=FAILED, finished_at=utc_text(utc_now()), problem=problem)
                return str(entry["name"])
        return ""

    def again(self, names: t.Sequence[str]) -> t.List[str]:
        """Forget that these phases, and all behind them, were done. Returns the names of those that were."""
        forgotten: t.List[str] = []
        for name in names:
            self.phase(name)
        places = [number for number, entry in enumerate(self.content["phases"]) if entry["name"] in names]
        for entry in self.content["phases"][min(places) :] if places else ():
            if entry["status"] != PENDING:
                forgotten.append(entry["name"])
            entry.update(_blank(entry["name"]))
        if {"data", "restore"} & set(forgotten):
            self.content["stores"] = {}
        self.withdrawn += forgotten
        return forgotten


def begin(state: str, kind: str, service: str, *, stores: t.Sequence[str] = (), words: str = "", since: str = "") -> Recovery:
    """A new recovery, which is not on disk yet; the arguments are those of `open_recovery`."""
    now = utc_now()
    name = f"REC-{now:%Y%m%dT%H%M%SZ}-{slug(service, 40)}-{secrets.token_hex(2)}"
    content: t.Dict[str, t.Any] = {
        "id": name,
        "kind": kind,
        "service": service,
        "store_names": list(stores),
        "set": words,
        "status": OPEN,
        "began_at": utc_text(now),
        "since": _moment(since) if since else utc_text(now),
        "phases": [_blank(phase) for phase in PHASES[kind]],
        "stores": {},
        "waited_s": 0.0,
    }
    return Recovery(os.path.join(state, FOLDER, name), content)


def open_recovery(
    state: str,
    kind: str,
    service: str,
    *,
    stores: t.Sequence[str] = (),
    words: str = "",
    take_up: str = "",
    take_up_within_s: float = 43200.0,
    begin_anew: bool = False,
    since: str = "",
    dry_run: bool = False,
) -> t.Tuple[Recovery, t.List[str]]:
    """The recovery of a service that is not over yet, else a new one; and sentences on what was taken up.

    Args:
        state: The state folder.
        kind: One of PHASES.
        service: Name of the service.
        stores: Names of the stores that are recovered.
        words: From which sets, as `backup_set.catalogue.named` reads it; empty for the best, or for what the recovery began with.
        take_up: Id of the one to take up, however old it is; it may have been for more stores. Empty: the newest, when it is for these very
            stores, and something was done in it within `take_up_within_s` seconds.
        take_up_within_s: See there.
        begin_anew: Whether those that are not over are given up.
        since: When the service went down (UTC ISO 8601); from then on recovery times are measured. Empty: now, or what is known.
        dry_run: Whether nothing may be written.

    Raises:
        BadInput: The service has no name, `since` is no moment of the past, or it has to be said whether an older recovery goes on.
        RunbookError: A record is not what was written.
    """
    if not slug(service):
        raise BadInput("A recovery needs the name of the service", next_step="set service_name in the profile")
    if named(words).get("name") and len(stores) > 1:
        raise BadInput(f"{words!r} is a set of one store", next_step="name that store alone, or a moment: `before <UTC time>`")
    notes: t.List[str] = []
    known = _unfinished(state, kind, service)
    for found in known if begin_anew else ():
        found.content["status"] = GIVEN_UP
        if not dry_run:
            found.save()
        notes.append(f"Gave up the recovery {found.id}, as asked")
    if take_up:
        known = [found for found in known if found.id == take_up]
        if begin_anew or not known:
            raise BadInput(f"The recovery {take_up} cannot be taken up", why="it is over, is of another kind, or was never begun")
    if begin_anew or not known:
        return begin(state, kind, service, stores=stores, words=words, since=since), notes
    _require_the_same(known[0], stores, take_up_within_s, named_so=bool(take_up))
    if _idle_s(known[0]) > take_up_within_s:
        known[0].withdrawn += PHASES[kind]
    notes += _take_up(known[0], stores, words)
    if since:
        known[0].content["since"] = _moment(since)
    return known[0], notes


def _take_up(found: Recovery, stores: t.Sequence[str], words: str) -> t.List[str]:
    done = [entry["name"] for entry in found.content["phases"] if entry["status"] == DONE]
    kind, notes = found.content["kind"], [f"Takes up the recovery {found.id}; done: {', '.join(done) or 'nothing yet'}"]
    for entry in found.content["phases"]:
        if entry["status"] == RUNNING:
            entry.update(status=FAILED, problem="its run was ended before the phase was over")
            notes.append(f"The phase {entry['name']} was under way when its run {entry['run_id'] or ''} was ended")
    if words and words != found.content.get("set", ""):
        notes.append(f"Looks for other sets, as asked: {words}")
        found.again([_SETS_ARE_CHOSEN_IN[kind]])
        found.content["set"] = words
    for name in _IN_EVERY_RUN[kind]:
        if found.phase(name)["status"] == DONE:
            found.phase(name).update(_blank(name))
    found.content.update(store_names=list(stores), taken_up_at=utc_text(utc_now()))
    return notes


def _idle_s(found: Recovery) -> float:
    moments = [found.content["began_at"], found.content.get("taken_up_at")]
    moments += [entry[key] for entry in found.content["phases"] for key in ("began_at", "finished_at")]
    return (utc_now() - utc_time(max(filter(None, moments)))).total_seconds()


def _require_the_same(found: Recovery, stores: t.Sequence[str], within_s: float, named_so: bool) -> None:
    """Raise BadInput when it must be said whether this recovery goes on: what counts as done was done for something else, or long ago."""
    own = found.content.get("store_names") or []
    if set(stores) - set(own) or (set(stores) != set(own) and not named_so):
        why = f"it recovers {', '.join(own) or 'no store'}, and now {', '.join(stores) or 'no store'} is to be recovered"
    elif _idle_s(found) > within_s and not named_so:
        why = f"nothing was done in it for {span(_idle_s(found))}, so it may not be the one that is meant"
    else:
        return
    go_on = "" if set(stores) - set(own) else f"to go on with it: -e recovery_take_up={found.id}; "
    raise BadInput(
        f"The recovery {found.id} is not over",
        where=found.folder,
        why=why,
        next_step=f"{go_on}to give it up and begin another one: -e recovery_begin_anew=true",
    )


def _unfinished(state: str, kind: str, service: str) -> t.List[Recovery]:
    """The recoveries of that kind and service that are neither complete nor given up, the newest first."""
    folder = os.path.join(state, FOLDER)
    names = sorted(os.listdir(folder), reverse=True) if os.path.isdir(folder) else ()
    folders = [os.path.join(folder, name) for name in names if name.startswith("REC-")]
    every = [read(one) for one in folders if os.path.exists(os.path.join(one, FILE))]
    return [one for one in every if (one.content["kind"], one.content["service"], one.content["status"]) == (kind, service, OPEN)]


def read(folder: str) -> Recovery:
    """The recovery in a folder.

    Raises:
        RunbookError: There is none, or it is not what was written.
    """
    path = os.path.join(folder, FILE)
    try:
        with open(path, "rb") as stream:
            content = unsealed(stream.read(), FORMAT)
        del content["format"]
        return Recovery(folder, content)
    except FileNotFoundError:
        raise BadInput("There is no such recovery", where=folder, next_step="leave the name out to take up the newest") from None
    except (OSError, ValueError, RecursionError) as error:
        step = "look at the file; to begin anew, move its folder away"
        raise RunbookError("The record of a recovery is not what was written", where=path, why=str(error), next_step=step) from error


def _blank(name: str) -> t.Dict[str, t.Any]:
    return {"name": name, "status": PENDING, "began_at": None, "finished_at": None, "run_id": "", "problem": "", "told": [], "set": ""}


def _moment(text: str) -> str:
    try:
        moment = utc_time(text)
    except ValueError:
        raise BadInput("That is no moment", where=text[:60], next_step="write it in UTC, for example 2026-11-21T09:00:00Z") from None
    if moment > utc_now():
        raise BadInput("The disaster lies in the future", where=text[:60], next_step="name the moment at which the service went down")
    return utc_text(moment)


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
