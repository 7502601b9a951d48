# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What a run of maintenance tells: what was done, what was not and why, sizes before and after."""

from __future__ import annotations

import typing as t

from ..readable import size
from .inspection import Found
from .maintenance_plan import Plan
from .maintenance_work import DONE, FAILED, POSTPONED, Outcome

_Rows = t.Sequence[t.Mapping[str, t.Any]]


def told(
    plan: Plan, outcomes: t.Sequence[Outcome], before: Found, after: Found, held: t.Sequence[str], duration_s: float, dry_run: bool
) -> t.Dict[str, t.Any]:
    """What the module returns of a run; see `maintenance.maintain`."""
    steps = outcomes or [Outcome(step) for step in plan.steps]
    described = [
        {
            "action": one.step.action,
            "name": one.step.label,
            "reason": one.step.reason,
            **({} if dry_run else {"outcome": one.outcome, "why": one.why, "duration_s": one.duration_s}),
        }
        for one in steps
    ]
    failed = [one for one in outcomes if one.outcome == FAILED]
    notes = [*plan.notes, *[f"not now: {one.step.sentence}; {one.why}" for one in outcomes if one.outcome == POSTPONED]]
    if held and plan.steps:
        notes.append(f"rows that died lately stay, because of {'; '.join(held)}")
    tables, indexes = _compared(before.tables, after.tables, plan), _compared(before.indexes, after.indexes, plan)
    result = {
        "changed": bool(plan.steps) if dry_run else any(one.outcome == DONE for one in outcomes),
        "plan": [step.sentence for step in plan.steps],
        "steps": described,
        "tables": tables,
        "indexes": indexes,
        "freed_bytes": sum(one["bytes_before"] - one["bytes_after"] for one in [*tables, *indexes]),
        "held_back_by": list(held),
        "notes": notes,
        "duration_s": duration_s,
        "summary": _summary(steps, tables, indexes, dry_run),
        "diff": {"before": "".join(f"{step.label}: {step.reason}\n" for step in plan.steps), "after": _left_to_do(outcomes)},
    }
    if failed:
        result.update(failed=True, msg=f"{len(failed)} of {len(outcomes)} steps failed. {failed[0].step.sentence}: {failed[0].why}.")
    return result


def _summary(steps: t.Sequence[Outcome], tables: _Rows, indexes: _Rows, dry_run: bool) -> t.List[str]:
    lines = [one.step.sentence + ("" if dry_run else f" -> {one.outcome}" + (f", {one.why}" if one.why else "")) for one in steps]
    for row in [] if dry_run else [*tables, *indexes]:
        before, after = row["waste_bytes_before"], row["waste_bytes_after"]
        waste = "" if before is None or after is None else f", of which held nothing {size(before)} before, {size(after)} now"
        dead = f", dead rows {row['dead_before']} before, {row['dead_after']} now" if "dead_before" in row else ""
        lines.append(f"{row['name']}: {size(row['bytes_before'])} before, {size(row['bytes_after'])} now{waste}{dead}")
    return lines or ["nothing needs doing"]


def _left_to_do(outcomes: t.Sequence[Outcome]) -> str:
    return "".join(f"{one.step.label}: {one.step.reason}\n" for one in outcomes if one.outcome != DONE)


def _compared(before: t.Sequence[t.Any], after: t.Sequence[t.Any], plan: Plan) -> t.List[t.Dict[str, t.Any]]:
    """Size, waste and dead rows of those that the plan names, before and after."""
    now = {one.label: one for one in after}
    named = {step.label for step in plan.steps}
    rows = []
    for one in before:
        if one.label not in named:
            continue
        then = now.get(one.label)
        row = {
            "name": one.label,
            "bytes_before": one.bytes,
            "bytes_after": then.bytes if then else 0,
            "waste_bytes_before": one.waste_bytes,
            "waste_bytes_after": then.waste_bytes if then else None,
        }
        if hasattr(one, "dead"):
            row.update(dead_before=one.dead, dead_after=then.dead if then else 0, rows=max(int(then.rows if then else one.rows), 0))
        rows.append(row)
    return rows
