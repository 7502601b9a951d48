# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The operation of the module service_diagnose: observe, find, conclude; nothing is changed, and no secret leaves."""

from __future__ import annotations

import os
import time
import typing as t
from dataclasses import replace

from ..checks.redaction import Redactor, clip
from ..errors import BadInput
from ..progress import Progress
from ..service.compose import project as compose_project
from ..service.systemd import state as systemd_state
from . import gather_compose, gather_systemd
from .conclude import conclude, state
from .model import COMPOSE, KUBERNETES, MOST_OF_TEXT, SYSTEMD, Message, Observation
from .questions import Questions
from .rules import find

OPTIONS: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "runtime": {"type": "str", "required": True, "choices": [COMPOSE, KUBERNETES, SYSTEMD]},
    **compose_project.OPTIONS,
    **systemd_state.OPTIONS,
    "kube_config": {"type": "path", "default": ""},
    "kube_context": {"type": "str", "default": ""},
    "namespace": {"type": "str", "default": "default"},
    "workload_kind": {"type": "str", "default": "deployment"},
    "container": {"type": "str", "default": ""},
    "replicas": {"type": "int"},
    "ports": {"type": "list", "elements": "int", "default": []},
    "failure": {"type": "str", "default": ""},
    "log_lines": {"type": "int", "default": 40},
    "timeout_s": {"type": "float", "default": 20},
}
"""Described in plugins/modules/service_diagnose.py."""
_SHOWN, _SHOWN_LINES = 1000, 10
_LINE, _MESSAGE = 400, 2000


def operate(parameters: t.Mapping[str, t.Any], check_mode: bool) -> t.Dict[str, t.Any]:
    """Diagnose the service that `parameters`, valid for OPTIONS, names.

    Raises:
        BadInput: They do not say which.
    """
    begin = time.monotonic()
    _check(parameters)
    progress = Progress(f"Diagnosing {parameters['service'] or parameters['unit'] or 'the service'}")
    progress.say("looking at all that can keep it from running")
    seen = observe(parameters)
    if parameters["failure"]:
        seen.messages.append(Message("failure", parameters["failure"]))
    result = told(seen)
    result["duration_s"] = round(time.monotonic() - begin, 2)
    return result


def told(seen: Observation) -> t.Dict[str, t.Any]:
    """The result of what was seen: secrets are masked before a rule sees a text, and once more in all that is told."""
    show = Redactor(seen.secrets)
    without_secrets(seen, show)
    findings = find(seen)
    diagnosis = conclude(seen, findings)

    def plain(text: str) -> str:
        return clip(show.text(text), _SHOWN)

    result: t.Dict[str, t.Any] = {
        "changed": False,
        "is_well": diagnosis.is_well,
        "conclusion": plain(diagnosis.conclusion),
        "next_step": plain(diagnosis.next_step),
        "state": state(seen),
        "findings": [
            {
                "rule": one.rule,
                "severity": one.severity,
                "what": plain(one.what),
                "evidence": [plain(text) for text in one.evidence],
                "next_step": plain(one.next_step),
            }
            for one in diagnosis.findings
        ],
        "log": {plain(one.name): [plain(line) for line in one.log[-_SHOWN_LINES:]] for one in seen.replicas if one.log},
        "looked_at": [plain(one) for one in dict.fromkeys(seen.looked_at)],
        "not_looked_at": [plain(one) for one in dict.fromkeys(seen.not_looked_at)],
    }
    result["report"] = report(result)
    return result


def without_secrets(seen: Observation, show: Redactor) -> None:
    """Mask the secrets in what others said, and then cut it: never the other way round, or half a secret would stay."""

    def line(text: str) -> str:
        return clip(show.text(text[:MOST_OF_TEXT]), _LINE)

    def message(text: str) -> str:
        return clip(show.text(text[:MOST_OF_TEXT]), _MESSAGE)

    seen.replicas = [
        replace(
            one,
            error=message(one.error),
            health_says=tuple(map(line, one.health_says)),
            log=tuple(map(line, one.log)),
        )
        for one in seen.replicas
    ]
    seen.messages = [one._replace(text=message(one.text)) for one in seen.messages]
    seen.conditions = [one._replace(message=message(one.message)) for one in seen.conditions]
    seen.images = [one._replace(registry=message(one.registry)) for one in seen.images]


def report(result: t.Mapping[str, t.Any]) -> t.List[str]:
    """A result as lines for a person: what was found, then the conclusion, and what to do next as the last."""
    lines = []
    for one in result["findings"]:
        lines.append(f"{one['severity']}: {one['what']} [{one['rule']}]")
        lines += [f"    {text}" for text in one["evidence"]]
    if not result["is_well"]:
        for name, log in result["log"].items():
            lines += [f"last lines of {name}:", *(f"    {line}" for line in log[-_SHOWN_LINES:])]
    lines += [f"could not be looked at: {one}" for one in result["not_looked_at"]]
    return [*lines, result["conclusion"], *([f"Next: {result['next_step']}."] if result["next_step"] else [])]


def _check(parameters: t.Mapping[str, t.Any]) -> None:
    runtime = parameters["runtime"]
    needed = {
        COMPOSE: ("project_folder", "project_name", "compose_files"),
        SYSTEMD: ("unit",),
        KUBERNETES: ("service",),
    }[runtime]
    if not any(parameters[name] for name in needed):
        raise BadInput(f"Which service is meant is not said (runtime {runtime})", next_step=f"give {' or '.join(needed)}")
    for name in ("service", "project_name", "unit"):
        if parameters[name].startswith("-") or any(character <= " " for character in parameters[name]):
            raise BadInput(f"{name} is no name", where=repr(parameters[name]))
    if parameters["timeout_s"] <= 0 or parameters["log_lines"] < 0:
        raise BadInput("timeout_s is not above 0, or log_lines below it", where=f"{parameters['timeout_s']:g}, {parameters['log_lines']}")


def observe(parameters: t.Mapping[str, t.Any]) -> Observation:
    """What there is to see, within `timeout_s`."""
    questions = Questions(parameters["timeout_s"])
    wanted, ports, lines = parameters["replicas"], tuple(parameters["ports"]), parameters["log_lines"]
    if parameters["runtime"] == COMPOSE:
        request = gather_compose.Request(
            parameters["service"],
            os.path.abspath(parameters["project_folder"]) if parameters["project_folder"] else "",
            tuple(parameters["compose_files"]),
            parameters["environment_file"],
            parameters["project_name"],
            wanted,
            ports,
            lines,
        )
        return gather_compose.gather(request, questions)
    if parameters["runtime"] == SYSTEMD:
        unit = gather_systemd.Request(parameters["unit"], tuple(parameters["instances"]), wanted, ports, lines)
        return gather_systemd.gather(unit, questions)
    # The package `kubernetes`, which this loads, takes longer to load than most diagnoses take.
    from . import gather_kubernetes

    workload = gather_kubernetes.Request(
        parameters["workload_kind"],
        parameters["service"],
        parameters["namespace"],
        parameters["kube_config"],
        parameters["kube_context"],
        parameters["container"],
        wanted,
        lines,
    )
    return gather_kubernetes.gather(workload, questions)


__all__ = ["OPTIONS", "observe", "operate", "told"]
