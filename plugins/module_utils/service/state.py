# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What runs of a service, said alike for Docker Compose, Kubernetes and systemd."""

from __future__ import annotations

import typing as t
from dataclasses import asdict, dataclass, field

RUNNING = "running"
NO_HEALTH = ("", "healthy")
"""Health of a replica that has no health check, or passes it."""


@dataclass(frozen=True)
class Replica:
    """One container, pod or unit of a service.

    Attributes:
        name: Its name where it runs.
        state: `running`, or what the runtime calls the state that it is in instead (`exited`, `Pending`, `failed`).
        health: `healthy`, `unhealthy`, `starting`; empty where nothing judges it.
        image: Image that it runs from; for a unit the program that it starts.
        started_at: Moment of its start, UTC ISO 8601; empty when it does not run.
        restarts: How often the runtime has started it again by itself.
        exit_status: Status of its last end; null while it runs.
        address: Where it is reached inside the runtime's network; empty where that is not known.
        limits: `memory_bytes` and `cpus` that it may use at most; null for no limit.
        reason: Why it is not well, in the runtime's own words; empty when it is.
        has_finished: Whether it is one that does its work once, and has done it.
    """

    name: str
    state: str
    health: str = ""
    image: str = ""
    started_at: str = ""
    restarts: int = 0
    exit_status: t.Optional[int] = None
    address: str = ""
    limits: t.Mapping[str, t.Optional[float]] = field(default_factory=dict)
    reason: str = ""
    has_finished: bool = False

    @property
    def is_running(self) -> bool:
        """Whether it runs at all."""
        return self.state == RUNNING

    @property
    def is_well(self) -> bool:
        """Whether it runs, and is healthy where something judges that."""
        return self.is_running and self.health in NO_HEALTH

    @property
    def sentence(self) -> str:
        """What it is and why, for a list."""
        if self.is_well:
            return f"{self.name} runs" + (" and is healthy" if self.health else "")
        shown = self.health if self.is_running else self.state
        ended = f" ({self.exit_status})" if self.exit_status is not None and not self.is_running else ""
        return f"{self.name} is {shown}{ended}" + (f": {self.reason}" if self.reason else "")


@dataclass(frozen=True)
class State:
    """What runs of a service.

    Attributes:
        wanted: Replicas that shall run; null where nobody says.
        replicas: Those that there are, running or not, by name.
    """

    wanted: t.Optional[int]
    replicas: t.Tuple[Replica, ...] = ()

    @property
    def running(self) -> int:
        """How many run."""
        return sum(replica.is_running for replica in self.replicas)

    @property
    def healthy(self) -> int:
        """How many run and are healthy where something judges that."""
        return sum(replica.is_well for replica in self.replicas)

    @property
    def is_well(self) -> bool:
        """Whether as many replicas as wanted are well, at least one, and none that exists is not."""
        return self.healthy >= (self.wanted or 1) and all(replica.is_well or replica.has_finished for replica in self.replicas)

    @property
    def conclusion(self) -> str:
        """One plain sentence."""
        if not self.replicas and not self.wanted:
            return "Nothing of it runs"
        of = max(sum(not replica.has_finished for replica in self.replicas), self.wanted or 0)
        judged = any(replica.health for replica in self.replicas)
        one = self.healthy == 1
        said = f"{self.healthy} of {of} replicas {'runs' if one else 'run'}"
        said += (" and is healthy" if one else " and are healthy") if judged else ""
        unwell = [replica.sentence for replica in self.replicas if not (replica.is_well or replica.has_finished)]
        return said + (f"; {'; '.join(unwell[:5])}" if unwell else "") + (f"; {len(unwell) - 5} more" if len(unwell) > 5 else "")

    def as_dict(self) -> t.Dict[str, t.Any]:
        """For results of modules."""
        replicas = [{**asdict(replica), "sentence": replica.sentence} for replica in self.replicas]
        return {
            "wanted": self.wanted,
            "running": self.running,
            "healthy": self.healthy,
            "is_well": self.is_well,
            "replicas": replicas,
            "conclusion": self.conclusion,
        }
