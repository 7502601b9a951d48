# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What there is to see of units of systemd on this host."""

from __future__ import annotations

import os
import pwd
import typing as t
from dataclasses import dataclass
from functools import partial

from . import addresses, host_files, host_ports, unit_facts
from .model import SYSTEMD, Address, Dependency, Message, Missing, Mount, Observation, Port
from .questions import Questions

_MOST_UNITS = 20
_MOST_LOGS = 4
_CONNECT_S = 2.0
_ENVIRONMENT_BYTES = 65536


@dataclass(frozen=True)
class Request:
    """Which units: one, or instances of a template (all that systemd knows where none are named)."""

    unit: str
    instances: t.Tuple[str, ...] = ()
    wanted: t.Optional[int] = None
    ports: t.Tuple[int, ...] = ()
    log_lines: int = 40

    @property
    def template(self) -> t.Tuple[str, str]:
        """What stands before and after the name of an instance; the second is empty where the unit is no template."""
        before, at, after = self.unit.partition("@.")
        return (f"{before}@", f".{after}") if at else (self.unit, "")


def gather(request: Request, questions: Questions) -> Observation:
    """Look at everything that can keep the units from running; what cannot be looked at is noted."""
    seen = Observation(SYSTEMD, request.unit, request.wanted)
    units = _units(request, questions)
    shown = questions.ask({"the units": lambda: _show(questions, units)} if units else {})
    properties: t.Dict[str, t.Dict[str, str]] = shown.get("the units", {})
    seen.messages += [Message("systemd", one) for one in questions.not_looked_at]
    seen.properties.update(properties)
    if seen.wanted is None:
        seen.wanted = len(units) or 1
    needed = sorted({name for unit in properties.values() for name in unit_facts.required(unit)} - set(units))
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
    ports = [*request.ports, *(port for unit in answers.get("its sockets", {}).values() for port in unit_facts.stream_ports(unit))]
    _files_and_servers(questions, seen, properties, sorted(set(ports)), {*units, *sockets})
    seen.looked_at += questions.looked_at
    seen.not_looked_at += questions.not_looked_at
    return seen


def _units(request: Request, questions: Questions) -> t.List[str]:
    before, after = request.template
    if not after:
        return [request.unit if "." in request.unit else f"{request.unit}.service"]
    if request.instances:
        return [f"{before}{name}{after}" for name in request.instances]
    argv = ["systemctl", "list-units", "--all", "--plain", "--no-legend", "--no-pager", "--", f"{before}*{after}"]
    answer = questions.ask({"the instances": lambda: questions.run(argv).stdout})
    return [line.split()[0] for line in answer.get("the instances", "").splitlines() if line.split()][:_MOST_UNITS]


def _show(questions: Questions, units: t.Sequence[str]) -> t.Dict[str, t.Dict[str, str]]:
    argv = ["systemctl", "show", "--no-pager", f"--property={unit_facts.PROPERTIES}", "--", *units[:_MOST_UNITS]]
    return unit_facts.blocks(questions.run(argv).stdout)


def _journals(
    request: Request, questions: Questions, properties: t.Mapping[str, t.Mapping[str, str]]
) -> t.Dict[str, t.Tuple[t.List[str], t.List[str]]]:
    found = {}
    for name in sorted(properties, key=lambda name: properties[name].get("ActiveState") == "active")[:_MOST_LOGS]:
        argv = ["journalctl", "--no-pager", "--quiet", "--output=json", f"--lines={request.log_lines}", f"--unit={name}"]
        found[name] = unit_facts.journal(questions.run(argv).stdout)
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
    questions: Questions, seen: Observation, properties: t.Mapping[str, t.Mapping[str, str]], ports: t.List[int], own: t.Set[str]
) -> None:
    environment: t.Dict[str, str] = {}
    paths = {"/": "the root file system", "/var": "/var", "/tmp": "/tmp"}  # noqa: S108 - looked at, not written to
    for name, unit in properties.items():
        environment.update(unit_facts.environment(unit.get("Environment", "").replace("\n", " ")))
        environment.update(_environment_files(name, unit, seen))
        if not unit.get("RootDirectory") and not unit.get("RootImage"):
            _files(name, unit, seen, paths)
    seen.secrets |= addresses.secrets_in(environment)
    asked: t.Dict[str, t.Callable[[], t.Any]] = {"the file systems": lambda: host_files.spaces(paths)}
    if ports:
        asked["the ports"] = lambda: [_port(number, own) for number in ports]
    named = addresses.named_in(environment)
    if named:
        asked["the servers that its variables name"] = lambda: _reached(questions, named)
    answers = questions.ask(asked)
    seen.spaces += answers.get("the file systems", [])
    seen.ports += answers.get("the ports", [])
    seen.addresses += answers.get("the servers that its variables name", [])


def _environment_files(name: str, unit: t.Mapping[str, str], seen: Observation) -> t.Dict[str, str]:
    found: t.Dict[str, str] = {}
    for path, may_be_missing in unit_facts.environment_files(unit):
        if any(character in path for character in "*?["):
            continue
        try:
            with open(path, encoding="utf-8", errors="replace") as stream:
                found.update(unit_facts.environment(stream.read(_ENVIRONMENT_BYTES)))
        except FileNotFoundError:
            if not may_be_missing:
                seen.missing.append(Missing("environment_file", path, name))
        except OSError as error:
            seen.not_looked_at.append(f"the environment file {path}: {error.strerror}")
    return found


def _files(name: str, unit: t.Mapping[str, str], seen: Observation, paths: t.Dict[str, str]) -> None:
    for path, _code, _status in unit_facts.programs(unit.get("ExecStart", "")):
        if not path.startswith("/"):
            continue
        if not os.path.exists(path):
            seen.mounts.append(Mount(path, "ExecStart", "no_program", name))
        elif not os.access(path, os.X_OK):
            seen.mounts.append(Mount(path, "ExecStart", "not_executable", name))
    folder = unit.get("WorkingDirectory", "")
    if folder.startswith("/"):
        if os.path.isdir(folder):
            paths.setdefault(folder, f"the working folder of {name}")
        else:
            seen.mounts.append(Mount(folder, "WorkingDirectory", "no_folder", name))
    user = unit.get("User", "")
    if user and unit.get("DynamicUser") != "yes" and not user.isdecimal():
        try:
            pwd.getpwnam(user)
        except KeyError:
            seen.missing.append(Missing("account", user, name))


def _port(number: int, own: t.Set[str]) -> Port:
    sockets = [one for one in host_ports.listeners() if one.port == number]
    if not sockets:
        return Port(number)
    holder = next(iter(host_ports.holders(one.inode for one in sockets).values()), None)
    if holder is None:
        # systemd's own sockets are held by process 1, which root sees.
        step = f"find out which with: ss -ltnp 'sport = :{number}' (as root); end it, or give the service another port"
        return Port(number, "a process that only root may see", step)
    if holder.unit in own or holder.pid == 1:
        return Port(number)
    of = f" of {holder.unit}" if holder.unit else " of a container" if holder.container else ""
    end = f"stop {holder.unit}" if holder.unit else f"end process {holder.pid}"
    return Port(number, f"process {holder.pid} ({holder.program}){of}", f"{end}, or give the service another port")


def _reached(questions: Questions, named: t.Sequence[t.Tuple[str, str, int]]) -> t.List[Address]:
    inner = Questions(min(questions.left_s, 3 * _CONNECT_S))
    asked = {f"{host}:{port}": partial(addresses.asked, name, host, port, _CONNECT_S) for name, host, port in named}
    answers = inner.ask(asked)
    questions.not_looked_at += [f"the server {one}" for one in inner.not_looked_at]
    return [answers[name] for name in asked if name in answers]


__all__ = ["Request", "gather"]
