# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Hold a service's writes while all its stores are backed up, and let them go again whatever happens.

Each step of a profile says how something is held (an HTTP call or a command) and how it is released. Before the first is held a note is
written; it goes when all are released. A run that is killed in between leaves the note, by which the next run releases what it held.
"""

from __future__ import annotations

import json
import os
import typing as t
from dataclasses import dataclass

from .backup_set.sets import utc_now
from .command import Command, run
from .errors import BadInput, RunbookError
from .files import fsync_path, write_json
from .monitoring.web import Server

_ATTEMPTS = 3
"""A release is tried so often: what stays held stands still."""


@dataclass(frozen=True)
class Step:
    """One thing to hold.

    Attributes:
        name: What it is, for the reader.
        hold: How it is held: `command` (a list), or `url` with `method`, `status`, and the options of a web server.
        release: How it is released, the same.
        stores: The stores for whose backup it is held; empty for any.
    """

    name: str
    hold: t.Mapping[str, t.Any]
    release: t.Mapping[str, t.Any]
    stores: t.FrozenSet[str] = frozenset()


def steps_from(entries: t.Sequence[t.Mapping[str, t.Any]]) -> t.List[Step]:
    """The steps of a profile.

    Raises:
        BadInput: One does not say how it is held, or how it is released.
    """
    steps = []
    for entry in entries:
        for word in ("hold", "release"):
            way = entry.get(word) or {}
            if bool(way.get("command")) == bool(way.get("url")):
                raise BadInput(
                    f"The step {entry.get('name')!r} does not say how to {word} it",
                    next_step=f"give `{word}` either a command or a url in backup_quiesce of the profile",
                )
        steps.append(Step(str(entry["name"]), entry["hold"], entry["release"], frozenset(entry.get("stores") or ())))
    if len({step.name for step in steps}) < len(steps):
        raise BadInput("Two steps of backup_quiesce have the same name", next_step="give each a name of its own")
    return steps


def hold(
    steps: t.Sequence[Step], note: str, *, stores: t.Collection[str] = (), run_id: str = "", dry_run: bool = False
) -> t.Dict[str, t.Any]:
    """Hold the steps in order; when one cannot be held, those that were are released and the error is raised.

    Args:
        steps: All that the profile can hold.
        note: Path of the note. One that a killed run left is honoured first: what it held is released, for whatever stores that was.
        stores: The stores that are backed up; steps for other stores alone are not held. Empty for all steps.
        run_id: The run that holds.
        dry_run: Whether only to tell.

    Returns:
        `held` (names), `held_at` (UTC ISO 8601, the moment after the last was held), `notes`.
    """
    notes = []
    earlier = _noted(note)
    if earlier:
        notes = [f"an earlier run left held: {', '.join(earlier)}" + ("" if dry_run else "; it was released first")]
        release(steps, note, dry_run=dry_run)
    chosen = [step for step in steps if not stores or not step.stores or step.stores & set(stores)]
    if not chosen:
        return {"changed": False, "held": [], "held_at": "", "notes": notes}
    if not dry_run:
        os.makedirs(os.path.dirname(note), mode=0o700, exist_ok=True)
        write_json(note, {"run_id": run_id, "at": utc_now(), "steps": [step.name for step in chosen]})
        try:
            for step in chosen:
                _act(step.name, "held", step.hold)
        except RunbookError as error:
            try:
                release(steps, note)
            except RunbookError as second:
                error.next_step = f"{error.next_step}; besides: {second.message}"
            raise
    return {"changed": True, "held": [step.name for step in chosen], "held_at": utc_now(), "notes": notes}


def release(steps: t.Sequence[Step], note: str, *, dry_run: bool = False) -> t.Dict[str, t.Any]:
    """Release what the note says is held, the last first; each is tried several times and none keeps the others from it.

    Returns:
        `released` (names), `released_at` (the moment before the first was released), `notes`.

    Raises:
        RunbookError: Something is still held; the note says what, and the next run tries again.
    """
    names = _noted(note)
    at = utc_now()
    known = {step.name: step for step in steps}
    failures = {}
    for name in reversed(names):
        if dry_run:
            continue
        try:
            if name not in known:
                raise BadInput("The profile does not say any more how it is released", next_step="release it by hand")
            _patiently(known[name])
        except RunbookError as error:
            failures[name] = error.message
    if failures:
        write_json(note, {"run_id": "", "at": at, "steps": [name for name in names if name in failures]})
        raise RunbookError(
            f"Still held: {', '.join(failures)}",
            where=note,
            why="; ".join(failures.values()),
            next_step="release it by hand and remove that note, or mend the cause and run the backup again, which tries once more",
            changed=True,
        )
    if names and not dry_run:
        os.unlink(note)
        fsync_path(os.path.dirname(note))
    return {"changed": bool(names), "released": names, "released_at": at, "notes": []}


def _patiently(step: Step) -> None:
    for attempt in range(_ATTEMPTS):
        try:
            _act(step.name, "released", step.release)
            return
        except RunbookError:
            if attempt == _ATTEMPTS - 1:
                raise


def _act(name: str, done: str, way: t.Mapping[str, t.Any]) -> None:
    timeout_s = float(way.get("timeout_s") or 30.0)
    what = f"{name} could not be {done}"
    try:
        if way.get("command"):
            run(Command([str(word) for word in way["command"]], timeout_s=timeout_s))
            return
        server = Server("the service", str(way["url"]), {**way, "timeout_s": timeout_s})
        reply = server.call(str(way.get("method") or "POST"), "", document=way.get("body"))
    except RunbookError as error:
        raise RunbookError(what, where=error.where, why=f"{error.what}: {error.why}".rstrip(": "), next_step=error.next_step) from error
    wanted = [int(status) for status in way.get("status") or range(200, 300)]
    if reply.status not in wanted:
        raise RunbookError(
            what, where=server.shown, why=f"it answered {reply.status}: {reply.said}", next_step="look into the service's log"
        )


def _noted(note: str) -> t.List[str]:
    try:
        with open(note, encoding="utf-8") as stream:
            return [str(name) for name in json.load(stream)["steps"]]
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError):
        raise RunbookError(
            "The note of what is held is not what was written", where=note, next_step="look by hand what is held, then remove the note"
        ) from None
