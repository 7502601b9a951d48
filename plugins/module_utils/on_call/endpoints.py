# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Endpoints, metrics and logs: every address of the profile is asked, every expression is evaluated on a real answer."""

from __future__ import annotations

import glob
import os
import re
import typing as t

from ..checks import operation as check_operation
from ..checks.plan import COMMON
from ..errors import RunbookError
from ..metrics import operation as metric_operation
from ..profile.finding import clip, items, name_of
from .item import GOOD, ROTTEN, UNTESTED, Item

_SERVERS = (
    ("monitoring_prometheus_url", "prometheus_server", "prometheus"),
    ("monitoring_alertmanager_url", "alertmanager", "alertmanager"),
    ("monitoring_grafana_url", "grafana", "grafana"),
)
_READ_ONCE = ("window_s", "every_s", "aggregate", "baseline", "minimum_samples", "samples")


def endpoints(variables: t.Mapping[str, t.Any], timeout_s: float) -> t.List[Item]:
    """Every check of the profile, the monitoring servers, and the addresses of the checklist."""
    checks = [dict(item) for _position, item in items(variables.get("health_checks"))]
    if not checks and "health_checks" in variables:
        return [Item("endpoint", "health_checks", ROTTEN, "the profile has no checks", "add health_checks")]
    found = _asked("endpoint", checks, timeout_s)
    asked = {str(check.get("url")) for check in checks}
    further: t.List[t.Dict[str, t.Any]] = []
    for variable, kind, name in _SERVERS:
        url = variables.get(variable)
        if isinstance(url, str) and url and url not in asked:
            further.append({"name": f"{name} ({variable})", "type": kind, "url": url})
    if variables.get("monitoring_grafana_token") and variables.get("monitoring_grafana_url"):
        url = str(variables["monitoring_grafana_url"]).rstrip("/") + "/api/org"
        further.append({"name": "grafana login", "type": "http", "url": url, "token": variables["monitoring_grafana_token"]})
    for position, entry in items(variables.get("incident_on_call_checklist")):
        if isinstance(entry.get("url"), str) and entry["url"]:
            name = f"{name_of(entry, position).strip(chr(39))} (checklist)"
            further.append({"name": name, "type": "http", "url": entry["url"], "status": ["2xx", "3xx"]})
    return found + _asked("endpoint", further, timeout_s)


def _asked(kind: str, checks: t.Sequence[t.Mapping[str, t.Any]], timeout_s: float) -> t.List[Item]:
    """The answers of checks; when some of them have mistakes, the others are asked all the same, each by itself."""
    if not checks:
        return []
    try:
        return [_item(kind, result) for result in _results(checks, timeout_s)]
    except RunbookError as error:
        if len(checks) == 1:
            return [Item(kind, clip(checks[0].get("name"), 60), ROTTEN, clip(error.why or error.what, 300), "correct the check")]
    return [item for check in checks for item in _asked(kind, [_independent(check)], timeout_s)]


def _independent(check: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    return {key: value for key, value in check.items() if key != "depends_on"}


def _results(checks: t.Sequence[t.Mapping[str, t.Any]], timeout_s: float) -> t.List[t.Mapping[str, t.Any]]:
    usual = {name: option.get("default") for name, option in check_operation.OPTIONS.items()}
    own = {"checks": [dict(check) for check in checks], "timeout_s": timeout_s, "concurrency": 50, "fail_on": []}
    answered = check_operation.operate({**usual, **own}, True)
    return list(answered["results"])


def _item(kind: str, result: t.Mapping[str, t.Any]) -> Item:
    name, reason = clip(result.get("name"), 60), clip(result.get("reason"), 300)
    if result.get("verdict") in ("pass", "warn"):
        return Item(kind, name, GOOD, reason or "answers")
    if result.get("attempts") == 0:
        return Item(kind, name, UNTESTED, reason)
    return Item(kind, name, ROTTEN, reason, "see whether it is down, or whether address or credentials have changed")


def metrics(variables: t.Mapping[str, t.Any], timeout_s: float) -> t.List[Item]:
    """Every metric, read once: its expression must yield a number. Which number it is does not matter here."""
    found: t.List[Item] = []
    for position, item in items(variables.get("health_metrics")):
        name = name_of(item, position).strip("'")
        once = {key: value for key, value in item.items() if key not in ("depends_on", *(() if item.get("type") == "log" else _READ_ONCE))}
        once.setdefault("timeout_s", timeout_s)
        sources = {"sources": variables.get("service_logs") or []} if "sources" in metric_operation.OPTIONS else {}
        parameters = {
            **{key: option.get("default") for key, option in metric_operation.OPTIONS.items()},
            "metrics": [once],
            "retries": 1,
            "fail_on": [],
            **sources,
        }
        try:
            (result,) = metric_operation.operate(parameters, True)["metrics"]
        except (RunbookError, KeyError, ValueError) as error:
            why = error.why or error.what if isinstance(error, RunbookError) else f"no answer ({type(error).__name__})"
            found.append(Item("metric", name, ROTTEN, clip(why, 300), "correct the metric in thresholds.yml"))
            continue
        good = result.get("value") is not None or result.get("verdict") == "pass"
        reason = clip(result.get("reason"), 300)
        told = "yields a number" if good else reason
        found.append(Item("metric", name, GOOD if good else ROTTEN, told, "see whether its source still has it"))
    return found


def logs(variables: t.Mapping[str, t.Any]) -> t.List[Item]:
    """Every log file: it is there and can be read. Logs of containers, pods and units are read when a report asks for them."""
    found = []
    for position, item in items(variables.get("service_logs")):
        name, path = name_of(item, position).strip("'"), item.get("path")
        if not isinstance(path, str) or not path:
            found.append(Item("log", name, UNTESTED, "it is read by the runtime's own program"))
            continue
        files = glob.glob(os.path.expanduser(path), recursive=True) if os.path.isabs(os.path.expanduser(path)) else []
        readable = [file for file in files if os.path.isfile(file) and os.access(file, os.R_OK)]
        if readable:
            found.append(Item("log", name, GOOD, f"{len(readable)} file{'' if len(readable) == 1 else 's'} can be read"))
        else:
            why = "it may not be read by this account" if files else "there is no such file"
            found.append(Item("log", name, ROTTEN, f"{why} ({clip(path, 100)})", "correct the path in service.yml, or its rights"))
    return found


def used_by_checks(source_values: t.Mapping[str, t.Any]) -> t.Set[str]:
    """Names that occur in the templates of checks, metrics and off-site copies: their values are tried with these."""
    words: t.Set[str] = set()
    for variable in ("health_checks", "health_checks_service", "health_checks_runtime", "health_metrics", "backup_offsite"):
        words |= set(re.findall(r"[A-Za-z_]\w*", str(source_values.get(variable, ""))))
    return words - set(COMMON)
