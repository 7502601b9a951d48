# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The procedures that the collection in use offers, read from its meta/procedures.yml."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from .collection import CATALOGUE, FQCN, Collection, find_collection
from .errors import CollectionNotFound, UnknownProcedure


@dataclass(frozen=True)
class Procedure:
    """One procedure of the catalogue.

    Attributes:
        name: Its short name (`restore`).
        title: What it does, in one line.
        changes: `reads`, `changes` or `destroys`: the most that it does to the service.
        required_variables: Variables that it cannot do without, from the inventory or as extra variables.
        inverse: Name of the procedure that takes it back; empty for none.
        requirements: Ids of the requirements that it fulfils.
        playbook: Path of its playbook.
    """

    name: str
    title: str
    changes: str
    required_variables: tuple[str, ...]
    inverse: str
    requirements: tuple[str, ...]
    playbook: Path

    @property
    def fqcn(self) -> str:
        """The name by which `ansible-playbook` runs it (`sre.runbooks.restore`)."""
        return f"{FQCN}.{self.name}"


def procedures(collection: Collection | None = None) -> list[Procedure]:
    """All procedures, in the catalogue's order.

    Args:
        collection: Where to look; None for the collection that `find_collection` finds.

    Raises:
        CollectionNotFound: There is no collection, or its catalogue cannot be read.
    """
    collection = collection or find_collection()
    path = collection.folder / CATALOGUE
    try:
        entries = yaml.safe_load(path.read_text(encoding="utf-8"))["procedures"]
        return [_procedure(str(name), entry, collection) for name, entry in entries.items()]
    except (OSError, yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise CollectionNotFound(
            f"The catalogue {path} cannot be read: {type(error).__name__}: {error}", next_step="install the collection again"
        ) from error


def find_procedure(name: str, collection: Collection | None = None) -> Procedure:
    """The procedure `name`, given short (`restore`) or in full (`sre.runbooks.restore`).

    Raises:
        UnknownProcedure: The catalogue does not have it; the message names the nearest ones.
        CollectionNotFound: There is no catalogue.
    """
    short = name.removeprefix(f"{FQCN}.")
    known = {procedure.name: procedure for procedure in procedures(collection)}
    if short in known:
        return known[short]
    near = difflib.get_close_matches(short, known, n=3)
    raise UnknownProcedure(
        f"There is no procedure {name!r}",
        next_step=f"did you mean {' or '.join(near)}" if near else "see `sre-runbooks list` for the names",
    )


def _procedure(name: str, entry: Mapping[str, Any], collection: Collection) -> Procedure:
    return Procedure(
        name=name,
        title=str(entry["title"]),
        changes=str(entry["changes"]),
        required_variables=tuple(map(str, entry.get("required_variables") or ())),
        inverse=str(entry.get("inverse") or ""),
        requirements=tuple(map(str, entry.get("requirements") or ())),
        playbook=collection.playbook(name),
    )
