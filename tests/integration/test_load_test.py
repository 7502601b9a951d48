# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Load tests on the real reference service, sound, slow and failing, and on servers that misbehave."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.errors import ToolMissing
from ansible_collections.sre.runbooks.plugins.module_utils.history.store import History
from ansible_collections.sre.runbooks.plugins.module_utils.load.operation import OPTIONS, operate
from ansible_collections.sre.runbooks.plugins.module_utils.process_tree import start_of
from ansible_collections.sre.runbooks.tests.unit.checks_servers import Server, answer, closed_port, drips, sends, silent
from integration import playbook_runs
from integration.playbook_runs import OPERATOR, ROOT, Finished, finish, start
from integration.service_stack import ServiceProcess
from tools.waiting import wait_until

QUESTION = {"method": "POST", "path": "/chat", "headers": {"X-User-ID": "load-test"}, "body": {"message": "Which cases speak of water?"}}
ANSWERED = 'http_requests_total{method="POST",path="/chat"'


def loaded(url: str, **changed: t.Any) -> dict[str, t.Any]:
    """The result of a load test by the library."""
    defaults = {name: option.get("default") for name, option in OPTIONS.items()}
    return operate({**defaults, "url": url, "requests": [QUESTION], "python": sys.executable, **changed}, False)


def asked(service: ServiceProcess) -> int:
    """How many questions the service has answered, by its own count."""
    lines = [line for line in str(service.get("/metrics").body).splitlines() if line.startswith(ANSWERED)]
    return sum(int(float(line.rpartition(" ")[2])) for line in lines)


def url_of(service: ServiceProcess) -> str:
    """Where it is."""
    return f"http://127.0.0.1:{service.port}"


class Profile:
    """An inventory with a service to be tested, and the state of its runs."""

    def __init__(self, folder: Path, url: str, **variables: t.Any) -> None:
        self.folder, self.state = folder, folder / "state"
        (folder / "inventory" / "group_vars" / "all").mkdir(parents=True)
        (folder / "inventory" / "hosts.ini").write_text(OPERATOR)
        content = {"service_name": "reference", "service_url": url, "load_test_requests": [QUESTION], **variables}
        (folder / "inventory" / "group_vars" / "all" / "service.yml").write_text(json.dumps(content))

    def command(self, *options: str) -> list[str]:
        """The call of the playbook."""
        return playbook_runs.command("load_test", self.folder / "inventory", *options)

    def environment(self) -> dict[str, str]:
        """Its environment."""
        return playbook_runs.environment(self.state)

    def run(self, *options: str) -> Finished:
        """Run the playbook to its end."""
        return finish(start(self.command(*options), self.environment()))

    def records(self) -> list[dict[str, t.Any]]:
        """The records of the runs."""
        return playbook_runs.records(self.state)


def test_the_runbooks_hundred_questions_ten_at_a_time_are_all_sent_and_counted(service: ServiceProcess) -> None:
    before = asked(service)
    found = loaded(url_of(service))
    assert asked(service) == before + 100
    assert (found["total"], found["sent"], found["ok"], found["failed_requests"], found["statuses"]) == (100, 100, 100, 0, {"200": 100})
    latency = found["latency_ms"]
    assert 0 < latency["minimum"] <= latency["p50"] <= latency["p95"] <= latency["p99"] <= latency["maximum"]
    assert found["verdict"] == "pass"
    users = {line["user_id"] for line in service.log() if line.get("path") == "/chat"}
    assert users == {"load-test"}


def test_each_request_may_bear_its_number(service: ServiceProcess) -> None:
    before = service.get("/cache/stats").body["misses"]
    question = {**QUESTION, "body": {"message": "Test message {number}"}}
    assert loaded(url_of(service), total=20, requests=[question])["ok"] == 20
    assert service.get("/cache/stats").body["misses"] == before + 40  # neither the answer nor its embedding was there
    assert loaded(url_of(service), total=3, requests=[{"path": "/cases/{number}", "contains": ["C-00000000"]}])["ok"] == 3


def test_a_rate_is_held_and_the_schedule_decides_how_long_it_takes(service: ServiceProcess) -> None:
    found = loaded(url_of(service), total=100, rate_per_s=50.0)
    assert found["ok"] == 100
    assert 1.95 <= found["duration_s"] <= 3.0
    assert found["late_ms"]["p50"] < 50


def test_the_wait_behind_a_slow_service_counts_from_the_scheduled_moment(service: ServiceProcess) -> None:
    service.ask("POST", "/faults", {"slow_ms": 200})
    found = loaded(url_of(service), total=40, concurrency=2, rate_per_s=40.0)
    # Two connections answer ten a second, and forty a second are due: the last ones wait for three seconds.
    assert found["ok"] == 40
    assert found["service_ms"]["p95"] < 600
    assert found["latency_ms"]["p95"] > 2000
    assert found["latency_ms"]["maximum"] > 4 * found["service_ms"]["maximum"]


def test_errors_are_counted_by_kind_and_break_the_threshold(service: ServiceProcess) -> None:
    service.ask("POST", "/faults", {"error_rate": 0.1})
    found = loaded(url_of(service), thresholds=[{"metric": "error_rate", "fail_above": 0.01}])
    assert (found["ok"], found["failures"]) == (90, {"status 500": 10})
    assert found["verdict"] == "fail"
    assert "error_rate is 0.1" in found["summary"]


def test_the_time_limit_ends_the_test_and_what_was_not_sent_is_told(service: ServiceProcess) -> None:
    service.ask("POST", "/faults", {"slow_ms": 400})
    began = time.monotonic()
    found = loaded(url_of(service), total=1000, concurrency=2, duration_s=2.0)
    assert time.monotonic() - began < 8
    assert found["sent"] < 20
    assert found["failures"]["not sent in time"] == 1000 - found["sent"]
    assert found["verdict"] == "unknown"


@pytest.mark.parametrize(
    ("handler", "kind"),
    [
        (drips(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nxxxxxxxxxxxxxxx"), "timeout"),
        (silent, "timeout"),
        (sends(b"this is no HTTP at all\r\n\r\n"), "no valid HTTP"),
        (sends(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort"), "no valid HTTP"),
        (sends(answer(b"moved", "302 Found", "Location: http://192.0.2.1/")), "status 302"),
        (sends(answer(b"good")), ""),
    ],
)
def test_servers_that_misbehave_are_failures_of_the_right_kind_within_the_limit(handler: t.Any, kind: str) -> None:
    with Server(handler) as server:
        began = time.monotonic()
        found = loaded(server.url, total=4, concurrency=2, timeout_s=1.0, requests=[{"path": "/"}])
        assert time.monotonic() - began < 8
    assert found["failures"] == ({kind: 4} if kind else {})
    assert found["latency_ms"]["maximum"] is None or found["latency_ms"]["maximum"] < 1500


def test_an_answer_without_end_is_read_up_to_its_limit_only() -> None:
    def floods(connection: t.Any, _request: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            connection.sendall(b"10000\r\n" + b"x" * 65536 + b"\r\n")

    with Server(floods) as server:
        found = loaded(server.url, total=4, concurrency=2, timeout_s=5.0, max_body_kb=256, requests=[{"path": "/"}])
    assert found["ok"] == 4
    assert found["received_bytes"] <= 4 * (256 * 1024 + 65536)


def test_refused_connections_and_missing_texts_are_told(service: ServiceProcess) -> None:
    assert loaded(f"http://127.0.0.1:{closed_port()}", total=5)["failures"] == {"connection refused": 5}
    found = loaded(url_of(service), total=5, requests=[{**QUESTION, "contains": ["no such words"]}])
    assert found["failures"] == {"content": 5}


def test_a_missing_locust_is_told_with_what_to_do(tmp_path: Path) -> None:
    bare = tmp_path / "bare-python"
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')  # nothing but the standard library
    bare.chmod(0o755)
    with pytest.raises(ToolMissing, match="pip install locust"):
        loaded("http://127.0.0.1:1", python=str(bare))


def test_the_playbook_measures_records_and_passes_on_a_sound_service(service: ServiceProcess, tmp_path: Path) -> None:
    profile = Profile(tmp_path, url_of(service), load_test_thresholds=[{"metric": "latency_p95_ms", "fail_above": 5000}])
    before = asked(service)
    done = profile.run("--check")
    assert done.status == 0, done.output
    told = " ".join(done.output.split())
    assert f"It would send 100 requests (POST http://127.0.0.1:{service.port}/chat), at most 10 at the same time" in told
    assert asked(service) == before
    done = profile.run()
    assert done.status == 0, done.output
    assert "100 planned, 100 sent, 100 ok, 0 failed" in done.output
    record = profile.records()[0]
    assert record["status"] == "succeeded"
    assert record["measurements"]["latency_p95_ms"]["met"] is True
    assert asked(service) == before + 100
    page = next((profile.state / "reports" / "reference").glob("*_load_test.html")).read_text()
    assert "100 of 100 requests succeeded" in page
    assert page.count("<figure>") == 2
    with History.open(str(profile.state), "reference", write=False) as history:
        kept = {row["name"]: row["value"] for row in history.latest("metric")}
    assert kept["load_test_error_rate"] == 0
    assert kept["load_test_latency_p95_ms"] > 0


def test_the_playbook_fails_with_the_reason_when_the_service_does_not_bear_it(service: ServiceProcess, tmp_path: Path) -> None:
    service.ask("POST", "/faults", {"slow_ms": 300})
    profile = Profile(tmp_path, url_of(service), load_test_total=20, load_test_thresholds=[{"metric": "latency_p95_ms", "fail_above": 100}])
    done = profile.run()
    assert done.status != 0
    found = re.search(r"latency_p95_ms is ([0-9.]+), more than 100", done.message)
    assert found is not None, done.message
    assert float(found[1]) >= 300
    assert profile.records()[0]["status"] == "failed"


def test_production_is_refused_unless_its_name_is_given(service: ServiceProcess, tmp_path: Path) -> None:
    profile = Profile(tmp_path, url_of(service), service_environment="production", load_test_total=5)
    before = asked(service)
    for options in ((), ("--check",), ("-e", "confirm=yes")):
        done = profile.run(*options)
        assert done.status != 0
        assert "confirm=reference" in done.message
    assert asked(service) == before
    assert profile.run("-e", "confirm=reference").status == 0
    assert asked(service) == before + 5


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_run_takes_the_load_generator_with_it(service: ServiceProcess, tmp_path: Path, number: signal.Signals) -> None:
    service.ask("POST", "/faults", {"slow_ms": 50})
    profile = Profile(tmp_path, url_of(service), load_test_total=5000, load_test_concurrency=4)
    before = asked(service)
    run = subprocess.Popen(profile.command(), cwd=ROOT, env=profile.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until("the load begins", lambda: asked(service) > before + 20, 60)
    drivers = [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if "driver.py" in command_line(pid)]
    assert drivers
    run.send_signal(number)
    run.wait(20)
    wait_until("the generator ends", lambda: not any(start_of(pid) for pid in drivers), 10)
    time.sleep(0.3)
    count = asked(service)
    time.sleep(0.5)
    assert asked(service) == count


def command_line(pid: int) -> str:
    """The command line of a process; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    except OSError:
        return ""
