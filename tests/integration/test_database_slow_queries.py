# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Slow queries of a real server: gathered by pg_stat_statements or not, and never shown with the values in them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.database_care.slow_queries import SlowRequest, information
from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput, Unreachable
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.connection import Session
from integration.playbook_runs import Profile
from integration.postgresql_server import PostgresqlServer, running_server
from tools.waiting import wait_until

SECRET = "4711 0815 hunter2"


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresqlServer]:
    """A server that gathers how long queries take, utility statements included, with a database that has the extension and one without."""
    with running_server({"shared_preload_libraries": "pg_stat_statements", "pg_stat_statements.track_utility": "on"}) as one:
        one.sql(f"CREATE DATABASE shop; CREATE DATABASE plain; CREATE ROLE service LOGIN PASSWORD '{one.password}'")
        one.sql("CREATE SCHEMA tools; CREATE EXTENSION pg_stat_statements SCHEMA tools", "shop")
        yield one


@pytest.fixture
def slept(server: PostgresqlServer) -> PostgresqlServer:
    """The server after queries of known durations, in two databases."""
    server.sql("SELECT tools.pg_stat_statements_reset()", "shop")
    server.sql(f"SELECT pg_sleep(0.15), '{SECRET}'; SELECT 1 AS quick; DO $$ BEGIN PERFORM pg_sleep(0.08), '{SECRET}'; END $$", "shop")
    server.sql("SELECT pg_sleep(0.3) AS elsewhere", "plain")
    return server


def test_slow_queries_of_the_database_are_told_the_slowest_first_without_their_values(slept: PostgresqlServer) -> None:
    told = information(SlowRequest(slept.connection, "shop", warn_ms=50, fail_ms=100))
    assert [one["verdict"] for one in told["queries"]] == ["fail", "warn"]
    assert told["queries"][0]["query"].startswith("SELECT pg_sleep(")
    assert (told["slow"], told["far_too_slow"], told["verdict"], told["available"]) == (2, 1, "fail", True)
    assert 140 < told["queries"][0]["mean_ms"] < 2000 and told["queries"][0]["calls"] == 1
    assert told["counting_since"].endswith("Z")
    assert "hunter2" not in json.dumps(told) and "4711" not in json.dumps(told), "the server itself keeps the text of DO as it is"
    assert "elsewhere" not in json.dumps(told), "another database's queries are not this one's"
    assert len(information(SlowRequest(slept.connection, "shop", warn_ms=50, fail_ms=100, top=1))["queries"]) == 1
    assert information(SlowRequest(slept.connection, "shop", warn_ms=50, fail_ms=100, min_calls=2))["verdict"] == "pass"
    assert information(SlowRequest(slept.connection, "shop", warn_ms=60_000, fail_ms=60_000))["verdict"] == "pass"


def test_what_is_slow_at_this_moment_is_told_without_any_extension(server: PostgresqlServer) -> None:
    with Session(server.connection, "plain", {}) as client:
        client.ask("SET application_name = 'shop'")
        client.send(f"SELECT pg_sleep(600), '{SECRET}'")
        wait_until("it runs", lambda: server.sql("SELECT count(*) FROM pg_stat_activity WHERE state = 'active'") == "2", 10)
        told = information(SlowRequest(server.connection, "plain", warn_ms=0.001, fail_ms=1))
    assert [one["query"] for one in told["running"]] == ["SELECT pg_sleep(?), ?"]
    assert (told["available"], told["verdict"]) == (False, "unknown")
    assert told["next_steps"] == ["CREATE EXTENSION pg_stat_statements in the database plain, as a superuser"]


def test_a_server_that_does_not_gather_says_how_to_make_it() -> None:
    with running_server() as one:
        one.sql("CREATE DATABASE shop")
        steps = information(SlowRequest(one.connection, "shop"))["next_steps"]
        assert len(steps) == 2 and "shared_preload_libraries and restart" in steps[0]
        one.sql("CREATE EXTENSION pg_stat_statements", "shop")
        assert information(SlowRequest(one.connection, "shop"))["next_steps"] == steps[:1], "an extension without its library tells nothing"
        one.sql("ALTER DATABASE shop SET pg_stat_statements.track = 'all'")
        assert information(SlowRequest(one.connection, "shop"))["next_steps"] == steps[:1], "a setting without its library neither"


def test_a_role_that_may_not_see_the_queries_of_others_is_told_so(slept: PostgresqlServer) -> None:
    slept.sql("GRANT USAGE ON SCHEMA tools TO service; GRANT SELECT ON ALL TABLES IN SCHEMA tools TO service", "shop")
    told = information(SlowRequest(replace(slept.connection, user="service"), "shop", warn_ms=50, fail_ms=100))
    assert "pg_read_all_stats" in told["notes"][0]
    assert "pg_sleep" not in json.dumps(told)


def test_nonsense_is_refused(server: PostgresqlServer) -> None:
    with pytest.raises(BadInput):
        information(SlowRequest(server.connection, "shop", warn_ms=100, fail_ms=50))
    with pytest.raises(Unreachable, match="nonsense"):
        information(SlowRequest(server.connection, "nonsense"))


def test_the_procedure_shows_them_and_fails_when_they_are_far_too_slow(slept: PostgresqlServer, tmp_path: Path) -> None:
    profile = Profile(tmp_path, slept, "shop")
    profile.variables.update(database_slow_ms=50, database_far_too_slow_ms=100)
    told = profile.run("database_slow_queries")
    assert told.status == 2
    assert "SELECT pg_sleep(" in told.output and "hunter2" not in told.output
    assert profile.run("database_slow_queries", "-e", '{"database_fail_on": []}').status == 0
