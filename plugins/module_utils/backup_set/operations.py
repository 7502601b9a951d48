# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What the modules do with finished sets: verify, mark, prune, select, copy. Each returns a module's result."""

from __future__ import annotations

import datetime
import os
import typing as t

from ..errors import BadInput, SetDamaged, SetNotFound, ToolMissing
from ..progress import Progress
from .catalogue import Choice, Wanted, choose, in_order_of_trust, list_sets, none_found
from .chain import base_of, chain_problems
from .checking import damaged
from .hashing import hash_file
from .in_use import in_use, note_chosen
from .object_store import ObjectStore
from .offsite import download, remote_service_sets, remote_sets, require_room, upload, upload_proof, upload_service_set
from .prune import Keep, PrunePlan, plan_prune, remove_set
from .service_sets import list_service_sets, remove_empty
from .service_sets import write as write_service_set
from .sets import BackupSet, SetWriter, read_set, remove_leftovers, utc_now


def verify(
    one: BackupSet, *, run_id: str = "", tool_check: t.Optional[t.Callable[[BackupSet], t.Sequence[str]]] = None, dry_run: bool = False
) -> t.Dict[str, t.Any]:
    """Read every file of a set, compare it with the manifest, let the store's own tool look, and write the finding down.

    A tool that is not there, or is older than the set, says nothing about the set: then the proof says that none has looked.

    Raises:
        SetDamaged: Something is not as it should be; that is written down first.
    """
    progress = Progress(f"Verifying {one.id}")
    problems = one.problems(on_bytes=lambda done: progress.say("reading", done, one.size_bytes, "bytes"))
    problems = problems or chain_problems(one)
    unlooked = ""
    if not problems and tool_check is not None:
        try:
            problems = list(tool_check(one))
        except ToolMissing as error:
            unlooked = f"; no tool of the store has looked at it: {error.what}"
    if problems:
        if not dry_run and not one.damage:
            one.mark_failed(problems, run_id)
        raise damaged(one.folder, problems)
    if not dry_run:
        one.add_proof("verified", run_id=run_id, detail=f"{len(one.manifest['files'])} files, {one.size_bytes} bytes read{unlooked}")
    return {"changed": not dry_run, "backup_set": one.summary()}


def mark(one: BackupSet, state: str, *, run_id: str = "", detail: str = "", dry_run: bool = False) -> t.Dict[str, t.Any]:
    """Write down that a set was proven, or failed."""
    if not dry_run:
        one.add_proof(state, run_id=run_id, detail=detail)
    return {"changed": True, "backup_set": one.summary()}


def prune(backup_folder: str, keep: Keep, *, dry_run: bool = False) -> t.Dict[str, t.Any]:
    """Remove the sets that no rule keeps and nobody works with, and what killed runs left behind."""
    sets = list_sets(backup_folder)
    now = datetime.datetime.now(datetime.timezone.utc)
    # Only those that would go are asked for: asking takes each for an instant.
    doomed = [one.id for one in plan_prune(sets, keep, now).remove]
    plan = plan_prune(sets, keep, now, in_use(backup_folder, doomed))
    leftovers = remove_leftovers(backup_folder, dry_run=dry_run)
    removed = [one for one in plan.remove if dry_run or remove_set(one)]
    gone = {one.id for one in removed}
    records = remove_empty(backup_folder, {one.id for one in sets} - gone, dry_run=dry_run)
    return {**pruned(plan, sets, removed, [*leftovers, *records]), "leftovers": leftovers, "service_sets": records}


def pruned(plan: PrunePlan, sets: t.Sequence[BackupSet], removed: t.Sequence[BackupSet], leftovers: t.Sequence[str]) -> t.Dict[str, t.Any]:
    """The result of a pruning: what went, and for every set why it stays or goes."""
    rest = "".join(f"goes  {name}: nothing whole is left of it\n" for name in leftovers)
    return {
        "changed": bool(removed or leftovers),
        "removed": [one.id for one in removed],
        "reasons": dict(plan.reasons),
        "freed_bytes": sum(one.size_bytes for one in removed),
        "listing": (plan.listing(sets) + rest).splitlines(),
        "diff": {"before": plan.listing(sets) + rest, "after": plan.listing(sets, without_removed=True)},
    }


def seal(folder: str, backup_folder: str, store: str, kind: str, *, dry_run: bool = False) -> t.Dict[str, t.Any]:
    """Make a set of the files in a folder: they are moved into a new set, hashed and sealed.

    Args:
        folder: Folder on the same file system as the backup folder; it is gone afterwards.
        backup_folder: Folder of the sets.
        store: Name of the store.
        kind: What the files are (`files`, `redis`, ...).
    """
    if not os.path.isdir(folder) or os.stat(folder).st_dev != os.stat(backup_folder).st_dev:
        raise BadInput(
            "The folder to seal must exist on the file system of the backup folder",
            where=folder,
            next_step="write the files below the backup folder",
        )
    names = [os.path.relpath(os.path.join(top, name), folder) for top, _folders, files in os.walk(folder) for name in files]
    if not names:
        raise BadInput("The folder to seal holds no files", where=folder, next_step="write the files first")
    if dry_run:
        return {"changed": True, "files": sorted(names)}
    with SetWriter(backup_folder, store, kind) as writer:
        entries = {}
        for name in sorted(names):
            target = os.path.join(writer.folder, name)
            os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
            os.rename(os.path.join(folder, name), target)
            descriptor = os.open(target, os.O_RDONLY)
            os.fsync(descriptor)
            os.close(descriptor)
            sha256, size = hash_file(target)
            entries[name] = {"size_bytes": size, "sha256": sha256}
        now = utc_now()
        sealed = writer.seal(
            {"kind": kind, "method": kind, "store": store, "started_at": now, "finished_at": now, "consistent_at": now}, entries
        )
    return {"changed": True, "backup_set": sealed.summary()}


def select(backup_folder: str, wanted: Wanted, offsite: t.Optional[ObjectStore], *, dry_run: bool = False) -> t.Dict[str, t.Any]:
    """Find the set to restore: the best one here whose files are whole, else the best one off-site, which is fetched.

    Raises:
        SetNotFound: There is none; the message says what was passed over and why.
    """
    progress = Progress("Choosing the backup set")

    def problems_of(one: BackupSet) -> t.Sequence[str]:
        problems = one.problems(on_bytes=lambda done: progress.say(f"reading {one.id}", done, one.size_bytes, "bytes"))
        problems = problems or chain_problems(one)
        if problems and not one.damage and not dry_run:
            one.mark_failed(problems)
        return problems

    sets = list_sets(backup_folder)
    here = choose(sets, wanted, problems_of)
    if here.chosen is not None:
        if not dry_run:
            note_chosen(here.chosen.folder)
        return _selected(here.chosen, here, "here")
    if offsite is None:
        raise none_found(wanted, backup_folder, here.passed_over, sets)
    there = remote_sets(offsite)
    here.passed_over += [f"{one.id} off-site: {'; '.join(one.damage) or 'failed its last check'}" for one in there if one.state == "failed"]
    for one in in_order_of_trust(there, wanted):
        if dry_run:
            require_room(one, backup_folder)
            return {
                "changed": True,
                "location": "offsite",
                "set_folder": "",
                "set_id": one.id,
                "set_manifest": one.manifest,
                "backup_set": {**one.summary(), "folder": ""},
                "reason": f"no set here will do; {one.id} would be fetched from {offsite}",
                "passed_over": here.passed_over,
                "diff": {"before": "", "after": f"{one.id} would be fetched from {offsite}, and then restored\n"},
            }
        progress.say(f"fetching {one.id} from off-site")
        try:
            fetched = download(offsite, one.id, backup_folder, one.size_bytes)
            _fetch_bases(offsite, fetched, backup_folder)
        except (SetDamaged, SetNotFound) as error:
            here.passed_over.append(f"{one.id} off-site: {error.why}")
            continue
        note_chosen(fetched.folder)
        here.reason = f"no set here will do; this one was fetched from {offsite} and checked"
        return _selected(fetched, here, "offsite")
    raise none_found(wanted, f"{backup_folder} and {offsite}", here.passed_over, [*sets, *there])


def _fetch_bases(offsite: ObjectStore, one: BackupSet, backup_folder: str) -> None:
    """Fetch what a set is built on, as far as it is not here.

    Raises:
        SetDamaged: Something of it is not off-site, or is not what it was.
    """
    link = one
    while base_of(link):
        name = str(base_of(link)["id"])
        folder = os.path.join(backup_folder, name)
        try:
            link = read_set(folder) if os.path.isdir(folder) else download(offsite, name, backup_folder)
        except (SetDamaged, SetNotFound) as error:
            raise damaged(one.folder, [f"{name}, on which it is built, cannot be fetched: {error.why or error.what}"]) from error
    problems = chain_problems(one)
    if problems:
        raise damaged(one.folder, problems)


def _selected(one: BackupSet, choice: Choice, location: str) -> t.Dict[str, t.Any]:
    return {
        "changed": location == "offsite",
        "location": location,
        "set_folder": one.folder,
        "set_id": one.id,
        "reason": choice.reason,
        "passed_over": choice.passed_over,
        "backup_set": one.summary(),
    }


def copy_offsite(store: ObjectStore, one: BackupSet, *, download_check: bool = False, dry_run: bool = False) -> t.Dict[str, t.Any]:
    """Copy a set into the object store unless a complete copy is there."""
    if not dry_run:
        return upload(store, one, download_check=download_check)
    found = upload_proof(store, one, dry_run=True)
    return found if found["location"] else {"changed": True, "location": f"s3://{store.path(one.id)}", "bytes": one.size_bytes}


def note_service_set(
    backup_folder: str, record: t.Mapping[str, t.Any], offsite: t.Optional[ObjectStore], *, dry_run: bool = False
) -> t.Dict[str, t.Any]:
    """Write down which sets belong together, here and off-site.

    Raises:
        Unreachable: It could not be copied; it is written here.
    """
    noted = write_service_set(backup_folder, record, dry_run=dry_run)
    if offsite is not None and not dry_run:
        upload_service_set(offsite, noted["service_set"]["path"])
    return noted


def information(backup_folder: str, wanted: Wanted, offsite: t.Optional[ObjectStore] = None) -> t.Dict[str, t.Any]:
    """All sets of a kind, and which of all sets belong together, the newest first; the same of the copies off-site."""
    sets = [one.summary() for one in list_sets(backup_folder) if wanted.fits(one)]
    found = {
        "changed": False,
        "backup_sets": sets,
        "total_bytes": sum(one["size_bytes"] for one in sets),
        "service_sets": list_service_sets(backup_folder),
    }
    if offsite is not None:
        copies = [{**one.summary(), "folder": ""} for one in remote_sets(offsite) if wanted.fits(one)]
        found.update(offsite_sets=copies, offsite_service_sets=remote_service_sets(offsite))
    return found


def open_set(backup_folder: str, name: str) -> BackupSet:
    """A set by its name, or by its path."""
    return read_set(name if os.path.isabs(name) else os.path.join(backup_folder, name))
