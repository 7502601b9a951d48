# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What a rolling action will do, and in which order: decided without side effects, so that check mode and the real run follow one plan."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ...errors import BadInput
from ...monitoring.moments import moment_of
from ..reading import Reading
from ..state import RUNNING
from .containers import FORMER, Container, parse
from .rolling_model import SIDE_BY_SIDE

RESTART, RECREATE = "restart", "recreate"
LONE = "it is the only replica: nothing serves from its stop until it is well again"
NO_PROXY = (
    "No proxy is named (service_proxy): requests that are at a replica when it stops may fail, and so may those sent to it until it listens"
)


@dataclass(frozen=True)
class Wanted:
    """What a replica is made from when it is made anew.

    Attributes:
        config_hash: Compose's hash of the present compose file and environment.
        image_ids: By name of an image, the identity that it has at this moment.
        reading: Files that the service reads by itself when it starts.
    """

    config_hash: str
    image_ids: t.Mapping[str, str]
    reading: Reading = field(default_factory=Reading)

    def is_met_by(self, container: Container) -> bool:
        """Whether the container is as it would be made now, and has read its files as they are now."""
        return self.made(container) and not self.misread_by(container)

    def made(self, container: Container) -> bool:
        """Whether the container is as it would be made now."""
        image = str((container.details.get("Config") or {}).get("Image") or "")
        return container.config_hash == self.config_hash and self.image_ids.get(image, container.image_id) == container.image_id

    def misread_by(self, container: Container) -> bool:
        """Whether the container was started, and last with other files than it would be now."""
        started = moment_of(container.started_at)
        return started is not None and self.reading.is_outdated(started.timestamp(), container.sight_of)


@dataclass(frozen=True)
class Plan:
    """What will be done.

    Attributes:
        way: `restart` or `recreate`.
        order: The replicas whose turn comes, in order.
        untouched: Those that stay as they are.
        notes: What the reader should know beforehand.
        reread: Names of those that are only restarted, whatever the way: they are as they would be made, and have former files.
    """

    way: str
    order: t.Tuple[Container, ...]
    untouched: t.Tuple[Container, ...]
    notes: t.Tuple[str, ...]
    reread: t.FrozenSet[str] = frozenset()

    @property
    def ways(self) -> t.Set[str]:
        """What is done to one replica or another."""
        return {self.way_of(one) for one in self.order}

    def way_of(self, one: Container) -> str:
        """What is done to a replica."""
        return RESTART if one.name in self.reread else self.way

    def sentences(self, proxy: str, health_timeout_s: float) -> t.List[str]:
        """The plan for a reader, a sentence a replica."""
        return [self._sentence(one, proxy, health_timeout_s) for one in self.order]

    def _sentence(self, one: Container, proxy: str, health_timeout_s: float) -> str:
        parts = []
        if proxy and one.is_running:
            parts += [f"take {one.name} out of {proxy}", "wait until its requests have ended"]
        act = "start" if self.way_of(one) == RESTART and not one.is_running else self.way_of(one)
        parts.append(f"{act} {'it' if parts else one.name}" + ("" if one.is_well else f" ({one.sentence})"))
        parts.append(f"wait until it is well, at most {health_timeout_s:g} s")
        if proxy:
            parts.append("wait until the proxy sends it requests again")
        text = f"{', '.join(parts[:-1])}, and {parts[-1]}"
        return text[:1].upper() + text[1:]


def make_plan(
    containers: t.Sequence[Container],
    *,
    way: str,
    only: t.Sequence[str] = (),
    wanted: t.Optional[Wanted] = None,
    has_proxy: bool = True,
) -> Plan:
    """Decide which replicas are renewed, and in which order.

    Those that are not well come first: nobody is served by them, so that what goes wrong goes wrong where it costs nothing. The others
    follow by number.

    Args:
        containers: The replicas.
        way: `restart` or `recreate`.
        only: Names of those that are meant; all when empty.
        wanted: What they would be made from; those that are so already are left alone, or, where only files have to be read again,
            restarted. None for whatever they are.
        has_proxy: Whether a proxy is named.

    Raises:
        BadInput: There is no replica, or none of such a name.
    """
    names = [one.name for one in containers]
    missing = [name or "without a name" for name in only if name not in names]
    if not containers:
        raise BadInput("The service has no replica", next_step="start it first (playbook service_start)")
    if missing:
        raise BadInput(
            f"There is no replica {', '.join(missing)}",
            why=f"there are {', '.join(names)}",
            next_step="correct the name (service_restart_replica)",
        )
    meant = [one for one in containers if not only or one.name in only]
    if wanted is not None:
        meant = [one for one in meant if not (wanted.is_met_by(one) and one.is_well)]
    order = tuple(sorted(meant, key=lambda one: (one.is_well, one.number, one.name)))
    notes = []
    if order and not has_proxy:
        notes.append(NO_PROXY)
    if order and len(containers) == 1:
        notes.append(f"{order[0].name}: {LONE}")
    reread = frozenset(one.name for one in order if wanted is not None and wanted.made(one) and wanted.misread_by(one))
    return Plan(way, order, tuple(one for one in containers if one not in order), tuple(notes), reread)


@dataclass(frozen=True)
class Removal:
    """Which replicas go.

    Attributes:
        goes: Those that are removed, the highest number first.
        stays: Those that stay.
    """

    goes: t.Tuple[Container, ...]
    stays: t.Tuple[Container, ...]

    def sentences(self, proxy: str, stop_timeout_s: float) -> t.List[str]:
        """The plan for a reader."""
        said = []
        for one in self.goes:
            before = f"Take {one.name} out of {proxy}, wait until its requests have ended, " if proxy and one.is_running else ""
            rest = f"stop {'it' if before else one.name} ({stop_timeout_s:g} s to end by itself) and remove it"
            said.append(before + rest if before else rest[:1].upper() + rest[1:])
        return said


def make_removal(containers: t.Sequence[Container], count_to_keep: int) -> Removal:
    """Decide which replicas go so that `count_to_keep` stay: the highest numbers, as Compose does.

    Raises:
        BadInput: The number is below 0, or none of those that would stay is well while one that would go is.
    """
    if count_to_keep < 0:
        raise BadInput(f"{count_to_keep} replicas cannot be kept", next_step="name 0 or more")
    ordered = sorted(containers, key=lambda one: (one.number, one.name))
    stays, goes = tuple(ordered[:count_to_keep]), tuple(reversed(ordered[count_to_keep:]))
    if goes and stays and not any(one.is_well for one in stays) and any(one.is_well for one in goes):
        raise BadInput(
            "None of the replicas that would stay is well",
            why="; ".join(one.sentence for one in stays),
            next_step="restart them first, then scale down",
        )
    return Removal(goes, stays)


class Repair(t.NamedTuple):
    """What is done about one replica that a killed run has left between two states.

    Attributes:
        name: Name of the replica.
        act: `finish` (its successor is well: the former goes), `go_back` (the successor goes, the former comes back), `start`, `open`
            (it only gets requests again).
        sentence: The same for a reader.
        servers: Servers of the proxy that were drained for it.
    """

    name: str
    act: str
    sentence: str
    servers: t.Tuple[str, ...] = ()


def make_repair(containers: t.Sequence[Container], noted: t.Mapping[str, t.Any]) -> t.Optional[Repair]:
    """Decide what is done about the replica that a killed run was at.

    Args:
        containers: The service's containers, those set aside included.
        noted: What that run had written down; empty where it had nothing under way.
    """
    by_name = {one.name: one for one in containers}
    former = next((one for one in containers if one.is_former), None)
    if former is not None:
        name = former.name[: -len(FORMER)]
        successor, servers = by_name.get(name), tuple(noted.get("servers") or ())
        if successor is not None and successor.is_well:
            said = f"An interrupted run had renewed {name}, which is well: the container before it is removed"
            return Repair(name, "finish", said, servers)
        return Repair(name, "go_back", f"An interrupted run had not brought {name} to an end: the container before it comes back", servers)
    return _repair_of_turn(by_name, noted)


def _repair_of_turn(by_name: t.Mapping[str, Container], turn: t.Mapping[str, t.Any]) -> t.Optional[Repair]:
    name, servers = str(turn.get("replica") or ""), tuple(turn.get("servers") or ())
    found = by_name.get(name)
    if found is not None and not found.is_running:
        return Repair(name, "start", f"An interrupted run had stopped {name}: it is started", servers)
    if not servers:
        return None
    then = "it gets requests again" if found or not name else "its place is free for others"
    return Repair(name, "open", f"An interrupted run had taken {name or 'a replica'} out of the proxy: {then}", servers)


def make_repairs(containers: t.Sequence[Container], noted: t.Mapping[str, t.Any]) -> t.List[Repair]:
    """Decide what is done about the replica that a killed run was at (`make_repair`), and about those that it treated side by side."""
    by_name = {one.name: one for one in containers}
    several = [_repair_of_turn(by_name, turn) for turn in noted.get(SIDE_BY_SIDE) or ()]
    found: t.Dict[str, Repair] = {}
    for repair in (*several, make_repair(containers, noted)):
        if repair is not None:
            # A replica that is in both notes has one repair, that of its own turn.
            servers = [*(found[repair.name].servers if repair.name in found else ()), *repair.servers]
            found[repair.name] = repair._replace(servers=tuple(dict.fromkeys(servers)))
    return list(found.values())


def left_pattern(containers: t.Sequence[Container], noted: t.Mapping[str, t.Any]) -> t.Optional[Container]:
    """The container that a killed run had made as a pattern, which is never started; None where there is none."""
    if "pattern_beside" not in noted:
        return None
    fresh = [one for one in containers if one.id not in noted["pattern_beside"] and not one.started_at]
    return next((one for one in fresh if one.id == noted.get("pattern", one.id)), None)


def as_named(containers: t.Sequence[Container], noted: t.Mapping[str, t.Any]) -> t.List[Container]:
    """The replicas under the names that they have once what a killed run has left is put right, in their present state."""
    pattern, repair = left_pattern(containers, noted), make_repair(containers, noted)
    goes_back = repair is not None and repair.act == "go_back"
    kept = [one for one in containers if one is not pattern and not (goes_back and repair and one.name == repair.name)]
    if not goes_back:
        return [one for one in kept if not one.is_former]
    return [parse({**one.details, "Name": f"/{one.name[: -len(FORMER)]}"}) if one.is_former else one for one in kept]


def as_repaired(containers: t.Sequence[Container], noted: t.Mapping[str, t.Any]) -> t.List[Container]:
    """The replicas as they will be once what a killed run has left is put right, where all goes well: those that are started run."""
    pattern = left_pattern(containers, noted)
    repairs = make_repairs([one for one in containers if one is not pattern], noted)
    started = {repair.name for repair in repairs if repair.act in ("go_back", "start")}
    named = as_named(containers, noted)
    return [parse({**one.details, "State": {"Status": RUNNING}}) if one.name in started else one for one in named]
