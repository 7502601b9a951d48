# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What happened around the service: alerts, times in which it was not well, backup sets, runs of procedures."""

from __future__ import annotations

import typing as t
from datetime import datetime, timezone

from ..checks.model import FAIL, PASS, SEVERITY, UNKNOWN, WARN, worst
from ..history.entry import CHECK, METRIC
from ..readable import duration, size, span
from ..state import spoken, utc_time
from .document import Block, Cell, Section, cell, lines, not_configured, section, table, text, verdict_cell
from .gathered import Gathered

_MOST_ROWS = 30
_DAY_S = 86_400.0
_CRITICAL = frozenset(("critical", "page", "p1", "emergency"))
"""Values of an alert's label `severity` that mean that somebody is to be called at once."""
_STATUS: t.Mapping[str, str] = {"succeeded": "good", "failed": "bad", "abandoned": "bad"}


def alerts(known: Gathered) -> Section:
    """Alerts that are active now, and what was not well in the last 24 hours."""
    blocks: t.List[Block] = []
    verdict: t.Optional[str] = None
    summary = ""
    if known.alerts is None:
        blocks.append(
            not_configured("no Alertmanager, and no alerts of our own", "Name one in monitoring_alertmanager_url, or run alert_check.")
        )
    elif not isinstance(known.alerts.get("alerts"), list):
        verdict, summary = UNKNOWN, "the alerts could not be read"
        blocks.append(text(str(known.alerts.get("msg") or "The alerts could not be read."), "unknown"))
    else:
        active = [one for one in known.alerts.get("alerts") or () if _active(one)]
        verdict = PASS if not active else FAIL if any(_label(one, "severity").lower() in _CRITICAL for one in active) else WARN
        summary = f"{len(active)} alert{'' if len(active) == 1 else 's'} active" if active else ""
        rows: t.List[t.List[t.Union[str, Cell]]] = [
            [
                _name(one),
                cell(_label(one, "severity") or "none", "bad" if _label(one, "severity").lower() in _CRITICAL else "other"),
                _spoken(str(one.get("starts_at") or one.get("startsAt") or "")),
                str(
                    one.get("summary")
                    or (one.get("annotations") or {}).get("summary")
                    or (one.get("annotations") or {}).get("description")
                    or ""
                ),
            ]
            for one in active[:_MOST_ROWS]
        ]
        blocks.append(table(("alert", "severity", "since", "what it says"), rows, "Active now", "No alert is active."))
        if isinstance(known.alerts.get("history"), list):
            fired: t.List[t.List[t.Union[str, Cell]]] = [
                [_name(one), _label(one, "severity"), _label(one, "component"), _spoken(str(one.get("last_fired_at") or ""))]
                for one in known.alerts["history"][:_MOST_ROWS]
            ]
            blocks.append(table(("alert", "severity", "component", "fired last"), fired, "Fired in the last day", "None."))
    blocks.append(_not_well(known))
    steps = ["Look at the active alerts: silence none without knowing why it came"] if verdict in (WARN, FAIL) else []
    return section("Alerts", *blocks, verdict=verdict, summary=summary, steps=steps)


def episodes(known: Gathered, since: float) -> t.List[t.Tuple[float, float, str, str, bool]]:
    """Begin, end, title and verdict of each time in which a check or metric was not well, and whether it goes on; the newest first."""
    found = []
    for kind, names in ((CHECK, known.check_names()), (METRIC, known.metric_names())):
        for name in names:
            begin = 0.0
            verdicts: t.List[str] = []
            for at, verdict in [*known.history.verdicts(kind, name, since, known.at + 1), (float("inf"), PASS)]:
                if verdict == PASS and verdicts:
                    ongoing = at == float("inf")
                    found.append((begin, known.at if ongoing else at, known.title(name), worst(verdicts), ongoing))
                    verdicts = []
                elif verdict != PASS:
                    begin = begin if verdicts else at
                    verdicts.append(verdict)
    return sorted(found, key=lambda one: (-one[0], -SEVERITY[one[3]]))


def _not_well(known: Gathered) -> Block:
    found = episodes(known, known.at - max(_DAY_S, known.window_s))
    rows: t.List[t.List[t.Union[str, Cell]]] = [
        [title, verdict_cell(verdict), _clock(begin), "goes on" if ongoing else span(end - begin)]
        for begin, end, title, verdict, ongoing in found[:_MOST_ROWS]
    ]
    caption = f"Not well in the last {span(max(_DAY_S, known.window_s))}" + (
        f" (the newest {_MOST_ROWS} of {len(found)})" if len(found) > _MOST_ROWS else ""
    )
    return table(("check or metric", "worst", "began", "lasted"), rows, caption, "Nothing that the history knows of.")


def backups(known: Gathered) -> Section:
    """Whether each store has a good backup set of the window, and of its RPO."""
    if known.backups is None or not known.stores:
        return section("Backups", not_configured("no store is backed up", "Name the stores in backup_stores."))
    if not isinstance(known.backups.get("backup_sets"), list):
        return section(
            "Backups", text(str(known.backups.get("msg") or ""), "unknown"), verdict=UNKNOWN, summary="the backup sets could not be read"
        )
    sets = list(known.backups.get("backup_sets") or ())
    rows: t.List[t.List[t.Union[str, Cell]]] = []
    verdicts, bad, steps = [], [], []
    for store in known.stores:
        name = str(store.get("name", ""))
        own = [one for one in sets if str(one.get("store", "")) == name]
        verdict, said = _judge_backup(known, own, store)
        verdicts.append(verdict)
        if verdict != PASS:
            bad.append(f"backup of {name}: {said}")
            steps.append(f"Back up {name} and find out why that was not done: playbook backup, -e backup_store={name}")
        newest = own[0] if own else {}
        rows.append(
            [
                name,
                verdict_cell(verdict),
                str(newest.get("id") or "none"),
                str(newest.get("state") or ""),
                cell(size(newest["size_bytes"]) if newest.get("size_bytes") else "", "", newest.get("size_bytes"), "bytes"),
                str(sum(1 for one in own if (_moment(one) or 0) >= known.since)),
                said,
            ]
        )
    columns = ("store", "verdict", "newest set", "proof", "size", f"sets in {span(known.window_s)}", "remark")
    summary = "; ".join(bad) or "every store has a good backup"
    return section("Backups", table(columns, rows), verdict=worst(verdicts), summary=summary, steps=steps)


def _judge_backup(known: Gathered, own: t.Sequence[t.Mapping[str, t.Any]], store: t.Mapping[str, t.Any]) -> t.Tuple[str, str]:
    archived = "pitr" in store  # how far its log reaches only its archive can tell
    if not own:
        return (UNKNOWN, "there is no set; recovery_report tells how far its archive reaches") if archived else (FAIL, "there is no set")
    newest, at = own[0], _moment(own[0])
    if newest.get("damage"):
        return FAIL, "; ".join(str(one) for one in newest["damage"][:3])
    if newest.get("state") == "failed":
        return FAIL, "the newest set failed its last check"
    if at is None:
        return UNKNOWN, "the newest set does not say of when it is"
    age, allowed = max(0.0, known.at - at), store.get("rpo_s")
    if age > max(known.window_s, _DAY_S):
        return FAIL, f"the newest set is {span(age)} old"
    if allowed and age > float(allowed) and not archived:
        return WARN, f"{span(age)} old; no more than {span(float(allowed))} may be lost (RPO)"
    if newest.get("state") == "written":
        return WARN, f"{span(age)} old, but nobody has verified it yet"
    return PASS, f"{span(age)} old"


def runs(known: Gathered) -> Section:
    """The procedures that ran in the window."""
    rows: t.List[t.List[t.Union[str, Cell]]] = []
    failed = 0
    for record in known.runs:
        failed += record["status"] in ("failed", "abandoned")
        error = record.get("error") or {}
        rows.append(
            [
                str(record.get("title") or record["procedure"]) + (f": {record['target']}" if record.get("target") else ""),
                cell(record["status"], _STATUS.get(record["status"], "other")),
                spoken(utc_time(record["started_at"])),
                duration(record.get("duration_s")),
                str(record.get("who") or ""),
                str(error.get("what") or record["run_id"]),
            ]
        )
    shown = rows[:_MOST_ROWS]
    caption = f"{len(rows)} runs in {span(known.window_s)}" + (f", the newest {_MOST_ROWS} of them" if len(rows) > len(shown) else "")
    summary = f"{failed} of {len(rows)} runs of procedures failed" if failed else ""
    found = table(("procedure", "result", "began", "took", "who", "run, or what failed"), shown, caption, "No procedure ran in this time.")
    return section("Procedures", found, summary=summary)


def tasks(known: Gathered) -> t.List[Section]:
    """What a person is to do, by the profile."""
    return [section("For a person to do", lines("", list(known.tasks)))] if known.tasks else []


def _active(alert: t.Mapping[str, t.Any]) -> bool:
    status = alert.get("status")
    state = status.get("state") if isinstance(status, t.Mapping) else status or alert.get("state")
    return state in (None, "active", "firing")


def _label(alert: t.Mapping[str, t.Any], name: str) -> str:
    labels = alert.get("labels")
    found = alert.get(name) or (labels.get(name) if isinstance(labels, t.Mapping) else None)
    return str(found or "")


def _name(alert: t.Mapping[str, t.Any]) -> str:
    return _label(alert, "name") or _label(alert, "alertname") or "alert"


def _spoken(moment: str) -> str:
    """A moment of ISO 8601, for a reader."""
    return moment.replace("T", " ")[:19] + (" UTC" if moment else "")


def _moment(one: t.Mapping[str, t.Any]) -> t.Optional[float]:
    try:
        return datetime.strptime(str(one.get("consistent_at"))[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc).timestamp()
    except ValueError:
        return None


def _clock(at: float) -> str:
    return spoken(datetime.fromtimestamp(at, timezone.utc))
