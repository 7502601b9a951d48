# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from .events import Event, translate
from .record import RunRecord

RunStatus = Literal["successful", "failed", "unreachable", "timeout", "canceled"]
NO_HOST = "No host of the inventory matched the procedure: nothing was done. Next: name the inventory of the service, or correct --limit."


@dataclass(frozen=True)
class HostStats:
    """How many tasks ended how on one host (the words are Ansible's)."""

    ok: int = 0
    changed: int = 0
    failures: int = 0
    unreachable: int = 0
    skipped: int = 0
    rescued: int = 0
    ignored: int = 0


@dataclass(frozen=True)
class Result:
    """The outcome of a run.

    Attributes:
        status: `successful`; `failed`: a task failed or Ansible could not start; `unreachable`: a host could not be reached;
            `timeout`: ended at its time limit; `canceled`: ended on request.
        rc: Exit status of ansible-playbook; 254 when it was ended.
        procedure: Short name of the procedure.
        run_id: Id of the run.
        hosts: Statistics by host name.
        error: The one message that says what went wrong; empty when all went well.
        failed_task: The task that failed last; empty when none did.
        failed_host: The host on which it failed.
        record: The procedure's own record; None when it left none (the run ended before the record was begun).
        report: Path of the readable report; None when there is none.
        artifacts: Folder of what ansible-runner kept: `stdout`, `job_events/`, `command`, and `progress.jsonl`.
        duration_s: Seconds from start to end.
    """

    status: RunStatus
    rc: int
    procedure: str
    run_id: str
    hosts: Mapping[str, HostStats]
    error: str
    failed_task: str
    failed_host: str
    record: RunRecord | None
    report: Path | None
    artifacts: Path
    duration_s: float

    @property
    def ok(self) -> bool:
        """Whether the run was successful."""
        return self.status == "successful"

    @property
    def changed(self) -> bool:
        """Whether a task changed anything."""
        return any(host.changed for host in self.hosts.values())


@dataclass
class Tally:
    """What has to be kept of ansible-runner's events for the result.

    Attributes:
        failure: The last failure that was not ignored.
        running: The task that began last.
        said: Ansible's own errors.
        hosts: Statistics by host, once the playbook has ended.
        record: Path of the run's record, as the procedure told it; None before.
        hosts_missing: Whether a play found no host.
    """

    failure: Event | None = None
    running: str = ""
    said: list[str] = field(default_factory=list)
    hosts: dict[str, HostStats] = field(default_factory=dict)
    hosts_missing: bool = False
    record: Path | None = None

    def see(self, raw: Mapping[str, Any]) -> Event | None:
        """Take note of one of ansible-runner's events, and return it translated."""
        event = translate(raw)
        if event is not None:
            self._note(event)
        if raw.get("event") == "playbook_on_stats":
            self._count(raw.get("event_data") or {})
        elif raw.get("event") == "playbook_on_no_hosts_matched":
            self.hosts_missing = True
        elif raw.get("event") == "runner_on_ok" and self.record is None:
            self.record = _record_told(raw.get("event_data") or {})
        return event

    def _note(self, event: Event) -> None:
        if event.kind == "task":
            self.running = event.task
        elif event.status in ("failed", "unreachable"):
            self.failure = event
        elif event.kind == "error":
            self.said.append(event.message)

    def _count(self, data: Mapping[str, Any]) -> None:
        columns = {"dark": "unreachable"}
        names = ("ok", "changed", "failures", "dark", "skipped", "rescued", "ignored")
        for host in data.get("processed") or {}:
            counts = {columns.get(name, name): int((data.get(name) or {}).get(host, 0)) for name in names}
            self.hosts[host] = HostStats(**counts)

    def status(self, rc: int) -> RunStatus:
        """The status of a run that came to its own end with exit status `rc`."""
        if rc == 0:
            # Ansible calls a playbook successful of which no play found a host.
            return "failed" if self.hosts_missing and not self.hosts else "successful"
        if self.hosts and not any(host.failures for host in self.hosts.values()) and any(host.unreachable for host in self.hosts.values()):
            return "unreachable"
        return "failed"

    def error(self, rc: int) -> str:
        """The one message of a run that did not succeed."""
        if self.failure is not None:
            return self.failure.message
        if self.hosts_missing and not self.hosts:
            return NO_HOST
        if self.said:
            return self.said[-1]
        return f"ansible-playbook ended with exit status {rc} and no message; see stdout in the artifacts."


def _record_told(data: Mapping[str, Any]) -> Path | None:
    """The record that the first task of the role `procedure` has begun; what begins later in the run is a part of it."""
    if str(data.get("task_action", "")).rpartition(".")[2] != "procedure_run":
        return None
    told = (data.get("res") or {}).get("record")
    return Path(told) if told else None
