# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The service that drills and tests manage must itself behave: live through lost stores, come back, and break when it is told to."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from integration.service_stack import DATABASE, ServiceProcess, Stack, prepare_database
from tools.waiting import wait_until

NOTED = "SELECT count(*) || ' ' || count(DISTINCT id) FROM response_history WHERE id > 10^15"  # the sample data counts from 1
SERVICE_SETTINGS = {"REFERENCE_SERVICE_BREAKER_RESET_S": "1", "REFERENCE_SERVICE_BREAKER_FAILURES": "3"}


def circuit_state(service: ServiceProcess) -> str:
    return str(service.get("/metrics.json").body["tools"]["circuit_states"]["llm_provider"])


def seconds_until(what: str, true: Callable[[], bool]) -> float:
    began = time.monotonic()
    wait_until(what, true)
    return time.monotonic() - began


def test_every_answer_names_the_colour_also_one_for_a_path_that_is_not_there(service: ServiceProcess) -> None:
    for path, status in {"/": 200, "/version": 200, "/healthz": 200, "/nowhere": 404, "/cases/word": 422}.items():
        answer = service.get(path)
        assert (answer.status, answer.headers["x-colour"]) == (status, "blue")
    assert service.get("/version").body["colour"] == "blue"


def test_a_question_reads_cases_is_kept_in_the_cache_and_noted_in_the_history(stack: Stack, service: ServiceProcess) -> None:
    service.ask("DELETE", "/cache/clear")
    before = int(stack.database.sql(NOTED, DATABASE).split()[0])
    first, second = service.chat("court"), service.chat("court")
    assert (first.status, first.body["cached"], second.body["cached"]) == (200, False, True)
    assert first.body["cases"]
    assert first.body["documents"]
    assert int(stack.database.sql(NOTED, DATABASE).split()[0]) == before + 2
    stats = service.get("/cache/stats").body
    assert (stats["hits"], stats["misses"], stats["hit_ratio"]) == (1, 2, 0.333333)
    assert stats["keys"] == 2
    assert service.get("/cases/1").body["case_number"] == "C-000000001"
    assert service.get("/cases/987654321").status == 404
    assert service.get("/cases/count").body == {"count": 60}


def test_clearing_the_cache_takes_nothing_but_the_answers(stack: Stack, service: ServiceProcess) -> None:
    import redis

    client = redis.Redis(port=stack.cache.port, password=stack.cache.password)
    with client.pipeline(transaction=False) as pipeline:
        for number in range(5000):
            pipeline.set(f"reference:cache:query_cache:{number}", "1")
        pipeline.set("of somebody else", "1")
        pipeline.execute()
    service.chat("state")
    cleared = service.ask("DELETE", "/cache/clear").body["cleared"]
    assert cleared >= 5000
    assert set(client.keys()) == {b"of somebody else", b"reference:state:last_seen"}
    assert service.ask("DELETE", "/cache/clear").body["cleared"] == 0
    assert service.get("/cache/stats").body["hit_ratio"] is None
    client.close()


def test_two_instances_number_their_rows_without_clashes(stack: Stack, service: ServiceProcess) -> None:
    other = stack.service("green").start()
    try:
        before = int(stack.database.sql(NOTED, DATABASE).split()[0])
        with ThreadPoolExecutor(20) as pool:
            answers = list(pool.map(lambda i: (service, other)[i % 2].chat(f"Test message {i}"), range(200)))
        assert {answer.status for answer in answers} == {200}
        rows, numbers = map(int, stack.database.sql(NOTED, DATABASE).split())
        assert rows == numbers == before + 200
    finally:
        other.stop()


def test_parsing_tells_how_sure_it_is(service: ServiceProcess) -> None:
    sure = service.ask("POST", "/parse", {"text": "Hearing tomorrow at 3pm"}).body
    unsure = service.ask("POST", "/parse", {"text": "x"}).body
    assert (sure["date"], sure["time"]) == ("tomorrow", "3pm")
    assert sure["confidence"] > 0.9 > 0.7 > unsure["confidence"]
    assert set(sure["confidence_breakdown"]) == {"date", "time", "title"}


def test_metrics_come_as_prometheus_text_and_as_json(service: ServiceProcess) -> None:
    service.chat("figures")
    text = service.get("/metrics").body
    for series in (
        'http_requests_total{method="POST",path="/chat",status="200"}',
        'http_request_duration_seconds_bucket{le="0.005",method="POST",path="/chat"}',
        'component_latency_seconds_count{component="database"}',
        'circuit_breaker_open{tool="search_statute"} 0.0',
        'cache_lookups_total{cache="query_cache",result="miss"}',
    ):
        assert series in text
    figures = service.get("/metrics", Accept="application/json").body
    assert figures["tools"]["circuit_states"] == dict.fromkeys(("search_statute", "llm_provider", "vector_search"), "closed")
    assert figures["tools"]["aggregate_metrics"]["total_calls"] > 0
    assert figures["overview"].keys() >= {"success_rate", "avg_duration", "active_workflows"}
    assert figures.keys() >= {"request_latency_p95", "error_rate", "cache_hit_rate", "alerts"}
    assert service.get("/metrics.json").body["tools"] == figures["tools"]


def test_a_failing_tool_opens_its_circuit_which_tries_again_and_closes(service: ServiceProcess) -> None:
    service.ask("POST", "/faults", {"failing_tool": "llm_provider"})
    failures = [service.chat(f"provider {number}") for number in range(4)]
    assert [answer.status for answer in failures] == [503] * 4
    assert "injected" in failures[2].body["message"]
    assert "open" in failures[3].body["message"]
    assert circuit_state(service) == "open"
    assert 'circuit_breaker_open{tool="llm_provider"} 1.0' in service.get("/metrics").body
    assert 'provider_api_errors_total{provider="llm_provider"}' in service.get("/metrics").body
    assert service.get("/api/system/health").body["data"]["healthy_wrappers"] == 2
    assert service.get("/api/wrappers/routellm/metrics").body["data"]["failed_calls"] >= 3
    assert service.get("/health").body["healthy"]
    service.ask("DELETE", "/faults")
    assert seconds_until("half open", lambda: circuit_state(service) == "half_open") < 2
    assert service.chat("provider again").status == 200
    assert {circuit["state"] for circuit in service.get("/admin/circuits").body} == {"closed"}


def test_an_opened_circuit_is_closed_by_the_reset_and_only_by_a_known_name(service: ServiceProcess) -> None:
    service.ask("POST", "/faults", {"open_breaker": "search_statute"})
    assert service.chat("statute of limitations").status == 503
    assert service.ask("POST", "/admin/reset-circuit/unknown").status == 404
    reset = service.ask("POST", "/admin/reset-circuit/search_statute").body
    assert (reset["before"], reset["state"]) == ("open", "closed")
    assert service.chat("statute of limitations").status == 200
    system = service.get("/api/system/health").body
    assert system["success"]
    assert (system["data"]["overall_health_score"], system["data"]["system_status"]) == (1.0, "Healthy")
    assert system["data"]["active_wrappers"] == system["data"]["healthy_wrappers"] == 3
    assert service.get("/api/wrappers/health").status == service.get("/api/metrics/export").status == 200
    assert service.get("/api/wrappers/unknown/metrics").status == 404


def test_slow_answers_errors_and_a_leak_show_in_the_figures(service: ServiceProcess) -> None:
    before = service.get("/metrics.json").body["memory"]["resident_bytes"]
    service.ask("POST", "/faults", {"slow_ms": 300, "error_rate": 0.25, "leak_mb": 8})
    with ThreadPoolExecutor(20) as pool:
        statuses = sorted(pool.map(lambda _i: service.get("/cases/1").status, range(20)))
    assert statuses == [200] * 15 + [500] * 5
    figures = service.get("/metrics.json").body
    assert figures["request_latency_p95"] >= 300
    assert figures["error_rate"] > 0
    counted = [
        line for line in service.get("/metrics").body.splitlines() if line.startswith("http_requests_total") and 'status="500"' in line
    ]
    assert counted, "failed requests are counted"
    assert not [line for line in counted if 'path="unknown"' in line], "under the path that failed"
    assert figures["memory"]["resident_bytes"] - before > 100 * 2**20
    service.ask("DELETE", "/faults")
    assert service.get("/metrics.json").body["memory"]["resident_bytes"] - before < 50 * 2**20
    assert service.get("/cases/1").status == 200


def test_a_database_that_seems_lost_makes_the_service_unready_but_not_dead(service: ServiceProcess) -> None:
    service.ask("POST", "/faults", {"lost_database": True})
    ready, health = service.get("/ready"), service.get("/health")
    assert ready.status == 503
    assert ready.body["reason"].startswith("database: connection lost")
    assert (health.status, health.body["healthy"]) == (200, False)
    assert {entry["name"]: entry["status"] for entry in health.body["services"]}["database"] == "unhealthy"
    assert service.get("/healthz").status == 200


def test_faults_are_not_to_be_had_where_they_are_not_allowed(stack: Stack) -> None:
    careful = stack.service("green", REFERENCE_SERVICE_FAULTS="").start()
    try:
        assert careful.ask("POST", "/faults", {"slow_ms": 1}).status == careful.ask("DELETE", "/faults").status == 404
    finally:
        careful.stop()


def test_questions_are_answered_without_the_cache_and_with_it_again_once_it_is_back(stack: Stack, service: ServiceProcess) -> None:
    stack.cache.stop()
    assert service.get("/ready").body["reason"].startswith("cache: ")
    assert service.get("/health").body["healthy"] is False
    assert service.chat("no cache").status == 200
    assert service.ask("DELETE", "/cache/clear").status == 503
    stack.cache.start()
    assert seconds_until("ready again", lambda: service.get("/ready").status == 200) < 2
    assert [service.chat("cache again").body["cached"] for _ in range(2)] == [False, True]


def test_it_starts_without_database_and_is_ready_soon_after_the_database_is(stack: Stack) -> None:
    stack.database.stop("fast")
    service = stack.service("green").start()
    try:
        began = time.monotonic()
        answer = service.get("/ready")
        assert (answer.status, time.monotonic() - began < 8) == (503, True)
        assert re.search(r"database: (Connection\w*Error|TimeoutError: no answer within)", answer.body["reason"])
        with ThreadPoolExecutor(10) as pool:
            assert list(pool.map(lambda _i: service.chat("x").status, range(10))) == [503] * 10
        stack.database.start()
        assert seconds_until("ready", lambda: service.get("/ready").status == 200) < 2
        # The tool that asked the lost database is not to blame: its circuit stayed closed.
        assert service.chat("x").status == 200
    finally:
        service.stop()
        if stack.database.is_gone():
            stack.database.start()


def test_a_dropped_table_is_named_by_the_readiness_check(stack: Stack, service: ServiceProcess) -> None:
    stack.database.sql("ALTER TABLE response_history RENAME TO away", DATABASE)
    try:
        assert 'relation "response_history" does not exist' in service.get("/ready").body["reason"]
    finally:
        stack.database.sql("ALTER TABLE away RENAME TO response_history", DATABASE)
    assert service.get("/ready").status == 200


def test_a_database_that_hangs_holds_no_answer_up_for_long(stack: Stack, service: ServiceProcess) -> None:
    assert service.chat("warm").status == 200
    pid = int((stack.database.data / "postmaster.pid").read_text().splitlines()[0])
    children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    for one in (pid, *children):
        os.kill(one, signal.SIGSTOP)
    try:
        for path, longest_s in {"/healthz": 0.5, "/ready": 3.0, "/health": 3.0, "/cases/count": 4.0}.items():
            began = time.monotonic()
            status = service.get(path).status
            assert (status, time.monotonic() - began < longest_s) == (200 if path.startswith("/health") else 503, True)
    finally:
        for one in (*children, pid):
            os.kill(one, signal.SIGCONT)
    assert seconds_until("ready again", lambda: service.get("/ready").status == 200) < 5


def test_no_question_fails_while_another_database_takes_the_place_of_the_live_one(stack: Stack, service: ServiceProcess) -> None:
    server = stack.database
    prepare_database(server, "beside")
    server.sql("DELETE FROM documents WHERE id > 100; UPDATE clients SET name = 'of the other one'", "beside")
    statuses: list[int] = []
    over = threading.Event()

    def keep_asking() -> None:
        while not over.is_set():
            statuses.append(service.chat(f"question {time.monotonic_ns()}").status)

    askers = [threading.Thread(target=keep_asking) for _ in range(6)]
    for asker in askers:
        asker.start()
    try:
        time.sleep(0.5)
        server.sql(f"ALTER DATABASE {DATABASE} ALLOW_CONNECTIONS false; ALTER DATABASE beside ALLOW_CONNECTIONS false")
        server.sql(f"SELECT pg_terminate_backend(pid, 2000) FROM pg_stat_activity WHERE datname IN ('{DATABASE}', 'beside')")
        time.sleep(0.25)
        rename = f"ALTER DATABASE {DATABASE} RENAME TO before; ALTER DATABASE beside RENAME TO {DATABASE};"
        server.sql(f"{rename} ALTER DATABASE {DATABASE} ALLOW_CONNECTIONS true")
        time.sleep(1)
    finally:
        over.set()
        for asker in askers:
            asker.join()
    assert set(statuses) == {200}
    assert service.get("/cases/1").body["client"] == "of the other one"


def test_a_request_under_way_is_answered_before_the_service_ends(stack: Stack) -> None:
    service = stack.service("green").start()
    service.ask("POST", "/faults", {"slow_ms": 1000})
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(service.get, "/cases/1")
        wait_until("the request is under way", lambda: service.get("/metrics.json").body["overview"]["active_workflows"] == 1)
        service.stop()
        assert slow.result().status == 200
    last = service.log()[-1]
    assert (last["message"], last["level"], last["colour"]) == ("stopped", "INFO", "green")


def test_the_log_is_json_and_holds_no_secret(stack: Stack, service: ServiceProcess) -> None:
    service.chat("logged")
    entry = next(line for line in reversed(service.log()) if line.get("path") == "/chat")
    assert entry.keys() >= {"timestamp", "level", "message", "path", "status", "duration_ms"}
    text = service.log_file.read_text()
    assert "app-secret" not in text
    assert stack.cache.password not in text
