# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Can a store be recovered as promised? What schedule and retention can do at best, what its sets could do now, what was measured.

Pure functions over what is known. The loss that a schedule cannot rule out is the longest time between two backups and the time that a
backup takes: when everything is lost just before a backup ends, only the one before it is there, and it is of the moment when it began.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ..checks.conditions import number
from ..checks.model import FAIL, PASS, UNKNOWN, WARN, worst
from ..readable import span
from ..schedule.timetable import longest_gap_s
from .measured import Measured, moment_of

_DAY_S = 86_400.0
_TRUST = {"written": 0, "verified": 1, "proven": 2}
Mapping = t.Mapping[str, t.Any]


@dataclass(frozen=True)
class Finding:
    """One judgement: its verdict, what is said of it, and what to do."""

    verdict: str
    said: str
    step: str = ""


@dataclass
class Judged:
    """What is known of a store, and what it comes to.

    Attributes:
        name: The store.
        component: The component whose data it holds.
        rto_s: How long it may be gone; None for no promise.
        rpo_s: How much may be lost; None for no promise.
        planned: The times at which it is backed up, as they are written; empty when nothing does.
        best_loss_s: What can be lost at worst although the schedule is kept; None when nothing is known.
        loss_now_s: What would be lost now.
        ages_s: Age of the newest set that is at least written, verified, proven.
        size_bytes: Of the newest set.
        count: Good sets.
        kept_s: How far back the sets reach by the rules of retention; None when nothing is known.
        measured: Recoveries that were measured, the newest first.
        findings: Judgements by `schedule`, `now`, `proof`, `rto`, `retention`.
    """

    name: str
    component: str
    rto_s: t.Optional[float]
    rpo_s: t.Optional[float]
    planned: str = ""
    best_loss_s: t.Optional[float] = None
    loss_now_s: t.Optional[float] = None
    ages_s: t.Dict[str, float] = field(default_factory=dict)
    size_bytes: t.Optional[float] = None
    count: int = 0
    kept_s: t.Optional[float] = None
    measured: t.Sequence[Measured] = ()
    findings: t.Dict[str, Finding] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """The worst of its findings."""
        return worst(one.verdict for one in self.findings.values())


@dataclass(frozen=True)
class Known:
    """What judgements stand on.

    Attributes:
        at: The time, in seconds since 1970-01-01 UTC.
        schedule: `schedule_entries` of the profile.
        windows: `backup_windows` of the profile.
        keep: `last`, `days`, `daily`, `weekly`, `monthly`: the rules of retention.
        sets: All sets, the newest first; None when they could not be listed.
        archives: What pitr_info says, by store.
        measured: Recoveries that were measured, the newest first.
    """

    at: float
    schedule: t.Sequence[Mapping]
    windows: t.Sequence[Mapping]
    keep: Mapping
    sets: t.Optional[t.Sequence[Mapping]]
    archives: t.Mapping[str, Mapping]
    measured: t.Sequence[Measured]


def backups_planned(name: str, known: Known) -> t.List[t.Tuple[float, str]]:
    """How far apart the backups of a store are at most, for all that takes one, each with its time as it is written; closest first."""
    found = []
    for entry in known.schedule:
        variables = entry.get("variables")
        named = variables.get("backup_store") if isinstance(variables, t.Mapping) else None
        chosen = [part.strip() for part in named.split(",")] if isinstance(named, str) else []
        if entry.get("procedure") == "backup" and (not any(chosen) or name in chosen):
            found.append((longest_gap_s(entry.get("at")), str(entry.get("at"))))
    for window in known.windows:
        stores = window.get("stores")
        if name in ([stores] if isinstance(stores, str) else list(stores or ())):
            found.append((longest_gap_s(window.get("at")), str(window.get("at"))))
    return sorted((gap, at) for gap, at in found if gap is not None)


def judge(store: Mapping, known: Known) -> Judged:
    """Everything about one store."""
    name = str(store.get("name") or "")
    found = Judged(name, str(store.get("component") or name), number(store.get("rto_s")), number(store.get("rpo_s")))
    own = [one for one in known.sets or () if one.get("store") == name and one.get("state") in _TRUST and not one.get("damage")]
    found.count = len(own)
    found.size_bytes = number(own[0].get("size_bytes")) if own else None
    for state, rank in _TRUST.items():
        ages = [
            known.at - at
            for one in own
            if _TRUST[str(one["state"])] >= rank
            for at in [moment_of(one.get("consistent_at"))]
            if at is not None
        ]
        if ages:
            found.ages_s[state] = max(0.0, min(ages))
    archive = known.archives.get(name)
    _schedule(found, known, own, archive)
    _now(found, known, archive)
    _proof(found, known)
    found.measured = [one for one in known.measured if one.store == name]
    found.findings["rto"] = judge_time(f"the store {name}", found.rto_s, found.measured, f"-e restore_store={name}")
    return found


def judge_time(what: str, target_s: t.Optional[float], measured: t.Sequence[Measured], option: str = "") -> Finding:
    """Whether a recovery takes no longer than it may, by the last one that was measured."""
    if target_s is None:
        return Finding(PASS, f"{what} has no recovery time objective")
    if not measured:
        step = f"Measure it: playbook restore_drill {option}".rstrip() if option else "Measure it in a rehearsal of disaster_recovery"
        return Finding(UNKNOWN, f"nobody has measured how long {what} takes to recover; it may be gone for {span(target_s)} (RTO)", step)
    last = measured[0]
    took = f"{what} took {span(last.rto_s)} to recover ({last.procedure}, {last.on})"
    if last.rto_s > target_s:
        return Finding(FAIL, f"{took}, and may be gone for {span(target_s)} (RTO)", f"Make the recovery of {what} faster, or promise less")
    return Finding(PASS, f"{took}, of {span(target_s)} (RTO)")


def _schedule(found: Judged, known: Known, own: t.Sequence[Mapping], archive: t.Optional[Mapping]) -> None:
    planned = backups_planned(found.name, known)
    took = [
        end - begin
        for one in own[:5]
        for begin, end in [(moment_of(one.get("started_at")), moment_of(one.get("finished_at")))]
        if begin and end
    ]
    longest_s = max([seconds for seconds in took if seconds >= 0], default=0.0)
    if planned:
        found.planned, found.best_loss_s = planned[0][1], planned[0][0] + longest_s
        found.kept_s = kept_s(known.keep, planned[0][0])
    if archive is not None and archive.get("is_set_up"):
        found.planned = f"{found.planned}; log archived continuously".lstrip("; ")
        lag_s = number(archive.get("rpo_s"))
        if lag_s is not None and not archive.get("archive_failing"):
            found.best_loss_s = lag_s
    if found.rpo_s is None:
        found.findings["schedule"] = Finding(PASS, f"nothing is promised about what {found.name} may lose")
        return
    allowed, name = span(found.rpo_s), found.name
    if found.best_loss_s is None:
        some = bool(known.schedule or known.windows)
        step = f"Add the procedure backup with backup_store: {name} to schedule_entries"
        why = "nothing of the schedule backs it up" if some else "the profile has no schedule, so nobody knows when it is backed up"
        found.findings["schedule"] = Finding(FAIL if some else UNKNOWN, f"{name} may lose {allowed} (RPO), and {why}", step)
        return
    at_best = f"the schedule ({found.planned}) loses up to {span(found.best_loss_s)} of {name}"
    if found.best_loss_s > found.rpo_s:
        step = f"Back up {name} at least every {allowed}, or archive its log continuously (pitr_setup), or promise less"
        found.findings["schedule"] = Finding(FAIL, f"{at_best}, and {allowed} may be lost (RPO)", step)
    elif found.best_loss_s == found.rpo_s:
        step = f"Back up {name} a little more often: a backup is of use only when it has ended"
        found.findings["schedule"] = Finding(WARN, f"{at_best}, just what may be lost (RPO)", step)
    else:
        found.findings["schedule"] = Finding(PASS, f"{at_best}, of {allowed} (RPO)")
    if found.kept_s is not None and planned and found.kept_s < planned[0][0]:
        step = "Keep at least the last two sets (backup_keep_last)"
        found.findings["retention"] = Finding(WARN, f"only one set of {name} is ever kept; when it is damaged there is none", step)


def _now(found: Judged, known: Known, archive: t.Optional[Mapping]) -> None:
    archived = number(archive.get("rpo_s")) if archive is not None else None
    candidates = [value for value in (found.ages_s.get("written"), archived) if value is not None]
    found.loss_now_s = min(candidates, default=None)
    name = found.name
    if known.sets is None and archived is None:
        found.findings["now"] = Finding(
            UNKNOWN, f"the backup sets of {name} could not be listed", "See why the backup folder cannot be read"
        )
    elif found.loss_now_s is None:
        found.findings["now"] = Finding(FAIL, f"{name} has no usable backup set", f"Back it up: playbook backup -e backup_store={name}")
    elif found.rpo_s is not None and found.loss_now_s > found.rpo_s:
        said = f"lost now, {name} would lose {span(found.loss_now_s)}, and {span(found.rpo_s)} may be lost (RPO)"
        found.findings["now"] = Finding(FAIL, said, f"Back up {name} now, and find out why that was not done")
    else:
        found.findings["now"] = Finding(PASS, f"lost now, {name} would lose {span(found.loss_now_s)}")


def _proof(found: Judged, known: Known) -> None:
    name = found.name
    if known.sets is None or not found.count:
        return  # it is told already
    if "proven" not in found.ages_s:
        step = f"Prove one: playbook restore_drill -e restore_store={name}"
        found.findings["proof"] = Finding(WARN, f"no set of {name} has ever been proven by a restore", step)
    else:
        found.findings["proof"] = Finding(PASS, f"the newest proven set of {name} is {span(found.ages_s['proven'])} old")


def kept_s(keep: Mapping, gap_s: float) -> float:
    """How far back the sets reach by the rules of retention, in seconds, when there is one every `gap_s`."""

    def rule(name: str) -> float:
        return number(keep.get(name)) or 0.0

    reaches = (
        (rule("last") - 1) * gap_s,
        rule("days") * _DAY_S,
        (rule("daily") - 1) * max(gap_s, _DAY_S),
        (rule("weekly") - 1) * max(gap_s, 7 * _DAY_S),
        (rule("monthly") - 1) * max(gap_s, 30 * _DAY_S),
    )
    return max(0.0, *reaches)
