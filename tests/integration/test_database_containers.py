# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A database whose server and programs are in a container: sessions, slow queries, maintenance, its log, and a run that is killed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.command import Place
from ansible_collections.sre.runbooks.plugins.module_utils.database_care.maintenance import MaintenanceRequest, maintain
from ansible_collections.sre.runbooks.plugins.module_utils.database_care.maintenance_plan import Rules
from ansible_collections.sre.runbooks.plugins.module_utils.database_care.session_choice import Wanted
from ansible_collections.sre.runbooks.plugins.module_utils.database_care.session_end import ENDED, EndRequest, end_sessions
from ansible_collections.sre.runbooks.plugins.module_utils.database_care.session_report import Limits
from ansible_collections.sre.runbooks.plugins.module_utils.database_care.session_report import information as sessions
from ansible_collections.sre.runbooks.plugins.module_utils.database_care.slow_queries import SlowRequest
from ansible_collections.sre.runbooks.plugins.module_utils.database_care.slow_queries import information as slow_queries
from ansible_collections.sre.runbooks.plugins.module_utils.errors import RunbookError
from ansible_collections.sre.runbooks.plugins.module_utils.logs.follow import operate as follow
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.connection import Connection, Session
from integration.containers import Docker
from integration.faults import Operation
from tools.waiting import wait_until

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(600)]
TOOLS = "/usr/lib/postgresql/15/bin"
START = (
    "install -d -o postgres /data /run/postgresql && exec su postgres -c '"
    f"{TOOLS}/initdb -D /data --auth=trust >/dev/null && exec {TOOLS}/postgres -D /data -c autovacuum=off -c fsync=off "
    "-c shared_preload_libraries=pg_stat_statements -c log_statement=ddl'"
)


@pytest.fixture(scope="module")
def database(docker: Docker) -> Iterator[Connection]:
    """A server of Debian in a container; nothing of PostgreSQL is needed on this host."""
    name = docker.name("database-care")
    docker("run", "--detach", "--init", "--name", name, docker.image, "sh", "-c", START)
    connection = Connection(place=Place(container=name, tool_folder=TOOLS), connect_timeout_s=5)
    try:
        wait_until("the server answers", lambda: answers(connection), 60)
        connection.do("CREATE DATABASE archive")
        yield connection
    finally:
        docker("rm", "--force", name)


def answers(connection: Connection) -> bool:
    """Whether the server serves; asked at most five times a second."""
    try:
        connection.ask("SELECT 1")
        return True
    except RunbookError:
        time.sleep(0.2)
        return False


def test_sessions_are_told_and_ended_and_queries_told(database: Connection) -> None:
    database.do("CREATE EXTENSION pg_stat_statements", database="archive")
    with Session(database, "archive", {}) as client:
        client.ask("SET application_name = 'shop'; SELECT pg_sleep(0.1), 'hunter2'")
        assert sessions(database, Limits())["by_application"] == {"shop": 1}
        told = slow_queries(SlowRequest(database, "archive", warn_ms=50, fail_ms=60_000))
        assert any(one["query"].startswith("SELECT pg_sleep(") for one in told["queries"])
        assert "hunter2" not in str(told)
        done = end_sessions(EndRequest(database, Wanted(older_than_s=0, spare_superusers=False)))
        assert [one["outcome"] for one in done["ended"]] == [ENDED]


def test_a_run_that_is_killed_outside_the_container_breaks_nothing_in_it_and_the_next_one_finishes(database: Connection) -> None:
    database.do(
        "CREATE TABLE cases (id bigint PRIMARY KEY, name text);"
        "INSERT INTO cases SELECT g, md5(g::text) FROM generate_series(1, 150000) g;"
        "CREATE INDEX by_name ON cases (name) WITH (fillfactor = 20)",
        database="archive",
    )
    database.do("VACUUM ANALYZE cases", database="archive")
    database.do("ALTER INDEX by_name SET (fillfactor = 90)", database="archive")
    # The rebuild waits for this transaction, so that the kill meets it.
    with Session(database, "archive", {}) as other:
        other.ask("BEGIN; LOCK TABLE public.cases IN ROW EXCLUSIVE MODE")
        operation = Operation({"operation": "maintain", "connection": asdict(database), "database": "archive"})
        half = "SELECT count(*) FROM pg_class WHERE relname LIKE '%_ccnew'"
        wait_until("the rebuild has begun", lambda: database.ask(half, database="archive").strip() == "1", 30)
        operation.process.kill()
        operation.finish()
    done = maintain(MaintenanceRequest(database, "archive", Rules(waste_bytes=100_000)))
    assert {step["outcome"] for step in done["steps"]} <= {"done"}, done["steps"]
    assert database.ask("SELECT count(*) FROM pg_index WHERE NOT indisvalid", database="archive").strip() == "0"
    assert maintain(MaintenanceRequest(database, "archive", Rules(waste_bytes=100_000)))["plan"] == []


def test_the_container_s_log_is_followed(database: Connection) -> None:
    database.do("CREATE TABLE told_in_the_log (a int)", database="archive")
    source = {"name": "database", "container": database.place.container}
    told = follow({"sources": [source], "follow_s": 20, "search": "told_in_the_log", "lines": 50, "stop_after": 1})
    assert told["ended_by"] == "lines" and "CREATE TABLE told_in_the_log" in told["lines"][0]["line"]
    gone = follow({"sources": [{"name": "gone", "container": "sre-runbooks-no-such"}], "follow_s": 20})
    assert gone["ended_by"] == "logs" and "could not be followed" in gone["notes"][0]
