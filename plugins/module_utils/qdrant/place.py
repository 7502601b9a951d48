# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""How a restored collection takes the place of the live one.

Qdrant cannot rename a collection. Where the service knows it by an alias, the alias is led to the restored one, in one request with all
other aliases of the restore, and the replaced one gets the alias `<name>_before_<time>`. Where the service knows the collection itself, a
backup set is taken of it, and the snapshot is recovered into it, once it was seen beside it that the snapshot is whole.
"""

from __future__ import annotations

import time
import typing as t
from dataclasses import dataclass

from ..backup_set.sets import BackupSet
from ..errors import NotTheSame, RunbookError, Undecided
from ..progress import Progress
from ..restoring.comparison import Comparison
from .fingerprint import sample
from .names import derived_name, service_aliases, stamp
from .recovery import compare_recovered, recover
from .server import Server, drop_alias, set_alias

ALIAS, NEW_ALIAS, IN_PLACE, NEW = "alias", "new alias", "in place", "new"


@dataclass(frozen=True)
class Place:
    """Where one collection of a set goes.

    Attributes:
        name: Its name in the set, by which the service knows it.
        mode: `alias`: an alias is moved; `new alias`: it is made; `in place`: the live collection is recovered into; `new`: there is none.
        live: The collection that serves now; empty where there is none.
        beside: The collection that is made for the restore.
        aliases: Aliases that lead to the restored one in the end.
        kept_as: Alias by which the replaced one is kept.
    """

    name: str
    mode: str
    live: str
    beside: str
    aliases: t.Sequence[str]
    kept_as: str

    def steps(self, set_name: str) -> t.List[str]:
        """What is done with it, in sentences."""
        lines = [f"recover {self.name} of {set_name} into the new collection {self.beside} and compare it"]
        if self.mode == ALIAS:
            lines.append(
                f"in one step lead {', '.join(self.aliases)} from {self.live} to {self.beside}, and keep {self.live} as {self.kept_as}"
            )
        elif self.mode == NEW_ALIAS:
            lines.append(f"let {', '.join(self.aliases)} lead to {self.beside}")
        elif self.mode == IN_PLACE:
            lines.append(f"take a backup set of {self.live}, recover {self.name} into it, compare it, and remove {self.beside}")
        return lines


def places(entries: t.Mapping[str, t.Mapping[str, t.Any]], known: t.Sequence[str], aliases: t.Mapping[str, str]) -> t.List[Place]:
    """Decide where each collection of a set goes. A pure function.

    Args:
        entries: The collections of the manifest that are wanted.
        known: Collections of the server.
        aliases: Aliases of the server.
    """
    names = [*known, *aliases]
    at = stamp(lambda moment: any(derived_name(name, word, moment) in names for name in entries for word in ("restoring", "before")))
    return [_place(name, entry, known, aliases, at) for name, entry in entries.items()]


def _place(name: str, entry: t.Mapping[str, t.Any], known: t.Sequence[str], aliases: t.Mapping[str, str], at: str) -> Place:
    beside, kept_as = derived_name(name, "restoring", at), derived_name(name, "before", at)
    if name in aliases:
        live = aliases[name]
        # Of the other names of that collection those move along that the backup knew.
        moved = [name, *(alias for alias in service_aliases(live, aliases) if alias != name and alias in entry["aliases"])]
        return Place(name, ALIAS, live, beside, moved, kept_as)
    if name in known:
        return Place(name, IN_PLACE, name, beside, [], "")
    free = [alias for alias in entry["aliases"] if alias not in aliases and alias not in known]
    if name in entry["aliases"]:
        return Place(name, NEW_ALIAS, "", beside, [name, *(alias for alias in free if alias != name)], "")
    return Place(name, NEW, "", name, free, "")


def switch(server: Server, chosen: t.Sequence[Place]) -> float:
    """Move and make the aliases of all places in one request; returns the seconds that it took.

    Raises:
        Undecided: The connection broke, and the server cannot be asked what became of it.
        RunbookError: It was not done.
    """
    actions: t.List[t.Dict[str, t.Any]] = []
    for place in chosen:
        if place.mode == ALIAS:
            actions += [drop_alias(alias) for alias in place.aliases]
            actions.append(set_alias(place.kept_as, place.live))
        actions += [set_alias(alias, place.beside) for alias in place.aliases]
    wanted = {alias: place.beside for place in chosen for alias in place.aliases}
    return change(server, actions, wanted)


def change(server: Server, actions: t.Sequence[t.Mapping[str, t.Any]], wanted: t.Mapping[str, str]) -> float:
    """Carry out actions on aliases as a whole; returns the seconds that it took.

    Args:
        server: The server.
        actions: What to do; none is done when they are empty.
        wanted: Alias -> collection as it is afterwards, by which it is found out what became of a request that was not answered.

    Raises:
        Undecided, RunbookError: As `switch`.
    """
    if not actions:
        return 0.0
    began = time.monotonic()
    try:
        server.change_aliases(actions)
    except RunbookError as error:
        if error.kind == "Refused":
            raise
        try:
            found = server.aliases()
        except RunbookError:
            raise Undecided(
                "The connection broke while the aliases were being changed, which is done as a whole or not at all",
                where=str(server),
                why=error.why,
                next_step=f"look where {', '.join(wanted)} lead to once the server answers; then run the procedure again, it cleans up",
                changed=True,
            ) from error
        if any(found.get(alias) != real for alias, real in wanted.items()):
            raise
    return time.monotonic() - began


def put_in_place(
    server: Server, chosen: t.Sequence[t.Tuple[str, str]], one: BackupSet, safety: BackupSet, progress: Progress, *, same_versions: bool
) -> t.Tuple[float, Comparison]:
    """Recover into live collections; when one fails, put back from the safety set what was there, in all of them.

    Args:
        server: The server.
        chosen: Name in the set and live collection of each.
        one: The set.
        safety: The set that was just taken of the live collections.
        progress: Told of the bytes sent.
        same_versions: Whether the server has the version of the backup.

    Returns:
        Seconds that the recoveries took: for about so long clients could not rely on the collections; and what was compared.

    Raises:
        RunbookError: It failed; the message says what serves now.
    """
    spent, comparison, touched = 0.0, Comparison(), []
    try:
        for name, live in chosen:
            touched.append(live)
            began = time.monotonic()
            recover(server, one, name, live, progress)
            spent += time.monotonic() - began
            compare_recovered(server, one, name, live, comparison, same_versions=same_versions, in_place=True)
    except RunbookError as error:
        if isinstance(error, NotTheSame):
            error.next_step = "restore another set (restore_set=...)"
        put_back(error, server, touched, safety, progress)
        raise
    return spent, comparison


def put_back(error: RunbookError, server: Server, lives: t.Sequence[str], safety: BackupSet, progress: Progress) -> None:
    """After a failure: put back what was in the live collections, and let the error tell what serves now."""
    error.next_step = "; ".join([error.next_step, *(_put_back(server, live, safety, progress) for live in lives)])
    error.changed = True


def _put_back(server: Server, live: str, safety: BackupSet, progress: Progress) -> str:
    """After a failure: leave the live collection alone when it is as it was, else put it back. Returns what to tell."""
    content = safety.manifest["content"]
    entry = content["collections"][live]
    try:
        now = {"points": server.count(live), "sample": sample(server, live, content["sample_points"])}
        if now == entry["after"]:
            return f"{live} is as it was"
        recover(server, safety, live, live, progress)
    except RunbookError as error:
        return f"what was in {live} could not be put back ({error.what}): once the server works, restore_undo does it, from {safety.id}"
    return f"{live} was put back as {safety.id} holds it"
