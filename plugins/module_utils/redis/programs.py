# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The programs of a Redis server: on this host, or in the image of its container, which need not run for that."""

from __future__ import annotations

import json
import os
import re
import tempfile
import typing as t
from dataclasses import dataclass

from ..command import Command, Place, run
from ..errors import BadInput, CommandFailed, ToolMissing
from ..process_tree import was_killed
from .client import Client

_SERVERS = ("redis-server", "valkey-server")
_CHECKERS = ("redis-check-rdb", "valkey-check-rdb")
LABEL = "sre.runbooks.scratch"
_WORK = "/scratch"
"""Where a folder of the host is seen in a container of ours."""


@dataclass(frozen=True)
class Checked:
    """What the server's own checker found.

    Attributes:
        problem: What is wrong; empty when all is well.
        keys: Keys that it read; -1 when it did not say.
        tool: The checker's name.
    """

    problem: str = ""
    keys: int = -1
    tool: str = ""


@dataclass(frozen=True)
class Programs:
    """Where the programs of a server are.

    Attributes:
        server: Path or name of the server's program.
        tool_folder: Folder of the others; empty for the search path.
        image: Image of the container in which they are; empty on this host.
        engine: Client of the container engine.
    """

    server: str
    tool_folder: str = ""
    image: str = ""
    engine: str = "docker"

    def argv(self, program: str, *arguments: str, folder: str, owner: t.Tuple[int, int] = (0, 0), name: str = "") -> t.List[str]:
        """The call of a program that works in a folder of this host; standard input goes to it.

        Args:
            program: Its path or name.
            arguments: Its arguments.
            folder: The folder; in a container of ours it is seen as `inside(folder)`.
            owner: User and group to run it as in a container.
            name: Name of that container.
        """
        if not self.image:
            return [program, *arguments]
        return [
            self.engine, "run", "--rm", "--interactive", "--network", "none", "--label", f"{LABEL}={folder}",
            *(["--name", name] if name else []), "--user", f"{owner[0]}:{owner[1]}", "--volume", f"{folder}:{_WORK}",
            "--entrypoint", program, self.image, *arguments,
        ]  # fmt: skip

    def inside(self, folder: str) -> str:
        """What a program that works in a folder calls it."""
        return _WORK if self.image else folder

    def remove_leftovers(self, parent: str) -> None:
        """End containers that killed runs left at work below a folder."""
        if not self.image:
            return
        form = '{{.ID}} {{.Label "' + LABEL + '"}}'
        listed = run(Command([self.engine, "ps", "--all", "--filter", f"label={LABEL}", "--format", form]), check=False)
        for line in listed.stdout.splitlines():
            number, _space, folder = line.partition(" ")
            if folder.startswith(parent.rstrip("/") + "/"):
                run(Command([self.engine, "rm", "--force", number]), check=False)

    def check_rdb(self, path: str) -> Checked:
        """Let redis-check-rdb read a file to its end: every length, every value, and the checksum.

        A server's program does the same under the checker's name, so on this host the server is enough.

        Args:
            path: The file, on this host.

        Raises:
            ToolMissing: Neither the checker nor a server is there.
            CommandFailed: It was killed.
        """
        folder, name = os.path.split(os.path.abspath(path))
        if self.image:
            program = os.path.join(os.path.dirname(self.server), "valkey-check-rdb" if "valkey" in self.server else "redis-check-rdb")
            status = os.stat(path)
            argv = self.argv(program, f"{_WORK}/{name}", folder=folder, owner=(status.st_uid, status.st_gid))
            done = run(Command(argv), check=False)
            return _judged(done.stdout + done.stderr, done.status, os.path.basename(program))
        with tempfile.TemporaryDirectory(prefix="sre-runbooks-check-") as links:
            program = _first_of(_CHECKERS, Place(tool_folder=self.tool_folder))
            if not program:
                program = os.path.join(links, "redis-check-rdb")
                os.symlink(os.path.realpath(self.server), program)
            done = run(Command([program, path]), check=False)
        return _judged(done.stdout + done.stderr, done.status, os.path.basename(program))


def _judged(said: str, status: int, tool: str) -> Checked:
    if was_killed(status):
        raise CommandFailed(
            f"{tool} was killed", next_step="see whether memory was short, then try it again", facts={"exit_status": status}
        )
    keys = re.search(r"\[info\] (\d+) keys read", said)
    if status == 0 and "RDB looks OK" in said:
        return Checked("", int(keys.group(1)) if keys else -1, tool)
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    telling = [line for line in lines if re.search(r"rror|nexpected|[Ww]rong", line)]
    return Checked("; ".join((telling or lines)[:3])[:500] or f"{tool} ended with {status}", -1, tool)


def _first_of(names: t.Sequence[str], place: Place) -> str:
    for name in names:
        try:
            return place.program(name)
        except ToolMissing:
            continue
    return ""


def programs_on_host(tool_folder: str = "", running: t.Optional[Client] = None) -> Programs:
    """The programs on this host: in a folder, on the search path, or the one that runs.

    Raises:
        ToolMissing: There is no server's program.
    """
    found = _first_of(_SERVERS, Place(tool_folder=tool_folder))
    if not found and running is not None:
        own = str(running.info("server").get("executable", ""))
        found = own if os.access(own, os.X_OK) else ""
    if not found:
        raise ToolMissing(
            "The program redis-server (or valkey-server) is missing",
            where=tool_folder or "the search path of this host",
            next_step="install the package that holds it, or name its folder (tool_folder of the store)",
            facts={"tool": "redis-server"},
        )
    return Programs(found, tool_folder)


def programs_in_image(place: Place, program: str = "") -> Programs:
    """The programs of a container's image.

    Args:
        place: Names the container.
        program: Name of the server's program; by default the image's name decides.

    Raises:
        CommandFailed: There is no such container.
    """
    facts = inspect(place)
    image = str(facts["Image"])
    name = program or ("valkey-server" if "valkey" in str(facts["Config"]["Image"]) else "redis-server")
    return Programs(os.path.join(place.tool_folder, name), place.tool_folder, image, place.engine)


def inspect(place: Place) -> t.Dict[str, t.Any]:
    """What the engine knows of a container.

    Raises:
        CommandFailed: There is no such container.
    """
    found: t.Dict[str, t.Any] = json.loads(run(Command([place.engine, "inspect", "--type", "container", place.container])).stdout)[0]
    return found


def mounted_folder(place: Place, inside: str) -> str:
    """The folder of this host that a container sees as `inside`.

    Raises:
        BadInput: It lies in the container itself, and would be gone with it.
    """
    for mount in inspect(place)["Mounts"]:
        destination = mount["Destination"].rstrip("/")
        if inside == destination or inside.startswith(destination + "/"):
            return os.path.normpath(os.path.join(mount["Source"], os.path.relpath(inside, destination)))
    raise BadInput(
        "The server's data lies in its container, not on a volume",
        where=f"{inside} in {place}",
        next_step="give the container a volume there, or name the folder on this host (data_folder)",
    )
