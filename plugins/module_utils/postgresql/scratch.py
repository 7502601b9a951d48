# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""A PostgreSQL server for one rehearsal: made, used through a socket in a private folder, and gone afterwards."""

from __future__ import annotations

import os
import pwd
import signal
import stat
import subprocess
import tempfile
import time
import typing as t
from contextlib import contextmanager

from ..command import Command, Place, run
from ..errors import CommandFailed, RunbookError
from .connection import Connection

_LONGEST_SOCKET_FOLDER = 107 - len("/sre-runbooks-01234567/.s.PGSQL.5432.lock")
"""sun_path holds 108 bytes (unix(7))."""

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
    "dynamic_shared_memory_type": "mmap",
}
"""Nothing in it has to survive anything, so it may be as fast as it can; when it is killed, all that is left lies in its folder."""


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
        run(Command(argv, account=account, outlives=verb == "start"))
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


def open_to_all(path: str) -> bool:
    """Whether every account may enter a folder and all that lead to it."""
    parts = [os.path.abspath(path)]
    while os.path.dirname(parts[-1]) != parts[-1]:
        parts.append(os.path.dirname(parts[-1]))
    return all(os.stat(part).st_mode & stat.S_IXOTH for part in parts)


def _folder_for_sockets(account: str) -> str:
    """The folder for temporary files, unless the account cannot enter it (root's own TMPDIR) or its name is too long for a socket."""
    own_choice = tempfile.gettempdir()
    fits = len(own_choice) <= _LONGEST_SOCKET_FOLDER and (not account or open_to_all(own_choice))
    return own_choice if fits else "/tmp"  # noqa: S108 - the folder made in it is private


@contextmanager
def private_server(
    data_folder: str, tool_folder: str, account: str, settings: t.Mapping[str, str], user: str = "postgres", timeout_s: float = 600
) -> t.Iterator[Connection]:
    """Run the server of a data folder where only we can reach it, while the block runs. It ends with us, however we end.

    Args:
        data_folder: An initialised data folder.
        tool_folder: Folder of the server's programs; empty for the search path.
        account: Account to run it as; empty for our own.
        settings: Settings for this run alone.
        user: Role to log in as.
        timeout_s: Seconds until it must serve, the replay of its log included.

    Raises:
        CommandFailed: It does not start.
    """
    # A socket's path may have 107 bytes, so it does not lie in the data folder.
    with tempfile.TemporaryDirectory(prefix="sre-runbooks-", dir=_folder_for_sockets(account)) as sockets:
        own(sockets, account)
        # A copy brings rules of its own, which may ask for a password that we do not have; the socket's folder is private.
        rules = os.path.join(sockets, "hba.conf")
        with open(rules, "w", encoding="ascii") as stream:
            stream.write("local all all trust\n")
        own(rules, account)
        alone = {**settings, "listen_addresses": "", "port": "5432", "unix_socket_directories": sockets, "hba_file": rules, "ssl": "off"}
        options = [part for name, value in alone.items() for part in ("-c", f"{name}={value}")]
        program = Place(tool_folder=tool_folder).program("postgres")
        log = os.path.join(sockets, "log")
        with open(log, "wb") as messages:
            process = Command([program, "-D", data_folder, *options], account=account).start(stdout=messages, stderr=messages)
        connection = Connection(host=sockets, user=user, place=Place(tool_folder=tool_folder))
        try:
            _wait_until_it_serves(process, connection, data_folder, log, timeout_s)
            yield connection
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)  # fast shutdown (manual, 18.5)
                try:
                    process.wait(timeout_s)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def _wait_until_it_serves(process: "subprocess.Popen[bytes]", connection: Connection, data_folder: str, log: str, timeout_s: float) -> None:
    give_up = time.monotonic() + timeout_s
    while True:
        try:
            connection.ask("SELECT 1")
            return
        except RunbookError as error:
            if process.poll() is not None or time.monotonic() > give_up:
                raise CommandFailed("The server did not start", where=data_folder, why=end_of(log) or error.why) from error
            time.sleep(0.05)


@contextmanager
def scratch_server(folder: str, tool_folder: str, account: str) -> t.Iterator[Connection]:
    """A new, empty server in a scratch folder, while the block runs.

    Args:
        folder: From `scratch_folder`.
        tool_folder: Folder of the server's programs; empty for the search path.
        account: Account to run it as; empty for our own.
    """
    own(folder, account)
    data = os.path.join(folder, "data")
    initdb = Place(tool_folder=tool_folder).program("initdb")
    run(
        Command(
            [initdb, f"--pgdata={data}", "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"],
            account=account,
        )
    )
    with private_server(data, tool_folder, account, _SETTINGS) as connection:
        yield connection
