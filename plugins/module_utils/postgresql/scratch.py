# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""A PostgreSQL server for one rehearsal: made, used through a socket in a private folder, and gone afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import tempfile
import typing as t
from contextlib import contextmanager

from ..command import Command, Place, run
from ..errors import CommandFailed
from .connection import Connection

_SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "4GB",
    "autovacuum": "off",
    "archive_mode": "off",
    "logging_collector": "off",
}
"""Nothing in it has to survive anything, so it may be as fast as it can."""


def server_account(wished: str = "") -> str:
    """The account to run a server as: PostgreSQL refuses root, so root takes the one wished for, else postgres, else nobody.

    Returns:
        Its name; empty for our own account, when that is not root.
    """
    if os.geteuid() != 0:
        return ""
    for name in (wished, "postgres", "nobody"):
        try:
            if name and pwd.getpwnam(name).pw_uid != 0:
                return name
        except KeyError:
            continue
    return ""


def owner_of(data_folder: str, wished: str = "") -> str:
    """The account that the server of a data folder runs as: the folder's owner, where it exists, when we are root."""
    if os.geteuid() == 0 and not wished and os.path.isdir(data_folder):
        try:
            wished = pwd.getpwuid(os.stat(data_folder).st_uid).pw_name
        except KeyError:
            pass
    return server_account(wished)


def own(path: str, account: str) -> None:
    """Give a path to an account; nothing happens unless we are root and one is named."""
    if account and os.geteuid() == 0:
        entry = pwd.getpwnam(account)
        os.lchown(path, entry.pw_uid, entry.pw_gid)


def pg_ctl(tool_folder: str, account: str, verb: str, data_folder: str, *arguments: str, timeout_s: int = 120) -> None:
    """Run pg_ctl and wait for it.

    Raises:
        CommandFailed: It failed; `why` holds the end of the server's log when one was named by `--log=`.
    """
    program = Place(tool_folder=tool_folder).program("pg_ctl")
    argv = [program, verb, "--pgdata", data_folder, "--wait", f"--timeout={timeout_s}", "--silent", *arguments]
    try:
        run(Command(argv, account=account))
    except CommandFailed as error:
        logs = [argument[6:] for argument in arguments if argument.startswith("--log=")]
        raise CommandFailed(f"The server did not {verb}", where=data_folder, why=(end_of(logs[0]) if logs else "") or error.why) from error


def end_of(path: str, lines: int = 4) -> str:
    """The last lines of a log, on one line; empty when it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return "; ".join(line.strip() for line in stream.readlines()[-lines:])
    except OSError:
        return ""


@contextmanager
def private_server(data_folder: str, tool_folder: str, account: str, settings: t.Mapping[str, str], user: str = "postgres") -> t.Iterator[Connection]:
    """Run the server of a data folder where only we can reach it, while the block runs.

    Args:
        data_folder: An initialised data folder.
        tool_folder: Folder of the server's programs; empty for the search path.
        account: Account to run it as; empty for our own.
        settings: Settings for this run alone.
        user: Role to log in as.

    Raises:
        CommandFailed: It does not start.
    """
    # A socket's path may have 107 bytes, so it does not lie in the data folder.
    with tempfile.TemporaryDirectory(prefix="sre-runbooks-") as sockets:
        own(sockets, account)
        alone = {**settings, "listen_addresses": "", "port": "5432", "unix_socket_directories": sockets}
        options = " ".join(f"-c {name}={value}" for name, value in alone.items())
        log = os.path.join(sockets, "log")
        pg_ctl(tool_folder, account, "start", data_folder, f"--log={log}", f"--options={options}")
        try:
            yield Connection(host=sockets, user=user, place=Place(tool_folder=tool_folder))
        finally:
            pg_ctl(tool_folder, account, "stop", data_folder, "--mode=fast")


@contextmanager
def scratch_server(parent: str, tool_folder: str, account: str = "") -> t.Iterator[Connection]:
    """A new, empty server below `parent`, gone when the block is left. What a killed run leaves is a folder `.scratch-*`.

    Args:
        parent: Folder on a file system with enough room.
        tool_folder: Folder of the server's programs; empty for the search path.
        account: Account wished for; see `server_account`.
    """
    runs_as = server_account(account)
    folder = tempfile.mkdtemp(prefix=".scratch-", dir=parent)
    try:
        own(folder, runs_as)
        data = os.path.join(folder, "data")
        initdb = Place(tool_folder=tool_folder).program("initdb")
        run(Command([initdb, f"--pgdata={data}", "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"], account=runs_as))
        with private_server(data, tool_folder, runs_as, _SETTINGS) as connection:
            yield connection
    finally:
        shutil.rmtree(folder, ignore_errors=True)
