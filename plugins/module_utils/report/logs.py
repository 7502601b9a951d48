# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What the logs say, in a report: the profile's questions with their lines, levels, slow requests, refusals, rotation."""

from __future__ import annotations

import json
import os
import typing as t
from datetime import datetime, timezone

from ..checks.model import PASS, UNKNOWN, WARN, worst
from ..errors import RunbookError
from ..logs.files import logs_of
from ..readable import digits, quantity, size, span
from ..state import spoken
from .document import Block, Cell, Section, cell, lines, not_configured, number, section, table, text, verdict_cell
from .gathered import Gathered
from .log_questions import DURATIONS, ERROR_TYPES, ERRORS, SECURITY, chosen

_HOW = "Name the logs in service_logs."
_FIRST = ("level", "severity", "levelname", "message", "msg", "event")
_LEFT_OUT = frozenset((*_FIRST, "timestamp", "time", "ts", "@timestamp"))
_LONGEST_LINE = 400


def logs(known: Gathered) -> Section:
    """The answers to the profile's questions to its logs, and what every report wants to know of them."""
    if known.logs is None:
        return section("Logs", not_configured("this service has no logs, or they are not scanned", _HOW))
    if not isinstance(known.logs.get("answers"), list):
        said = str(known.logs.get("msg") or "The logs could not be read.")
        return section(
            "Logs", text(said, "unknown"), verdict=UNKNOWN, summary="the logs could not be read", steps=[f"Read the logs: {said}"]
        )
    own = [str(one["name"]) for one in chosen(known.log_questions, known.kind) if SECURITY not in _words(one.get("used_by"))]
    blocks: t.List[Block] = [_table_of_logs(known)]
    if not known.logs.get("complete", True):
        blocks.append(text("The scan was ended before everything was read; what follows is not all.", "unknown"))
    for name in own:
        blocks += _answer(known, name, name)
    blocks += _answer(known, ERROR_TYPES, "Errors by type")
    if not any("ERROR" in str(one.get("pattern") or "") for one in chosen(known.log_questions, known.kind)):
        blocks += _answer(known, ERRORS, "Last errors")
    blocks += _answer(known, DURATIONS, "Slowest requests")
    unread = [str(one.get("title") or one.get("name")) for one in known.logs.get("logs") or () if one.get("problem")]
    count = sum(int(one.get("errors") or 0) for one in known.logs.get("logs") or ())
    parts = [f"{count} errors in the logs"] if count else []
    parts += [f"not read: {', '.join(unread)}"] if unread else []
    steps = [f"Find out why the log {name} cannot be read" for name in unread[:3]]
    return section("Logs", *blocks, verdict=UNKNOWN if unread else None, summary="; ".join(parts), steps=steps)


def security(known: Gathered) -> Section:
    """The answers to the profile's questions about refused requests and the like."""
    asked = [str(one["name"]) for one in chosen(known.log_questions, known.kind) if SECURITY in _words(one.get("used_by"))]
    if known.logs is None or not asked:
        return section(
            "Security",
            not_configured("no question about security is put to the logs", "Give one of service_log_questions used_by: [security]."),
        )
    if not isinstance(known.logs.get("answers"), list):
        return section(
            "Security", text("The logs could not be read.", "unknown"), verdict=UNKNOWN, summary="refused requests are not known"
        )
    counts = {name: int((_found(known, name) or {}).get("count") or 0) for name in asked}
    told = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    return section("Security", *(block for name in asked for block in _answer(known, name, name)), summary=told)


def rotation(known: Gathered) -> Section:
    """Whether logs are rotated: how large each is, and of when its older generations are."""
    rows: t.List[t.List[t.Union[str, Cell]]] = []
    verdicts: t.List[str] = []
    for given in known.log_sources:
        paths = given.get("path")
        if not paths or given.get("container"):
            continue
        title = str(given.get("title") or given.get("name"))
        try:
            found = logs_of([str(path) for path in ([paths] if isinstance(paths, str) else paths)], generations=True)
            rows += [_rotated(known, title if len(found) == 1 else f"{title}: {os.path.basename(one[-1])}", one, verdicts) for one in found]
        except (RunbookError, OSError) as error:
            verdicts.append(UNKNOWN)
            rows.append([title, verdict_cell(UNKNOWN), "", "", "", str(getattr(error, "what", error))])
    if not rows:
        return section(
            "Log rotation", not_configured("no log of this service is a file", "Engines and the journal rotate their logs by themselves.")
        )
    bad = sum(verdict != PASS for verdict in verdicts)
    summary = f"{bad} of {len(verdicts)} logs are not rotated, or not there" if bad else ""
    columns = ("log", "verdict", "size now", "older generations", "newest of them", "remark")
    steps = ["Look into the rotation of the logs"] if WARN in verdicts else []
    return section("Log rotation", table(columns, rows), verdict=worst(verdicts), summary=summary, steps=steps)


def _rotated(known: Gathered, title: str, files: t.Sequence[str], verdicts: t.List[str]) -> t.List[t.Union[str, Cell]]:
    """A row for one log; its files are in order, the one that is written last."""
    status = [os.stat(path) for path in files]
    current, older = status[-1].st_size, status[:-1]
    limit = known.largest_log_bytes
    late = bool(limit) and current > limit
    verdicts.append(WARN if late else PASS)
    newest = spoken(datetime.fromtimestamp(max(one.st_mtime for one in older), timezone.utc)) if older else "none yet"
    remark = f"larger than {size(limit)} and not rotated" if late else ""
    return [title, verdict_cell(verdicts[-1]), cell(size(current), "", float(current), "bytes"), str(len(older)), newest, remark]


def _table_of_logs(known: Gathered) -> Block:
    rows: t.List[t.List[t.Union[str, Cell]]] = []
    for one in (known.logs or {}).get("logs") or ():
        levels = ", ".join(f"{digits(count)} {level}" for level, count in list((one.get("levels") or {}).items())[:6])
        problem = str(one.get("problem") or "")
        rows.append(
            [
                str(one.get("title") or one.get("name")),
                cell(digits(float(one.get("lines") or 0)), "", float(one.get("lines") or 0), "count"),
                cell(digits(float(one.get("errors") or 0)), "", float(one.get("errors") or 0), "count"),
                cell(problem or levels, "unknown" if problem else ""),
                _clock(one.get("last")),
            ]
        )
    since = str((known.logs or {}).get("since") or "")
    return table(("log", "lines", "errors", "levels", "last line"), rows, f"Read since {_clock(since)}" if since else "", "None.")


def _answer(known: Gathered, name: str, title: str) -> t.List[Block]:
    """What was found, as blocks; nothing when the question was not put."""
    found = _found(known, name)
    if found is None:
        return []
    if found.get("problem"):
        return [text(f"{title}: {found['problem']}", "unknown")]
    asked = next((one for one in known.log_questions if one.get("name") == name), {})
    title = title[:1].upper() + title[1:]
    if found.get("numbers"):
        return _numbers(title, asked, found)
    if "groups" in found:
        names = [key for key in (found["groups"][0] if found["groups"] else {}) if key != "count"]
        groups: t.List[t.List[t.Union[str, Cell]]] = [
            [
                *(str(one.get(key) or "none") for key in names),
                cell(digits(float(one.get("count") or 0)), "", float(one.get("count") or 0), "count"),
            ]
            for one in found["groups"]
        ]
        more = f" ({found['groups_all']} kinds)" if int(found.get("groups_all") or 0) > len(groups) else ""
        return [table((*names, "lines"), groups, title + more, "None.")]
    if found.get("last_values"):
        return [lines(title, [f"{_clock(one.get('at'))}  {one.get('value', '')}" for one in found["last_values"]])]
    shown = list(found.get("lines") or ())
    if asked.get("since_s"):
        first = known.at - float(asked["since_s"])
        shown = [one for one in shown if not one.get("at") or _seconds(one["at"]) >= first]
        return [lines(f"{title} (last {span(float(asked['since_s']))})", [_line(one) for one in shown])]
    more = f" (the last {len(shown)} of {digits(float(found['count']))})" if int(found.get("count") or 0) > len(shown) else ""
    return [lines(title + more, [_line(one) for one in shown])]


def _numbers(title: str, asked: t.Mapping[str, t.Any], found: t.Mapping[str, t.Any]) -> t.List[Block]:
    numbers = found["numbers"]
    if not numbers.get("count"):
        return [text(f"{title}: no line has this number.", "unknown")]
    # Fields of this name end are milliseconds or seconds everywhere; others are shown as they are.
    field = str(asked.get("numeric_field") or "duration_ms")
    unit = "ms" if field.endswith("_ms") else "s" if field.endswith(("_s", "_seconds")) else ""
    names = [("lowest", "minimum"), ("mean", "mean"), ("highest", "maximum")]
    cells: t.List[t.Union[str, Cell]] = [number(numbers.get(key), unit) for _name, key in names]
    shares = numbers.get("percentiles") or {}
    cells += [number(value, unit) for value in shares.values()]
    columns = ("field", "readings", *(name for name, _key in names), *(f"p{share}" for share in shares))
    valued = [one for one in numbers.get("highest") or () if one.get("value") is not None]
    highest = [one for one in valued if asked.get("above") is None or one["value"] > float(asked["above"])]
    shown = [f"{quantity(one['value'], unit)}  {_line(one)}" for one in highest]
    above = f", above {quantity(float(asked['above']), unit)}" if asked.get("above") is not None else ""
    row: t.List[t.Union[str, Cell]] = [field, cell(digits(float(numbers["count"])), "", float(numbers["count"]), "count"), *cells]
    return [table(columns, [row], title), lines(f"{title}: the greatest{above}", shown)]


def _found(known: Gathered, name: str) -> t.Optional[t.Mapping[str, t.Any]]:
    answers = (known.logs or {}).get("answers") or ()
    return next((one for one in answers if isinstance(one, t.Mapping) and one.get("name") == name), None)


def _line(one: t.Mapping[str, t.Any]) -> str:
    """A line as a person reads it: time, log, and of a JSON line first its level and message."""
    said = str(one.get("text") or "")
    try:
        document = json.loads(said)
    except ValueError:
        document = None
    if isinstance(document, dict):
        first = [str(document[key]) for key in _FIRST if document.get(key) not in (None, "")]
        rest = [f"{key}={value}" for key, value in document.items() if key not in _LEFT_OUT]
        said = "  ".join([*first, " ".join(rest)]) if first else said
    begin = " ".join(part for part in (_clock(one.get("at")), str(one.get("source") or "")) if part)
    shown = f"{begin}  {said}" if begin else said
    return shown if len(shown) <= _LONGEST_LINE else f"{shown[: _LONGEST_LINE - 3]}..."


def _clock(at: t.Any) -> str:
    return str(at or "").replace("T", " ")[:19]


def _seconds(at: str) -> float:
    try:
        return datetime.strptime(at[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc).timestamp()
    except ValueError:
        return float("inf")


def _words(value: t.Any) -> t.List[str]:
    return [str(one) for one in value] if isinstance(value, (list, tuple)) else [str(value)] if value else []
