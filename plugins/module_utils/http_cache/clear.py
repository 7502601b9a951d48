# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Clearing the caches of a service, by its own interface or by a command, and seeing that it had an effect."""

from __future__ import annotations

import time
import typing as t
from urllib.parse import parse_qsl, urlsplit

from ..checks.conditions import BadExpression, Condition, search
from ..checks.model import WARN
from ..command import Command, run
from ..errors import BadInput, CommandFailed, RunbookError
from ..monitoring.web import OPTIONS as WEB_OPTIONS
from ..monitoring.web import Server

ENDPOINT: t.Dict[str, t.Dict[str, t.Any]] = {
    "name": {"type": "str", "required": True},
    "url": {"type": "str"},
    "method": {"type": "str", "default": "DELETE"},
    "body": {"type": "raw"},
    "status": {"type": "list", "elements": "int", "default": [200, 202, 204]},
    "command": {"type": "list", "elements": "str"},
    "stats_url": {"type": "str"},
    "conditions": {"type": "list", "elements": "raw", "default": []},
    "observe": {"type": "dict", "default": {}},
    "settle_s": {"type": "float", "default": 5.0},
    **{key: dict(option) for key, option in WEB_OPTIONS.items()},
}
"""One entry of `cache_endpoints`, as options of a module."""
_POLL_S = 0.25


def clear(endpoints: t.Sequence[t.Mapping[str, t.Any]], names: t.Sequence[str] = (), *, dry_run: bool = False) -> t.Dict[str, t.Any]:
    """Clear caches one after another; all are tried, also when one fails.

    Args:
        endpoints: Entries as ENDPOINT has them.
        names: Which of them; all when empty.
        dry_run: Whether only to ask for their figures.

    Returns:
        `caches` (for each `name`, `cleared`, `before`, `after`, `observed`, `findings`), `plan`, `notes`; `failed` and `msg` when one
        could not be cleared or the effect is not what it should be.

    Raises:
        BadInput: An entry is wrong, or a name is that of none; nothing was cleared.
    """
    chosen = _chosen(endpoints, names)
    plan = [f"clear {one['name']}: {_how(one)}" for one in chosen]
    if not dry_run:
        caches = [_clear_one(one) for one in chosen]
    else:
        caches = [{"name": one["name"], "cleared": False, "before": _figures(one), "findings": []} for one in chosen]
    warnings = [f"{one['name']}: {warning}" for one in caches for warning in one.get("warnings", [])]
    unseen = [f"{one['name']}: nothing says whether it is clear (no stats_url with conditions)" for one in chosen if not one["conditions"]]
    problems = [f"{one['name']}: {finding}" for one in caches for finding in one["findings"]]
    result = {
        "changed": any(one["cleared"] for one in caches) or dry_run,
        "caches": caches,
        "plan": plan,
        "diff": {"before": "", "after": "".join(f"{line}\n" for line in plan)},
        "notes": [*warnings, *unseen],
    }
    if problems:
        result.update(failed=True, msg=f"Not every cache is clear: {'; '.join(problems)}. Next: look at the service's log, then try again.")
    return result


def _chosen(endpoints: t.Sequence[t.Mapping[str, t.Any]], names: t.Sequence[str]) -> t.List[t.Mapping[str, t.Any]]:
    known = [one["name"] for one in endpoints]
    unknown = [name for name in names if name not in known]
    if unknown or not endpoints:
        raise BadInput(
            f"There is no cache {', '.join(unknown)}" if unknown else "The profile names no cache",
            why=f"there are {', '.join(known)}" if known else "",
            next_step="correct the name, or add the cache to cache_endpoints of the profile",
        )
    for one in endpoints:
        if bool(one.get("url")) == bool(one.get("command")):
            raise BadInput(f"The cache {one['name']} needs either url or command", next_step="correct cache_endpoints of the profile")
        if one["conditions"] and not one.get("stats_url"):
            raise BadInput(f"The cache {one['name']} has conditions and no stats_url", next_step="correct cache_endpoints of the profile")
        try:
            for raw in one["conditions"]:
                Condition.of(raw)
        except BadExpression as error:
            raise BadInput(
                f"A condition of the cache {one['name']} is wrong", why=str(error), next_step="correct it in the profile"
            ) from error
    return [one for one in endpoints if not names or one["name"] in names]


def _how(one: t.Mapping[str, t.Any]) -> str:
    if one.get("command"):
        return f"run {one['command'][0]}"
    return f"{one['method']} {_server(one, one['url'])[0].shown}{_server(one, one['url'])[1]}"


def _server(one: t.Mapping[str, t.Any], url: str) -> t.Tuple[Server, str, t.List[t.Tuple[str, str]]]:
    """The server of an address, the path there, and the parameters."""
    parts = urlsplit(url)
    parameters = parse_qsl(parts.query, keep_blank_values=True)
    return Server(one["name"], f"{parts.scheme}://{parts.netloc}", one), parts.path or "/", parameters


def _figures(one: t.Mapping[str, t.Any]) -> t.Any:
    if not one.get("stats_url"):
        return None
    server, path, parameters = _server(one, one["stats_url"])
    reply = server.call("GET", path, parameters=parameters)
    if reply.status != 200:
        raise CommandFailed("The cache does not give its figures", where=server.shown, why=f"status {reply.status}: {reply.said[:200]}")
    return reply.document(server.shown)


def _clear_one(one: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    found: t.Dict[str, t.Any] = {
        "name": one["name"],
        "cleared": False,
        "before": None,
        "after": None,
        "observed": {},
        "findings": [],
        "warnings": [],
    }
    try:
        found["before"] = _figures(one)
        _order(one)
        found["cleared"] = True
        give_up = time.monotonic() + one["settle_s"]
        while True:
            found["after"] = _figures(one)
            document = {"before": found["before"], "after": found["after"]}
            findings = [finding for raw in one["conditions"] for finding in Condition.of(raw).judge(document)]
            if not findings or time.monotonic() > give_up:
                break
            time.sleep(_POLL_S)
        found["findings"] = [finding.reason for finding in findings if finding.verdict != WARN]
        found["warnings"] = [finding.reason for finding in findings if finding.verdict == WARN]
        found["observed"] = {name: search(str(expression), document) for name, expression in one["observe"].items()}
    except RunbookError as error:
        found["findings"].append(error.message)
    return found


def _order(one: t.Mapping[str, t.Any]) -> None:
    if one.get("command"):
        run(Command(list(one["command"]), timeout_s=one.get("timeout_s") or 10.0))
        return
    server, path, parameters = _server(one, one["url"])
    reply = server.call(one["method"], path, parameters=parameters, document=one.get("body"))
    if reply.status not in one["status"]:
        raise CommandFailed(
            "The service did not clear the cache",
            where=f"{one['method']} {server.shown}{path}",
            why=f"status {reply.status}: {reply.said[:200]}",
            next_step="look at the service's log",
        )
