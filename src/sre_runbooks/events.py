# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What happens during a run, as typed values."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["start", "play", "task", "host", "retry", "progress", "warning", "error", "end"]
Status = Literal["", "ok", "changed", "skipped", "failed", "ignored", "unreachable"]

_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
HIDDEN = "the task's output is hidden because it handles secrets"


@dataclass(frozen=True)
class Progress:
    """How far a long piece of work is.

    Attributes:
        work: What is being done ("Dumping reference").
        step: The part of it that is being done now.
        done: How much is done, in `unit`; None when only the step is known.
        total: How much there is in all, in `unit`; None when it is not known.
        unit: `bytes`, `tables`, `files`, ...
    """

    work: str
    step: str
    done: float | None = None
    total: float | None = None
    unit: str = ""

    @property
    def fraction(self) -> float | None:
        """The part that is done, 0 to 1; None when it is not known."""
        return None if self.done is None or not self.total else min(1.0, max(0.0, self.done / self.total))

    @classmethod
    def from_line(cls, line: str) -> Progress | None:
        """Read one line of the progress file (the format is that of the collection's module_utils/progress.py); None for nonsense."""
        try:
            value = json.loads(line)
            done, total = value.get("done"), value.get("total")
            return cls(
                work=str(value["work"]),
                step=str(value["step"]),
                done=None if done is None else float(done),
                total=None if total is None else float(total),
                unit=str(value.get("unit") or ""),
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            return None


@dataclass(frozen=True)
class Event:
    """One thing that happened.

    Attributes:
        kind: `start` and `end` of the run; `play` and `task` begin; `host`: a task ended on a host; `retry`: it is tried again;
            `progress` of long work; `warning` and `error`: Ansible itself has something to say.
        host: Name of the host (kinds `host` and `retry`).
        task: Name of the task, the runbook's step.
        play: Name of the play.
        status: How the task ended on the host (kind `host`); the run's status (kind `end`).
        duration_s: Seconds that the task took on the host.
        message: The error of a failed task; the text of a warning or error.
        progress: How far the work is (kind `progress`).
        time: When it happened, seconds since 1970-01-01 UTC.
    """

    kind: Kind
    host: str = ""
    task: str = ""
    play: str = ""
    status: str = ""
    duration_s: float | None = None
    message: str = ""
    progress: Progress | None = None
    time: float = field(default_factory=time.time)


_HOST_STATUS: Mapping[str, Status] = {
    "runner_on_ok": "ok",
    "runner_on_failed": "failed",
    "runner_on_skipped": "skipped",
    "runner_on_unreachable": "unreachable",
}
_STARTS: Mapping[str, Kind] = {"playbook_on_start": "start", "playbook_on_play_start": "play", "playbook_on_task_start": "task"}


def translate(raw: Mapping[str, Any]) -> Event | None:
    """The event for one of ansible-runner's; None for those that say nothing new (items of loops, statistics, blank lines)."""
    name, data = str(raw.get("event", "")), raw.get("event_data") or {}
    host, task, play = (str(data.get(key) or "") for key in ("host", "task", "play"))
    if kind := _STARTS.get(name):
        return Event(kind, task=task, play=play)
    if name in _HOST_STATUS:
        result = data.get("res") or {}
        return Event(
            "host",
            host=host,
            task=task,
            play=play,
            status=_host_status(name, data, result),
            duration_s=data.get("duration"),
            message=_failure_message(result) if name in ("runner_on_failed", "runner_on_unreachable") else "",
        )
    if name == "runner_retry":
        return Event("retry", host=host, task=task, play=play, message=_failure_message(data.get("res") or {}))
    return _said_by_ansible(name, str(raw.get("stdout") or ""))


def _host_status(name: str, data: Mapping[str, Any], result: Mapping[str, Any]) -> Status:
    if name == "runner_on_failed" and data.get("ignore_errors"):
        return "ignored"
    if name == "runner_on_ok" and result.get("changed"):
        return "changed"
    return _HOST_STATUS[name]


def _failure_message(result: Mapping[str, Any]) -> str:
    """The one message of a failed task: its own, or that of the first item of its loop that failed."""
    for item in result.get("results") or []:
        if isinstance(item, dict) and (item.get("failed") or item.get("unreachable")):
            return _failure_message(item)
    if "censored" in result:
        return f"{HIDDEN}."
    message = result.get("msg") or result.get("reason") or result.get("stderr") or "the task failed without a message"
    return message if isinstance(message, str) else json.dumps(message, ensure_ascii=False)


def _said_by_ansible(name: str, stdout: str) -> Event | None:
    text = _COLOUR.sub("", stdout).strip()
    for kind, marks in (("error", ("[ERROR]:", "ERROR!")), ("warning", ("[WARNING]:", "[DEPRECATION WARNING]:"))):
        for mark in marks:
            if text.startswith(mark):
                # Ansible wraps long messages at the width of the terminal.
                said = " ".join(line.strip() for line in text.removeprefix(mark).splitlines()).strip()
                return Event("error" if kind == "error" else "warning", message=said)
    if name == "playbook_on_no_hosts_matched":
        return Event("warning", message="no host of the inventory matched a play")
    return None
