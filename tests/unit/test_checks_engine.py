# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Many checks at once: dependencies, the number under way, the report."""

from __future__ import annotations

import socket
import threading
import time

from ansible_collections.sre.runbooks.plugins.module_utils.checks.engine import ask
from ansible_collections.sre.runbooks.plugins.module_utils.checks.model import Answer, Attempt, Check, Question, Result
from ansible_collections.sre.runbooks.plugins.module_utils.checks.report import report, score, summary, table
from ansible_collections.sre.runbooks.tests.unit.checks_servers import Server, answer, closed_port, outcomes, sends, silent


def result(verdict: str, weight: float = 1.0, name: str = "x") -> Result:
    return Result(name, "http", "http://h/", verdict, 1.0, 1, "" if verdict == "pass" else "bad", {}, weight)


def test_a_failed_check_makes_its_dependants_unknown_and_they_are_not_asked() -> None:
    with Server(sends(answer(b""))) as server:
        third, first, second, other = outcomes(
            {"name": "third", "type": "http", "url": server.url, "depends_on": ["second"]},
            {"name": "first", "type": "tcp", "host": "127.0.0.1", "port": closed_port()},
            {"name": "second", "type": "http", "url": server.url, "depends_on": ["first", "other"]},
            {"name": "other", "type": "http", "url": server.url},
        )
        assert len(server.requests) == 1
    assert [one.verdict for one in (first, second, third, other)] == ["fail", "unknown", "unknown", "pass"]
    assert second.reason == "not asked, because it depends on first, whose answer is fail"
    assert second.attempts == 0


def test_a_warning_does_not_keep_dependants_from_being_asked() -> None:
    with Server(sends(answer(b""))) as server:
        first, second = outcomes(
            {"name": "first", "type": "http", "url": server.url, "warn_latency_ms": 0},
            {"name": "second", "type": "http", "url": server.url, "depends_on": ["first"]},
        )
    assert (first.verdict, second.verdict) == ("warn", "pass")


def test_a_dependant_s_clock_starts_when_it_is_asked() -> None:
    def slowly(connection: socket.socket, _request: bytes) -> None:
        time.sleep(0.4)
        connection.sendall(answer(b""))

    with Server(slowly) as server:
        _first, second = outcomes(
            {"name": "first", "type": "http", "url": server.url},
            {"name": "second", "type": "http", "url": server.url, "depends_on": ["first"], "timeout_s": 0.6},
        )
    assert second.verdict == "pass"


def test_no_more_checks_are_under_way_than_allowed() -> None:
    lock, under_way, most = threading.Lock(), [0], [0]

    def handle(connection: socket.socket, _request: bytes) -> None:
        with lock:
            under_way[0] += 1
            most[0] = max(most[0], under_way[0])
        time.sleep(0.02)
        with lock:
            under_way[0] -= 1
        connection.sendall(answer(b""))

    with Server(handle) as server:
        results = outcomes(*({"type": "http", "url": server.url} for _ in range(40)), concurrency=5)
    assert {one.verdict for one in results} == {"pass"}
    assert most[0] == 5


def test_a_hundred_silent_servers_take_no_longer_than_one() -> None:
    with Server(silent) as server:
        begin = time.monotonic()
        results = outcomes(*({"type": "http", "url": server.url, "timeout_s": 0.5} for _ in range(100)))
        assert time.monotonic() - begin < 4, "one after another they would take 50 s"
    assert {one.verdict for one in results} == {"fail"}


def test_results_come_in_the_order_of_the_checks_and_names_are_resolved_once() -> None:
    with Server(sends(answer(b""))) as server:
        url = server.url.replace("127.0.0.1", "localhost")
        results = outcomes(*({"type": "http", "url": url} for _ in range(30)))
    assert [one.name for one in results] == [f"check {number}" for number in range(30)]
    assert {one.verdict for one in results} == {"pass"}


class _Broken(Question):
    target = "nowhere"

    async def ask(self, attempt: Attempt) -> None:
        raise ZeroDivisionError("a surprise")

    def judge(self, got: object) -> Answer:
        return Answer()


def test_a_fault_of_the_check_itself_is_unknown_and_takes_no_other_answer_away() -> None:
    (one,) = ask([Check("a", "broken", _Broken({}), 1, 1)])
    assert one.verdict == "unknown"
    assert one.reason == "the check itself failed: ZeroDivisionError: a surprise"


def test_it_works_outside_the_main_thread() -> None:
    found: list[Result] = []
    with Server(sends(answer(b"x"))) as server:
        thread = threading.Thread(target=lambda: found.extend(outcomes({"type": "http", "url": server.url, "matches": ["x"]})))
        thread.start()
        thread.join(10)
    assert [one.verdict for one in found] == ["pass"]


def test_fail_outweighs_unknown_outweighs_warn_outweighs_pass() -> None:
    verdicts = ["pass", "warn", "unknown", "fail"]
    for most, verdict in enumerate(verdicts):
        said = report([result(one) for one in verdicts[: most + 1]], 1.0)
        assert said["verdict"] == verdict
        assert sum(said["counts"].values()) == most + 1


def test_the_score_weighs_and_a_warning_counts_half() -> None:
    assert score([result("pass"), result("fail")]) == 0.5
    assert score([result("pass", 3), result("fail", 1)]) == 0.75
    assert score([result("warn")]) == 0.5
    assert score([result("unknown")]) == 0.0
    assert score([result("pass", 0), result("fail", 0)]) == 0.5


def test_summary_and_table_put_the_worst_first_and_stay_readable() -> None:
    results = [result("pass", name=f"good {number}") for number in range(500)] + [result("unknown", name="u"), result("fail", name="f")]
    assert summary(results).startswith("2 of 502 checks did not pass: fail f (http://h/): bad; unknown u")
    lines = table(results)
    assert lines[0].startswith("FAIL    f ")
    assert lines[1].startswith("UNKNOWN u ")
    assert lines[-1] == "and 302 pass more"
    assert summary(results[:3]) == "All 3 checks passed."
