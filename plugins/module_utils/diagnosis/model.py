# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What is observed of a service, what the rules find in it, and what is concluded: plain data."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field
from datetime import datetime, timezone

COMPOSE, KUBERNETES, SYSTEMD = "compose", "kubernetes", "systemd"
CAUSE, LIKELY, SYMPTOM, NOTE = "cause", "likely", "symptom", "note"
SEVERITIES = (CAUSE, LIKELY, SYMPTOM, NOTE)
"""What keeps it from running; what probably does; how that shows; what should be known. In this order they are told."""
RUNNING, RESTARTING = "running", "restarting"
SETTLED_S = 60.0
"""Seconds that a replica must run after a crash before it counts as running: one that crashes again and again runs in between."""
MOST_OF_TEXT = 8000
"""Characters of a line or message that are kept until secrets are masked; what is shown of it is much less."""


@dataclass(frozen=True)
class Replica:
    """A container, pod or unit.

    Attributes:
        name: Its name where it runs.
        state: `running`, or the runtime's own word for what it is instead.
        health: `healthy`, `unhealthy`, `starting`; empty where nothing judges it.
        exit_status: Status of its last end; None while nothing ended.
        out_of_memory: Whether the kernel ended it for its memory.
        restarts: How often the runtime started it again by itself.
        started: Whether its program was ever started.
        reason: Why it is as it is, as one word of the runtime (`CrashLoopBackOff`, `start-limit-hit`).
        error: What the runtime says of it.
        health_says: The last outputs of its health check, the newest last.
        memory_limit: In bytes; 0 for none.
        memory_percent: How much of the limit is used now; None where it is not known.
        log: Its last lines.
    """

    name: str
    state: str = ""
    health: str = ""
    exit_status: t.Optional[int] = None
    out_of_memory: bool = False
    restarts: int = 0
    started: bool = True
    reason: str = ""
    error: str = ""
    health_says: t.Tuple[str, ...] = ()
    memory_limit: int = 0
    memory_percent: t.Optional[float] = None
    log: t.Tuple[str, ...] = ()

    @property
    def is_well(self) -> bool:
        """Whether it runs, and is healthy where something judges that."""
        return self.state == RUNNING and self.health in ("", "healthy")


class Message(t.NamedTuple):
    """What somebody said: `compose`, `engine`, `registry`, `systemd`, `event`, or `failure` for the verb that failed."""

    source: str
    text: str


class Port(t.NamedTuple):
    """A port that the service needs, or one of those up to `last`; `holder` says who else has it, or all of them; empty for nobody."""

    number: int
    holder: str = ""
    next_step: str = ""
    protocol: str = "tcp"
    last: int = 0

    @property
    def shown(self) -> str:
        """As Compose writes it: `80`, `53/udp`, `5000-5002`."""
        return f"{self.number}" + (f"-{self.last}" if self.last > self.number else "") + ("/udp" if self.protocol == "udp" else "")


class Missing(t.NamedTuple):
    """Something that the configuration names and that is not there.

    Attributes:
        kind: `variable` (set to nothing), `required_variable`, `environment_file`, `network`, `volume`, `container_name`.
        name: Its name.
        where: Where it is named.
        why: What is said of it.
    """

    kind: str
    name: str
    where: str = ""
    why: str = ""


class Dependency(t.NamedTuple):
    """Something that must run before the service does; `state` says what it is instead, empty when it is well."""

    name: str
    state: str = ""


class Address(t.NamedTuple):
    """A server that the configuration names.

    Attributes:
        variable: Where its address comes from.
        host: Its host.
        port: Its TCP port.
        problem: `refused`, `timeout`, `name`, `itself`, `network`, `other`; empty when it can be reached.
        asked_from: From where it was asked.
    """

    variable: str
    host: str
    port: int
    problem: str = ""
    asked_from: str = "this host"


class Space(t.NamedTuple):
    """A file system; percentages of what is used, None where it has no such limit."""

    path: str
    what: str
    used_percent: float
    inodes_percent: t.Optional[float] = None
    free_bytes: int = 0
    read_only: bool = False


class Mount(t.NamedTuple):
    """Something of the host that a replica sees; `problem`: `missing`, `empty_folder`, `not_readable`, empty for none."""

    source: str
    target: str
    problem: str = ""
    detail: str = ""


class Image(t.NamedTuple):
    """An image; `present` is None where it is not here, but its registry has it. `registry` is why the registry does not give it."""

    reference: str
    present: t.Optional[bool] = None
    architecture: str = ""
    host_architecture: str = ""
    is_built: bool = False
    registry: str = ""


class Condition(t.NamedTuple):
    """A condition of a Kubernetes object (`kind`, `name`), or an event that warns (`type` is `Event`)."""

    kind: str
    name: str
    type: str
    status: str
    reason: str
    message: str


@dataclass
class Observation:
    """All that was seen of a service.

    Attributes:
        runtime: `compose`, `kubernetes` or `systemd`.
        service: Its name, for sentences.
        wanted: Replicas that shall run; None where nobody says.
        unanswered: The question without whose answer nobody knows what runs, and why it has none; empty where that is known.
        properties: Of systemd units, by unit.
        secrets: Values that must be masked wherever they appear.
        looked_at: What was looked at.
        not_looked_at: What could not be, and why.
    """

    runtime: str
    service: str
    wanted: t.Optional[int] = None
    unanswered: str = ""
    replicas: t.List[Replica] = field(default_factory=list)
    messages: t.List[Message] = field(default_factory=list)
    ports: t.List[Port] = field(default_factory=list)
    missing: t.List[Missing] = field(default_factory=list)
    dependencies: t.List[Dependency] = field(default_factory=list)
    addresses: t.List[Address] = field(default_factory=list)
    spaces: t.List[Space] = field(default_factory=list)
    mounts: t.List[Mount] = field(default_factory=list)
    images: t.List[Image] = field(default_factory=list)
    conditions: t.List[Condition] = field(default_factory=list)
    properties: t.Dict[str, t.Mapping[str, str]] = field(default_factory=dict)
    secrets: t.Set[str] = field(default_factory=set)
    looked_at: t.List[str] = field(default_factory=list)
    not_looked_at: t.List[str] = field(default_factory=list)

    @property
    def well(self) -> int:
        """How many replicas run and are healthy."""
        return sum(replica.is_well for replica in self.replicas)

    @property
    def of(self) -> int:
        """How many there should be, as far as anybody says."""
        return max(len(self.replicas), self.wanted or 0) or (1 if self.wanted is None else 0)

    @property
    def is_well(self) -> bool:
        """Whether all that should run does, and at least one."""
        return not self.unanswered and self.well > 0 and self.well >= self.of

    @property
    def unwell(self) -> t.List[Replica]:
        """The replicas that are not well."""
        return [replica for replica in self.replicas if not replica.is_well]


class Clue(t.NamedTuple):
    """What a rule saw: a sentence without its full stop, what to do, what it rests on; `severity` if not the rule's own."""

    what: str
    next_step: str = ""
    evidence: t.Tuple[str, ...] = ()
    severity: str = ""


class Rule(t.NamedTuple):
    """A question to an observation; `look` is a pure function."""

    name: str
    severity: str
    title: str
    look: t.Callable[[Observation], t.Iterable[Clue]]


class Finding(t.NamedTuple):
    """What a rule found."""

    rule: str
    severity: str
    what: str
    evidence: t.List[str]
    next_step: str


@dataclass
class Diagnosis:
    """What is concluded.

    Attributes:
        is_well: Whether the service runs as it should.
        conclusion: One or two plain sentences.
        next_step: What to do now; empty when nothing is.
        findings: Causes before symptoms.
    """

    is_well: bool
    conclusion: str
    next_step: str
    findings: t.List[Finding]


def crashed_lately(ended: str, now: t.Optional[datetime]) -> bool:
    """Whether a moment (ISO 8601, UTC) is so near to `now` that what came after it may not last."""
    try:
        moment = datetime.strptime(ended[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc)
    except ValueError:
        return False
    return abs(((now or datetime.now(timezone.utc)) - moment).total_seconds()) < SETTLED_S


def some(names: t.Iterable[str], most: int = 4) -> str:
    """Names in a row, with how many more there are."""
    found = list(names)
    return ", ".join(found[:most]) + (f" and {len(found) - most} more" if len(found) > most else "")
