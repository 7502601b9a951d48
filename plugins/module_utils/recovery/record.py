# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The record of a recovery, by which a run goes on where the one before it ended.

<state folder>/recoveries/<id>/recovery.json    phases, stores, gates, moments; with its own SHA-256
<state folder>/recoveries/<id>/go-<phase>       made by a person: the phase may begin
<state folder>/recoveries/<id>/stop             made by a person: no further phase may begin
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import typing as t
from dataclasses import dataclass

from ..errors import BadInput, RunbookError
from ..files import write_atomically
from ..state import file_mode, make_folder, slug, utc_now, utc_text, utc_time

FORMAT = "sre.runbooks/recovery/1"
FOLDER, FILE = "recoveries", "recovery.json"
PHASES: t.Mapping[str, t.Sequence[str]] = {
    "disaster": ("assess", "infrastructure", "data", "verify", "resume"),
    "corruption": ("stop_writes", "scope", "restore", "verify", "resume"),
}
"""The phases of each kind of recovery, in order."""
PENDING, RUNNING, DONE, FAILED = "pending", "running", "done", "failed"
OPEN, COMPLETE, GIVEN_UP = "open", "complete", "given up"


@dataclass
class Recovery:
    """A recovery and its record on disk.

    Attributes:
        folder: Where it is kept.
        content: What the file holds: id, kind, service, status, began_at, since, phases, stores, waited_s, runs.
    """

    folder: str
    content: t.Dict[str, t.Any]

    @property
    def id(self) -> str:
        """Its name."""
        return str(self.content["id"])

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
        write_atomically(os.path.join(self.folder, FILE), _text(self.content), file_mode(self.folder))

    def start(self, name: str, run_id: str) -> None:
        """A phase begins."""
        self.phase(name).update(status=RUNNING, began_at=utc_text(utc_now()), finished_at=None, run_id=run_id, problem="")

    def leave(self, name: str, told: t.Sequence[str]) -> None:
        """A phase has ended well; `told` is what it found or did, in sentences."""
        self.phase(name).update(status=DONE, finished_at=utc_text(utc_now()), told=list(told), problem="")

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
        # What was agreed to once was agreed to for another attempt.
        for name in forgotten:
            _remove(os.path.join(self.folder, f"go-{name}"))
        return forgotten


def open_recovery(
    state: str, kind: str, service: str, *, begin_anew: bool = False, since: str = "", dry_run: bool = False
) -> t.Tuple[Recovery, t.List[str]]:
    """The recovery of a service that is not over yet, else a new one; and sentences on what was taken up.

    Args:
        state: The state folder.
        kind: One of PHASES.
        service: Name of the service.
        begin_anew: Whether one that is not over is given up.
        since: When the service went down (UTC ISO 8601); from then on recovery times are measured. Empty: now, or what is known.
        dry_run: Whether nothing may be written.

    Raises:
        BadInput: The service has no name, or `since` is no moment of the past.
        RunbookError: A record is not what was written.
    """
    if not slug(service):
        raise BadInput("A recovery needs the name of the service", next_step="set service_name in the profile")
    notes: t.List[str] = []
    found = unfinished(state, kind, service)
    if found is not None and begin_anew:
        found.content["status"] = GIVEN_UP
        if not dry_run:
            found.save()
        notes.append(f"Gave up the recovery {found.id}, as asked")
        found = None
    if found is not None:
        done = [entry["name"] for entry in found.content["phases"] if entry["status"] == DONE]
        notes.append(f"Takes up the recovery {found.id}; done: {', '.join(done) or 'nothing yet'}")
        for entry in found.content["phases"]:
            if entry["status"] == RUNNING:
                entry.update(status=FAILED, problem="its run was ended before the phase was over")
                notes.append(f"The phase {entry['name']} was under way when its run {entry['run_id'] or ''} was ended")
        if since:
            found.content["since"] = _moment(since)
        return found, notes
    now = utc_now()
    name = f"REC-{now:%Y%m%dT%H%M%SZ}-{slug(service, 40)}-{secrets.token_hex(2)}"
    content: t.Dict[str, t.Any] = {
        "id": name,
        "kind": kind,
        "service": service,
        "status": OPEN,
        "began_at": utc_text(now),
        "since": _moment(since) if since else utc_text(now),
        "phases": [_blank(phase) for phase in PHASES[kind]],
        "stores": {},
        "waited_s": 0.0,
    }
    return Recovery(os.path.join(state, FOLDER, name), content), notes


def unfinished(state: str, kind: str, service: str) -> t.Optional[Recovery]:
    """The newest recovery of that kind and service that is neither complete nor given up."""
    folder = os.path.join(state, FOLDER)
    for name in sorted(os.listdir(folder), reverse=True) if os.path.isdir(folder) else ():
        if name.startswith("REC-") and os.path.exists(os.path.join(folder, name, FILE)):
            found = read(os.path.join(folder, name))
            if found.content["kind"] == kind and found.content["service"] == service and found.content["status"] == OPEN:
                return found
    return None


def read(folder: str) -> Recovery:
    """The recovery in a folder.

    Raises:
        RunbookError: There is none, or it is not what was written.
    """
    path = os.path.join(folder, FILE)
    try:
        with open(path, "rb") as stream:
            text = stream.read()
        content = json.loads(text)
        if content.pop("sha256", None) is None or text != _text(content) or content.get("format", FORMAT) != FORMAT:
            raise ValueError("its checksum is that of another content")
        content.pop("format", None)
        return Recovery(folder, content)
    except FileNotFoundError:
        raise BadInput("There is no such recovery", where=folder, next_step="leave the name out to take up the newest") from None
    except (OSError, ValueError, AttributeError, KeyError) as error:
        step = "look at the file; to begin anew, move its folder away"
        raise RunbookError("The record of a recovery is not what was written", where=path, why=str(error), next_step=step) from error


def _text(content: t.Mapping[str, t.Any]) -> bytes:
    whole = {**content, "format": FORMAT}
    digest = hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()
    return (json.dumps({**whole, "sha256": digest}, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def _blank(name: str) -> t.Dict[str, t.Any]:
    return {"name": name, "status": PENDING, "began_at": None, "finished_at": None, "run_id": "", "problem": "", "told": []}


def _moment(text: str) -> str:
    try:
        moment = utc_time(text if "." in text else text.replace("Z", ".000Z"))
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
