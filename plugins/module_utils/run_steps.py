# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""From what Ansible gives to what a record holds: steps, measurements, decisions and the error of a run. Pure functions."""

from __future__ import annotations

import re
import typing as t
from datetime import datetime, timezone

from .errors import BadInput
from .state import utc_text

_NOT_FACTS = frozenset(
    [
        "changed",
        "failed",
        "skipped",
        "skip_reason",
        "false_condition",
        "invocation",
        "diff",
        "warnings",
        "deprecations",
        "exception",
        "ansible_facts",
        "stdout_lines",
        "stderr_lines",
        "msg",
        "summary",
        "decisions",
        "failed_when_result",
        "attempts",
        "finished",
        "started",
        "start",
        "end",
        "delta",
        "results",
    ]
)
_UNITS = {"_s": "s", "_ms": "ms", "_bytes": "bytes", "_percent": "%"}
_WORST_FIRST = ("unreachable", "failed", "ignored", "changed", "ok", "skipped")
_SUMMARY_LENGTH = 300
_UNSET = re.compile(r"missing required arguments: (.+?)(?: found in (.+))?", re.DOTALL)


def steps_of(
    timeline: t.Iterable[t.Mapping[str, t.Any]], results: t.Iterable[t.Mapping[str, t.Any]], since: float
) -> t.List[t.Dict[str, t.Any]]:
    """The steps of a run in the order in which they began.

    Args:
        timeline: One entry for each task and host, as the callback plugin sre.runbooks.progress notes them: `task`, `id`, `host`,
            `started` and `finished` (seconds since 1970-01-01 UTC), `status` (a word of `_WORST_FIRST`), `within`: the names of what it
            is a part of (blocks, includes, roles), as the playbook has them.
        results: `name` of the step (of a task, or of what tasks are a part of, to join it with the timeline), `result` that the task
            registered, perhaps `summary`, and perhaps the `host` whose result it is: then that host has steps of its own.
        since: When the run began, seconds since 1970-01-01 UTC; earlier tasks belong to another run.
    """
    results = list(results)
    entries = [entry for entry in timeline if float(entry["started"]) >= since]
    apart = {given.get("name") for given in results if given.get("host")}
    tasks: t.Dict[t.Tuple[str, str], t.List[t.Mapping[str, t.Any]]] = {}
    for entry in entries:
        tasks.setdefault((str(entry["id"]), str(entry["host"]) if entry["task"] in apart else ""), []).append(entry)
    steps = [_timed(same) for same in tasks.values()]
    for given in results:
        name, host, result = str(given.get("name") or "unnamed step"), str(given.get("host") or ""), given.get("result")
        told = _told(name, result if isinstance(result, t.Mapping) else {}, str(given.get("summary") or ""))
        open_steps = (step for step in steps if step["name"] == name and not step["facts"] and not step["summary"])
        same = next((step for step in open_steps if not host or step["hosts"] == [host]), None)
        if same is None:
            parts = [entry for entry in entries if name in entry.get("within", ()) and host in ("", entry["host"])]
            steps.append({**_whole(told, parts), **({"hosts": [host]} if host else {})})
        else:
            same.update(summary=told["summary"], facts=told["facts"])
    # What was skipped on every host is not a step that was taken; a named result shows it all the same.
    return [step for step in steps if step["status"] != "skipped" or step["started_at"] is None]


def _whole(told: t.Dict[str, t.Any], parts: t.Sequence[t.Mapping[str, t.Any]]) -> t.Dict[str, t.Any]:
    """A step that is made of tasks: it lasts from the first to the last; where it did not come to a result, it ended as they did."""
    if not parts:
        return told
    timed = _timed(parts)
    lasting = {name: timed[name] for name in ("started_at", "finished_at", "duration_s", "hosts")}
    return {**told, **lasting, "status": timed["status"] if told["status"] == "not reached" else told["status"]}


def _timed(entries: t.Sequence[t.Mapping[str, t.Any]]) -> t.Dict[str, t.Any]:
    started, finished = min(float(entry["started"]) for entry in entries), max(float(entry["finished"]) for entry in entries)
    statuses = [str(entry["status"]) for entry in entries]
    status = min(statuses, key=lambda status: _WORST_FIRST.index(status) if status in _WORST_FIRST else 0)
    return {
        "name": str(entries[0]["task"]),
        "started_at": _moment(started),
        "finished_at": _moment(finished),
        "duration_s": round(max(0.0, finished - started), 3),
        "changed": "changed" in statuses,
        "status": "ok" if status == "changed" else status,
        "summary": "",
        "facts": {},
        "hosts": sorted({str(entry["host"]) for entry in entries}),
    }


def _told(name: str, result: t.Mapping[str, t.Any], summary: str) -> t.Dict[str, t.Any]:
    if not result:
        status = "not reached"
    elif result.get("unreachable"):
        status = "unreachable"
    else:
        status = "failed" if result.get("failed") else "skipped" if result.get("skipped") else "ok"
    duration = result.get("duration_s")
    message = result.get("summary") or result.get("conclusion") or result.get("msg") or ""
    said = summary or (message if isinstance(message, str) else "")
    return {
        "name": name,
        "started_at": None,
        "finished_at": None,
        "duration_s": float(duration) if isinstance(duration, (int, float)) and not isinstance(duration, bool) else None,
        "changed": bool(result.get("changed")),
        "status": status,
        "summary": said if len(said) <= _SUMMARY_LENGTH else said[: _SUMMARY_LENGTH - 3] + "...",
        "facts": {name: value for name, value in result.items() if name not in _NOT_FACTS and not name.startswith("_")},
        "hosts": [],
    }


def decisions_of(decisions: t.Iterable[t.Any], results: t.Iterable[t.Mapping[str, t.Any]]) -> t.List[str]:
    """The sentences that were given, and those that results carry as `decisions`."""
    found = [str(decision) for decision in decisions if decision]
    for given in results:
        result = given.get("result")
        said = result.get("decisions") if isinstance(result, t.Mapping) else None
        if isinstance(said, (list, tuple)):
            found += [str(sentence) for sentence in said]
    return list(dict.fromkeys(found))


def diffs_of(results: t.Iterable[t.Mapping[str, t.Any]]) -> t.List[t.Dict[str, t.Any]]:
    """What changed, where a result says so: `step`, `before`, `after`."""
    found = []
    for given in results:
        result = given.get("result")
        diff = result.get("diff") if isinstance(result, t.Mapping) else None
        for part in diff if isinstance(diff, (list, tuple)) else [diff]:
            if isinstance(part, t.Mapping) and part.get("before", "") != part.get("after", ""):
                found.append({"step": str(given.get("name") or ""), "before": part.get("before", ""), "after": part.get("after", "")})
    return found


def measurements_of(measured: t.Mapping[str, t.Any], targets: t.Mapping[str, t.Any]) -> t.Dict[str, t.Dict[str, t.Any]]:
    """Each measurement beside its target: `value`, `target`, `unit`, `better` (lower or higher), `met` (None without a target).

    Args:
        measured: Numbers by name; the name ends with the unit (`rto_s`, `size_bytes`). Instead of a number a mapping with
            `value`, `target` and `better` may be given.
        targets: Numbers by name.

    Raises:
        BadInput: A value is no number.
    """
    found = {}
    for name, given in measured.items():
        detail = dict(given) if isinstance(given, t.Mapping) else {"value": given}
        value, target = _number(name, detail.get("value")), _number(name, detail.get("target", targets.get(name)))
        better = "higher" if detail.get("better") == "higher" else "lower"
        met = None if value is None or target is None else value >= target if better == "higher" else value <= target
        unit = next((unit for suffix, unit in _UNITS.items() if name.endswith(suffix)), "")
        found[str(name)] = {"value": value, "target": target, "unit": unit, "better": better, "met": met}
    return found


def error_of(failed: t.Mapping[str, t.Any], task: str) -> t.Dict[str, t.Any]:
    """The error of a run from the result of the task that failed (`ansible_failed_result`).

    Returns:
        `message` (all there is to tell a reader), `kind`, `what`, `where`, `why`, `next_step`, `step`.
    """
    cause = _cause(failed)
    message, told = str(cause.get("msg") or "").strip(), cause.get("error")
    if isinstance(told, t.Mapping) and told.get("what"):
        return {"message": message, "kind": "", "where": "", "why": "", "next_step": "", **told, "step": task}
    if not message:
        message = "The task failed without a message"
    unset = _unset_variables(cause)
    if unset:
        why, next_step = unset
        whole = f"{message.rstrip('.')}. {why}. Next: {next_step}."
        return {"message": whole, "kind": "BadInput", "what": message, "where": "", "why": why, "next_step": next_step, "step": task}
    said = [line.strip() for line in str(cause.get("stderr") or cause.get("module_stderr") or "").splitlines() if line.strip()]
    why = "; ".join(said[-3:])[-600:]
    what = f"{task}: {message}" if task else message
    whole = f"{what.rstrip('.')}: {why}" if why and why not in message else what
    return {"message": whole, "kind": "TaskFailed", "what": what, "where": "", "why": why, "next_step": "", "step": task}


def _unset_variables(cause: t.Mapping[str, t.Any]) -> t.Optional[t.Tuple[str, str]]:
    """Why and what next, where a role's argument spec misses variables, or parts of one; what they mean is in the spec."""
    spec, meanings = cause.get("argument_spec_data"), t.cast(t.Dict[str, str], {})
    if not isinstance(spec, t.Mapping):
        return None
    for error in cause.get("argument_errors") or ():
        found = _UNSET.fullmatch(str(error))
        if found:
            parents = found.group(2).split(" -> ") if found.group(2) else []
            options = spec
            for parent in parents:
                options = (options.get(parent) or {}).get("options") or {}
            for name in found.group(1).split(", "):
                meanings[" of ".join([name, *reversed(parents)])] = _meaning(options.get(name) or {})
    if not meanings:
        return None
    return "; ".join(
        f"{name} is not set{words}" for name, words in meanings.items()
    ), f"set {' and '.join(meanings)} in the profile, or with -e"


def _meaning(option: t.Mapping[str, t.Any]) -> str:
    description, choices = option.get("description") or "", option.get("choices") or ()
    words = " ".join(description) if isinstance(description, (list, tuple)) else str(description)
    values = "one of " + ", ".join(str(choice) for choice in choices) if choices else ""
    return "".join(f": {said}" for said in (words.rstrip("."), values) if said)


def _cause(failed: t.Mapping[str, t.Any]) -> t.Mapping[str, t.Any]:
    # Of a loop it is the first item that failed which tells what happened.
    for item in failed.get("results") or ():
        if isinstance(item, t.Mapping) and item.get("failed"):
            return item
    return failed


def _number(name: str, value: t.Any) -> t.Optional[float]:
    if value is None or value == "":
        return None
    try:
        if isinstance(value, bool):
            raise ValueError
        number = float(value)
    except (TypeError, ValueError):
        raise BadInput(
            f"The measurement {name} is no number", why=f"it is {value!r}", next_step="give a number in the unit that its name ends with"
        ) from None
    return int(number) if number.is_integer() and abs(number) < 1 << 53 else number


def _moment(seconds: float) -> str:
    return utc_text(datetime.fromtimestamp(seconds, timezone.utc))
