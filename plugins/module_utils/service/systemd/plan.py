# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What is done to units, in which order: decided from what runs and what is wanted, without doing anything."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ...errors import BadInput
from ..reading import Reading
from .files import is_outdated
from .state import Target, Unit, natural, remembered

ROLLING, ALL, ONE, DOWN_AND_UP = "rolling", "all", "one", "down_and_up"
WAYS = (ROLLING, ALL, ONE, DOWN_AND_UP)
WAIT, RELEASE = "wait", "release"
QUIET = (WAIT, RELEASE)
"""Verbs after which units are what they were."""


@dataclass(frozen=True)
class Move:
    """One step.

    Attributes:
        verb: `restart`, `start`, `stop`, `wait` for no more than that they are stable, or `release` for the proxy to use them again.
        units: Their names.
        lasting: Whether they shall, or shall no more, start with the machine.
    """

    verb: str
    units: t.Tuple[str, ...]
    lasting: bool = False

    @property
    def drains(self) -> bool:
        """Whether others have the requests of these units meanwhile: of one that is restarted alone, and of those that go for good."""
        return (self.verb == "restart" and len(self.units) == 1) or (self.verb == "stop" and self.lasting)

    @property
    def sentence(self) -> str:
        """What it is, for a list."""
        named = ", ".join(self.units)
        if self.verb == RELEASE:
            return f"let the proxy send requests to {named} again, as a run before this one could not"
        if self.verb == WAIT:
            return f"wait until {named} {'runs' if len(self.units) == 1 else 'run'} steadily"
        also = {"start": "enable and ", "stop": "disable and "}.get(self.verb, "") if self.lasting else ""
        one = len(self.units) == 1
        return f"{also}{self.verb} {named}" + (
            "" if self.verb == "stop" else f", and wait until {'it runs' if one else 'they run'} steadily"
        )


def restart_plan(target: Target, units: t.Sequence[Unit], way: str, replica: str = "") -> t.List[Move]:
    """How units are restarted. One at a time begins with those that do not run, by which nothing is lost.

    Raises:
        BadInput: The way is none of systemd's, or the one unit is not named, or not there.
    """
    if way not in WAYS:
        raise BadInput(
            f"Units of systemd cannot be restarted by {way}",
            where=target.unit,
            next_step=f"choose one of {', '.join(WAYS)}; down_and_up stops all and starts them again",
        )
    require_units(target, units)
    names = tuple(unit.name for unit in units)
    if way == ONE:
        return [Move("restart", (_one(target, names, replica),))]
    if way == ALL:
        return [Move("restart", names)]
    if way == DOWN_AND_UP:
        require_memory(target, units)
        return [Move("stop", names), Move("start", names)]
    return [Move("restart", (unit.name,)) for unit in sorted(units, key=lambda unit: unit.active)]


def apply_plan(target: Target, units: t.Sequence[Unit], reading: Reading) -> t.List[Move]:
    """Those that do not run, and those that run since before their files changed, are restarted one at a time."""
    require_units(target, units)
    meant = [unit for unit in units if not unit.active or is_outdated(unit, reading)]
    return [Move("restart", (unit.name,)) for unit in sorted(meant, key=lambda unit: unit.active)]


def _one(target: Target, names: t.Sequence[str], replica: str) -> str:
    if not replica and len(names) == 1:
        return names[0]
    if not replica or target.named(replica) not in names:
        raise BadInput(
            f"{replica!r} is no unit of the service" if replica else "It is not said which unit is to be restarted",
            where=target.unit,
            next_step=f"give service_restart_replica one of {', '.join(names)}",
        )
    return target.named(replica)


def start_plan(target: Target, units: t.Sequence[Unit]) -> t.List[Move]:
    """All that do not run are started."""
    require_units(target, units)
    masked = [unit.name for unit in units if unit.get("LoadState") == "masked"]
    if masked:
        raise BadInput(
            "A masked unit cannot be started", where=", ".join(masked), next_step="systemctl unmask it, if it was masked by mistake"
        )
    names = tuple(unit.name for unit in units if not unit.active)
    return [Move("start", names)] if names else []


def stop_plan(target: Target, units: t.Sequence[Unit]) -> t.List[Move]:
    """All that run, or begin to, are stopped."""
    names = tuple(unit.name for unit in units if unit.active or unit.get("ActiveState") in ("activating", "deactivating"))
    require_memory(target, units)
    return [Move("stop", names)] if names else []


def scale_plan(target: Target, units: t.Sequence[Unit], count: int, spare: t.Sequence[Unit] = ()) -> t.List[Move]:
    """Further instances are started, or those with the highest names stopped; both for good.

    Args:
        units: Instances that there are.
        count: How many there shall be.
        spare: Instances that the profile names and that are not there.

    Raises:
        BadInput: The number cannot be had.
    """
    if not target.is_template:
        if count == 1:
            return []
        raise BadInput(
            "A unit that is no template has one replica and cannot be scaled",
            where=target.unit,
            next_step="make it a template (app@.service) whose instances differ in their port, or scale by more hosts",
        )
    if count < 1:
        raise BadInput(
            "A service cannot be scaled to less than one replica",
            where=target.unit,
            next_step="stop it by service_stop, after which service_start knows how many there were",
        )
    here = sorted(units, key=lambda unit: natural(unit.name))
    kept, gone = here[:count], here[count:]
    missing = [unit.name for unit in kept if not unit.active or unit.get("UnitFileState") == "disabled"]
    missing += new_instances(target, [unit.name for unit in here], [unit.name for unit in spare], count - len(here))
    return [
        *([Move("start", tuple(missing), lasting=True)] if missing else []),
        *([Move("stop", tuple(unit.name for unit in gone), lasting=True)] if gone else []),
    ]


def new_instances(target: Target, here: t.Sequence[str], spare: t.Sequence[str], count: int) -> t.List[str]:
    """Names of further instances: first those of the profile, then the numbers behind the highest one.

    Raises:
        BadInput: Their names are no numbers, so that no further one can be told.
    """
    if count <= 0:
        return []
    found = [name for name in spare if name not in here][:count]
    names = [target.instance(name) for name in (*here, *found)]
    if len(found) == count:
        return found
    if not all(name.isdecimal() for name in names):
        raise BadInput(
            f"There are only {len(here) + len(found)} instances to be had, and their names are no numbers that could be counted on",
            where=", ".join([*here, *found]),
            next_step="name further instances in service_systemd_instances",
        )
    width = min((len(name) for name in names), default=1)
    last = max((int(name) for name in names), default=0)
    return found + [target.of(f"{last + more:0{width}d}") for more in range(1, count - len(found) + 1)]


def require_units(target: Target, units: t.Sequence[Unit]) -> None:
    """Raise BadInput where there is no instance of the template."""
    if not units:
        raise BadInput(
            "There is no instance of this template, neither enabled nor running",
            where=target.unit,
            next_step="name its instances in service_systemd_instances, or let service_scale make some",
        )


def require_memory(target: Target, units: t.Sequence[Unit]) -> None:
    """Raise BadInput where nobody would know of an instance any more once all are stopped, so that no start brought it back."""
    stopped = [unit if unit.get("ActiveState") == "failed" else Unit({**unit, "ActiveState": "inactive"}) for unit in units]
    kept = {unit.name for unit in remembered(target, stopped)}
    lost = [unit.name for unit in units if unit.name not in kept]
    if lost:
        raise BadInput(
            "Once stopped, nobody would know of instances that run and are not enabled",
            where=", ".join(lost),
            next_step=f"systemctl enable {' '.join(lost)}, or scale them away by service_scale; nothing was stopped",
        )
