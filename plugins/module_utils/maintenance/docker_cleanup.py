# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The operation of the module docker_cleanup: what nobody needs is removed, and what is removed and kept is told with the reasons."""

from __future__ import annotations

import typing as t
from datetime import datetime, timezone

from ..errors import BadInput, RunbookError
from ..file_store.record import FilesBackup
from ..progress import Progress
from ..readable import size
from . import docker_engine
from .docker_engine import Gone, StillNeeded
from .docker_model import ALL, CACHE, CONTAINER, IMAGE, NETWORK, NONE, UNTAGGED, Item, Plan, Wishes
from .docker_plan import network_in_use, plan
from .docker_volumes import copies, copy, volumes_to_remove

OPTIONS: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "images": {"type": "str", "choices": [ALL, UNTAGGED, NONE], "default": ALL},
    "images_older_than_h": {"type": "float"},
    "image_arrived_h": {"type": "float", "default": 1},
    "keep_newest": {"type": "int", "default": 0},
    "keep": {"type": "list", "elements": "str", "default": []},
    "only": {"type": "list", "elements": "str", "default": []},
    "containers_older_than_h": {"type": "float", "default": -1},
    "networks_older_than_h": {"type": "float", "default": 24},
    "build_cache_older_than_h": {"type": "float", "default": -1},
    "volumes": {"type": "list", "elements": "str", "default": []},
    "safety_copy": {"type": "bool", "default": True},
    "backup_folder": {"type": "path"},
    "run_id": {"type": "str", "default": ""},
}
"""Described in plugins/modules/docker_cleanup.py."""


def operate(parameters: t.Mapping[str, t.Any], check_mode: bool) -> t.Dict[str, t.Any]:
    """Remove what the options in `parameters`, valid for OPTIONS, call unused; in check mode only tell what that is.

    Raises:
        BadInput: The engine does not answer, or a named volume is in use; nothing was changed.
        RunbookError: Something could not be removed for another reason than its use; the rest of the message says what was.
    """
    wishes = wishes_of(parameters)
    progress = Progress("Cleaning up the container engine")
    progress.say("looking at what there is")
    before = docker_engine.space()
    facts = docker_engine.facts(datetime.now(timezone.utc), before["data_root"])
    volumes, notes = volumes_to_remove(parameters["volumes"], facts.containers)
    requests = copies(volumes, parameters.get("backup_folder") or "", parameters["run_id"]) if parameters["safety_copy"] else []
    decided = plan(facts, wishes)
    decided.remove += volumes
    work, after = _Work(decided, notes, progress), before
    if not check_mode and decided.remove:
        work.carry_out(wishes, requests)
        after = work.space() or before
    return _result(decided, before, after, notes, work.saved, check_mode)


def wishes_of(parameters: t.Mapping[str, t.Any]) -> Wishes:
    """What may be removed, by the options.

    Raises:
        BadInput: The newest images of each repository cannot be so many.
    """
    if parameters["keep_newest"] < 0:
        raise BadInput("keep_newest is a number of images, 0 or more", where=str(parameters["keep_newest"]))
    if any(not pattern.strip() for pattern in (*parameters["keep"], *parameters["only"])):
        raise BadInput("A pattern of keep or only is empty", next_step="remove it, or write the name that is meant")
    older_than_h = parameters.get("images_older_than_h")
    if older_than_h is None:
        older_than_h = 0 if parameters["images"] == UNTAGGED else Wishes.images_older_than_h
    return Wishes(
        images=parameters["images"],
        images_older_than_h=max(older_than_h, 0),
        image_arrived_h=parameters["image_arrived_h"],
        keep_newest=parameters["keep_newest"],
        containers_older_than_h=parameters["containers_older_than_h"],
        networks_older_than_h=parameters["networks_older_than_h"],
        cache_older_than_h=parameters["build_cache_older_than_h"],
        keep=tuple(parameters["keep"]),
        only=tuple(parameters["only"]),
    )


class _Work:
    """Carries out a plan. What turns out to be in use goes over to what is kept."""

    def __init__(self, decided: Plan, notes: t.List[str], progress: Progress) -> None:
        self.decided, self.notes, self.progress = decided, notes, progress
        self.done: t.List[Item] = []
        self.saved: t.List[str] = []

    def carry_out(self, wishes: Wishes, requests: t.Sequence[FilesBackup] = ()) -> None:
        planned, self.decided.remove = self.decided.remove, self.done
        containers = None
        try:
            for request in requests:
                self.progress.say(f"copying the volume {request.store.name}")
                self.saved.append(copy(request))
            for number, item in enumerate(planned):
                self.progress.say(f"removing the {item.kind} {item.name}", number, len(planned), "things")
                if item.kind == CACHE:
                    continue
                if item.kind == NETWORK:
                    # The engine itself lets go of a network in which only stopped containers are.
                    containers = docker_engine.containers() if containers is None else containers
                    why = network_in_use(item.id, item.name, item.project, containers)
                    if why:
                        self.keep(item, why)
                        continue
                self.one(item)
            self.cache([item for item in planned if item.kind == CACHE], wishes)
        except RunbookError as error:
            error.changed = bool(self.done or self.saved)
            error.facts.update(removed=[item.told() for item in self.done], safety_copies=self.saved)
            raise

    def space(self) -> t.Dict[str, t.Any]:
        """What everything takes now. What was removed is told, whether the engine can add up the rest or not; empty when it cannot."""
        try:
            return docker_engine.space()
        except RunbookError as error:
            self.notes.append(f"How much room there is now is not known, and freed_bytes is 0: {error.message}")
            return {}

    def one(self, item: Item) -> None:
        try:
            if item.kind == IMAGE:
                docker_engine.remove_image(item.id, item.references)
            else:
                docker_engine.remove(*(("rm",) if item.kind == CONTAINER else (item.kind, "rm")), item.id)
            self.done.append(item)
        except StillNeeded as refused:
            self.keep(item, f"the engine kept it: {refused}")
        except Gone:
            self.notes.append(f"The {item.kind} {item.name} was removed by somebody else meanwhile")

    def keep(self, item: Item, why: str) -> None:
        self.decided.kept.append(Item(item.kind, item.id, item.name, why, item.size_bytes, item.age_h))

    def cache(self, items: t.Sequence[Item], wishes: Wishes) -> None:
        if not items:
            return
        age = f"until={round(wishes.cache_older_than_h * 3600)}s"
        docker_engine.docker("builder", "prune", "--force", "--all", "--filter", age, timeout_s=900)
        left = docker_engine.cache_ids()
        for item in items:
            if item.id in left:
                self.keep(item, "the engine kept it")
            else:
                self.done.append(item)


def _result(
    decided: Plan, before: t.Mapping[str, t.Any], after: t.Mapping[str, t.Any], notes: t.List[str], saved: t.Sequence[str], check_mode: bool
) -> t.Dict[str, t.Any]:
    verb = "remove" if check_mode else "removed"
    lines = [f"{verb} the {item.kind} {item.name} ({size(item.size_bytes)}): {item.reason}" for item in decided.remove]
    freed = sum(max(before[key] - after[key], 0) for key in before if key.endswith("_bytes") and key != "free_bytes")
    expected = sum(item.size_bytes for item in decided.remove)
    told = f"{len(decided.remove)} things of {size(expected)}" if decided.remove else "nothing"
    return {
        "changed": bool(decided.remove),
        "msg": f"{'Would remove' if check_mode else 'Removed'} {told}; {len(decided.kept)} stay.",
        "plan": lines,
        "removed": [item.told() for item in decided.remove],
        "kept": [item.told() for item in decided.kept],
        "space": {"before": dict(before), "after": dict(after), "freed_bytes": freed, "expected_bytes": expected},
        "safety_copies": list(saved),
        "notes": notes,
        "diff": {"before": "".join(f"{line}\n" for line in lines), "after": ""},
    }
