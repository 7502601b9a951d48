# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Docker volumes: where their files lie on this host, and which containers use them."""

from __future__ import annotations

import json
import os
import typing as t
from dataclasses import dataclass

from ..command import Command, run
from ..errors import BadInput, CommandFailed

_TIMEOUT_S = 120.0


@dataclass(frozen=True)
class Volume:
    """A volume of a container engine on this host.

    Attributes:
        name: Its name.
        engine: Client program, `docker` or `podman`.
    """

    name: str
    engine: str = "docker"

    def inspect(self) -> t.Optional[t.Dict[str, t.Any]]:
        """What the engine says of it; None when there is no such volume."""
        done = self._engine("volume", "inspect", self.name, check=False)
        if done.status != 0:
            if "no such volume" in done.stderr.lower():
                return None
            raise BadInput(
                "The container engine does not answer",
                where=f"{self.engine} volume inspect {self.name}",
                why=done.stderr.strip(),
                next_step="check that the engine runs and that this account may use it",
            )
        return t.cast("t.Dict[str, t.Any]", json.loads(done.stdout)[0])

    def mount_point(self) -> str:
        """The folder that holds its files.

        Raises:
            BadInput: There is no such volume, or its files cannot be reached from this host.
        """
        told = self.inspect()
        if told is None:
            raise BadInput(f"There is no volume {self.name}", where=self.engine, next_step="correct the name, or restore the volume first")
        folder = str(told.get("Mountpoint", ""))
        if told.get("Driver") != "local" or not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            raise BadInput(
                f"The files of the volume {self.name} cannot be reached",
                where=folder or self.name,
                why=f"its driver is {told.get('Driver')}; the folder must be on this host and open to this account",
                next_step="run the procedure on the engine's own host with become: true",
            )
        return folder

    def create(self) -> str:
        """Make the volume, as after the loss of a host; returns the folder that holds its files."""
        self._engine("volume", "create", self.name)
        return self.mount_point()

    def users(self) -> t.List[str]:
        """Names of the running containers that have it mounted."""
        done = self._engine("ps", "--filter", f"volume={self.name}", "--format", "{{.Names}}")
        return sorted(done.stdout.split())

    def stop(self, containers: t.Sequence[str]) -> None:
        """Stop containers; those that are stopped already stay so."""
        if containers:
            self._engine("stop", *containers)

    def start(self, containers: t.Sequence[str]) -> None:
        """Start containers again; those that run go on."""
        if containers:
            self._engine("start", *containers)

    def _engine(self, *arguments: str, check: bool = True) -> t.Any:
        try:
            return run(Command([self.engine, *arguments], timeout_s=_TIMEOUT_S), check=check)
        except CommandFailed as error:
            error.next_step = "check that the engine runs and that this account may use it"
            raise
