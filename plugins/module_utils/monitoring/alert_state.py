# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What is kept between two evaluations: the alerts, and the messages that have not reached everybody yet.

One file for each service, replaced whole. A message is written down before it is sent and crossed off channel by channel afterwards: a
run that is killed in between is made up for by the next one, which may send to a channel again, and never forgets one.
"""

from __future__ import annotations

import hashlib
import json
import os
import typing as t

from ..errors import BadInput, RunbookError
from ..files import locked, write_json
from ..state import file_mode, make_folder, slug
from .evaluation_model import RESOLVED, Alert, Event

VERSION = 1
_GIVE_UP_S, _GIVE_UP_AFTER, _MOST_WAITING = 86400.0, 20, 200
_LOCK_WAIT_S = 5.0


class State:
    """The state of a service, locked while the block lasts.

    Attributes:
        path: The file.
        alerts: What is kept of each alert, by key.
        waiting: Messages that have not reached everybody yet.
        evaluations: How many there were.
        last_at: When the last one was, in seconds since 1970 UTC; 0 for never.
    """

    def __init__(self, folder: str, service: str) -> None:
        """Name the file; nothing is read yet.

        Raises:
            BadInput: The service has no name.
        """
        name = slug(service)
        if not name:
            raise BadInput("Alerts need the name of the service", where=repr(service[:60]), next_step="set service_name in the profile")
        self._folder, self._service = os.path.join(folder, "alerts"), service
        self.path = os.path.join(self._folder, f"{name}.json")
        self.alerts: t.Dict[str, Alert] = {}
        self.waiting: t.List[t.Dict[str, t.Any]] = []
        self.evaluations, self.last_at = 0, 0.0

    def __enter__(self) -> "State":
        """Take the lock and read the file.

        Raises:
            RunbookError: Another evaluation goes on, or the file cannot be read.
        """
        make_folder(os.path.dirname(self._folder))
        make_folder(self._folder)
        self._lock = locked(f"{self.path}.lock", wait_s=_LOCK_WAIT_S)
        if not self._lock.__enter__():
            self._lock.__exit__(None, None, None)
            raise RunbookError(
                "Another evaluation of the alerts goes on",
                where=self.path,
                why=f"it holds the lock for more than {_LOCK_WAIT_S:g} s",
                next_step="wait until it has ended; if it hangs, end it",
            )
        try:
            self.read()
        except BaseException:
            self._lock.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *error: t.Any) -> None:
        self._lock.__exit__(*error)

    def read(self) -> None:
        """Read the file, without a lock; nothing where there is none yet.

        Raises:
            RunbookError: It cannot be read as what it should be.
        """
        try:
            with open(self.path, encoding="utf-8") as stream:
                document = json.load(stream)
            if document["version"] != VERSION or document["service"] != self._service:
                raise ValueError(f"it is of version {document['version']} and of the service {document['service']!r}")
            self.alerts = {str(key): dict(alert) for key, alert in document["alerts"].items()}
            self.waiting = [dict(entry) for entry in document["waiting"]]
            self.evaluations, self.last_at = int(document["evaluations"]), float(document["last_at"])
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise RunbookError(
                "What was kept of the alerts cannot be read",
                where=self.path,
                why=str(error),
                next_step="move the file away; then all alerts that are up are told once more",
            ) from error

    def write(self) -> None:
        """Replace the file.

        Raises:
            NoSpace: The disk is full; the former file stays.
        """
        document = {
            "version": VERSION,
            "service": self._service,
            "evaluations": self.evaluations,
            "last_at": self.last_at,
            "alerts": self.alerts,
            "waiting": self.waiting,
        }
        write_json(self.path, document, file_mode(self._folder))

    def queue(self, events: t.Sequence[Event], now: float) -> None:
        """Write down what is to be told: events for the same people in one message."""
        together: t.Dict[t.Tuple[t.Any, ...], t.List[Event]] = {}
        for event in events:
            together.setdefault((event.kind == RESOLVED, event.levels, event.addresses), []).append(event)
        for (resolved, levels, addresses), group in together.items():
            self.waiting.append(
                {
                    "at": now,
                    "kind": "success" if resolved else "failure" if any(event.severity == "critical" for event in group) else "warning",
                    "events": [{"message": event.message, "detail": list(event.detail), "priority": event.priority} for event in group],
                    "levels": list(levels),
                    "addresses": list(addresses),
                    "done": [],
                    "attempts": 0,
                }
            )

    def drop_old(self, now: float) -> t.List[str]:
        """Give up what is too old or was tried too often; returns what is given up, for the reader."""
        kept, given_up = [], []
        for position, entry in enumerate(self.waiting):
            late = now - float(entry["at"]) > _GIVE_UP_S or int(entry["attempts"]) >= _GIVE_UP_AFTER
            if late or len(self.waiting) - position > _MOST_WAITING:
                given_up.append(str(entry["events"][0]["message"]))
            else:
                kept.append(entry)
        self.waiting = kept
        return given_up


def mark(channel: str) -> str:
    """How a channel is crossed off: it may hold secrets, which do not belong into a file."""
    return hashlib.sha256(channel.encode("utf-8", "surrogatepass")).hexdigest()[:16]
