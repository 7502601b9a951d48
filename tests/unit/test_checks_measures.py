# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What checks of PostgreSQL measure, against a real server, a real standby, and accounts that may not see everything."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.checks.postgresql_measures import MEASURES
from ansible_collections.sre.runbooks.tests.unit.checks_servers import outcome, outcomes
from ansible_collections.sre.runbooks.tests.unit.checks_stores import NOBODY, Postgres, postgresql, running_postgres, wait_for_port
from tools.ports import free_port


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with running_postgres() as server:
        yield server


def psql(server: Postgres, *words: str) -> list[str]:
    """The command that logs in to that server."""
    return [f"{server.tools}/psql", "-X", "-q", "-h", "127.0.0.1", "-p", str(server.port), "-U", "postgres", *words]


def execute(server: Postgres, sql: str) -> None:
    """Run a statement as the superuser."""
    subprocess.run(psql(server, "-v", "ON_ERROR_STOP=1", "-c", sql), env={"PGPASSWORD": server.password}, check=True, timeout=20)


@contextlib.contextmanager
def session(server: Postgres, sql: str) -> Iterator[None]:
    """A session that has run a statement and goes on."""
    command, pipe = psql(server, "-A", "-t"), subprocess.PIPE
    with subprocess.Popen(command, env={"PGPASSWORD": server.password}, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{sql}\nSELECT 'ready';\n")
        process.stdin.flush()
        while process.stdout.readline().strip() != "ready":
            assert process.poll() is None
        try:
            yield
        finally:
            process.kill()


def measured(server: Postgres, measure: str, **keys: t.Any) -> float:
    result = outcome(**postgresql(server, measure=measure, **keys))
    assert result.verdict == "pass", result.reason
    assert result.value is not None
    return result.value


def test_connections_are_counted_and_set_against_those_that_the_service_may_have(postgres: Postgres) -> None:
    alone = measured(postgres, "connections")
    with session(postgres, ""), session(postgres, ""):
        assert measured(postgres, "connections") == alone + 2
        # 100 connections, 3 of them for superusers: the defaults of PostgreSQL.
        assert measured(postgres, "connections_percent") == pytest.approx(100 * (alone + 2) / 97, abs=0.01)


def test_a_measure_is_held_against_thresholds_and_named_in_the_reason(postgres: Postgres) -> None:
    result = outcome(**postgresql(postgres, measure="connections_percent", warn_above=0, fail_above=90))
    assert result.verdict == "warn"
    assert result.reason.startswith("connections_percent is 1.03, more than 0")


def test_transactions_that_idle_or_last_are_measured(postgres: Postgres) -> None:
    assert measured(postgres, "idle_in_transaction") == 0
    assert measured(postgres, "longest_transaction_s") == 0
    with session(postgres, "BEGIN; SELECT 1;"):
        time.sleep(0.5)
        assert measured(postgres, "idle_in_transaction") == 1
        assert 0.5 <= measured(postgres, "longest_transaction_s") < 20


def test_the_size_of_the_database_is_measured(postgres: Postgres) -> None:
    before = measured(postgres, "database_size_bytes")
    execute(postgres, "CREATE TABLE filler AS SELECT repeat('x', 1000) AS text FROM generate_series(1, 2000)")
    assert measured(postgres, "database_size_bytes") >= before + 1_000_000


def test_what_an_account_may_not_see_is_unknown_and_not_counted_as_nothing(postgres: Postgres) -> None:
    execute(postgres, "CREATE ROLE plain LOGIN PASSWORD 'plain-word'; CREATE ROLE watcher LOGIN PASSWORD 'plain-word' IN ROLE pg_monitor")
    with session(postgres, "BEGIN; SELECT 1;"):
        own = {"password": "plain-word"}
        assert measured(postgres, "idle_in_transaction", user="watcher", **own) == 1
        assert measured(postgres, "connections", user="plain", **own) == measured(postgres, "connections")
        for measure in ("idle_in_transaction", "longest_transaction_s"):
            result = outcome(**postgresql(postgres, measure=measure, user="plain", **own))
            assert (result.verdict, result.value) == ("unknown", None)
            assert "grant it pg_monitor" in result.reason


def test_without_a_standby_its_lag_is_unknown(postgres: Postgres) -> None:
    result = outcome(**postgresql(postgres, measure="replication_lag_s", warn_above=10))
    assert (result.verdict, result.value) == ("unknown", None)
    assert "no standby is connected" in result.reason


@contextlib.contextmanager
def standby_of(primary: Postgres) -> Iterator[tuple[Postgres, subprocess.Popen[bytes]]]:
    """A standby that receives what the primary writes, and its process."""
    folder, port = Path(tempfile.mkdtemp()), free_port()
    account: dict[str, t.Any] = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
    if account:
        os.chown(folder, NOBODY, NOBODY)
    source = f"host=127.0.0.1 port={primary.port} user=postgres password='{primary.password}'"
    copy = [f"{primary.tools}/pg_basebackup", "-D", f"{folder}/data", "-R", "-c", "fast", "-d", source]
    subprocess.run(copy, check=True, timeout=60, cwd=folder, **account)
    start = [f"{primary.tools}/postgres", "-D", f"{folder}/data", "-p", str(port), "-h", "127.0.0.1", "-k", str(folder), "-F"]
    process = subprocess.Popen(start, stderr=subprocess.DEVNULL, cwd=folder, **account)
    try:
        wait_for_port(port)
        yield Postgres(port, primary.password, primary.tools), process
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder)


def settled(server: Postgres) -> float:
    """The lag, as soon as there is one."""
    deadline = time.monotonic() + 20
    while True:
        result = outcome(**postgresql(server, measure="replication_lag_s"))
        if result.value is not None or time.monotonic() > deadline:
            assert result.value is not None, result.reason
            return result.value
        time.sleep(0.2)


def test_the_lag_of_a_standby_is_measured_on_both_sides_and_grows_when_replay_stops(postgres: Postgres) -> None:
    with standby_of(postgres) as (standby, _process):
        assert settled(postgres) < 5
        assert settled(standby) < 5
        execute(postgres, "CREATE TABLE replayed AS SELECT 1")
        assert settled(standby) < 5
        execute(standby, "SELECT pg_wal_replay_pause()")
        time.sleep(0.3)
        execute(postgres, "CREATE TABLE late AS SELECT 1")
        time.sleep(1)
        assert measured(standby, "replication_lag_s") >= 1
        late = outcome(**postgresql(standby, measure="replication_lag_s", fail_above=0.5))
        assert late.verdict == "fail"


def test_every_measure_runs_in_one_task(postgres: Postgres) -> None:
    results = outcomes(*(postgresql(postgres, name=measure, measure=measure) for measure in MEASURES))
    assert {result.name for result in results if result.verdict == "pass"} == set(MEASURES) - {"replication_lag_s"}
