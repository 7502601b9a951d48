# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sessions of a real server: what is told of them, which are ended, and which never are, whatever was asked for."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.database_care import session_end
from ansible_collections.sre.runbooks.plugins.module_utils.database_care.session_choice import (
    ACTIVE,
    IDLE,
    IN_TRANSACTION,
    STATES,
    Wanted,
    choose,
)
from ansible_collections.sre.runbooks.plugins.module_utils.database_care.session_end import EndRequest, end_sessions
from ansible_collections.sre.runbooks.plugins.module_utils.database_care.session_report import Limits, information
from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput, RunbookError, Unreachable, WrongTarget
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.connection import Connection, Session
from integration.playbook_runs import Profile
from integration.postgresql_server import PostgresqlServer, running_server
from tools.waiting import wait_until

SECRET = "hunter2-and-4711"
SETTINGS = {"max_connections": "12", "superuser_reserved_connections": "3", "max_prepared_transactions": "4", "max_wal_senders": "4"}


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresqlServer]:
    """A server with few connections, a database, and the role of a service, which is no superuser."""
    with running_server(SETTINGS) as one:
        one.sql(f"CREATE ROLE service LOGIN PASSWORD '{one.password}'")
        one.sql("CREATE DATABASE shop OWNER service")
        one.sql("CREATE TABLE orders (id int PRIMARY KEY, note text); INSERT INTO orders VALUES (1, 'a'), (2, 'b')", "shop")
        one.sql("ALTER TABLE orders OWNER TO service", "shop")
        yield one


def service_of(server: PostgresqlServer) -> Connection:
    """How the service reaches it."""
    return replace(server.connection, user="service")


@contextlib.contextmanager
def client(server: PostgresqlServer, sql: str = "SELECT 1", name: str = "shop", user: str = "service") -> Iterator[Session]:
    """A client of the service that has said `sql` and stays connected; its search path is its own."""
    with Session(replace(server.connection, user=user), "shop", {}) as one:
        one.ask(f"SET application_name = '{name}'; {sql}")
        yield one


def pid_of(session: Session) -> int:
    """The process that serves a client."""
    return int(session.ask("SELECT pg_backend_pid()"))


def lives(server: PostgresqlServer, pid: int) -> bool:
    """Whether the server still has that process."""
    return server.sql(f"SELECT count(*) FROM pg_stat_activity WHERE pid = {pid}") == "1"


def test_who_holds_others_up_is_told_as_a_tree_and_ending_just_that_one_lets_the_others_go_on(server: PostgresqlServer) -> None:
    with client(server) as holder, client(server) as first, client(server) as second, client(server) as bystander:
        holder_pid = pid_of(holder)
        holder.ask(f"BEGIN; UPDATE orders SET note = '{SECRET}' WHERE id = 1")
        first.ask("BEGIN; UPDATE orders SET note = 'c' WHERE id = 2")
        mark = first.send("UPDATE orders SET note = 'd' WHERE id = 1; COMMIT")
        other = second.send("UPDATE orders SET note = 'e' WHERE id = 2")
        bystander.ask("BEGIN; SELECT 1")
        wait_until("two wait", lambda: server.sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") == "2", 10)

        told = information(server.connection, Limits(long_transaction_s=0.001))
        (tree,) = told["blockers"]
        assert (tree["pid"], tree["state"], tree["holds_up"]) == (holder_pid, IN_TRANSACTION, 2)
        assert [one["pid"] for one in tree["waiting"][0]["waiting"]], "the second waits for the first, which waits for the holder"
        assert told["verdict"] == "warn"
        assert any(f"process {holder_pid}" in one["text"] and "holds up 2 sessions" in one["text"] for one in told["findings"])
        assert SECRET not in json.dumps(told) and "hunter2" not in json.dumps(told)

        wanted = Wanted(states=[IN_TRANSACTION], older_than_s=0, only_blocking=True)
        done = end_sessions(EndRequest(server.connection, wanted))
        assert [(one["pid"], one["outcome"]) for one in done["ended"]] == [(holder_pid, session_end.ENDED)]
        first.receive(mark)
        second.receive(other)
        assert bystander.ask("SELECT 2").strip() == "2", "who waits for nobody and holds up nobody stays"
    assert server.sql("SELECT note FROM orders ORDER BY id", "shop") == "d\ne"


def test_a_server_without_connections_says_so_can_be_looked_at_by_a_superuser_and_gets_room_again(server: PostgresqlServer) -> None:
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(client(server)) for _number in range(9)]
        with pytest.raises(Unreachable, match="All connections are in use") as refused:
            information(service_of(server), Limits())
        assert "superuser_reserved_connections" in refused.value.next_step
        assert server.password not in refused.value.message

        told = information(server.connection, Limits())
        assert (told["usage"]["connections"], told["usage"]["available"], told["verdict"]) == (10, 9, "fail")
        assert told["by_state"] == {"idle": 9}
        clients[0].ask("SELECT 1")  # is not among the three that were idle for longest
        done = end_sessions(EndRequest(server.connection, Wanted(older_than_s=0, most=3)))
        assert (len(done["ended"]), done["beyond_limit"], done["found"]) == (3, 6, 9)
        assert pid_of(clients[0]) not in [one["pid"] for one in done["ended"]]
        assert done["usage_after"]["connections"] == 7
        assert information(service_of(server), Limits())["usage"]["verdict"] == "pass"


def test_check_mode_ends_nobody_and_names_those_whom_the_run_then_ends(server: PostgresqlServer) -> None:
    with client(server) as one, client(server) as two:
        pids = [pid_of(one), pid_of(two)]
        request = EndRequest(server.connection, Wanted(older_than_s=0))
        told = end_sessions(request, dry_run=True)
        assert told["changed"] and all(lives(server, pid) for pid in pids)
        done = end_sessions(request)
        assert [entry["pid"] for entry in told["ended"]] == [entry["pid"] for entry in done["ended"]] == pids
        assert done["diff"]["after"] == told["diff"]["after"]
        assert not any(lives(server, pid) for pid in pids)
        again = end_sessions(request)
        assert (again["changed"], again["ended"]) == (False, [])


def test_a_session_that_does_something_after_it_was_looked_at_stays(server: PostgresqlServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with client(server) as one:
        pid = pid_of(one)

        def choose_and_dawdle(*given: object) -> object:
            choice = choose(*given)  # type: ignore[arg-type]
            one.ask("SELECT 'I am needed'")
            return choice

        monkeypatch.setattr(session_end, "choose", choose_and_dawdle)
        done = end_sessions(EndRequest(server.connection, Wanted(older_than_s=0)))
        assert [entry["outcome"] for entry in done["ended"]] == [session_end.MOVED_ON]
        assert not done["changed"]
        assert lives(server, pid)


def test_a_query_is_cancelled_first_and_its_session_ended_only_when_that_does_not_help(server: PostgresqlServer) -> None:
    stubborn = "DO $$ BEGIN LOOP BEGIN PERFORM pg_sleep(1); EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP; END $$"
    with client(server) as willing, client(server, name="stubborn") as unwilling:
        pids = pid_of(willing), pid_of(unwilling)
        willing.send("\\unset ON_ERROR_STOP\nSELECT pg_sleep(600)")
        unwilling.send(stubborn)
        wait_until("both run", lambda: server.sql("SELECT count(*) FROM pg_stat_activity WHERE state = 'active'") == "3", 10)
        request = EndRequest(server.connection, Wanted(states=[ACTIVE], older_than_s=0), cancel_wait_s=1)
        done = end_sessions(request)
        assert {one["pid"]: one["outcome"] for one in done["ended"]} == {pids[0]: session_end.CANCELLED, pids[1]: session_end.ENDED}
        assert lives(server, pids[0]) and not lives(server, pids[1])


def test_replication_maintenance_superusers_leaders_and_our_own_are_never_ended(server: PostgresqlServer, tmp_path: Path) -> None:
    environment = {"PGPASSWORD": server.password, "PATH": "/usr/bin:/bin"}
    program = [f"{server.tools}/pg_receivewal", "-h", "127.0.0.1", "-p", str(server.port), "-U", "postgres", "-D", str(tmp_path)]
    with contextlib.ExitStack() as stack:
        receiver = subprocess.Popen(program, env=environment, stderr=subprocess.DEVNULL)
        stack.callback(receiver.wait)
        stack.callback(receiver.terminate)
        stack.enter_context(client(server, user="postgres", name="a person"))
        stack.enter_context(client(server, name="pg_dump"))
        stack.enter_context(client(server, name="sre.runbooks"))
        stack.enter_context(client(server, "SELECT pg_advisory_lock(7)", name="leader"))
        stack.enter_context(client(server, name="reports"))
        server.sql("CREATE TABLE IF NOT EXISTS wide AS SELECT g FROM generate_series(1, 10) g", "shop")
        vacuum = stack.enter_context(client(server, "SET vacuum_cost_delay = 100; SET vacuum_cost_limit = 1", user="postgres", name="cron"))
        stack.enter_context(client(server, "BEGIN; LOCK TABLE wide IN ACCESS SHARE MODE", user="postgres", name="sre.runbooks lock"))
        vacuum.send("REINDEX TABLE wide; VACUUM FULL wide")
        wait_until("replication runs", lambda: "walsender" in server.sql("SELECT backend_type FROM pg_stat_activity"), 10)
        wait_until("VACUUM waits", lambda: server.sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") == "1", 10)

        wanted = Wanted(states=STATES, older_than_s=0, spare_applications=["rep*"])
        done = end_sessions(EndRequest(server.connection, wanted))
        assert done["ended"] == []
        reasons = {one["application"]: one["reason"] for one in done["spared"]}
        assert "superuser" in reasons["a person"]
        assert "backs up" in reasons["pg_dump"]
        assert reasons["sre.runbooks"] == "it is one of ours"
        assert "elect a leader" in reasons["leader"]
        assert reasons["cron"] == "it is maintenance"
        assert "are to stay" in reasons["reports"]
        assert reasons["pg_receivewal"] == "it is replication"
        assert receiver.poll() is None

        superusers_too = end_sessions(EndRequest(server.connection, replace(wanted, spare_superusers=False)))
        assert [one["application"] for one in superusers_too["ended"]] == ["a person"]


def test_prepared_transactions_and_slots_that_nobody_uses_are_told(server: PostgresqlServer) -> None:
    server.sql("SELECT pg_create_physical_replication_slot('forgotten', true)")
    try:
        with client(server) as one:
            one.ask("BEGIN; UPDATE orders SET note = 'f' WHERE id = 1; PREPARE TRANSACTION 'lost'")
        with client(server) as waiter:
            waiter.send("UPDATE orders SET note = 'g' WHERE id = 1")
            wait_until("one waits", lambda: server.sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") == "1", 10)
            told = information(server.connection, Limits(long_transaction_s=0, slot_bytes=-1))
            (tree,) = told["blockers"]
            assert tree["pid"] == 0 and "'lost' in shop" in tree["state"]
        said = " ".join(one["text"] for one in told["findings"])
        assert "the prepared transaction 'lost' is open" in said
        assert "the replication slot forgotten is used by nobody" in said
    finally:
        server.sql("ROLLBACK PREPARED 'lost'", "shop")
        server.sql("SELECT pg_drop_replication_slot('forgotten')")


def test_a_role_that_may_not_see_or_end_others_says_so_and_ends_nobody(server: PostgresqlServer) -> None:
    with client(server, user="postgres", name="other") as other:
        pid = pid_of(other)
        told = information(service_of(server), Limits())
        assert told["not_visible"] == 1 and told["verdict"] == "unknown"
        done = end_sessions(EndRequest(service_of(server), Wanted(states=STATES, older_than_s=0, spare_superusers=False)))
        assert done["ended"] == []
        server.sql("GRANT pg_monitor TO service")
        try:
            done = end_sessions(EndRequest(service_of(server), Wanted(states=[IDLE], older_than_s=0, spare_superusers=False)))
        finally:
            server.sql("REVOKE pg_monitor FROM service")
        assert "may not end it" in done["spared"][0]["reason"]
        assert lives(server, pid)


def test_where_sessions_may_not_be_ended_a_query_that_will_not_stop_is_told(server: PostgresqlServer) -> None:
    stubborn = "DO $$ BEGIN LOOP BEGIN PERFORM pg_sleep(1); EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP; END $$"
    with client(server) as one:
        pid = pid_of(one)
        one.send(stubborn)
        wait_until("it runs", lambda: server.sql("SELECT count(*) FROM pg_stat_activity WHERE state = 'active'") == "2", 10)
        request = EndRequest(server.connection, Wanted(states=[ACTIVE], older_than_s=0), cancel_wait_s=0.2, terminate=False)
        done = end_sessions(request)
        assert [entry["outcome"] for entry in done["ended"]] == [session_end.STILL_THERE]
        assert f"still there: processes {pid}" in done["notes"]
        assert lives(server, pid)
        with pytest.raises(BadInput, match="Only a running query"):
            end_sessions(replace(request, wanted=Wanted()))
        end_sessions(replace(request, terminate=True))


@pytest.mark.parametrize(
    "wanted",
    [Wanted(older_than_s=-1), Wanted(most=-1), Wanted(states=["asleep"])],
    ids=["negative time", "negative count", "no such state"],
)
def test_nonsense_is_refused_before_anything_is_asked(server: PostgresqlServer, wanted: Wanted) -> None:
    with pytest.raises(BadInput, match="makes no sense"):
        end_sessions(EndRequest(replace(server.connection, port=1), wanted))


def test_another_server_than_the_one_that_is_meant_is_left_alone(server: PostgresqlServer) -> None:
    with client(server) as one:
        pid = pid_of(one)
        with pytest.raises(WrongTarget):
            end_sessions(EndRequest(server.connection, Wanted(older_than_s=0), expected_identifier="123"))
        assert lives(server, pid)


def test_the_procedure_looks_and_ends_only_when_told_to_and_leaves_a_record(server: PostgresqlServer, tmp_path: Path) -> None:
    profile = Profile(tmp_path, server, "shop")
    with client(server) as one:
        pid = pid_of(one)
        looked = profile.run("database_sessions", "-e", "database_end_older_than_s=0")
        assert looked.status == 0, looked.output
        assert "of 9 connections are in use" in looked.output and lives(server, pid)
        told = profile.run("database_sessions", "--check", "--diff", "-e", "database_end=true", "-e", "database_end_older_than_s=0")
        assert told.status == 0, told.output
        assert f"end {pid}, service (shop)" in told.output and lives(server, pid)
        done = profile.run("database_sessions", "-e", "database_end=true", "-e", "database_end_older_than_s=0")
        assert done.status == 0, done.output
        assert not lives(server, pid)
    record = profile.records()[-1]
    assert record["measurements"]["ended_count"]["value"] == 1
    assert server.password not in json.dumps(record)


def test_a_server_that_is_nearly_full_makes_the_procedure_fail_with_the_numbers(server: PostgresqlServer, tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        for _number in range(9):
            stack.enter_context(client(server))
        failed = Profile(tmp_path, server, "shop").run("database_sessions")
        assert failed.status == 2
        assert "10 of 9 connections are in use" in failed.message


def test_a_server_that_ends_half_way_is_named_as_the_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    with running_server(SETTINGS) as one:
        one.sql(f"CREATE ROLE service LOGIN PASSWORD '{one.password}'; CREATE DATABASE shop")
        with client(one):

            def choose_and_die(*given: object) -> object:
                choice = choose(*given)  # type: ignore[arg-type]
                one.kill()
                return choice

            monkeypatch.setattr(session_end, "choose", choose_and_die)
            with pytest.raises(RunbookError) as failed:
                end_sessions(EndRequest(one.connection, Wanted(older_than_s=0)))
            assert failed.value.kind == "Unreachable"
            assert "server closed the connection" in failed.value.why
