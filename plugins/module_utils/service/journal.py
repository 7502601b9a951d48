# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What a rolling action has under way, written down before each step, so that a run after a kill can put it right."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import typing as t

from ..errors import LeaseHeld
from ..files import locked, write_json
from ..state import file_mode, make_folder, slug, state_folder

_WAIT_S = 2.0


class Journal:
    """The note of one service's rolling action.

    Args:
        folder: Folder of such notes.
        project: Name of the Compose project; `systemd` for units.
        service: Name of the service, or of its unit.
    """

    def __init__(self, folder: str, project: str, service: str) -> None:
        digest = hashlib.sha256(f"{project}\n{service}".encode()).hexdigest()[:8]
        self._folder, self._base = folder, os.path.join(folder, f"{slug(f'{project}-{service}')}-{digest}")
        self._noted: t.Dict[str, t.Any] = {}

    @classmethod
    def of(cls, wanted_folder: t.Optional[str], project: str, service: str) -> "Journal":
        """The one in the state folder that is meant."""
        return cls(os.path.join(state_folder(wanted_folder), "rolling"), project, service)

    def read(self) -> t.Dict[str, t.Any]:
        """What a run before this one had under way when it was killed; empty where it had ended in order."""
        try:
            with open(f"{self._base}.json", encoding="utf-8") as stream:
                found = json.load(stream)
        except (FileNotFoundError, ValueError):
            found = {}  # also where there was something before: that run has ended
        self._noted = found if isinstance(found, dict) else {}
        return dict(self._noted)

    def note(self, **what: t.Any) -> None:
        """Write down what is under way, beside what was noted before."""
        self._noted.update(what)
        write_json(f"{self._base}.json", self._noted, file_mode(self._folder))

    def forget(self, *names: str) -> None:
        """These are not under way any more."""
        for name in names:
            self._noted.pop(name, None)
        if self._noted:
            self.note()
        else:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{self._base}.json")

    @contextlib.contextmanager
    def held(self) -> t.Iterator[None]:
        """Keep other runs from the service meanwhile.

        Raises:
            LeaseHeld: Another run works on it.
        """
        make_folder(os.path.dirname(self._folder))
        make_folder(self._folder)
        with locked(f"{self._base}.lock", wait_s=_WAIT_S) as free:
            if not free:
                raise LeaseHeld("Another run changes the replicas of this service", where=self._base, next_step="wait until it has ended")
            yield
