# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The recovery report: what was promised (RTO, RPO), whether schedule and retention can keep it, and what was measured."""

from __future__ import annotations

import re
import typing as t

from ..backup_set.planned import Finding, Rules
from ..checks.conditions import number
from ..checks.model import FAIL, PASS, SEVERITY, UNKNOWN, WARN, worst
from ..readable import size, span
from ..recovery.measured import Measured, measured, sizes
from ..recovery.objectives import Judged, Known, judge, judge_time
from .document import Block, Cell, Section, cell, chart, not_configured, section, table, text, verdict_cell
from .gathered import Gathered

_MOST_ROWS = 30
Row = t.List[t.Union[str, Cell]]


def recovery(known: Gathered) -> t.List[Section]:
    """The sections: objectives, backups, recovery times, sizes."""
    if not known.stores:
        return [
            section("Recovery objectives", not_configured("no store is backed up", "Name the stores in backup_stores."), verdict=UNKNOWN)
        ]
    given = known.recovery
    every = measured(known.runs)
    sets = (known.backups or {}).get("backup_sets")
    archives = given.get("archives") or {}
    names = [str(store.get("name") or "") for store in known.stores]
    rules = Rules(
        stores=names,
        archived=[name for name in names if name in archives],
        schedule=given.get("schedule") or (),
        windows=given.get("windows") or (),
        keep=given.get("keep") or {},
    )
    facts = Known(at=known.at, rules=rules, sets=sets if isinstance(sets, list) else None, archives=archives, measured=every)
    stores = [judge(store, facts) for store in known.stores]
    return [
        _objectives(given.get("components") or (), stores, every),
        _backups(known, stores),
        _times(known, stores, every),
        _sizes(known, stores, facts.sets or ()),
    ]


def _objectives(components: t.Sequence[t.Mapping[str, t.Any]], stores: t.Sequence[Judged], every: t.Sequence[Measured]) -> Section:
    """A row for each component: promised, at best, now, measured; and why a promise cannot be kept."""
    rows: t.List[Row] = []
    findings: t.List[Finding] = []
    named = {str(one.get("name")): one for one in components}
    order = [name for name, one in named.items() if not one.get("external")]
    for name in [*order, *sorted({one.component for one in stores} - set(named))]:
        given, own = named.get(name, {}), [one for one in stores if one.component == name]
        rto, rpo = number(given.get("rto_s")), number(given.get("rpo_s"))
        if not own and rto is None and (rpo is None or given.get("stateless")):
            continue
        told = _of_component(name, given, own, every)
        findings += told
        title = str(given.get("title") or name)
        newest = _newest(name, own, every)
        rpos = [one.rpo_s for one in own if one.rpo_s is not None]
        rtos = [one.rto_s for one in own if one.rto_s is not None]
        rows.append(
            [
                title,
                verdict_cell(worst(one.verdict for one in told) if told else PASS),
                _seconds(rto if rto is not None else min(rtos, default=None), "any"),
                _seconds(newest.rto_s if newest else None, "never"),
                _seconds(rpo if rpo is not None else min(rpos, default=None), "any"),
                _seconds(max((one.best_loss_s for one in own if one.best_loss_s is not None), default=None), "" if not own else "?"),
                _seconds(max((one.loss_now_s for one in own if one.loss_now_s is not None), default=None), "" if not own else "all"),
                "; ".join(one.said for one in told if one.verdict != PASS) or "kept",
            ]
        )
    columns = ("component", "verdict", "may be gone (RTO)", "last recovery", "may lose (RPO)", "schedule loses", "lost now", "why")
    bad = sorted((one for one in findings if one.verdict != PASS), key=lambda one: -SEVERITY[one.verdict])
    verdict = worst(one.verdict for one in findings) if findings else UNKNOWN
    failed = [one for one in bad if one.verdict == FAIL]
    summary = "; ".join(one.said for one in failed or bad) or f"every recovery objective of {len(rows)} components can be met, and was"
    legend = "Schedule loses: at worst, although every backup is taken in time. Lost now: from the newest usable backup to this moment."
    steps = list(dict.fromkeys(one.step for one in bad if one.step))
    return section("Recovery objectives", table(columns, rows), text(legend), verdict=verdict, summary=summary, steps=steps)


def _of_component(name: str, given: t.Mapping[str, t.Any], own: t.Sequence[Judged], every: t.Sequence[Measured]) -> t.List[Finding]:
    whole = [one for one in every if one.component == _slug(name)]
    found = [finding for one in own for key, finding in one.findings.items() if key != "rto"]
    rto = number(given.get("rto_s"))
    if whole and rto is not None and all(whole[0].at >= one.at for store in own for one in store.measured[:1]):
        # The service was recovered as a whole after its stores were last restored alone: that is what counts.
        return [*found, judge_time(str(given.get("title") or name), rto, whole)]
    if own:
        return [*found, *(one.findings["rto"] for one in own)]
    rpo = number(given.get("rpo_s"))
    if rpo is not None and not given.get("stateless"):
        said = f"{name} may lose {span(rpo)} (RPO), and no store holds its data"
        found.append(Finding(WARN, said, f"Name the component {name} in a store of backup_stores, or say `stateless: true`"))
    return [*found, judge_time(str(given.get("title") or name), rto, whole)]


def _backups(known: Gathered, stores: t.Sequence[Judged]) -> Section:
    rows: t.List[Row] = []
    for one in stores:
        rows.append(
            [
                one.name,
                one.planned or cell("nothing", "bad"),
                *(_age(one, state) for state in ("written", "verified", "proven")),
                cell(size(one.size_bytes), "", one.size_bytes, "bytes") if one.size_bytes is not None else cell(""),
                cell(str(one.count), "", one.count, "count"),
                _seconds(one.kept_s, "not known"),
            ]
        )
    columns = ("store", "backed up", "newest written", "newest verified", "newest proven", "size", "usable sets", "reach back")
    blocks: t.List[Block] = [table(columns, rows)]
    if known.backups is None or not isinstance(known.backups.get("backup_sets"), list):
        said = str((known.backups or {}).get("msg") or "The backup sets could not be listed.")
        blocks.append(text(said, "unknown"))
    return section("Backups", *blocks)


def _times(known: Gathered, stores: t.Sequence[Judged], every: t.Sequence[Measured]) -> Section:
    rows: t.List[Row] = [
        [one.store or f"component {one.component}", one.procedure, one.on, _seconds(one.rto_s, ""), one.run_id]
        for one in every[:_MOST_ROWS]
    ]
    caption = f"Measured in the last {span(known.window_s)}"
    blocks: t.List[Block] = [table(("store", "procedure", "day", "until it served", "run"), rows, caption, "Nobody has measured any.")]
    for store in stores:
        points = sorted((one.at, one.rto_s) for one in store.measured)
        if len(points) > 1:
            limits = [(store.rto_s, f"RTO {span(store.rto_s)}", "bad")] if store.rto_s is not None else []
            title = f"Recovery time of {store.name}"
            blocks.append(
                chart(title, "s", [(store.name, points)], known.window, limits=limits, about="From the choice of the set until it served.")
            )
    return section("Recovery times", *blocks)


def _sizes(known: Gathered, stores: t.Sequence[Judged], sets: t.Sequence[t.Mapping[str, t.Any]]) -> Section:
    drawn = [(one.name, points) for one in stores for points in [sizes(known.runs, sets, one.name)] if len(points) > 1]
    if not drawn:
        return section("Size of the backups", text("There are too few backups to draw a trend.", "unknown"))
    first = min(min(at for at, _size in points) for _name, points in drawn)
    window = (max(known.since, first), known.at)
    kept = [(name, [(at, value) for at, value in points if at >= window[0]]) for name, points in drawn]
    told = []
    for name, points in kept:
        if len(points) > 1 and points[0][1] > 0:
            told.append(
                f"{name} {'grew' if points[-1][1] >= points[0][1] else 'shrank'} from {size(points[0][1])} to {size(points[-1][1])}"
            )
    about = "; ".join(told) + ". A larger set takes longer to restore." if told else ""
    return section("Size of the backups", chart("Size of each set", "bytes", kept, window, about=about))


def _newest(name: str, own: t.Sequence[Judged], every: t.Sequence[Measured]) -> t.Optional[Measured]:
    """What counts as the component's last recovery: that of the whole service, else the slowest of its stores' last ones."""
    whole = next((one for one in every if one.component == _slug(name)), None)
    alone = [one.measured[0] for one in own if one.measured]
    if whole is not None and all(whole.at >= one.at for one in alone):
        return whole
    return max(alone, key=lambda one: one.rto_s, default=whole)


def _seconds(value: t.Optional[float], otherwise: str) -> Cell:
    return cell(span(value), "", value, "s") if value is not None else cell(otherwise, "unknown" if otherwise else "")


def _age(one: Judged, state: str) -> Cell:
    value = one.ages_s.get(state)
    late = one.rpo_s is not None and value is not None and value > one.rpo_s and state == "written"
    return cell(f"{span(value)} ago", "bad" if late else "", value, "s") if value is not None else cell("none", "unknown")


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
