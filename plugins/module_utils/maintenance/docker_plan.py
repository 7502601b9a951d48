# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Which images, containers, networks and parts of the build cache nobody needs. Decides from what was found, changes nothing."""

from __future__ import annotations

import fnmatch
import re
import typing as t
from collections import defaultdict
from datetime import datetime

from ..readable import span
from .docker_model import CACHE, CONTAINER, IMAGE, NETWORK, NONE, UNTAGGED, Container, Facts, Image, Item, Plan, Wishes, repository_of

_HEX_ID = re.compile(r"(sha256:)?[0-9a-f]{12,64}")


def plan(facts: Facts, wishes: Wishes) -> Plan:
    """What is removed of what there is, containers first, and what is kept and why. What fits no pattern of `only` is in neither list."""
    decided = Plan()
    _containers(facts, wishes, decided)
    gone = {item.id for item in decided.remove}
    staying = [container for container in facts.containers if container.id not in gone]
    if wishes.images != NONE:
        _images(facts, wishes, staying, decided)
    _networks(facts, wishes, staying, decided)
    _cache(facts, wishes, decided)
    return decided


def fits(names: t.Iterable[str], patterns: t.Sequence[str]) -> str:
    """The first pattern that one of the names fits, empty for none; twelve or more hexadecimal digits are the beginning of an id."""
    known = list(names)
    for pattern in patterns:
        wanted = short(pattern)
        begins = bool(_HEX_ID.fullmatch(wanted))
        for name in known:
            if fnmatch.fnmatchcase(name, wanted) or (begins and name.split(":")[-1].startswith(wanted.split(":")[-1])):
                return pattern
    return ""


def short(reference: str) -> str:
    """A reference without the registry that is meant when none is named."""
    for prefix in ("docker.io/library/", "docker.io/", "index.docker.io/"):
        if reference.startswith(prefix):
            return reference[len(prefix) :]
    return reference


def _names(image: Image) -> t.List[str]:
    references = [short(one) for one in (*image.tags, *image.digests)]
    return [*references, *(repository_of(one) for one in references), *(one.split("@")[1] for one in references if "@" in one), image.id]


def _age_h(facts: Facts, since: t.Optional[datetime]) -> t.Optional[float]:
    return None if since is None else (facts.now - since).total_seconds() / 3600


def _young(age_h: t.Optional[float], limit_h: float, done: str) -> str:
    """Why something is too young; empty when it is not."""
    if age_h is None:
        return "how old it is cannot be told"
    return "" if age_h >= limit_h else f"{done} {span(age_h * 3600)} ago, and the limit is {limit_h:g} h"


def _containers(facts: Facts, wishes: Wishes, decided: Plan) -> None:
    if wishes.containers_older_than_h < 0:
        return
    for one in facts.containers:
        if wishes.only and not fits([one.name, one.id], wishes.only):
            continue
        age_h = _age_h(facts, one.since)
        pattern = fits([one.name, one.id], wishes.keep)
        if one.running:
            why = "it runs"
        elif pattern:
            why = f"it fits {pattern}, which is to be kept"
        else:
            why = _young(age_h, wishes.containers_older_than_h, "it ended")
        reason = why or f"it ended {span((age_h or 0) * 3600)} ago"
        item = Item(CONTAINER, one.id, one.name, reason, one.size_bytes, age_h)
        (decided.kept if why else decided.remove).append(item)


def _images(facts: Facts, wishes: Wishes, containers: t.Sequence[Container], decided: Plan) -> None:
    parents = {image.parent for image in facts.images if image.parent}
    # What has no name and is a step of another image goes with that one.
    shown = [image for image in facts.images if image.tags or image.digests or image.id not in parents]
    users, newest = _users(shown, containers), _newest(shown, wishes.keep_newest)
    verdicts: t.Dict[str, str] = {}
    for image in shown:
        if wishes.only and not fits(_names(image), wishes.only):
            verdicts[image.id] = "-"
        else:
            verdicts[image.id] = _why_image_stays(facts, wishes, image, users.get(image.id, ""), newest)
    depths = _built_on(facts.images, verdicts)
    for image in sorted(shown, key=lambda one: (-depths[one.id], one.name, one.id)):
        why = verdicts[image.id]
        if why == "-":
            continue
        age_h = _age_h(facts, image.created)
        reason = why or f"no container uses it, and it was built {span((age_h or 0) * 3600)} ago"
        item = Item(IMAGE, image.id, image.name, reason, image.size_bytes, age_h, (*image.tags, *image.digests))
        (decided.kept if why else decided.remove).append(item)


def _why_image_stays(facts: Facts, wishes: Wishes, image: Image, user: str, newest: t.Mapping[str, str]) -> str:
    if user:
        return user
    if wishes.images == UNTAGGED and image.tags:
        return "it has a name, and only images without one are removed"
    pattern = fits(_names(image), wishes.keep)
    if pattern:
        return f"it fits {pattern}, which is to be kept"
    if image.id in newest:
        return f"it is among the newest {wishes.keep_newest} of {newest[image.id]}"
    why = _young(_age_h(facts, image.created), wishes.images_older_than_h, "it was built")
    if why or wishes.image_arrived_h <= 0:
        return why
    if image.arrived is None:
        return "when it came to this host cannot be told by this account (become: true)"
    return _young(_age_h(facts, image.arrived), wishes.image_arrived_h, "it came to this host")


def _users(images: t.Sequence[Image], containers: t.Sequence[Container]) -> t.Dict[str, str]:
    """Why an image is in use, by its id: by the id of a container's image, or by the name from which the container would be made again."""
    by_name = {short(name): image.id for image in images for name in (*image.tags, *image.digests)}
    found: t.Dict[str, str] = {}
    for container in containers:
        state = "runs" if container.running else "is stopped"
        named = short(container.image_name)
        again = by_name.get(named) or by_name.get(f"{named}:latest")
        if again:
            found.setdefault(again, f"the container {container.name}, which {state}, was made by this name")
        found[container.image] = f"the container {container.name} uses it, and {state}"
    return found


def _newest(images: t.Sequence[Image], count: int) -> t.Dict[str, str]:
    """The repository of which an image is among the newest, by the image's id."""
    of: t.Dict[str, t.List[Image]] = defaultdict(list)
    for image in images:
        for repository in {repository_of(short(one)) for one in (*image.tags, *image.digests)}:
            of[repository].append(image)
    found = {}
    for repository, some in of.items():
        dated = sorted(some, key=lambda one: (one.created is not None, one.created, one.id), reverse=True)
        found.update({image.id: repository for image in dated[:count]})
    return found


def _built_on(images: t.Sequence[Image], verdicts: t.Dict[str, str]) -> t.Dict[str, int]:
    """How many images each is built on. What an image that stays is built on stays, too: it would lose its name and free nothing."""
    by_id = {image.id: image for image in images}
    depths = {}
    for image in images:
        depth, above = 0, by_id.get(image.parent)
        while above is not None and depth <= len(images):
            if verdicts.get(image.id) and verdicts.get(above.id) == "":
                verdicts[above.id] = f"the image {image.name}, which stays, is built on it"
            depth, above = depth + 1, by_id.get(above.parent)
        depths[image.id] = depth
    return depths


def _networks(facts: Facts, wishes: Wishes, containers: t.Sequence[Container], decided: Plan) -> None:
    """A network that Compose did not make is one that somebody made by hand for stacks to join, unless it is named."""
    if wishes.networks_older_than_h < 0:
        return
    for one in facts.networks:
        if one.predefined or (not fits([one.name, one.id], wishes.only) if wishes.only else not one.project):
            continue
        age_h = _age_h(facts, one.created)
        why = network_in_use(one.id, one.name, one.project, containers)
        pattern = fits([one.name, one.id], wishes.keep)
        if not why and one.endpoints:
            why = f"{one.endpoints} containers are in it"
        elif not why and pattern:
            why = f"it fits {pattern}, which is to be kept"
        why = why or _young(age_h, wishes.networks_older_than_h, "it was made")
        reason = why or f"no container is in it, and it was made {span((age_h or 0) * 3600)} ago"
        item = Item(NETWORK, one.id, one.name, reason, 0, age_h, project=one.project)
        (decided.kept if why else decided.remove).append(item)


def network_in_use(identity: str, name: str, project: str, containers: t.Sequence[Container]) -> str:
    """Why a network is needed: a container, running or not, is in it, or belongs to its Compose project; empty when it is not."""
    for one in containers:
        if identity in one.networks or name in one.networks:
            return f"the container {one.name} is in it"
        if project and one.project == project:
            return f"it belongs to the Compose project {project}, which has containers"
    return ""


def _cache(facts: Facts, wishes: Wishes, decided: Plan) -> None:
    """The build cache has no names: where only some names are looked at, it is not."""
    if wishes.cache_older_than_h < 0 or wishes.only:
        return
    for one in facts.cache:
        age_h = _age_h(facts, one.last_used)
        why = "a build uses it" if one.in_use else _young(age_h, wishes.cache_older_than_h, "it was used")
        reason = why or f"no build has used it for {span((age_h or 0) * 3600)}"
        item = Item(CACHE, one.id, one.what or one.id, reason, one.size_bytes, age_h)
        (decided.kept if why else decided.remove).append(item)
