# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What there is to see of units of systemd on this host."""

from __future__ import annotations

import os
import pwd
import stat
import typing as t
from dataclasses import dataclass
from functools import partial

from .. import socket_table
from ..configuration.systemd_syntax import parse
from ..service.systemd.environment import shown_environment
from ..service.systemd.state import Unit, names_of, remembered, show, target_of
from . import addresses, host_files, host_ports, unit_facts
from .model import SYSTEMD, Address, Dependency, Message, Missing, Mount, Observation, Port
from .questions import Questions

_MOST_UNITS = 20
_MOST_LOGS = 4
_CONNECT_S, _SHOW_S = 2.0, 10.0
_ENVIRONMENT_BYTES = 65536
_MAY_EXECUTE = stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH


@dataclass(frozen=True)
class Request:
    """Which units: one, or instances of a template (all that systemd knows where none are named)."""

    unit: str
    instances: t.Tuple[str, ...] = ()
    wanted: t.Optional[int] = None
    ports: t.Tuple[int, ...] = ()
    log_lines: int = 40


def gather(request: Request, questions: Questions) -> Observation:
    """Look at everything that can keep the units from running; what cannot be looked at is noted."""
    seen = Observation(SYSTEMD, request.unit, request.wanted)
    target = target_of(request.unit, request.instances)
    shown: t.Dict[str, Unit] = questions.ask({"the units": lambda: _show(questions, names_of(target))}).get("the units", {})
    properties = {unit.name: unit for unit in remembered(target, list(shown.values()))[:_MOST_UNITS]}
    seen.unanswered = questions.why_not("the units")
    seen.messages += [Message("systemd", seen.unanswered)] if seen.unanswered else []
    seen.properties.update(properties)
    if seen.wanted is None:
        seen.wanted = len(properties) or 1
    needed = sorted({name for unit in properties.values() for name in unit_facts.required(unit)} - set(properties))[:_MOST_UNITS]
    sockets = sorted({name for unit in properties.values() for name in unit.get("TriggeredBy", "").split() if name.endswith(".socket")})
    asked: t.Dict[str, t.Callable[[], t.Any]] = {"the journal": lambda: _journals(request, questions, properties)}
    if needed:
        asked["the units that it requires"] = lambda: _show(questions, needed)
    if sockets:
        asked["its sockets"] = lambda: _show(questions, sockets)
    broken = [unit for unit in properties.values() if unit.get("FragmentPath") and unit.get("LoadState") in ("bad-setting", "error")]
    if broken:
        asked["the unit files"] = lambda: [_verified(questions, unit["FragmentPath"]) for unit in broken[:3]]
    answers = questions.ask(asked)
    logs = answers.get("the journal", {})
    for name, unit in properties.items():
        own, about = logs.get(name, ([], []))
        seen.replicas.append(unit_facts.replica(unit, own))
        seen.messages += [Message("systemd", line) for line in about]
    seen.messages += [Message("verify", text) for text in answers.get("the unit files", []) if text]
    seen.dependencies += [Dependency(name, _trouble(unit)) for name, unit in answers.get("the units that it requires", {}).items()]
    numbers = [*request.ports, *(port for unit in answers.get("its sockets", {}).values() for port in unit_facts.stream_ports(unit))]
    # By an alias systemd knows it under another name; without an answer its own sockets would be taken for a stranger's.
    _files_and_servers(questions, seen, properties, [] if seen.unanswered else sorted(set(numbers)), {target.unit, *properties, *sockets})
    seen.looked_at += questions.looked_at
    seen.not_looked_at += questions.not_looked_at
    return seen


def _show(questions: Questions, names: t.Sequence[str]) -> t.Dict[str, Unit]:
    return {unit.name: unit for unit in show(names, unit_facts.PROPERTIES, max(0.1, min(_SHOW_S, questions.left_s)))}


def _journals(
    request: Request, questions: Questions, properties: t.Mapping[str, t.Mapping[str, str]]
) -> t.Dict[str, t.Tuple[t.List[str], t.List[str]]]:
    found = {}
    for name in sorted(properties, key=lambda name: properties[name].get("ActiveState") == "active")[:_MOST_LOGS]:
        argv = ["journalctl", "--no-pager", "--quiet", "--output=json", f"--lines={request.log_lines}", f"--unit={name}"]
        found[name] = unit_facts.journal(questions.run(argv).stdout, unit_facts.last_start(properties[name]))
    return found


def _verified(questions: Questions, path: str) -> str:
    said = questions.run(["systemd-analyze", "verify", "--no-pager", path], check=False, most_s=5).stderr
    return "; ".join(line.strip() for line in said.splitlines() if os.path.basename(path) in line)[:1000]


def _trouble(unit: t.Mapping[str, str]) -> str:
    loaded, active = unit.get("LoadState"), unit.get("ActiveState", "")
    if loaded not in ("loaded", None):
        return {"not-found": "does not exist", "masked": "is masked"}.get(str(loaded), f"cannot be loaded ({loaded})")
    if active in ("active", "reloading", "activating") or (unit.get("Type") == "oneshot" and unit.get("Result") == "success"):
        return ""
    return f"is {active}" + (f" ({unit['Result']})" if unit.get("Result") not in ("success", "", None) else "")


def _files_and_servers(
    questions: Questions, seen: Observation, properties: t.Mapping[str, Unit], numbers: t.List[int], own: t.Set[str]
) -> None:
    environment: t.Dict[str, str] = {}
    paths = {"/": "the root file system", "/var": "/var", "/tmp": "/tmp"}  # noqa: S108 - looked at, not written to
    for name, unit in properties.items():
        environment.update(shown_environment(unit.get("Environment", "")))
        environment.update(_environment_files(name, unit, seen))
        if not unit.get("RootDirectory") and not unit.get("RootImage"):
            files(name, unit, seen, paths)
    seen.secrets |= addresses.secrets_in(environment)
    asked: t.Dict[str, t.Callable[[], t.Any]] = {"the file systems": lambda: host_files.spaces(paths)}
    if numbers:
        asked["the ports"] = lambda: ports(numbers, own, questions)
    named = addresses.named_in(environment)
    if named:
        asked["the servers that its variables name"] = lambda: _reached(questions, named)
    answers = questions.ask(asked)
    seen.spaces += answers.get("the file systems", [])
    seen.ports += answers.get("the ports", [])
    seen.addresses += answers.get("the servers that its variables name", [])


def _environment_files(name: str, unit: Unit, seen: Observation) -> t.Dict[str, str]:
    found: t.Dict[str, str] = {}
    for path, may_be_missing in unit.environment_files:
        if any(character in path for character in "*?["):
            continue
        try:
            with open(path, encoding="utf-8", errors="replace") as stream:
                found.update({one.name: one.value or "" for one in parse(stream.read(_ENVIRONMENT_BYTES))})
        except FileNotFoundError:
            if not may_be_missing:
                seen.missing.append(Missing("environment_file", path, name))
        except OSError as error:
            seen.not_looked_at.append(f"the environment file {path}: {error.strerror}")
    return found


def files(name: str, unit: t.Mapping[str, str], seen: Observation, paths: t.Dict[str, str]) -> None:
    """Look whether the programs, the working folder and the account of a unit are there; the folder is added to `paths`."""
    for path, _code, _status in unit_facts.programs(unit.get("ExecStart", "")):
        mode = _mode(path, seen) if path.startswith("/") else None
        if mode is not None and not mode & _MAY_EXECUTE:
            seen.mounts.append(Mount(path, "ExecStart", "not_executable" if mode else "no_program", name))
    shown = unit.get("WorkingDirectory", "")
    folder = shown.lstrip("!")  # before one that may be missing
    mode = _mode(folder, seen) if folder.startswith("/") else None
    if mode is not None and stat.S_ISDIR(mode):
        paths.setdefault(folder, f"the working folder of {name}")
    elif mode is not None and folder == shown:
        seen.mounts.append(Mount(folder, "WorkingDirectory", "no_folder", name))
    user = unit.get("User", "")
    if user and unit.get("DynamicUser") != "yes" and not user.isdecimal():
        try:
            pwd.getpwnam(user)
        except KeyError:
            seen.missing.append(Missing("account", user, name))


def _mode(path: str, seen: Observation) -> t.Optional[int]:
    """Kind and rights of a file or folder; 0 where there is none, None where this account may not look, which is no fault of the unit."""
    try:
        return os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return 0
    except OSError as error:
        seen.not_looked_at.append(f"{path}: {error.strerror}")
        return None


def ports(numbers: t.Iterable[int], own: t.AbstractSet[str], questions: Questions) -> t.List[Port]:
    """Who holds each port, other than the units `own`. One whose holder is not seen is left out."""
    listening, found = socket_table.listening(), []
    for number in numbers:
        sockets = [one for one in listening if one.port == number]
        holder = next(iter(host_ports.holders(one.inode for one in sockets).values()), None)
        # systemd's own sockets are held by process 1, which root sees.
        if not sockets or (holder and (holder.unit in own or holder.pid == 1)):
            found.append(Port(number))
        elif holder is None:
            questions.not_looked_at.append(host_ports.unseen(number))
        else:
            of = f" of {holder.unit}" if holder.unit else " of a container" if holder.container else ""
            end = f"stop {holder.unit}" if holder.unit else f"end process {holder.pid}"
            found.append(Port(number, f"process {holder.pid} ({holder.program}){of}", f"{end}, or give the service another port"))
    return found


def _reached(questions: Questions, named: t.Sequence[t.Tuple[str, str, int]]) -> t.List[Address]:
    inner = Questions(min(questions.left_s, 3 * _CONNECT_S))
    asked = {f"{host}:{port}": partial(addresses.asked, name, host, port, _CONNECT_S) for name, host, port in named}
    answers = inner.ask(asked)
    questions.not_looked_at += [f"the server {one}" for one in inner.not_looked_at]
    return [answers[name] for name in asked if name in answers]


__all__ = ["Request", "files", "gather", "ports"]
