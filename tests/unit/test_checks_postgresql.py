# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks of PostgreSQL, against a real server and against impostors."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.tests.unit.checks_servers import MOST_LATE_S, Server, closed_port, outcome, outcomes, silent
from ansible_collections.sre.runbooks.tests.unit.checks_stores import Postgres, postgresql, running_postgres


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with running_postgres() as server:
        yield server


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
