# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What restores replaced and kept: collections with an alias `<name>_before_<time>`, and sets of the store `<store>_before_restore`.

All that one restore replaced bears the same time, and goes back, or goes away, together.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ..backup_set.catalogue import list_sets
from ..backup_set.prune import remove_set
from ..backup_set.sets import BackupSet
from ..errors import BadInput, RunbookError
from ..progress import Progress
from ..restoring.kept import parted
from ..restoring.result import told
from .backup import BackupRequest, safety_store, take_safety_set
from .begun import leftovers, only_one
from .names import KEPT, derived_name, is_kept_alias, names_derived_from, service_aliases, stamp, stamp_of
from .own_snapshots import remove_abandoned
from .place import change, put_back, put_in_place
from .recovery import drop, minor
from .server import Server, drop_alias, set_alias


@dataclass
class Kept:
    """All that one restore, or one undo, replaced.

    Attributes:
        at: Its time stamp.
        word: `before` for a restore, `undone` for an undo.
        aliases: Alias by which it is kept -> name by which the service knew it.
        safety: The set of the collections that were recovered into; None where there were none.
    """

    at: str
    word: str
    aliases: t.Dict[str, str] = field(default_factory=dict)
    safety: t.Optional[BackupSet] = None

    @property
    def names(self) -> t.List[str]:
        """What it is called by."""
        return [*self.aliases, *([self.safety.id] if self.safety is not None else [])]


def kept_on(server: Server, backup_folder: str, store: str, collections: t.Sequence[str]) -> t.List[Kept]:
    """What is kept, the newest first.

    Args:
        server: The server.
        backup_folder: Folder of the sets.
        store: Name of the store in the profile.
        collections: The store's collections; empty for all.
    """
    aliases = server.aliases()
    names = collections or sorted({*(alias for alias in aliases if not is_kept_alias(alias)), *server.collections()})
    found: t.Dict[t.Tuple[str, str], Kept] = {}
    for name in names:
        for word in KEPT:
            for alias in names_derived_from(name, word, aliases):
                found.setdefault((stamp_of(alias), word), Kept(stamp_of(alias), word)).aliases[alias] = name
    for one in list_sets(backup_folder):
        labels = one.manifest.get("labels") or {}
        if one.manifest.get("store") == safety_store(store) and one.manifest.get("kind") == "qdrant" and labels.get("at"):
            key = (str(labels["at"]), str(labels["why"]))
            found.setdefault(key, Kept(*key)).safety = one
    return sorted(found.values(), key=lambda one: (one.at, one.word), reverse=True)


def undo(
    server: Server,
    store: str,
    backup_folder: str,
    *,
    collections: t.Sequence[str] = (),
    replaced: str = "",
    expected_peer_id: str = "",
    run_id: str = "",
    dry_run: bool = False,
) -> t.Dict[str, t.Any]:
    """Put back what a restore replaced; the restored state is kept in its turn, as `<name>_undone_<time>` or as a set.

    Args:
        server: The server.
        store: Name of the store in the profile.
        backup_folder: Folder of the sets.
        collections: The store's collections; empty for all.
        replaced: What to put back: an alias, the name of a set, or the time stamp at their end; empty for what the newest restore replaced.
        expected_peer_id: The server's number that the inventory names; empty for none.
        run_id: Run that this belongs to.
        dry_run: Whether only to say what would be done.

    Returns:
        `put_back`, `kept_as`, `plan`, and `cut_off_s` (seconds) unless it was a dry run.

    Raises:
        BadInput: There is nothing to put back.
        RunbookError: It failed; the message says what serves.
    """
    _guard(server, expected_peer_id)
    with only_one(backup_folder, server, dry_run=dry_run):
        chosen = _choose(kept_on(server, backup_folder, store, collections), replaced, str(server))
        aliases = server.aliases()
        at = stamp(lambda moment: any(derived_name(name, "undone", moment) in aliases for name in chosen.aliases.values()))
        actions, wanted, plan = _back(chosen, aliases, server.collections(), at)
        into: t.List[t.Tuple[str, str]] = []
        if chosen.safety is not None:
            into = [(name, name) for name in chosen.safety.manifest["content"]["collections"]]
            plan += [f"take a backup set of {name} and recover {chosen.safety.id} into it" for name, _live in into]
        kept_as = [
            what["create_alias"]["alias_name"]
            for what in actions
            if "create_alias" in what and is_kept_alias(what["create_alias"]["alias_name"])
        ]
        result = {"changed": True, "put_back": ", ".join(chosen.names), "kept_as": ", ".join(kept_as), **told(plan)}
        if dry_run:
            return result
        cut_off_s, own = 0.0, None
        if chosen.safety is not None:
            own, spent = _recover_back(server, store, backup_folder, chosen.safety, into, at, run_id)
            result["kept_as"], cut_off_s = ", ".join([*kept_as, own.id]), spent
        try:
            return {**result, "cut_off_s": round(cut_off_s + change(server, actions, wanted), 3)}
        except RunbookError as error:
            if own is not None and error.kind != "Undecided":
                put_back(error, server, [live for _name, live in into], own, Progress(f"Putting back {store}"))
            raise


def _recover_back(
    server: Server, store: str, backup_folder: str, safety: BackupSet, into: t.Sequence[t.Tuple[str, str]], at: str, run_id: str
) -> t.Tuple[BackupSet, float]:
    safety.require_whole()
    own = take_safety_set(
        BackupRequest(
            server=server,
            store=safety_store(store),
            backup_folder=backup_folder,
            collections=[live for _name, live in into],
            sample_points=int(safety.manifest["content"]["sample_points"]),
            run_id=run_id,
            labels={"why": "undone", "at": at, "restored": safety.id},
        )
    )
    same = minor(server.version()) == minor(str(safety.manifest["server"]["version"]))
    spent, _comparison = put_in_place(server, into, safety, own, Progress(f"Putting back {store}"), same_versions=same)
    return own, spent


def _choose(kept: t.Sequence[Kept], replaced: str, where: str) -> Kept:
    fitting = [one for one in kept if (replaced in (one.at, *one.names) if replaced else one.word == "before")]
    if fitting:
        return fitting[0]
    raise BadInput(
        f"There is no {replaced}" if replaced else "No restore has replaced anything that is still kept",
        where=where,
        why=f"kept are {', '.join(name for one in kept for name in one.names) or 'none'}",
        next_step="name one of these (restore_replaced)" if kept else "restore a backup set instead",
    )


def _back(
    chosen: Kept, aliases: t.Mapping[str, str], known: t.Sequence[str], at: str
) -> t.Tuple[t.List[t.Dict[str, t.Any]], t.Dict[str, str], t.List[str]]:
    """Actions that put kept collections back, where the aliases lead afterwards, and the same in sentences."""
    actions: t.List[t.Dict[str, t.Any]] = []
    wanted: t.Dict[str, str] = {}
    plan: t.List[str] = []
    for alias, name in chosen.aliases.items():
        back = aliases[alias]
        if name in known:
            raise BadInput(
                f"{name} is a collection of its own now, and cannot be an alias",
                where=alias,
                next_step=f"look what it is for; the replaced one is {back}",
            )
        live = aliases.get(name, "")
        moved = [name, *(one for one in service_aliases(live, aliases) if one != name)] if live else [name]
        actions += [drop_alias(one) for one in moved if one in aliases]
        actions += [drop_alias(alias), *(set_alias(one, back) for one in moved)]
        plan.append(f"in one step lead {', '.join(moved)} from {live or 'nowhere'} to {back}")
        if live:
            actions.append(set_alias(derived_name(name, "undone", at), live))
            plan.append(f"keep {live} as {derived_name(name, 'undone', at)}")
        wanted.update(dict.fromkeys(moved, back))
    return actions, wanted, plan


def prune(
    server: Server,
    store: str,
    backup_folder: str,
    keep: int,
    *,
    collections: t.Sequence[str] = (),
    expected_peer_id: str = "",
    dry_run: bool = False,
) -> t.Dict[str, t.Any]:
    """Remove what restores replaced, but for the newest, and what killed runs left on the server.

    Args:
        server: The server.
        store: Name of the store in the profile.
        backup_folder: Folder of the sets.
        keep: So many restores' worth stays.
        collections: The store's collections; empty for all.
        expected_peer_id: The server's number that the inventory names; empty for none.
        dry_run: Whether only to say what would be done.

    Returns:
        `changed`, `dropped`, `kept` (names, the newest first), `leftovers`, `plan`, `freed_bytes` (of sets; Qdrant tells no sizes).

    Raises:
        BadInput: A kept collection serves under another alias; nothing was removed.
    """
    _guard(server, expected_peer_id)
    with only_one(backup_folder, server, dry_run=dry_run):
        found, aliases, known = kept_on(server, backup_folder, store, collections), server.aliases(), server.collections()
        here, gone = parted(found, keep, lambda one: one.at)
        staying = {aliases[alias] for one in here for alias in one.aliases}
        doomed = [aliases[alias] for one in gone for alias in one.aliases if aliases[alias] not in staying]
        used = [f"{real} is {', '.join(service_aliases(real, aliases))}" for real in doomed if service_aliases(real, aliases)]
        if used:
            raise BadInput(
                "What was to be removed is in use; nothing was removed",
                where=str(server),
                why="; ".join(used),
                next_step="look who uses it",
            )
        left = leftovers(backup_folder, server, known, aliases)
        abandoned = remove_abandoned(server, backup_folder, dry_run=dry_run)
        if not dry_run:
            for real in dict.fromkeys([*doomed, *left]):
                drop(server, real)
            superfluous = [alias for one in gone for alias in one.aliases if aliases[alias] in staying]
            change(server, [drop_alias(alias) for alias in superfluous], {})
            for one in gone:
                if one.safety is not None:
                    remove_set(one.safety)
    dropped, kept = [name for one in gone for name in one.names], [name for one in here for name in one.names]
    plan = [f"remove {name}, which a restore replaced" for name in dropped]
    plan += [f"remove the leftover {name} of a run that was killed" for name in [*left, *abandoned]]
    return {
        "changed": bool(dropped or left or abandoned),
        "dropped": dropped,
        "kept": kept,
        "leftovers": [*left, *abandoned],
        "freed_bytes": sum(one.safety.size_bytes for one in gone if one.safety is not None),
        "plan": plan,
        "diff": {"before": "".join(f"{name}\n" for name in [*kept, *dropped]), "after": "".join(f"{name}\n" for name in kept)},
    }


def _guard(server: Server, expected_peer_id: str) -> None:
    server.version()
    known = server.collections()
    if known:
        server.guard_identity(expected_peer_id, [server.require_whole(known[0])])
