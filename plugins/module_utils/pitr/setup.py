# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Setting up point in time: pgBackRest's configuration, its stanza, and the server's archiving."""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass, replace

from ..errors import BadInput, WrongTarget
from ..postgresql.connection import literal
from ..postgresql.scratch import own
from ..postgresql.server_info import guard_identity, server_info
from ..restoring.result import told
from . import configuration
from .archive import holdings
from .model import Archive
from .program import call, program, stand_in

_SETTINGS = (
    "SELECT json_object_agg(name, setting) FROM pg_settings "
    "WHERE name IN ('archive_mode', 'archive_command', 'archive_timeout', 'wal_level', 'archive_library')"
)


@dataclass(frozen=True)
class SetupPlan:
    """What will be done; made without changing anything.

    Attributes:
        write_file: Whether the configuration file differs.
        make_stanza: Whether the stanza is missing.
        settings: Settings of the server that will change, with their new values.
        restart: Whether one of them needs a restart.
        steps: All this in sentences.
        diff: For `--diff`, without secrets.
    """

    write_file: bool
    make_stanza: bool
    settings: t.Mapping[str, str]
    restart: bool
    steps: t.Sequence[str]
    diff: t.Mapping[str, str]


def archive_command(archive: Archive) -> str:
    """What the server runs for each segment."""
    return f"{program(archive)} --config={archive.config_file} --stanza={archive.stanza} archive-push %p"


def wanted_settings(archive: Archive, now: t.Mapping[str, str]) -> t.Dict[str, str]:
    """The settings that are not as they must be, with the values that they shall have."""
    wanted = {"archive_command": archive_command(archive), "archive_timeout": str(archive.archive_timeout_s)}
    if now["archive_mode"] not in ("on", "always"):
        wanted["archive_mode"] = "on"
    if now["wal_level"] == "minimal":
        wanted["wal_level"] = "replica"
    if now.get("archive_library"):
        wanted["archive_library"] = ""
    return {name: value for name, value in wanted.items() if now.get(name) != value}


def plan_setup(archive: Archive, *, restart: bool, replace_archiving: bool) -> SetupPlan:
    """Look at everything that could stop the set-up, before anything is changed.

    Raises:
        RunbookError: The wrong server, a missing program, somebody else's archiving, or a restart that was not allowed.
    """
    connection = archive.connection
    program(archive)
    info = server_info(connection)
    guard_identity(info, archive.expected_identifier, connection)
    if not info.is_superuser or info.in_recovery:
        raise BadInput(
            "Archiving cannot be set up on this server",
            where=str(connection),
            why="it is a replica" if info.in_recovery else f"the role {connection.user} is no superuser",
            next_step="use the primary, and an administrator's role",
        )
    if os.path.realpath(info.data_directory) != os.path.realpath(archive.service.data_folder):
        raise WrongTarget(
            "The data folder in the inventory is not this server's",
            where=str(connection),
            why=f"the server says {info.data_directory}, the inventory says {archive.service.data_folder}",
            next_step="correct data_folder of the store",
        )
    now = connection.ask_json(_SETTINGS)
    change = wanted_settings(archive, now)
    theirs = now["archive_command"] if now["archive_mode"] != "off" else ""
    if theirs not in ("", "(disabled)") and "archive_command" in change and not replace_archiving and "archive-push" not in theirs:
        raise BadInput(
            "The server archives its log already, by other means",
            where=str(connection),
            why=f"archive_command is {theirs!r}",
            next_step="find out who needs that; then say that it is to be replaced: pitr_replace_archiving=true",
        )
    needs_restart = bool({"archive_mode", "wal_level"} & set(change))
    if needs_restart and not restart:
        raise BadInput(
            "Archiving can only be switched on by a restart of the server",
            where=str(connection),
            why=", ".join(f"{name} is {now[name]!r}" for name in ("archive_mode", "wal_level") if name in change),
            next_step="choose a quiet moment and say that it may be restarted: pitr_restart=true; nothing was changed",
        )
    before, after = configuration.current(archive), configuration.render(archive)
    # The file may still lead to another repository.
    wanted = archive if before == after else replace(archive, config_file=stand_in(archive))
    make_stanza = not holdings(wanted, with_log=False).exists
    steps = [f"write {archive.config_file}, readable by {archive.service.account or 'our account'} alone"] if before != after else []
    if make_stanza:
        steps.append(f"make the stanza {archive.stanza} in {archive.repository}")
    steps += [f"set {name} to {value!r} (was {now.get(name)!r})" for name, value in sorted(change.items())]
    if needs_restart:
        steps.append("restart the server, which cuts its clients off for a moment")
    shown = {"before": configuration.without_secrets(before), "after": configuration.without_secrets(after)}
    for which, values in (("before", now), ("after", {**now, **change})):
        shown[which] += "\n" + "".join(f"{name} = '{values.get(name)}'\n" for name in sorted(change))
    return SetupPlan(before != after, make_stanza, change, needs_restart, steps, shown)


def set_up(archive: Archive, *, restart: bool = False, replace_archiving: bool = False, dry_run: bool = False) -> t.Dict[str, t.Any]:
    """Make the server archive its log into the stanza, and see that a segment arrives.

    Returns:
        `changed`, `plan`, `diff`, `restarted`.

    Raises:
        RunbookError: It cannot be; settings of the server are changed last.
    """
    ready = plan_setup(archive, restart=restart, replace_archiving=replace_archiving)
    changed = bool(ready.steps)
    result = {"changed": changed, "restarted": ready.restart and not dry_run, **told(ready.steps), "diff": dict(ready.diff)}
    if dry_run:
        return result
    if ready.write_file:
        configuration.write(archive)
    if ready.make_stanza:
        if archive.repository.type == "posix":
            _make_folder(archive)
        call(archive, "stanza-create")
    for name, value in sorted(ready.settings.items()):
        archive.connection.do(f"ALTER SYSTEM SET {name} = {literal(value)}")
    if ready.settings:
        archive.connection.do("SELECT pg_reload_conf()")
    if ready.restart:
        archive.service.stop()
        archive.service.start()
    call(archive, "check")
    return result


def _make_folder(archive: Archive) -> None:
    path = archive.repository.path
    if not os.path.isdir(path):
        os.makedirs(path, mode=0o750)
        own(path, archive.service.account)
