# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What a container engine holds, and what shall be removed of it."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field
from datetime import datetime

from ..monitoring.moments import moment_of

IMAGE, CONTAINER, NETWORK, CACHE, VOLUME = "image", "container", "network", "build cache", "volume"
ALL, UNTAGGED, NONE = "all", "untagged", "none"
_SIZE = re.compile(r"\s*([0-9.]+)\s*([kMGTP]?)(i?)B", re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}


@dataclass(frozen=True)
class Image:
    """An image.

    Attributes:
        id: Its digest, `sha256:...`.
        tags: `repository:tag`.
        digests: `repository@sha256:...`.
        created: When it was built, as its configuration says; None where that is not known.
        arrived: When it came to this host, or got a name here; None where that is not known.
        size_bytes: What only it takes on the disk, or all of its layers where the engine does not tell.
        parent: Id of the image that it was built on here; empty when it came from elsewhere.
    """

    id: str
    tags: t.Tuple[str, ...] = ()
    digests: t.Tuple[str, ...] = ()
    created: t.Optional[datetime] = None
    arrived: t.Optional[datetime] = None
    size_bytes: int = 0
    parent: str = ""

    @property
    def name(self) -> str:
        """How a reader calls it."""
        return ", ".join(self.tags) or (self.digests[0] if self.digests else self.id[:19])


@dataclass(frozen=True)
class Container:
    """A container, running or not.

    Attributes:
        id: Its id.
        name: Its name.
        image: Id of its image.
        image_name: The image as its maker named it.
        running: Whether it runs, is paused or is being restarted.
        since: When it ended, or was made and never started.
        networks: Ids and names of its networks.
        volumes: Names of its volumes.
        project: Its Compose project; empty for none.
        size_bytes: What it has written.
    """

    id: str
    name: str
    image: str = ""
    image_name: str = ""
    running: bool = True
    since: t.Optional[datetime] = None
    networks: t.FrozenSet[str] = frozenset()
    volumes: t.FrozenSet[str] = frozenset()
    project: str = ""
    size_bytes: int = 0


@dataclass(frozen=True)
class Network:
    """A network; `endpoints` is how many running containers are in it, `predefined` whether the engine itself needs it."""

    id: str
    name: str
    created: t.Optional[datetime] = None
    endpoints: int = 0
    predefined: bool = False
    project: str = ""


@dataclass(frozen=True)
class CacheEntry:
    """A part of the build cache."""

    id: str
    what: str = ""
    in_use: bool = False
    last_used: t.Optional[datetime] = None
    size_bytes: int = 0


@dataclass(frozen=True)
class Facts:
    """What there is at a moment."""

    now: datetime
    images: t.Sequence[Image] = ()
    containers: t.Sequence[Container] = ()
    networks: t.Sequence[Network] = ()
    cache: t.Sequence[CacheEntry] = ()


@dataclass(frozen=True)
class Wishes:
    """What may be removed. Ages are in hours; a negative one means that nothing of that kind is.

    Attributes:
        images: `all` unused ones, the `untagged`, or `none`.
        images_older_than_h: Images that were built longer ago.
        image_arrived_h: What was built, pulled or tagged here less than so long ago is about to be used, and stays.
        keep_newest: So many images of each repository stay, the newest first.
        containers_older_than_h: Containers that ended longer ago.
        networks_older_than_h: Networks of Compose projects without containers, or that `only` names, that were made longer ago.
        cache_older_than_h: Build cache that was used longer ago.
        keep: Patterns of what stays.
        only: Patterns of what is looked at; empty for everything.
    """

    images: str = ALL
    images_older_than_h: float = 168
    image_arrived_h: float = 1
    keep_newest: int = 0
    containers_older_than_h: float = -1
    networks_older_than_h: float = -1
    cache_older_than_h: float = -1
    keep: t.Sequence[str] = ()
    only: t.Sequence[str] = ()


@dataclass(frozen=True)
class Item:
    """Something that is removed, or kept, and why.

    Attributes:
        references: Of an image, its tags and the digests under which it is known.
        project: Of a network, its Compose project.
        age_h: How old it is, in hours; None where that is not known.
    """

    kind: str
    id: str
    name: str
    reason: str
    size_bytes: int = 0
    age_h: t.Optional[float] = None
    references: t.Tuple[str, ...] = ()
    project: str = ""

    def told(self) -> t.Dict[str, t.Any]:
        """As a module returns it."""
        return {
            "kind": self.kind,
            "name": self.name,
            "id": self.id,
            "reason": self.reason,
            "size_bytes": self.size_bytes,
            "age_h": None if self.age_h is None else round(self.age_h, 1),
        }


@dataclass
class Plan:
    """What is removed, in this order, and what is kept."""

    remove: t.List[Item] = field(default_factory=list)
    kept: t.List[Item] = field(default_factory=list)


def moment(text: t.Any) -> t.Optional[datetime]:
    """A time as the engine writes it (RFC 3339) or its client (`2026-11-22 05:09:24.38 +0000 UTC`); None for none, and for the year 1,
    which stands for none."""
    words = str(text or "").split()
    if len(words) > 2:
        words = [words[0], "T", words[1], words[2][:3], ":", words[2][3:]]
    found = moment_of("".join(words))
    return None if found is None or found.year == 1 else found


def repository_of(reference: str) -> str:
    """The repository of `repository:tag` or `repository@digest`; a port of the registry is no tag."""
    reference = reference.split("@")[0]
    head, colon, tail = reference.rpartition(":")
    return head if colon and "/" not in tail else reference


def bytes_of(text: t.Any) -> int:
    """A size as the client writes it (`480.1MB`, in powers of 1000), in bytes; 0 for what is none."""
    found = _SIZE.match(str(text or ""))
    if found is None:
        return 0
    try:
        return round(float(found[1]) * float((1024 if found[3] else 1000) ** _POWERS[found[2].lower()]))
    except ValueError:
        return 0
