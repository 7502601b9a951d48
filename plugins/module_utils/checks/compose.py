# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Checks of type `compose_service`."""

from __future__ import annotations

import json
import typing as t

from ..command import Command
from ..compose_call import compose_argv
from . import conditions
from .model import FAIL, UNKNOWN, WARN, Answer, Attempt, Finding, NoAnswer
from .programs import InPlace, Output, output_of

_MOST_SHOWN = 20
_ONE_OFF = "com.docker.compose.oneoff"
_NO_COMPOSE = ("unknown flag: --", "unknown shorthand flag", "'compose' is not a docker command", "unknown command: docker compose")


class Replica(t.NamedTuple):
    """A container of a service: its name, state (`running`, `exited`, ...), health (empty without a health check) and exit status."""

    name: str
    state: str
    health: str
    exit_status: int

    @property
    def is_well(self) -> bool:
        """Whether it runs, and is healthy where it has a health check."""
        return self.state == "running" and self.health in ("", "healthy", "none")

    @property
    def is_starting(self) -> bool:
        """Whether its health check has not decided yet."""
        return self.state == "running" and self.health == "starting"

    def __str__(self) -> str:
        if self.state == "running":
            return f"{self.name} is {'running' if self.is_well else self.health}"
        return f"{self.name} is {self.state}" + (f" ({self.exit_status})" if self.state in ("exited", "dead") else "")


class ComposeService(InPlace):
    """Containers of a service of Docker Compose run and are healthy; the number is how many."""

    spec = {
        "service": {"type": "str", "required": True},
        "project_folder": {"type": "path"},
        "project_name": {"type": "str"},
        "compose_files": {"type": "list", "elements": "path"},
        "env_files": {"type": "list", "elements": "path"},
        "replicas": {"type": "int", "default": 1},
        "tool_folder": {"type": "path"},
        **conditions.THRESHOLDS,
    }
    judge_cpu_s = 1.0

    def mistakes(self) -> t.List[str]:
        options = self.options
        found = super().mistakes()
        if not options["service"] or options["service"].startswith("-"):
            found.append("service is no name")
        if not any(options.get(name) for name in ("project_folder", "project_name", "compose_files")):
            found.append("it names neither a project_folder nor compose_files nor a project_name")
        if options["replicas"] < 1:
            found.append("replicas is not 1 or more")
        return found

    @property
    def target(self) -> str:
        options = self.options
        project = options.get("project_name") or options.get("project_folder") or ", ".join(options.get("compose_files", ()))
        return f"{options['service']} of {project}"

    def command(self) -> Command:
        """The call of docker; the folder is the project's, so that files in it are found as by hand."""
        argv = [*compose_argv(self.options), "ps", "--all", "--format", "json", "--", self.options["service"]]
        return Command(argv, folder=self.options.get("project_folder", ""))

    async def ask(self, attempt: Attempt) -> Output:
        return await output_of(attempt, self.command())

    def judge(self, got: Output) -> Answer:
        if got.status != 0 and any(said in got.error for said in _NO_COMPOSE):
            raise NoAnswer(UNKNOWN, "docker has no Compose on this host; install its plugin")
        if got.status != 0 or not got.whole:
            raise NoAnswer(UNKNOWN, f"docker compose: {got.last_words}" if got.whole else "docker compose printed more than can be read")
        return judge_replicas(parse_ps(got.text, self.options["service"]), self.options)


def parse_ps(text: str, service: str) -> t.List[Replica]:
    """What `docker compose ps --format json` printed: a list up to 2.20, since then an object a line. Other services are left out,
    and what `docker compose run` has started, which is no replica.

    Raises:
        NoAnswer: It is neither.
    """
    try:
        whole = text.strip()
        items = json.loads(whole) if whole.startswith("[") else [json.loads(line) for line in whole.splitlines() if line.strip()]
        return [
            Replica(str(item["Name"]), str(item["State"]).lower(), str(item.get("Health") or "").lower(), int(item.get("ExitCode") or 0))
            for item in items
            if item.get("Service", service) == service and not _is_one_off(item.get("Labels"))
        ]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
        raise NoAnswer(UNKNOWN, "docker compose printed something else than a list of containers") from None


def _is_one_off(labels: t.Any) -> bool:
    """Whether `docker compose run` has started it. The labels are one text, `name=value` with commas between, in some releases a table."""
    if isinstance(labels, t.Mapping):
        return str(labels.get(_ONE_OFF)).lower() == "true"
    return f"{_ONE_OFF}=true" in str(labels).lower().split(",")


def judge_replicas(found: t.Sequence[Replica], options: t.Mapping[str, t.Any]) -> Answer:
    """Enough of them must be well; one more that is not is a warning."""
    well, wanted = sum(replica.is_well for replica in found), options["replicas"]
    shown = [replica._asdict() for replica in found[:_MOST_SHOWN]]
    answer = Answer(observed={"running_and_healthy": well, "containers": shown}, value=float(well))
    bad = [replica for replica in found if not replica.is_well]
    named = "; ".join(map(str, bad[:5])) or ("there is no container of it" if not found else "")
    if well < wanted:
        reason = f"{well} of {wanted} containers run and are healthy" + (f": {named}" if named else "")
        answer.findings.append(Finding(FAIL, reason))
        answer.retry = any(replica.is_starting for replica in found)
    elif any(replica.state != "exited" or replica.exit_status for replica in bad):
        answer.findings.append(Finding(WARN, f"{well} containers run and are healthy, but {named}"))
    answer.findings += conditions.judge_number(float(well), options, "the number of healthy containers")
    return answer
