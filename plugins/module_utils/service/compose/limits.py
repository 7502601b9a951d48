# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The operation of the module container_limits: all replicas get new limits, or all keep theirs."""

from __future__ import annotations

import json
import typing as t
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

from ...errors import BadInput, CommandFailed, RunbookError
from .engine import Engine
from .limits_plan import Limits, check_use, compose_lines, present, sentence, target, update_words, wanted_of
from .project import OPTIONS as PROJECT_OPTIONS
from .project import containers_of, docker, project_of

OPTIONS: t.Mapping[str, t.Mapping[str, t.Any]] = {
    **PROJECT_OPTIONS,
    "containers": {"type": "list", "elements": "str", "default": []},
    "memory": {"type": "str", "default": ""},
    "memory_swap": {"type": "str", "default": ""},
    "cpus": {"type": "raw"},
}
"""Described in plugins/modules/container_limits.py."""
_DEADLINE_S = 120.0


def operate(parameters: t.Mapping[str, t.Any], check_mode: bool) -> t.Dict[str, t.Any]:
    """Set the limits that `parameters`, valid for OPTIONS, ask for.

    Raises:
        BadInput: They make no sense, or a container uses more memory than that; nothing was changed.
        CommandFailed: A container refused; all have their former limits again, or the message names those that have not.
    """
    with Engine() as engine:
        found, service = _containers(parameters)
        host_cpus = int(engine.ask("GET", "/info")["NCPU"])
        wanted = wanted_of(parameters["memory"], parameters["memory_swap"], parameters["cpus"], host_cpus)
        names = [str(one["Name"]).lstrip("/") for one in found]
        before = {name: present(one, host_cpus) for name, one in zip(names, found)}
        after = {name: target(name, limits, wanted) for name, limits in before.items()}
        changing = [name for name in names if before[name] != after[name]]
    lowered = [name for name, one in zip(names, found) if after[name].memory < before[name].memory and one["State"].get("Running")]
    # The engine takes a second for each answer.
    with ThreadPoolExecutor(max_workers=8) as pool:
        for name, used in zip(lowered, pool.map(_used_bytes, lowered)):
            check_use(name, after[name], used)
    if changing and not check_mode:
        _set(changing, before, after, host_cpus)
    return _result(names, before, after, changing, service)


def _containers(parameters: t.Mapping[str, t.Any]) -> t.Tuple[t.List[t.Dict[str, t.Any]], str]:
    names = parameters["containers"]
    if bool(names) == bool(parameters["service"]):
        raise BadInput("Either a service of Docker Compose or containers are needed", next_step="name one of the two")
    if any(name.startswith("-") for name in names):
        raise BadInput("A name of a container does not begin with a hyphen", where=", ".join(names))
    if not names:
        project = project_of(parameters)
        found = containers_of(project)
        if not found:
            raise BadInput("The service has no container that could be limited", where=project.where, next_step="start it first")
        return found, project.service
    done = docker("inspect", "--type", "container", *names, check=False)
    if done.status != 0:
        raise BadInput("The containers cannot be looked at", where=", ".join(names), why=done.stderr.strip()[-300:])
    return list(json.loads(done.stdout)), ""


def _used_bytes(name: str) -> t.Optional[int]:
    """Memory in use without the page cache that can be given up at once; None where the engine does not tell."""
    try:
        with Engine() as engine:
            told = engine.ask("GET", f"/containers/{quote(name)}/stats", {"stream": "false", "one-shot": "true"}).get("memory_stats") or {}
    except RunbookError:
        return None
    stats = told.get("stats") or {}
    idle = stats.get("total_inactive_file", stats.get("inactive_file", 0))
    return max(0, int(told["usage"]) - int(idle)) if told.get("usage") else None


def _set(changing: t.Sequence[str], before: t.Mapping[str, Limits], after: t.Mapping[str, Limits], host_cpus: int) -> None:
    tried: t.List[str] = []
    try:
        for name in changing:
            tried.append(name)
            docker("update", *update_words(after[name], before[name], host_cpus), "--", name, timeout_s=_DEADLINE_S)
        now = {name: present(json.loads(docker("inspect", "--type", "container", name).stdout)[0]) for name in changing}
        differing = [name for name in changing if now[name][:2] != after[name][:2]]
        if differing:
            raise CommandFailed("The engine took the limits and did not set them", where=", ".join(differing))
    except RunbookError as error:
        left = _put_back(tried, before, after, host_cpus)
        back = "all replicas have their former limits" if not left else f"{', '.join(left)} could not be given the former limits again"
        raise CommandFailed(
            f"A replica did not take the limits; {back}",
            where=tried[-1],
            why=error.why or error.what,
            next_step="read why, and give limits that the host can keep" if not left else "look at these containers (docker inspect)",
            changed=bool(left),
        ) from error


def _put_back(tried: t.Sequence[str], before: t.Mapping[str, Limits], after: t.Mapping[str, Limits], host_cpus: int) -> t.List[str]:
    """Give former limits; returns the containers that did not take them. One that is gone has none to be given."""
    left = []
    for name in tried:
        try:
            words = update_words(before[name], after[name], host_cpus)
            done = docker("update", *words, "--", name, timeout_s=_DEADLINE_S, check=False)
        except RunbookError:
            left.append(name)
        else:
            left += [name] if done.status != 0 and "no such container" not in done.stderr.lower() else []
    return left


def _result(
    names: t.Sequence[str],
    before: t.Mapping[str, Limits],
    after: t.Mapping[str, Limits],
    changing: t.Sequence[str],
    service: str,
) -> t.Dict[str, t.Any]:
    lines = compose_lines(service or "<service>", after[names[0]])
    kept = " / ".join(line.strip() for line in lines)
    good = f"they belong into the Compose file: {kept}" if lines else "take them out of the Compose file"
    note = f"Limits of a running container that are set or taken away stay so until it is made anew; for good {good}"
    shown = [{name: limits[name].shown() for name in names} for limits in (before, after)]
    return {
        "changed": bool(changing),
        "before": shown[0],
        "after": shown[1],
        "steps": [sentence(name, before[name], after[name]) for name in changing],
        "compose_lines": lines,
        "remark": note,
        "diff": {"before": _text(shown[0]), "after": _text(shown[1])},
    }


def _text(limits: t.Mapping[str, t.Any]) -> str:
    return json.dumps(limits, indent=2, sort_keys=True) + "\n"
