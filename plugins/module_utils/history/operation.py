# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The operations of the modules health_history (writes) and health_history_info (reads)."""

from __future__ import annotations

import time
import typing as t
from datetime import datetime, timezone

from ..checks.model import SEVERITY
from ..errors import BadInput
from ..state import state_folder, utc_text
from . import file
from .entry import CHECK, METRIC, entries
from .reading import DAY_S, HOUR_S
from .store import History

_SHARED: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "service": {"type": "str", "required": True},
    "state_folder": {"type": "path"},
}
WRITE_OPTIONS: t.Mapping[str, t.Mapping[str, t.Any]] = {
    **_SHARED,
    "run_id": {"type": "str", "default": ""},
    "procedure": {"type": "str", "default": ""},
    "at": {"type": "str", "default": ""},
    "checks": {"type": "list", "elements": "dict", "default": []},
    "metrics": {"type": "list", "elements": "dict", "default": []},
    "verdict": {"type": "str", "choices": sorted(SEVERITY)},
    "severity": {"type": "str", "default": ""},
    "score": {"type": "float"},
    "summary": {"type": "str", "default": ""},
    "documents": {"type": "dict", "default": {}},
    "keep_days": {"type": "float"},
}
"""Described in plugins/modules/health_history.py."""
READ_OPTIONS: t.Mapping[str, t.Mapping[str, t.Any]] = {
    **_SHARED,
    "checks": {"type": "list", "elements": "str"},
    "metrics": {"type": "list", "elements": "str"},
    "days": {"type": "float", "default": 1.0},
    "until": {"type": "str", "default": ""},
    "by": {"type": "str", "choices": ["none", "hour", "day"], "default": "none"},
    "runs": {"type": "int", "default": 20},
    "documents": {"type": "list", "elements": "str", "default": []},
}
"""Described in plugins/modules/health_history_info.py."""
_STEPS: t.Mapping[str, int] = {"hour": HOUR_S, "day": DAY_S}
_MOST_RUNS = 10_000


def write(parameters: t.Mapping[str, t.Any], check_mode: bool) -> t.Dict[str, t.Any]:
    """Record what a run found, keep documents, forget what is old; `parameters` are valid for WRITE_OPTIONS.

    Raises:
        BadInput: The results, the moment or the name make no sense; nothing was written.
        HistoryDamaged: The file is damaged; it is left as it is.
    """
    folder, service = state_folder(parameters["state_folder"]), parameters["service"]
    path = file.path_of(folder, service)
    at = _moment(parameters["at"], "at") if parameters["at"] else time.time()
    results = len(entries(parameters["checks"], parameters["metrics"]))
    wrong = sorted(str(name) for name, document in parameters["documents"].items() if not isinstance(document, t.Mapping))
    if wrong:
        raise BadInput("Documents are kept as dictionaries", why=f"{', '.join(wrong)} is none", next_step="nothing was written")
    if parameters["keep_days"] is not None and not 0 < parameters["keep_days"] < 100_000:
        raise BadInput("The history cannot be kept so long", why="keep_days is not between 0 and 100000", next_step="nothing was written")
    writes = bool(results or parameters["documents"])
    said: t.Dict[str, t.Any] = {
        "path": path,
        "results": results,
        "documents": sorted(map(str, parameters["documents"])),
        "forgotten": 0,
        "at": _text(at),
    }
    if check_mode:
        # Whether it could be written is looked at; a file that is damaged or somebody else's is told now.
        with History.open(folder, service, write=False) as history:
            return {"changed": writes, **said, "size_bytes": history.size_bytes(), "msg": f"Would {_what(said, past=False)}."}
    with History.open(folder, service, write=True) as history:
        if results:
            history.record(
                at,
                parameters["run_id"],
                parameters["procedure"],
                parameters["checks"],
                parameters["metrics"],
                parameters["severity"],
                parameters["score"],
                parameters["verdict"] or "",
                parameters["summary"],
            )
        for name, document in parameters["documents"].items():
            history.put_document(str(name), document, at)
        if parameters["keep_days"] is not None:
            said["forgotten"] = history.prune(parameters["keep_days"])
        size_bytes = history.size_bytes()
    what = _what(said, past=True)
    return {"changed": writes or said["forgotten"] > 0, **said, "size_bytes": size_bytes, "msg": what[0].upper() + what[1:] + "."}


def read(parameters: t.Mapping[str, t.Any], check_mode: bool) -> t.Dict[str, t.Any]:
    """What the history says about a stretch of time; `parameters` are valid for READ_OPTIONS. Check mode does the same.

    Raises:
        BadInput: The stretch of time makes no sense, or the file is not this service's history.
        HistoryDamaged: The file is damaged.
    """
    until = _moment(parameters["until"], "until") if parameters["until"] else time.time()
    if not 0 < parameters["days"] < 100_000 or not 0 <= parameters["runs"] <= _MOST_RUNS:
        raise BadInput(
            "The history cannot be asked so",
            why=f"days is not between 0 and 100000, or runs not between 0 and {_MOST_RUNS}",
            next_step="correct the options",
        )
    since = until - parameters["days"] * DAY_S
    step_s = _STEPS.get(parameters["by"])
    with History.open(state_folder(parameters["state_folder"]), parameters["service"], write=False) as history:
        return {
            "changed": False,
            "path": history.path,
            "exists": history.exists,
            "since": _text(since),
            "until": _text(until),
            "size_bytes": history.size_bytes(),
            "checks": [_subject(history, CHECK, row, since, until, step_s) for row in _chosen(history, CHECK, parameters["checks"])],
            "metrics": [_subject(history, METRIC, row, since, until, step_s) for row in _chosen(history, METRIC, parameters["metrics"])],
            "runs": [_with_time(row) for row in history.runs(since=since, until=until, limit=parameters["runs"])],
            "documents": {name: history.document(name) for name in parameters["documents"]},
        }


def _chosen(history: History, kind: str, names: t.Optional[t.Sequence[str]]) -> t.List[t.Dict[str, t.Any]]:
    """The newest results of the names that are asked for; of all when none are named."""
    return [row for row in history.latest(kind) if names is None or row["name"] in names]


def _subject(
    history: History, kind: str, newest: t.Mapping[str, t.Any], since: float, until: float, step_s: t.Optional[int]
) -> t.Dict[str, t.Any]:
    """What is known of one check or metric in that time."""
    name = newest["name"]
    of = "latency_ms" if kind == CHECK else "value"
    percentiles = history.percentiles(kind, name, (0.5, 0.95, 0.99), since, until, of=of)
    said: t.Dict[str, t.Any] = {
        "name": name,
        "component": newest["component"],
        "unit": newest["unit"] or ("ms" if kind == CHECK else ""),
        "latest": _with_time(newest),
        "counts": history.counts(kind, name, since, until),
        "percentiles": {f"p{round(quantile * 100)}": value for quantile, value in percentiles.items()},
    }
    if kind == CHECK:
        said["availability"], said["samples"] = history.availability(name, since, until)
    if step_s is not None:
        said["buckets"] = [_with_time(row) for row in history.buckets(kind, name, since, until, step_s=step_s, of=of)]
    return said


def _with_time(row: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    return {**row, "at": _text(row["at"])}


def _what(said: t.Mapping[str, t.Any], past: bool) -> str:
    """What is done, or was."""
    parts = []
    if said["results"]:
        parts.append(f"{'recorded' if past else 'record'} {said['results']} result{'' if said['results'] == 1 else 's'}")
    if said["documents"]:
        names = f"the document{'' if len(said['documents']) == 1 else 's'} {', '.join(said['documents'])}"
        parts.append(f"{'kept' if past else 'keep'} {names}")
    if said["forgotten"]:
        parts.append(f"forgot {said['forgotten']} result{'' if said['forgotten'] == 1 else 's'}")
    return " and ".join(parts) or f"{'recorded' if past else 'record'} nothing"


def _text(at: float) -> str:
    return utc_text(datetime.fromtimestamp(at, timezone.utc))


def _moment(text: str, option: str) -> float:
    """Seconds since 1970 UTC of a number of seconds or of ISO 8601 in UTC."""
    try:
        at = float(text)
    except ValueError:
        try:
            at = datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() if "T" in text else float("nan")
        except (ValueError, OverflowError):
            at = float("nan")
    if not 0 <= at < 253402300800:
        raise BadInput(
            "The moment cannot be read",
            why=f"{option} is {text[:60]!r}",
            next_step="write it as 2026-03-01T03:15:00Z, or in seconds since 1970",
        )
    return at
