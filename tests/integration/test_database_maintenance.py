# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Maintenance of a real database: it does what is needed and no more, beside a service at work, and nothing breaks when it is killed."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.database_care import maintenance
from ansible_collections.sre.runbooks.plugins.module_utils.database_care.maintenance import MaintenanceRequest, maintain
from ansible_collections.sre.runbooks.plugins.module_utils.database_care.maintenance_plan import ANALYZE, REINDEX, Rules
from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput, LeaseHeld
from ansible_collections.sre.runbooks.plugins.module_utils.files import free_bytes
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.connection import Session
from integration.faults import ROUNDS, Operation, Series, backends, order, own_process, postmaster, serves
from integration.playbook_runs import Profile
from integration.postgresql_server import PostgresqlServer, running_server
from integration.test_disk_full import small_disk
from tools.waiting import wait_until

RULES = Rules(waste_bytes=100_000)
ROWS = 20_000
INDEXES = {"cases_pkey", "cases_by_name", "cases_by_lower_name", "cases_by_time"}


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresqlServer]:
    """A server that leaves all the care to us."""
    with running_server({"autovacuum": "off"}) as one:
        yield one


@pytest.fixture
def database(server: PostgresqlServer) -> Iterator[str]:
    """A database that has been neglected."""
    server.sql("CREATE DATABASE archive")
    fill(server)
    yield "archive"
    server.sql("DROP DATABASE archive WITH (FORCE)")


def fill(server: PostgresqlServer, rows: int = ROWS) -> None:
    """A table of which nine rows in ten are deleted, with its indexes, and one that the planner knows nothing of."""
    server.sql(
        "CREATE TABLE cases (id bigint PRIMARY KEY, name text, at timestamptz DEFAULT now());"
        "CREATE INDEX cases_by_name ON cases (name); CREATE INDEX cases_by_lower_name ON cases (lower(name)) WHERE id > 5;"
        "CREATE INDEX cases_by_time ON cases USING brin (at); CREATE TABLE small (a int); INSERT INTO small VALUES (1)",
        "archive",
    )
    server.sql(f"INSERT INTO cases SELECT g, 'case number ' || g FROM generate_series(1, {rows}) g", "archive")
    server.sql("ANALYZE cases", "archive")
    server.sql("DELETE FROM cases WHERE id % 10 <> 0", "archive")


def request_for(server: PostgresqlServer, rules: Rules = RULES) -> MaintenanceRequest:
    """The whole maintenance of the database."""
    return MaintenanceRequest(server.connection, "archive", rules, lock_timeout_s=1)


def indexes(server: PostgresqlServer) -> dict[str, bool]:
    """The indexes of the table, each with whether it may be used."""
    rows = server.sql(
        "SELECT c.relname, i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = indexrelid WHERE indrelid = 'public.cases'::regclass",
        "archive",
    )
    return {line.split("|")[0]: line.endswith("t") for line in rows.splitlines()}


def sizes(server: PostgresqlServer) -> str:
    """Files and sizes of every table and index, to see that nothing was changed."""
    return server.sql(
        "SELECT relname, relfilenode, pg_relation_size(oid) FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1", "archive"
    )


def test_what_check_mode_foretells_is_done_and_then_nothing_is_left_to_do(server: PostgresqlServer, database: str) -> None:
    before, content = sizes(server), server.content(database)
    told = maintain(request_for(server), dry_run=True)
    assert told["changed"] and sizes(server) == before
    done = maintain(request_for(server))
    assert done["plan"] == told["plan"]
    assert [step["outcome"] for step in done["steps"]] == ["done"] * len(told["plan"])
    assert [step["action"] for step in done["steps"]] == ["vacuum_analyze"] * 2 + ["reindex"] * 3
    assert done["steps"][0]["name"] == '"public"."cases"', "what needs it most comes first"
    shown = {one["name"]: one for one in done["indexes"]}
    assert shown['"public"."cases_pkey"']["bytes_after"] < shown['"public"."cases_pkey"']["bytes_before"] / 4
    assert shown['"public"."cases_pkey"']["waste_bytes_after"] < shown['"public"."cases_pkey"']["waste_bytes_before"] / 4
    assert (done["tables"][0]["dead_before"], done["tables"][0]["dead_after"]) == (ROWS * 9 // 10, 0)
    assert done["freed_bytes"] > 0
    again = maintain(request_for(server))
    assert (again["changed"], again["plan"]) == (False, [])
    assert server.content(database) == content
    assert indexes(server) == dict.fromkeys(INDEXES, True)


def test_an_index_that_only_looks_bloated_is_measured_and_left_alone(server: PostgresqlServer, database: str) -> None:
    """The estimate believes the statistics, and these are wrong: it would rebuild the index each time."""
    maintain(request_for(server))
    server.sql("ALTER TABLE small ADD COLUMN wide text DEFAULT 'x'; CREATE INDEX small_wide ON small (wide)", database)
    server.sql("INSERT INTO small SELECT g, repeat(md5(g::text), 8) FROM generate_series(1, 3000) g", database)
    server.sql("SELECT pg_stat_reset(); UPDATE pg_class SET reltuples = 1 WHERE relname = 'small'; ANALYZE cases", database)
    server.sql("ALTER TABLE small ALTER wide SET STATISTICS 1; ANALYZE small", database)
    server.sql("UPDATE pg_statistic SET stawidth = 4 WHERE starelid = 'public.small'::regclass", database)
    only = replace(RULES, steps=[REINDEX])
    assert any("small_wide" in sentence for sentence in maintain(request_for(server, only), dry_run=True)["plan"])
    server.sql("CREATE EXTENSION pgstattuple", database)
    assert maintain(request_for(server, only), dry_run=True)["plan"] == []


def test_only_what_was_named_is_touched(server: PostgresqlServer, database: str) -> None:
    only = replace(RULES, tables=["public.small"])
    assert [step["name"] for step in maintain(request_for(server, only))["steps"]] == ['"public"."small"']
    analysed = maintain(request_for(server, replace(RULES, steps=[ANALYZE], everything=True)))
    assert {step["action"] for step in analysed["steps"]} == {"analyze"}
    with pytest.raises(BadInput, match="There is no table 'nonsense'"):
        maintain(request_for(server, replace(RULES, tables=["nonsense"])))


def test_a_rebuild_that_would_have_to_wait_is_postponed_and_nothing_is_left_behind(server: PostgresqlServer, database: str) -> None:
    maintain(request_for(server, replace(RULES, steps=["vacuum_analyze"])))
    with Session(server.connection, database, {}) as other:
        other.ask("BEGIN; LOCK TABLE cases IN ROW EXCLUSIVE MODE")
        told = maintain(request_for(server))  # begins while the transaction is younger than the time that it may wait
        assert {step["outcome"] for step in told["steps"]} == {"postponed"}
        assert any("lock_timeout" in step["why"] for step in told["steps"])
        assert not told["changed"] and told["notes"]
        time.sleep(1)
        again = maintain(request_for(server))
        assert all("the transaction of" in step["why"] for step in again["steps"] if step["action"] == "reindex")
    after = maintain(request_for(server))
    assert {step["outcome"] for step in after["steps"]} == {"done"}
    assert indexes(server) == dict.fromkeys(INDEXES, True)


def test_queries_of_the_service_are_not_held_up(server: PostgresqlServer, database: str, tell: Callable[[str], None]) -> None:
    server.sql("INSERT INTO cases SELECT g, 'case number ' || g FROM generate_series(1000001, 1100000) g", database)
    server.sql("DELETE FROM cases WHERE id > 1000000 AND id % 20 <> 0", database)
    waits: list[float] = []
    over = threading.Event()

    def serve() -> None:
        with Session(server.connection, database, {}) as client:
            number = 0
            while not over.is_set():
                number += 1
                began = time.perf_counter()
                client.ask(f"UPDATE cases SET at = now() WHERE id = 10; SELECT count(*) FROM cases WHERE name = 'case number {number}'")
                waits.append(time.perf_counter() - began)

    thread = threading.Thread(target=serve)
    thread.start()
    wait_until("the service works", lambda: len(waits) > 20, 20)
    quiet, waits[:] = max(waits), []
    try:
        done = maintain(replace(request_for(server), lock_timeout_s=20))
    finally:
        over.set()
        thread.join()
    assert {step["outcome"] for step in done["steps"]} == {"done"}
    longest = f"the longest {max(waits) * 1000:.0f} ms (before it: {quiet * 1000:.0f} ms)"
    tell(f"maintenance beside a client: {len(waits)} transactions in {done['duration_s']:.2f} s, {longest}")
    assert max(waits) < 1 + 10 * quiet, "nothing waits for a lock of ours as long as it may hold one"


def test_a_rebuild_that_cannot_end_in_time_is_ended_postponed_and_told_and_its_half_goes_with_the_next_run(
    server: PostgresqlServer, database: str
) -> None:
    rebuilding = replace(request_for(server), rules=replace(RULES, steps=[REINDEX]))
    with Session(server.connection, database, {}) as other:
        other.ask("BEGIN; LOCK TABLE public.cases IN ROW EXCLUSIVE MODE")
        told = maintain(replace(rebuilding, lock_timeout_s=4, budget_s=3))
    assert 3 <= told["duration_s"] < 15
    assert told["steps"] and {step["outcome"] for step in told["steps"]} == {"postponed"}
    assert "its time was up" in told["steps"][0]["why"] and "stays until the next run drops it" in told["steps"][0]["why"]
    maintain(rebuilding)
    assert server.sql("SELECT count(*) FROM pg_class WHERE relname LIKE '%_ccnew%'", database) == "0"


def test_what_there_is_no_time_for_is_not_begun(server: PostgresqlServer, database: str) -> None:
    told = maintain(replace(request_for(server), budget_s=0.5))
    assert told["steps"] and {step["outcome"] for step in told["steps"]} == {"postponed"}
    assert all("time" in step["why"] for step in told["steps"])


def test_one_run_at_a_time(server: PostgresqlServer, database: str) -> None:
    with Session(server.connection, database) as other:
        other.ask(f"SELECT pg_advisory_lock{maintenance.ONE_AT_A_TIME}")
        with pytest.raises(LeaseHeld):
            maintain(request_for(server))
        assert maintain(request_for(server), dry_run=True)["plan"], "looking is always allowed"


def test_a_failed_index_of_somebody_else_is_told_and_stays(server: PostgresqlServer, database: str) -> None:
    server.sql("INSERT INTO small VALUES (1)", database)
    with pytest.raises(Exception, match="could not create unique index"):
        server.sql("CREATE UNIQUE INDEX CONCURRENTLY small_once ON small (a)", database)
    done = maintain(request_for(server))
    assert any("small_once" in note and "cannot be used" in note for note in done["notes"])
    assert server.sql("SELECT indisvalid FROM pg_index WHERE indexrelid = 'public.small_once'::regclass", database) == "f"


def test_nonsense_is_refused_before_anything_is_done(server: PostgresqlServer, database: str) -> None:
    with pytest.raises(BadInput, match="makes no sense"):
        maintain(request_for(server, Rules(steps=["defragment"])))
    with pytest.raises(BadInput, match="makes no sense"):
        maintain(replace(request_for(server), jobs=0))
    with pytest.raises(BadInput, match="There is no database"):
        maintain(replace(request_for(server), database="nonsense"))


BUILT = ("cases_pkey", "cases_by_name")
CLEANING = Rules(steps=[REINDEX], waste_bytes=10**15)
"""Leftovers are dropped, and nothing is worth a rebuild."""


def wear(server: PostgresqlServer) -> None:
    """Bloat the indexes of many rows again: built two thirds empty, and then meant to be full."""
    server.sql("".join(f"ALTER INDEX {name} SET (fillfactor = 30); REINDEX INDEX {name};" for name in BUILT), "archive")
    server.sql("".join(f"ALTER INDEX {name} SET (fillfactor = 90);" for name in BUILT), "archive")


def test_a_run_that_is_killed_at_any_moment_breaks_nothing_and_the_next_one_cleans_up(tell: Callable[[str], None]) -> None:
    with running_server({"autovacuum": "off", "fsync": "off"}) as server:
        server.sql("CREATE DATABASE archive")
        fill(server, 5_000)
        server.sql("INSERT INTO cases SELECT g, md5(g::text) FROM generate_series(1000001, 1100000) g", "archive")
        server.sql("DROP INDEX cases_by_lower_name; VACUUM cases", "archive")
        server.sql("VACUUM ANALYZE cases", "archive")
        used, content = INDEXES - {"cases_by_lower_name"}, server.content("archive")
        wanted = order(server, "maintain", database="archive")
        for name, victim, rounds in (
            ("maintenance", own_process, ROUNDS * 2 // 5),
            ("the server's process during maintenance", backends(server, "archive"), ROUNDS // 5),
            ("the server during maintenance", postmaster(server), ROUNDS // 7),
        ):
            left, series = 0, Series(name, victim, max(rounds, 2))
            wear(server)
            for moment in series.moments(Operation(wanted)):
                if not maintain(request_for(server), dry_run=True)["plan"]:
                    wear(server)
                series.strike(Operation(wanted), moment)
                with series.round():
                    if victim is not own_process:
                        come_back(server, killed=name.startswith("the server during"))
                    found = indexes(server)
                    assert all(found[index] for index in used), "what was in use is in use"
                    left += len(found) > len(used)
                    done = maintain(request_for(server, CLEANING))
                    assert {step["outcome"] for step in done["steps"]} <= {"done"}, done
                    assert indexes(server) == dict.fromkeys(used, True)
            series.conclude(tell, f"; {left} left a half-made index, which the next run dropped")
        assert {step["outcome"] for step in maintain(request_for(server))["steps"]} <= {"done"}
        assert server.content("archive") == content


def come_back(server: PostgresqlServer, *, killed: bool) -> None:
    """Wait until the server serves again: it restarts by itself when a process of it was killed, and must be started when it was itself."""
    if killed and not serves(server):
        server.wait_until_gone()
        server.restart_after_kill()
    wait_until("the server serves again", lambda: serves(server), 30)


def test_what_the_server_still_does_for_a_dead_run_is_ended(server: PostgresqlServer, database: str) -> None:
    with Session(server.connection, database, {}) as blocker, Session(server.connection, database, {}) as orphan:
        blocker.ask("BEGIN; LOCK TABLE cases IN ROW EXCLUSIVE MODE")
        orphan.ask("SET application_name = 'sre.runbooks maintenance'")
        orphan.send("REINDEX INDEX CONCURRENTLY cases_pkey")
        wait_until("it has begun", lambda: "cases_pkey_ccnew" in indexes(server), 10, every_s=0.005)
        blocker.ask("COMMIT; BEGIN; LOCK TABLE small IN ACCESS SHARE MODE")
        done = maintain(request_for(server))
    assert {step["outcome"] for step in done["steps"]} == {"done"}, json.dumps(done["steps"])
    assert indexes(server) == dict.fromkeys(INDEXES, True)


@pytest.mark.needs_root
def test_a_disk_without_room_for_a_rebuild_leaves_the_index_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    logs = Path(tempfile.mkdtemp(prefix="sre-runbooks-test-"))
    logs.chmod(0o755)
    with small_disk(200) as disk, running_server({"autovacuum": "off"}, parent=str(disk), log_folder=logs / "wal") as server:
        server.sql("CREATE DATABASE archive")
        fill(server, 20)
        server.sql("INSERT INTO cases SELECT g, md5(g::text) FROM generate_series(1000001, 1100000) g", "archive")
        server.sql("VACUUM cases", "archive")
        server.sql("VACUUM ANALYZE", "archive")
        wear(server)
        with (disk / "ballast").open("wb") as ballast:
            os.posix_fallocate(ballast.fileno(), 0, free_bytes(str(disk)) - 1_000_000)
        told = maintain(request_for(server))
        assert {step["outcome"] for step in told["steps"]} == {"postponed"}
        assert "too little room" in told["steps"][0]["why"]

        # The disk of a server elsewhere cannot be seen.
        monkeypatch.setattr(maintenance, "require_space", lambda _folder, _bytes: None)
        full = maintain(request_for(server))
        assert full["failed"] and "No space left on device" in full["msg"]
        assert [step["outcome"] for step in full["steps"]] == ["failed"] + ["postponed"] * (len(full["steps"]) - 1)
        (disk / "ballast").unlink()
        assert indexes(server) == dict.fromkeys(INDEXES, True), "what was half made is gone"
        assert {step["outcome"] for step in maintain(request_for(server))["steps"]} == {"done"}
    shutil.rmtree(logs, ignore_errors=True)


def test_the_procedure_foretells_does_and_records_it(server: PostgresqlServer, database: str, tmp_path: Path) -> None:
    profile = Profile(tmp_path, server, database)
    before = sizes(server)
    options = ["-e", "database_maintenance_waste_bytes=100000"]
    told = profile.run("database_maintenance", "--check", "--diff", *options)
    assert told.status == 0, told.output
    assert "rebuild" in told.output and sizes(server) == before
    done = profile.run("database_maintenance", *options)
    assert done.status == 0, done.output
    assert "now" in done.output and sizes(server) != before
    assert profile.records()[-1]["measurements"]["freed_bytes"]["value"] > 0
    again = profile.run("database_maintenance", *options)
    assert "nothing needs doing" in again.output
