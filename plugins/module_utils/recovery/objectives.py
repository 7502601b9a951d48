# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Can a store be recovered as promised? What its plan can do at best, what its sets and its archived log could do now, what was measured.

Pure functions over what is known. What is planned is judged in backup_set.planned, as before anything ran.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ..backup_set.planned import Finding, Log, Rules, judge_plan, plan_of
from ..checks.conditions import number
from ..checks.model import FAIL, PASS, UNKNOWN, WARN, worst
from ..readable import span
from .measured import Measured, moment_of

_TRUST = {"written": 0, "verified": 1, "proven": 2}
_OF_THE_ARCHIVE = ("pitr_verify", "restore_point_in_time")
Mapping = t.Mapping[str, t.Any]


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
        findings: Judgements by `schedule`, `archive`, `base`, `retention`, `now`, `proof`, `rto`.
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
        rules: What the profile says of its backups.
        sets: All sets, the newest first; None when they could not be listed.
        archives: What pitr_info says, by store.
        measured: Recoveries that were measured, the newest first.
    """

    at: float
    rules: Rules
    sets: t.Optional[t.Sequence[Mapping]]
    archives: t.Mapping[str, Mapping]
    measured: t.Sequence[Measured]


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
    found.measured = [one for one in known.measured if one.store == name]
    _planned(found, known, own, _log(archive), str(store.get("kind") or ""))
    _now(found, known, archive)
    _proof(found, known)
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


def _log(archive: t.Optional[Mapping]) -> t.Optional[Log]:
    """The archived log of a store, by what pitr_info says of it."""
    if archive is None:
        return None
    if "is_set_up" not in archive:
        return Log(0.0, str(archive.get("msg") or "its host gave no answer"), is_known=False)
    if not archive["is_set_up"]:
        return Log(0.0, "there is no archive of it: it was never set up (pitr_setup), or is lost")
    return Log(number(archive.get("archive_timeout_s")) or 0.0, str(archive.get("archive_problem") or ""))


def _planned(found: Judged, known: Known, own: t.Sequence[Mapping], log: t.Optional[Log], kind: str) -> None:
    took = [
        end - begin
        for one in own[:5]
        for begin, end in [(moment_of(one.get("started_at")), moment_of(one.get("finished_at")))]
        if begin and end
    ]
    longest_s = max([seconds for seconds in took if seconds >= 0], default=0.0)
    plan = plan_of(found.name, known.rules, log)
    found.planned, found.best_loss_s, found.kept_s = plan.spoken, plan.loss_s(longest_s), plan.kept_s
    found.findings.update(judge_plan(plan, found.rpo_s, longest_s, kind))


def _now(found: Judged, known: Known, archive: t.Optional[Mapping]) -> None:
    archived = number(archive.get("rpo_s")) if archive is not None else None
    candidates = [value for value in (found.ages_s.get("written"), archived) if value is not None]
    found.loss_now_s = min(candidates, default=None)
    name = found.name
    if found.loss_now_s is None and (known.sets is None or (archive is not None and "is_set_up" not in archive)):
        what = "backup sets" if known.sets is None else "archive"
        found.findings["now"] = Finding(UNKNOWN, f"the {what} of {name} could not be looked at", f"See why the {what} cannot be read")
    elif found.loss_now_s is None:
        found.findings["now"] = Finding(
            FAIL, f"the store {name} has no usable backup set", f"Back it up: playbook backup -e backup_store={name}"
        )
    elif found.rpo_s is not None and found.loss_now_s > found.rpo_s:
        said = f"lost now, {name} would lose {span(found.loss_now_s)}, and {span(found.rpo_s)} may be lost (RPO)"
        found.findings["now"] = Finding(FAIL, said, f"Back up {name} now, and find out why that was not done")
    else:
        found.findings["now"] = Finding(PASS, f"lost now, {name} would lose {span(found.loss_now_s)}")


def _proof(found: Judged, known: Known) -> None:
    name = found.name
    restored = next((one for one in found.measured if one.procedure in _OF_THE_ARCHIVE), None)
    if "proven" in found.ages_s:
        found.findings["proof"] = Finding(PASS, f"the newest proven set of {name} is {span(found.ages_s['proven'])} old")
    elif name in known.archives and restored is not None:
        found.findings["proof"] = Finding(PASS, f"the archive of {name} was last restored on {restored.on} ({restored.procedure})")
    elif name in known.archives and not found.count:
        step = f"Prove it: playbook pitr_verify -e pitr_store={name}"
        found.findings["proof"] = Finding(WARN, f"nobody has ever restored the archive of {name}", step)
    elif found.count:
        step = f"Prove one: playbook restore_drill -e restore_store={name}"
        found.findings["proof"] = Finding(WARN, f"no set of {name} has ever been proven by a restore", step)
