# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The operation of the module monitoring_config: make the files of a profile, check them, put them in place, let the servers read them."""

from __future__ import annotations

import hashlib
import os
import typing as t
from contextlib import contextmanager
from dataclasses import replace

from ..errors import BadInput, RunbookError, ToolMissing
from ..files import locked
from ..state import make_folder, slug, state_folder
from . import placing, web
from .files import ALERTMANAGER, DASHBOARD, RULES, Content, Places, content_of
from .loading import Loaded, Pending, alertmanager_has, load, prometheus_has
from .placing import Plan
from .profile import LISTS, Profile
from .receivers import Transports
from .shared_alertmanager import merged, part_of
from .verification import Verified, verify

_TRANSPORTS = tuple(Transports.__dataclass_fields__)
OPTIONS: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "service_name": {"type": "str", "required": True},
    "service_title": {"type": "str", "default": ""},
    "service_environment": {"type": "str", "default": ""},
    **{name: {"type": "list", "elements": "dict", "default": []} for name in LISTS},
    "notify_channels": {"type": "dict", "default": {}},
    "monitoring_alerts": {"type": "dict", "default": {}},
    "monitoring_warning_for_s": {"type": "float", "default": 300.0},
    "monitoring_critical_for_s": {"type": "float", "default": 60.0},
    "monitoring_every_s": {"type": "float", "default": 0.0},
    "monitoring_group_wait_s": {"type": "float", "default": 30.0},
    "monitoring_group_interval_s": {"type": "float", "default": 300.0},
    "enabled": {"type": "bool", "default": True},
    "interval_s": {"type": "float", "default": 300.0},
    "folder": {"type": "path"},
    "folders": {"type": "list", "elements": "path", "default": []},
    "rules_file": {"type": "path"},
    "alertmanager_file": {"type": "path"},
    "alertmanager_shared": {"type": "bool", "default": False},
    "alert_config_file": {"type": "path"},
    "secrets_folder": {"type": "path", "default": "/etc/alertmanager/secrets"},
    "smtp_smarthost": {"type": "str", "default": ""},
    "smtp_from": {"type": "str", "default": ""},
    "smtp_user": {"type": "str", "default": ""},
    "smtp_tls": {"type": "bool", "default": True},
    "webhook_url": {"type": "str", "default": ""},
    "webhook_token_file": {"type": "path"},
    "tools": {"type": "str", "choices": ["auto", "required", "none"], "default": "auto"},
    "tool_folder": {"type": "path"},
    "prometheus_url": {"type": "str", "default": ""},
    "alertmanager_url": {"type": "str", "default": ""},
    "reload": {"type": "bool", "default": True},
    **web.OPTIONS,
}
"""Described in plugins/modules/monitoring_config.py."""


_Way = t.Tuple[web.Server, str, str, t.Callable[[web.Server], bool]]
"""A server, the kind of its file, that file's path, and how to see whether the server has it."""


def operate(parameters: t.Mapping[str, t.Any], check_mode: bool) -> t.Dict[str, t.Any]:
    """Set up monitoring from `parameters`, valid for OPTIONS. In check mode everything but writing and reloading is done.

    Raises:
        BadInput: The profile has mistakes, or a channel level would tell nobody; nothing was changed.
        ToolMissing: promtool or amtool is missing and was required; nothing was changed.
        RunbookError: The files are refused by a tool (nothing was changed) or by a server (the former files are back).
    """
    if parameters.get("alertmanager_shared") and not check_mode:
        with _alone_in(_content(parameters)):
            return _operate(parameters, check_mode)
    return _operate(parameters, check_mode)


@contextmanager
def _alone_in(content: Content) -> t.Iterator[None]:
    """Two services that put their parts into one file at once would lose one of them."""
    file = content.of(ALERTMANAGER)
    locks = make_folder(os.path.join(make_folder(state_folder()), "locks"))
    name = hashlib.sha256(os.path.realpath(file.path if file else "").encode()).hexdigest()[:16]
    with locked(os.path.join(locks, f"alertmanager-{name}.lock"), wait_s=60) as free:
        if not free:
            raise RunbookError("Another run writes this Alertmanager's file", where=file.path if file else "", next_step="wait for its end")
        yield


def _operate(parameters: t.Mapping[str, t.Any], check_mode: bool) -> t.Dict[str, t.Any]:
    content = _content(parameters)
    _see_that_somebody_is_told(content)
    servers = _servers(parameters, content)
    verified = verify(content, parameters.get("tool_folder") or "") if parameters["tools"] != "none" else []
    notes = _judged(verified, parameters["tools"])
    if check_mode:
        plan = placing.plan(content.folders, content.files)
        due = _due(servers, plan, Pending(content.folders[0]), parameters["reload"])
        return _result(
            content, plan, verified, [Loaded(server.name, kind in due, None, "") for server, kind, _path, _has in servers], notes
        )
    # Two runs at once would take back each other's files.
    locks = make_folder(os.path.join(make_folder(state_folder()), "locks"))
    with locked(os.path.join(locks, f"monitoring-{slug(content.rules.service)}.lock"), wait_s=30) as free:
        if not free:
            raise RunbookError("Another run sets up monitoring here", where=content.folders[0], next_step="wait until it has ended")
        plan = placing.plan(content.folders, content.files)
        loaded = _carry_out(servers, plan, content.folders[0], parameters["reload"])
    return _result(content, plan, verified, loaded, notes)


def _carry_out(servers: t.Sequence[_Way], plan: Plan, folder: str, reload: bool) -> t.List[Loaded]:
    """Write the files and let the servers read them, or bring everything back as it was."""
    pending = Pending(folder)
    before, due = pending.kinds, _due(servers, plan, pending, reload)
    try:
        # Noted before the first file is written: whenever the run is killed, the next one knows that the servers have not read them.
        placing.make_folders(plan)
        pending.set(before | {kind for _server, kind, _path, _has in servers if plan.touches(kind)})
        placing.carry_out(plan)
        loaded = [load(server, has, reload=kind in due, path=path) for server, kind, path, has in servers]
        done = {kind for (_server, kind, _path, _has), one in zip(servers, loaded) if one.reloaded}
        pending.set(pending.kinds - done)
        return loaded
    except (RunbookError, OSError) as error:
        placing.take_back(plan)
        pending.set(before)
        back = _reload_again([way for way in servers if way[1] in due])
        if isinstance(error, RunbookError):
            error.next_step = f"{error.next_step}; the former files are back{back}"
        raise


def _due(servers: t.Sequence[_Way], plan: Plan, pending: Pending, reload: bool) -> t.Set[str]:
    """Kinds of files whose server is to read them now."""
    return {kind for _server, kind, _path, _has in servers if reload and (plan.touches(kind) or kind in pending.kinds)}


def _content(parameters: t.Mapping[str, t.Any]) -> Content:
    transports = Transports(**{name: parameters[name] for name in _TRANSPORTS if parameters.get(name) is not None})
    default = os.path.join(state_folder(), "monitoring", slug(parameters["service_name"]) or "service")
    places = Places(
        folder=_absolute(parameters.get("folder")) or default,
        folders=[os.path.abspath(path) for path in parameters["folders"]],
        rules_file=_absolute(parameters.get("rules_file")),
        alertmanager_file=_absolute(parameters.get("alertmanager_file")),
        alert_config_file=_absolute(parameters.get("alert_config_file")),
    )
    content = content_of(Profile.of(parameters), transports, places, enabled=parameters["enabled"], interval_s=parameters["interval_s"])
    return _as_part(content) if parameters.get("alertmanager_shared") else content


def _as_part(content: Content) -> Content:
    """The content with the service's part put into the Alertmanager's file that is there."""
    file = content.of(ALERTMANAGER)
    if file is None:
        return content
    part = part_of(content.routing, content.rules.service)
    existing = placing.plan([], [file]).files[0].before or ""
    text = merged(existing, part, content.rules.service, file.path)
    files = [replace(one, text=text) if one is file else one for one in content.files]
    return replace(content, routing=part, files=files)


def _absolute(path: t.Optional[str]) -> str:
    return os.path.abspath(path) if path else ""


def _see_that_somebody_is_told(content: Content) -> None:
    if content.of(ALERTMANAGER) is None or not content.routing.empty:
        return
    why = "; ".join(f"{channel}: {reason}" for channel, reason in content.routing.left_out.items())
    raise BadInput(
        f"Alerts of the level {content.routing.empty[0]} would be told to nobody",
        why=why or "notify_channels has no address for it",
        next_step="give Alertmanager a way to one of its channels; nothing was changed",
        facts={"levels": list(content.routing.empty), "left_out": dict(content.routing.left_out)},
    )


def _servers(parameters: t.Mapping[str, t.Any], content: Content) -> t.List[_Way]:
    found: t.List[_Way] = []
    for name, kind, url, has in (
        ("Prometheus", RULES, parameters["prometheus_url"], prometheus_has),
        ("Alertmanager", ALERTMANAGER, parameters["alertmanager_url"], alertmanager_has),
    ):
        file = content.of(kind)
        if url and file is not None:
            found.append((web.Server(name, url, parameters), kind, file.path, has(content)))
    return found


def _judged(verified: t.Sequence[Verified], tools: str) -> t.List[str]:
    """Notes for the reader; what a tool refuses ends the work."""
    refused = [one for one in verified if one.passed is False]
    if refused:
        raise BadInput(
            f"{refused[0].tool} refuses what the profile gives ({refused[0].what})",
            why="; ".join(one.said for one in refused)[:1500],
            next_step="correct the expression or name that it complains about; nothing was changed",
            facts={"checks": [one.as_dict() for one in verified]},
        )
    missing = [one for one in verified if one.passed is None]
    if missing and tools == "required":
        raise ToolMissing(
            f"The files cannot be checked: {' and '.join(one.tool for one in missing)} missing",
            why=missing[0].said,
            next_step="install it or name its folder (tool_folder); nothing was changed",
        )
    return [f"{one.tool} is not here, so {one.what} could not be checked" for one in missing]


def _reload_again(servers: t.Sequence[_Way]) -> str:
    """Let the servers that may have read a new file read the former one."""
    silent = []
    for server, _kind, _path, _has in servers:
        try:
            if server.call("POST", "/-/reload").status != 200:
                silent.append(server.name)
        except RunbookError:
            silent.append(server.name)
    if not servers:
        return ""
    return f", but {' and '.join(silent)} could not be told to read them again" if silent else " and read again"


def _result(
    content: Content, plan: Plan, verified: t.Sequence[Verified], loaded: t.Sequence[Loaded], notes: t.Sequence[str]
) -> t.Dict[str, t.Any]:
    files = [{"path": one.wanted.path, "kind": one.wanted.kind, "changed": one.changes} for one in plan.files]
    changed = sum(one.changes for one in plan.files)
    alerts = [alert for alert in content.rules.alerts if alert.escalation == 1]
    steps = [one.next_step for one in loaded if one.next_step]
    return {
        "changed": plan.changed or any(one.reloaded for one in loaded),
        "msg": f"{len(alerts)} alerts, {len(files)} files, {changed} of them changed.",
        "alerts": [
            {"name": one.name, "severity": one.severity, "priority": one.priority, "expression": one.expression, "for_s": one.for_s}
            for one in alerts
        ],
        "folders": list(content.folders),
        "files": files,
        "dashboards": [one.path for one in content.files if one.kind == DASHBOARD],
        "checks": [one.as_dict() for one in verified],
        "servers": [one.as_dict() for one in loaded],
        "left_out": {what: dict(found) for what, found in content.left_out.items()},
        "next_steps": steps,
        "notes": [*notes, *steps],
        "diff": plan.diff(),
    }
