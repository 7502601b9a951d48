# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""How a profile plans to back up a store: what can be lost although the plan is kept to, and how far back its sets reach.

What is said before anything runs (profile_check) and what is said of the running service (recovery_report) comes from here. Pure functions.

The loss that a schedule cannot rule out is the longest time between two backups and the time that a backup takes: when everything is lost
just before a backup ends, only the one before it is there, and it is of the moment when it began. With an archived log it is the time after
which PostgreSQL hands a segment to the archive though it is not full (`archive_timeout`).
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ..checks.conditions import number
from ..checks.model import FAIL, PASS, UNKNOWN, WARN
from ..readable import span
from ..schedule.timetable import longest_gap_s
from .prune import Keep

_DAY_S = 86_400.0
Mapping = t.Mapping[str, t.Any]
Times = t.Sequence[t.Tuple[float, str]]

WORKS_ON: t.Mapping[str, t.Tuple[str, bool]] = {
    "backup": ("backup_store", True),
    "backup_verify": ("backup_store", True),
    "pitr_backup": ("pitr_store", False),
    "restore_drill": ("restore_store", False),
}
"""Procedure -> the variable that names its stores, and whether it works on all of them when that is empty; else on the first that fits."""


@dataclass(frozen=True)
class Finding:
    """One judgement: its verdict, what is said of it, and what to do."""

    verdict: str
    said: str
    step: str = ""


@dataclass(frozen=True)
class Rules:
    """What a profile says of its backups.

    Attributes:
        stores: Names of `backup_stores`, in their order.
        archived: Those of them whose log is archived (`pitr`), in their order.
        schedule: `schedule_entries`.
        windows: `backup_windows`.
        keep: `last`, `days`, `daily`, `weekly`, `monthly`: the rules of retention; what is missing is as `prune.Keep` has it.
    """

    stores: t.Sequence[str]
    archived: t.Sequence[str]
    schedule: t.Sequence[Mapping]
    windows: t.Sequence[Mapping]
    keep: Mapping


@dataclass(frozen=True)
class Log:
    """The archived log of a store.

    Attributes:
        within_s: Seconds after which what was committed is archived.
        problem: Why nothing can be built on it, or why nobody could find that out; empty when all is well.
        is_known: Whether somebody could find it out.
    """

    within_s: float
    problem: str = ""
    is_known: bool = True


@dataclass(frozen=True)
class Plan:
    """How a store is backed up.

    Attributes:
        store: Its name.
        sets: How far apart its sets are at most, in seconds, and when they are taken as it is written; the closest first.
        bases: The same for the backups on which its archived log builds.
        log: Its archived log; None for none.
        is_scheduled: Whether the profile plans anything at all.
        keep: The rules of retention.
    """

    store: str
    sets: Times
    bases: Times
    log: t.Optional[Log]
    is_scheduled: bool
    keep: Mapping

    @property
    def spoken(self) -> str:
        """When it is backed up, for a reader; empty when nothing does that."""
        parts = [self.sets[0][1]] if self.sets else []
        if self.log is not None and not self.log.problem:
            parts.append("log archived continuously" + (f", backup into the archive {self.bases[0][1]}" if self.bases else ""))
        return "; ".join(parts)

    def loss_s(self, took_s: float = 0.0) -> t.Optional[float]:
        """What can be lost at worst, in seconds, although the plan is kept to and a set takes `took_s`; None when nothing is certain."""
        losses = [self.sets[0][0] + took_s] if self.sets else []
        if self.log is not None and not self.log.problem:
            losses.append(self.log.within_s)
        return min(losses, default=None)

    @property
    def kept_s(self) -> t.Optional[float]:
        """How far back the sets reach, in seconds; None when none are taken."""
        return kept_s(self.keep, self.sets[0][0]) if self.sets else None


def times_of(procedure: str, store: str, rules: Rules) -> t.List[t.Tuple[float, str]]:
    """How far apart (seconds) the scheduled runs of a procedure of WORKS_ON are that work on a store, and their times; closest first."""
    variable, all_of_them = WORKS_ON[procedure]
    fitting = rules.archived if procedure == "pitr_backup" else rules.stores
    found = []
    for entry in rules.schedule:
        if entry.get("procedure") != procedure or not entry.get("enabled", True):
            continue
        variables = entry.get("variables")
        named = _names(variables.get(variable) if isinstance(variables, t.Mapping) else None)
        chosen = named or (fitting if all_of_them else fitting[:1])
        # A run that is told of a store that there is not works on none.
        if store in chosen and set(chosen) <= set(fitting):
            found.append((longest_gap_s(entry.get("at")), str(entry.get("at"))))
    return sorted((gap, at) for gap, at in found if gap is not None)


def plan_of(store: str, rules: Rules, log: t.Optional[Log]) -> Plan:
    """How a store is backed up by the rules of its profile."""
    windows = [(longest_gap_s(one.get("at")), str(one.get("at"))) for one in rules.windows if store in _names(one.get("stores"))]
    sets = sorted([*times_of("backup", store, rules), *((gap, at) for gap, at in windows if gap is not None)])
    return Plan(store, sets, times_of("pitr_backup", store, rules), log, bool(rules.schedule or rules.windows), rules.keep)


def judge_plan(plan: Plan, rpo_s: t.Optional[float], took_s: float = 0.0, kind: str = "postgresql") -> t.Dict[str, Finding]:
    """What is to be said of a plan: `schedule` always; `archive`, `base` and `retention` where there is something to say.

    Args:
        plan: As `plan_of` gives it.
        rpo_s: Seconds that may be lost; None for no promise.
        took_s: Seconds that its sets took to be taken; 0 when nobody knows.
        kind: Kind of the store.
    """
    name = plan.store
    found = {"schedule": _judge_loss(plan, rpo_s, took_s, kind)}
    if plan.log is not None and plan.log.problem:
        if plan.log.is_known:
            step = f"Mend the archive of {name} (pitr_setup makes settings right, pitr_backup fills gaps)"
            said = f"nothing can be built on the archived log of {name}: {plan.log.problem}"
            found["archive"] = Finding(WARN if rpo_s is None else FAIL, said, step)
        else:
            said = f"nobody could ask how far the archived log of {name} reaches: {plan.log.problem.rstrip('.')}"
            found["archive"] = Finding(UNKNOWN, said, f"See why the archive of {name} cannot be asked")
    if plan.log is not None and plan.is_scheduled and not plan.bases:
        said = f"nothing of the schedule takes a backup on which the archived log of {name} builds: a restore replays all of it"
        found["base"] = Finding(WARN, said, f"Add the procedure pitr_backup with pitr_store: {name} to schedule_entries")
    if plan.log is None and plan.kept_s is not None and plan.kept_s < plan.sets[0][0]:
        said = f"only one set of {name} is ever kept; when it is damaged there is none"
        found["retention"] = Finding(FAIL, said, "Keep at least the last two sets (backup_keep_last)")
    return found


def kept_s(keep: Mapping, gap_s: float) -> float:
    """How far back the sets reach by the rules of retention, in seconds, when there is one every `gap_s`."""

    def rule(name: str) -> float:
        given = number(keep.get(name))
        return float(getattr(Keep, name)) if given is None else given

    reaches = (
        (rule("last") - 1) * gap_s,
        rule("days") * _DAY_S,
        (rule("daily") - 1) * max(gap_s, _DAY_S),
        (rule("weekly") - 1) * max(gap_s, 7 * _DAY_S),
        (rule("monthly") - 1) * max(gap_s, 30 * _DAY_S),
    )
    return max(0.0, *reaches)


def _judge_loss(plan: Plan, rpo_s: t.Optional[float], took_s: float, kind: str) -> Finding:
    name, loss_s = plan.store, plan.loss_s(took_s)
    if rpo_s is None:
        return Finding(PASS, f"nothing is promised about what {name} may lose")
    promise = f"the store {name} may lose {span(rpo_s)} (RPO)"
    if loss_s is None and plan.log is not None:
        step = f"Take sets of {name} besides: procedure backup in schedule_entries"
        return Finding(FAIL if plan.log.is_known else UNKNOWN, f"{promise}, and has nothing but its archived log", step)
    if loss_s is None:
        step = f"Add the procedure backup to schedule_entries, for all stores or with backup_store: {name}"
        if plan.is_scheduled:
            return Finding(FAIL, f"{promise}, and nothing of the schedule backs it up", step)
        return Finding(UNKNOWN, f"{promise}, and the profile has no schedule, so nobody knows when it is backed up", step)
    planned = f"with its backups as planned ({plan.spoken})"
    if loss_s > rpo_s:
        other = ", or archive its log continuously (pitr_setup)" if kind == "postgresql" and plan.log is None else ""
        step = f"Back up {name} at least every {span(rpo_s)}{other}, or promise less"
        return Finding(FAIL, f"{promise}, and {planned} up to {span(loss_s)} can be lost", step)
    if loss_s == rpo_s:
        step = f"Back up {name} a little more often: a backup is of use only when it has ended"
        return Finding(WARN, f"{promise}, and {planned} just that can be lost", step)
    return Finding(PASS, f"{promise}, and {planned} up to {span(loss_s)} can be lost")


def _names(value: t.Any) -> t.List[str]:
    """Names in a list, or in a text with commas between them."""
    texts = value if isinstance(value, (list, tuple)) else [value]
    return [part.strip() for text in texts if isinstance(text, str) for part in text.split(",") if part.strip()]
