# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Service level objectives in a report: kept or not, what is left of the error budget, how fast it burns."""

from __future__ import annotations

import typing as t

from ..checks.model import FAIL, PASS, UNKNOWN, WARN, worst
from ..history.entry import METRIC
from ..readable import digits, part_in_percent, quantity, span
from . import slo
from .document import Block, Cell, Section, cell, chart, not_configured, number, section, table, text, verdict_cell
from .gathered import Gathered

_DAY_S = 86_400.0
_DEFAULT_DAYS = 30.0


class Standing(t.NamedTuple):
    """How an objective stands.

    Attributes:
        title: What it is.
        row: Its line in the table: title, verdict, objective, reached, measured, what that means.
        blocks: Charts and tables on it.
        figures: The numbers, for programs.
    """

    title: str
    verdict: str
    row: t.List[t.Union[str, Cell]]
    blocks: t.List[Block]
    figures: t.Dict[str, t.Any]


def standings(known: Gathered, window_s: t.Optional[float] = None) -> t.List[Standing]:
    """How each objective of the profile stands, over `window_s` seconds, or each over its own window."""
    found = []
    for given in known.service.get("objectives") or ():
        length = window_s or float(given.get("window_days") or _DEFAULT_DAYS) * _DAY_S
        title = str(given.get("title") or given.get("name") or "objective")
        target = given.get("objective")
        if isinstance(target, bool) or not isinstance(target, (int, float)):
            found.append(_nothing(title, "the profile gives no number for it"))
        elif given.get("check"):
            found.append(_of_check(known, title, str(given["check"]), float(target), length))
        elif given.get("metric"):
            found.append(_of_metric(known, title, given, float(target), length))
        else:
            found.append(_nothing(title, "the profile names neither check nor metric"))
    return found


def objectives(known: Gathered, window_s: t.Optional[float] = None) -> t.List[Section]:
    """A section with the table of all objectives, and one for each with its charts."""
    found = standings(known, window_s)
    if not found:
        return [section("Objectives", not_configured("this service promises nothing", "Name its promises in service_objectives."))]
    columns = ("objective", "verdict", "promised", "reached", "measured", "budget left", "what that means")
    verdict = worst(one.verdict for one in found)
    bad = [one for one in found if one.verdict != PASS]
    named = ", ".join(f"{one.title} ({one.verdict})" for one in bad[:4])
    summary = f"{len(bad)} of {len(found)} objectives not kept or not known: {named}" if bad else f"all {len(found)} objectives are kept"
    steps = [f"Find out what took {one.title} below its objective: its chart shows when" for one in bad if one.verdict == FAIL][:3]
    sections = [section("Objectives", table(columns, [one.row for one in found]), verdict=verdict, summary=summary, steps=steps)]
    return [*sections, *(section(one.title, *one.blocks) for one in found if one.blocks)]


def _of_check(known: Gathered, title: str, check: str, target: float, window_s: float) -> Standing:
    since, until, valid_s = known.at - window_s, known.at, known.reading_valid_s
    readings = known.readings(check, since)
    whole = slo.account(readings, since, until, valid_s)
    budget = slo.error_budget(whole, target)
    verdict, reason = slo.judge(whole, target, known.minimum_coverage)
    rows, fast = _burning(known, readings, target)
    day = slo.burn_rate(slo.account(readings, until - _DAY_S, until, valid_s), target)
    lasts = slo.lasts_s(budget, day, window_s)
    if verdict == PASS and fast:
        verdict, reason = WARN, f"kept so far, but the budget burns too fast: {fast}"
    elif verdict == PASS and lasts is not None:
        reason = f"at the pace of the last day the budget lasts for {span(lasts)}"
    blocks: t.List[Block] = [_said(whole, budget, window_s)]
    points = slo.burn_down(readings, since, until, valid_s, target)
    if points and whole.readings:
        even = [(since, 1.0), (until, 0.0)]
        blocks.append(
            chart(
                "Error budget left",
                "ratio",
                [("left", points), ("even spending", even)],
                (since, until),
                about="Falls where the service was down. Below the dashed line more is spent than the time allows; at 0 nothing is left.",
                limits=[(0.0, "spent", "bad")],
                summary=False,
            )
        )
    blocks.append(
        table(("time", "burn rate", "warns above", "verdict"), rows, "How fast the budget burns (1 spends all of it in its window)")
    )
    figures = {
        "check": check, "objective": target, "window_s": window_s, "availability": whole.share, "coverage": whole.coverage,
        "good_s": whole.good_s, "bad_s": whole.bad_s, "readings": whole.readings, "budget_allowed_s": budget.allowed_s,
        "budget_left_s": budget.left_s, "budget_left_share": budget.left_share, "burn_rate_1d": day, "verdict": verdict,
    }  # fmt: skip
    row: t.List[t.Union[str, Cell]] = [
        title,
        verdict_cell(verdict),
        number(target, "ratio"),
        number(whole.share, "ratio"),
        number(whole.coverage, "ratio"),
        number(budget.left_share, "ratio", "bad" if budget.left_s < 0 else "") if whole.readings else cell("no data", "unknown"),
        reason,
    ]
    return Standing(title, verdict, row, blocks, figures)


def _said(whole: slo.Account, budget: slo.Budget, window_s: float) -> Block:
    if not whole.readings:
        return text(f"The history has no reading of the last {span(window_s)}.", "unknown")
    blind = whole.window_s - whole.measured_s
    unseen = f" For {span(blind)} nobody looked; that time counts neither as up nor as down." if blind > 60 else ""
    left = f"{span(budget.left_s)} are left" if budget.left_s >= 0 else f"it is overdrawn by {span(-budget.left_s)}"
    return text(
        f"{whole.readings} readings in {span(window_s)}: down for {span(whole.bad_s)} of {span(budget.allowed_s)} allowed, {left}." + unseen
    )


def _burning(known: Gathered, readings: t.Sequence[slo.Reading], target: float) -> t.Tuple[t.List[t.List[t.Union[str, Cell]]], str]:
    rows: t.List[t.List[t.Union[str, Cell]]] = []
    fast = ""
    for terms in known.burn_rates:
        length = float(terms["window_s"])
        measured = slo.account(readings, known.at - length, known.at, known.reading_valid_s)
        rate = slo.burn_rate(measured, target)
        verdict = UNKNOWN if rate is None and not measured.bad_s else PASS
        if measured.bad_s and (rate is None or rate > float(terms["warn_above"])):
            verdict, fast = WARN, fast or f"{'endlessly' if rate is None else digits(rate) + ' times'} in the last {span(length)}"
        rows.append(
            [
                f"last {span(length)}",
                cell("no data", "unknown") if rate is None else cell(digits(rate), "", rate, ""),
                digits(float(terms["warn_above"])),
                verdict_cell(verdict),
            ]
        )
    return rows, fast


def _of_metric(known: Gathered, title: str, given: t.Mapping[str, t.Any], target: float, window_s: float) -> Standing:
    name, better, unit = (
        str(given["metric"]),
        str(given.get("better") or "lower"),
        str(given.get("unit") or known.unit(str(given["metric"]))),
    )
    since, until, valid_s = known.at - window_s, known.at, known.reading_valid_s
    series = known.series(METRIC, name, since - valid_s)
    mean, coverage = slo.mean_over_time(series, since, until, valid_s)
    kept = slo.account(slo.good_below(series, target, better), since, until, valid_s)
    if mean is None:
        verdict, reason = UNKNOWN, "nothing was measured in this window"
    elif (mean < target) if better == "higher" else (mean > target):
        verdict, reason = FAIL, "the mean over the measured time misses the objective"
    elif coverage < known.minimum_coverage:
        verdict, reason = UNKNOWN, f"only {part_in_percent(coverage)} of the window was measured"
    else:
        verdict, reason = PASS, ""
    within = "" if kept.share is None else f"within the objective for {quantity(kept.share, 'ratio')} of the measured time"
    bound = "at least" if better == "higher" else "at most"
    blocks: t.List[Block] = []
    points = [point for point in series if point[0] >= since]
    if points:
        blocks = [
            chart(
                "Readings", unit, [(title, points)], (since, until), valid_s=valid_s,
                limits=[(target, f"{bound} {quantity(target, unit)}", "bad")],
                about=f"{within[:1].upper()}{within[1:]}." if within else "",
            )
        ]  # fmt: skip
    figures = {
        "metric": name, "objective": target, "better": better, "unit": unit, "window_s": window_s, "mean": mean, "coverage": coverage,
        "share_within": kept.share, "verdict": verdict,
    }  # fmt: skip
    row: t.List[t.Union[str, Cell]] = [
        title,
        verdict_cell(verdict),
        cell(f"{bound} {quantity(target, unit)}", "", target, unit),
        number(mean, unit),
        number(coverage, "ratio"),
        "",
        "; ".join(part for part in (reason, within) if part),
    ]
    return Standing(title, verdict, row, blocks, figures)


def _nothing(title: str, why: str) -> Standing:
    empty = cell("not configured", "unknown")
    return Standing(title, UNKNOWN, [title, verdict_cell(UNKNOWN), empty, "", "", "", why], [], {"verdict": UNKNOWN})
