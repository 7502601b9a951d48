# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Calling pgBackRest: as the server's account, without secrets on its command line, and its failures in our words."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import typing as t
from contextlib import ExitStack

from ..command import Command, Completed, Place, run
from ..errors import CommandFailed, LeaseHeld, NoSpace, RunbookError, Unreachable
from ..postgresql.scratch import own
from ..restoring.scratch_folders import remove_scratch_folders, scratch_folder
from . import configuration
from .model import Archive

_LOCKED, _NO_DATABASE = 50, 56
"""LockAcquireError and DbConnectError (pgBackRest, src/build/error/error.yaml)."""
_STORE_IS_AWAY = ("unable to connect to", "HostConnectError", "unable to get address", "[ServiceError]", "timeout connecting")


def program(archive: Archive) -> str:
    """Full path of pgBackRest's program.

    Raises:
        ToolMissing: It is not there.
    """
    folder, name = os.path.split(archive.program)
    found = Place(tool_folder=folder).program(name)
    if folder:
        return found
    return shutil.which(name) or found


_stand_ins: t.Dict[str, str] = {}
_for_this_process = ExitStack()
atexit.register(_for_this_process.close)


def config_file(archive: Archive) -> str:
    """The configuration to call pgBackRest with: the server's, or where that is lost with its host, one for this process alone."""
    return archive.config_file if os.path.exists(archive.config_file) else stand_in(archive)


def stand_in(archive: Archive) -> str:
    """A configuration as the profile wants it, for this process alone; gone when it ends. What killed ones left goes first."""
    text = configuration.render(archive)
    if text not in _stand_ins:
        home, account = tempfile.gettempdir(), archive.service.account
        remove_scratch_folders(home, account)
        folder = _for_this_process.enter_context(scratch_folder(home))
        path = os.path.join(folder, "pgbackrest.conf")
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
        own(path, account)
        own(folder, account)
        _stand_ins[text] = path
    return _stand_ins[text]


def command(archive: Archive, *arguments: str, with_stanza: bool = True) -> Command:
    """One call of pgBackRest."""
    connection = archive.connection
    environment = {"PGAPPNAME": "sre.runbooks", "PGCONNECT_TIMEOUT": str(connection.connect_timeout_s)}
    if connection.host and not connection.host.startswith("/"):
        environment["PGHOST"] = connection.host
    if connection.ssl_mode:
        environment["PGSSLMODE"] = connection.ssl_mode
    if connection.ca_file:
        environment["PGSSLROOTCERT"] = connection.ca_file
    stanza = [f"--stanza={archive.stanza}"] if with_stanza else []
    return Command(
        [program(archive), f"--config={config_file(archive)}", *stanza, *arguments],
        environment=environment,
        secrets={"PGPASSWORD": connection.password} if connection.password else {},
        account=archive.service.account,
        without=[name for name in os.environ if name.startswith(("PGBACKREST_", "PGSERVICE", "PGHOSTADDR"))],
    )


def call(archive: Archive, *arguments: str, with_stanza: bool = True, timeout_s: t.Optional[float] = None) -> Completed:
    """Run pgBackRest to its end.

    Raises:
        LeaseHeld: Another pgBackRest works on the stanza.
        Unreachable: The server, or the repository, cannot be reached.
        NoSpace: A disk is full.
        CommandFailed: Anything else that it said.
    """
    one = command(archive, *arguments, with_stanza=with_stanza)
    one.timeout_s = timeout_s
    try:
        return run(one)
    except CommandFailed as error:
        raise explain(archive, error) from error


def explain(archive: Archive, error: RunbookError) -> RunbookError:
    """pgBackRest's failure as the error that it is."""
    status = error.facts.get("exit_status")
    if status == _LOCKED:
        return LeaseHeld("Another pgBackRest works on this stanza", where=archive.stanza, why=error.why, next_step="wait for it to end")
    if "No space left on device" in error.why:
        return NoSpace("The disk is full", where=str(archive.repository), why=error.why, next_step="free room, then run it again")
    if status == _NO_DATABASE:
        return Unreachable(
            "pgBackRest cannot reach the server", where=str(archive.connection), why=error.why, next_step="see that it runs, and the role"
        )
    if any(words in error.why for words in _STORE_IS_AWAY):
        return Unreachable(
            "The repository of the archive cannot be reached",
            where=str(archive.repository),
            why=error.why,
            next_step="see that the object store answers over HTTPS, its certificate and the keys in the inventory",
        )
    error.where = f"stanza {archive.stanza}, {archive.repository}"
    return error
