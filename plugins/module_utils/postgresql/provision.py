# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""A database of a person's own stack: its owner, itself, and the SQL scripts that fill it."""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass, field, replace

from ..command import run
from ..errors import BadInput, CommandFailed, Unreachable
from .connection import Connection, identifier, literal
from .server_info import role_exists


@dataclass(frozen=True)
class Script:
    """SQL that psql runs in one transaction.

    Attributes:
        file: Its path.
        role: Role to run it as (SET ROLE); empty for the one that logs in.
        unless: Query that tells that it need not be run, by returning a row; empty to run it every time.
        variables: psql variables for it.
    """

    file: str
    role: str = ""
    unless: str = ""
    variables: t.Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Wanted:
    """The database as it shall be.

    Attributes:
        name: Its name.
        owner: Role that shall own it and may log in; empty for the role that creates it.
        owner_password: The owner's password.
        scripts: What to run in it, in this order.
    """

    name: str
    owner: str = ""
    owner_password: str = field(default="", repr=False)
    scripts: t.Sequence[Script] = ()


def provide(connection: Connection, wanted: Wanted, *, dry_run: bool = False) -> t.List[str]:
    """Make what is missing and run the scripts that have to be run.

    Returns:
        What was done, or with `dry_run` would be, one sentence each.

    Raises:
        BadInput: A script does not exist; nothing was changed.
        Unreachable: The server did not answer or refused the login.
        CommandFailed: The server refused something; a script that failed left nothing behind.
    """
    for script in wanted.scripts:
        if not os.path.isfile(script.file):
            raise BadInput("An SQL script is missing", where=script.file, next_step="name a file that exists; nothing was changed")
    todo = _role_steps(connection, wanted)
    exists = bool(connection.ask(f"SELECT 1 FROM pg_database WHERE datname = {literal(wanted.name)}").strip())
    if not exists:
        owner = f" OWNER {identifier(wanted.owner)}" if wanted.owner else ""
        create = f"CREATE DATABASE {identifier(wanted.name)}{owner} TEMPLATE template0 ENCODING 'UTF8'"
        todo.append((f"created database {wanted.name}", create))
    for _told, sql in todo if not dry_run else ():
        connection.do(sql)
    done = [told for told, _sql in todo]
    for script in wanted.scripts:
        if (exists or not dry_run) and _is_unneeded(connection, wanted.name, script):
            continue
        if not dry_run:
            _run(connection, wanted.name, script)
        done.append(f"ran {os.path.basename(script.file)}")
    return done


def drop(connection: Connection, name: str, *, dry_run: bool = False) -> t.List[str]:
    """Drop a database, clients and all; returns what was done, like `provide`."""
    if not connection.ask(f"SELECT 1 FROM pg_database WHERE datname = {literal(name)}").strip():
        return []
    if not dry_run:
        connection.do(f"DROP DATABASE {identifier(name)} WITH (FORCE)")
    return [f"dropped database {name}"]


def _role_steps(connection: Connection, wanted: Wanted) -> t.List[t.Tuple[str, str]]:
    if not wanted.owner:
        return []
    quoted = identifier(wanted.owner)
    password = f"PASSWORD {literal(wanted.owner_password)}" if wanted.owner_password else ""
    if not role_exists(connection, wanted.owner):
        return [(f"created role {wanted.owner}", f"CREATE ROLE {quoted} LOGIN {password}")]
    if password and not _can_log_in(replace(connection, user=wanted.owner, password=wanted.owner_password)):
        return [(f"set the password of role {wanted.owner}", f"ALTER ROLE {quoted} LOGIN {password}")]
    return []


def _can_log_in(connection: Connection) -> bool:
    try:
        connection.ask("SELECT 1")
    except Unreachable:
        return False
    return True


def _is_unneeded(connection: Connection, database: str, script: Script) -> bool:
    return bool(script.unless and connection.ask(script.unless, database=database).strip())


def _run(connection: Connection, database: str, script: Script) -> None:
    variables = [f"--set={name}={value}" for name, value in script.variables.items()]
    command = connection.command(
        "psql",
        *("--no-psqlrc", "--quiet", "--no-password", "--set=ON_ERROR_STOP=1", "--single-transaction", "--output=/dev/null"),
        *variables,
        f"--file={script.file}",
        database=database,
        settings={"role": script.role} if script.role else None,
    )
    try:
        run(command)
    except CommandFailed as error:
        raise connection.explain(error, database) from error
