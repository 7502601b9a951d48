# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The status page's server: what it answers, to whom, and what it bears."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import ssl
import sys
import time
import typing as t
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput, RunbookError, ToolMissing
from ansible_collections.sre.runbooks.plugins.module_utils.local_ports import is_free
from ansible_collections.sre.runbooks.tests.unit.checks_servers import certificate
from integration.status_pages import Service
from tools.waiting import wait_until

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = Service(tmp_path_factory.mktemp("page"))
    service.record(400)
    service.record()
    with service:
        yield service


@pytest.fixture
def service(running: Service) -> Service:
    """It, well and lately looked at. Answers are kept for two seconds: what was shown a moment ago need not be waited for again."""
    if not is_well(running):
        running.record(1)
        wait_until("the page knows the new run", lambda: is_well(running))
    return running


def is_well(service: Service) -> bool:
    """Whether the page says so, of the last seconds."""
    health = service.data("/api/system/health")[1]["data"]
    return bool(health["system_status"] == "Healthy" and health["age_s"] < 10)


@contextlib.contextmanager
def stream(service: Service, query: str = "log=app") -> Iterator[t.Callable[[str], dict[str, str]]]:
    """An open stream of log lines, as a function that waits for the next event whose data contain a text."""
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=10)
    connection.request("GET", f"/logs/stream?{query}")
    answer = connection.getresponse()
    assert (answer.status, answer.getheader("content-type", "").partition(";")[0]) == (200, "text/event-stream")

    def following(text: str) -> dict[str, str]:
        event: dict[str, str] = {}
        while True:
            line = answer.readline().decode().rstrip("\n")
            if line:
                name, _, value = line.partition(": ")
                event[name] = value
            elif text in event.get("data", "\0"):
                return event
            else:
                event = {}

    try:
        yield following
    finally:
        connection.close()


def test_the_four_endpoints_of_the_wrapper_system_answer_with_the_kept_state(service: Service) -> None:
    status, health = service.data("/api/system/health")
    assert (status, health["success"]) == (200, True)
    wanted = {
        "overall_health_score": 1.0,
        "system_status": "Healthy",
        "active_wrappers": 2,
        "healthy_wrappers": 2,
        "active_operations": 4.0,
    }
    assert {key: health["data"][key] for key in wanted} == wanted
    assert health["data"]["age_s"] < 15
    _status, wrappers = service.data("/api/wrappers/health")
    assert wrappers["data"]["routellm"]["healthy"] is True
    _status, metrics = service.data("/api/wrappers/routellm/metrics")
    assert metrics["data"]["metrics"]["latency_p95"]["value"] == 900
    _status, everything = service.data("/api/metrics/export")
    assert set(everything["data"]["wrappers"]) == {"routellm", "database"}
    _status, overview = service.data("/api/overview")
    assert overview["overview"]["success_rate"] == 0.993
    assert overview["alerts"] == []
    assert service.data("/api/wrappers/nobody/metrics")[0] == 404


def test_a_failure_and_its_severity_are_shown_as_soon_as_they_are_recorded(service: Service) -> None:
    service.record(0, {"database": "fail"}, severity="P1", score=0.5)
    wait_until("the page knows the new run", lambda: not is_well(service))
    _status, health = service.data("/api/system/health")
    assert (health["data"]["system_status"], health["data"]["severity"], health["data"]["healthy_wrappers"]) == ("Unhealthy", "P1", 1)
    wait_until("the page itself tells it", lambda: "Something has failed" in service.ask()[2])
    page = service.ask()[2]
    assert "database is not well" in page


def test_a_page_whose_collection_has_stopped_shows_nothing_as_good(tmp_path: Path) -> None:
    service = Service(tmp_path)
    service.record(30)
    service.settings["stale_after_s"] = 10.0
    with service:
        status, health = service.data("/api/system/health")
        assert (status, health["success"], health["data"]["system_status"]) == (503, False, "Unknown")
        page = service.ask()[2]
        assert "whatever is too old is shown as unknown" in page
        # Strips of the past may be green; nothing that speaks of now is.
        assert 'class="pill good"' not in page


def test_only_reading_is_possible(service: Service) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert service.ask("/api/system/health", method)[0] == 405
    status, headers, body = service.ask("/", "HEAD")
    assert (status, body) == (200, "")
    assert int(headers["content-length"]) > 1000


def test_no_path_leads_to_a_file_of_the_disk(service: Service) -> None:
    for path in (
        "/static/../settings.json",
        "/static/..%2f..%2fsettings.json",
        "/static/%2e%2e/settings.json",
        "/settings.json",
        "/static/page.css/../../settings.json",
        "//etc/passwd",
        "/static//etc/passwd",
        "/api/wrappers/..%2f..%2fetc%2fpasswd/metrics",
        "/logs/stream?log=../../../etc/passwd",
        "/logs/stream?log=%2fetc%2fpasswd",
    ):
        status, _headers, body = service.ask(path)
        assert status == 404, path
        assert "root:" not in body
    assert service.ask("/?hours=99999")[0] == 400


def test_the_page_forbids_the_browser_whatever_it_does_not_need_and_refers_to_nobody(service: Service) -> None:
    _status, headers, page = service.ask()
    assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "unsafe" not in headers["content-security-policy"]
    assert "server" not in headers
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in page
    assert "hunter2-of-the-profile" not in page
    assert "hunter2-of-the-profile" not in (service.folder / "status_page" / service.name / "settings.json").read_text()


def test_a_foreign_name_for_this_address_gets_nothing(service: Service) -> None:
    status, _headers, body = service.ask(Host="rebound.example")
    assert status == 421
    assert "RouteLLM" not in body


def test_log_lines_arrive_while_they_are_written_masked_and_only_once(service: Service) -> None:
    service.write({"timestamp": "2026-11-21T15:00:00Z", "level": "info", "message": "before"})
    with stream(service) as following:
        first = following("before")
        service.write("\x1b[31mERROR\x1b[0m <script>alert(1)</script> password=hunter2 Bearer abcdef1234567890")
        began = time.monotonic()
        event = following("script")
        assert time.monotonic() - began < 8, "the stream says something every 15 s anyway"
    line = json.loads(event["data"])
    assert line["level"] == "ERROR"
    assert "hunter2" not in event["data"]
    assert "abcdef1234567890" not in event["data"]
    assert "\\u001b" not in event["data"]
    # Who comes back with the number of the last line gets what is after it.
    with stream(service, f"log=app&after={first['id']}") as following:
        assert "script" in following("")["data"]


def test_readers_of_log_lines_are_limited_and_free_their_place(tmp_path: Path) -> None:
    service = Service(tmp_path)
    service.settings["streams"] = 2
    service.write("one")
    service.operate()
    try:
        with stream(service) as first, stream(service) as second:
            assert first("one")
            assert second("one")
            assert service.ask("/logs/stream?log=app")[0] == 503
            assert service.ask("/healthz")[0] == 200
        service.write("two")  # what is written finds out that they are gone
        wait_until("a place is free", lambda: is_open(service), 20)
    finally:
        service.operate("stopped")


def is_open(service: Service) -> bool:
    """Whether a stream can be had."""
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=5)
    connection.request("GET", "/logs/stream?log=app")
    status = connection.getresponse().status
    connection.close()
    return status == 200


@pytest.mark.parametrize(
    "sent",
    [
        b"\x00\xff\xfe garbage \r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Big: " + b"x" * 100_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /logs/stream?log=\xff\xfe%00%ff&after=99999999999999999999 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic \xff\xff\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
    ids=["bytes", "no host", "big header", "big path", "smuggling", "strange query", "strange password", "websocket", "TLS"],
)
def test_garbage_brings_neither_an_error_page_nor_the_server_down(running: Service, sent: bytes) -> None:
    before = running.said()
    with socket.create_connection(("127.0.0.1", running.port), timeout=15) as client, contextlib.suppress(ConnectionError):
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)
        answer = client.recv(65536)
        assert b"Traceback" not in answer
        assert not answer.startswith(b"HTTP/1.1 5")
    assert running.ask("/healthz")[0] == 200
    assert "Traceback" not in running.said()[len(before) :]


@pytest.mark.slow
def test_clients_that_say_nothing_or_half_a_request_are_cut_off_and_others_are_served(service: Service) -> None:
    silent = [socket.create_connection(("127.0.0.1", service.port)) for _number in range(60)]
    for number, one in enumerate(silent):
        if number % 2:
            one.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
    began = time.monotonic()
    assert service.ask()[0] == 200
    assert time.monotonic() - began < 8, "before the silent ones are cut off"
    for one in silent:
        one.settimeout(15)
        with contextlib.suppress(ConnectionResetError):
            assert one.recv(1) == b""
        one.close()
    assert 8 < time.monotonic() - began < 30


def test_more_connections_than_allowed_are_turned_away_and_come_in_later(tmp_path: Path) -> None:
    service = Service(tmp_path)
    service.settings.update(streams=2, connections=10)
    service.record()
    service.operate()
    try:
        held = [socket.create_connection(("127.0.0.1", service.port)) for _number in range(30)]
        time.sleep(0.3)
        assert service.ask()[0] == 503
        for one in held:
            one.close()
        wait_until("it answers again", lambda: service.ask()[0] == 200, 5)
    finally:
        service.operate("stopped")


@pytest.mark.slow
def test_a_reader_that_takes_nothing_is_cut_off(tmp_path: Path) -> None:
    service = Service(tmp_path)
    service.write("begin")
    with service:
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.connect(("127.0.0.1", service.port))
            deaf.sendall(b"GET /logs/stream?log=app HTTP/1.1\r\nHost: localhost\r\n\r\n")
            begin = time.monotonic()
            gone = False
            while time.monotonic() - begin < 60 and not gone:
                service.log.open("a").write("".join(f"{'x' * 900}\n" for _number in range(200)))
                time.sleep(0.5)
                gone = connections(service.port) == 0
            assert gone, "the deaf reader still has its connection"
        assert service.ask("/healthz")[0] == 200


def connections(port: int) -> int:
    """Connections that a program on the port has open (proc(5), /proc/net/tcp, state 01)."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[3] == "01" and int(row[1].rpartition(":")[2], 16) == port for row in rows)


def test_many_readers_at_once_cost_no_more_than_one(service: Service) -> None:
    began = time.monotonic()
    with ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(lambda _number: service.ask()[0], range(400)))
    assert set(answers) == {200}
    assert time.monotonic() - began < 15


def test_with_tls_and_a_password_it_serves_the_network_and_stops_guessing(tmp_path: Path) -> None:
    _context, chain = certificate(tmp_path)
    key = next(path for path in tmp_path.iterdir() if path != chain and "KEY" in path.read_text(errors="replace"))
    service = Service(tmp_path)
    service.record()
    secret = tmp_path / "password"
    secret.write_text(PASSWORD + "\n")
    secret.chmod(0o600)
    service.settings.update(address="0.0.0.0", tls_certificate=str(chain), tls_key=str(key), password_file=str(secret))
    context = ssl.create_default_context(cafile=str(chain))
    with service:
        assert service.ask(context=context)[0] == 401
        status, headers, body = service.ask(context=context, password=PASSWORD)
        assert status == 200
        assert "RouteLLM" in body
        assert "strict-transport-security" in headers
        with pytest.raises((ConnectionError, http.client.HTTPException)):
            service.ask()  # nothing is told without TLS
        for _time in range(5):
            assert service.ask(context=context, password="wrong guess")[0] == 401
        assert service.ask(context=context, password=PASSWORD)[0] == 429
        assert PASSWORD not in Path(f"/proc/{service.operate()['pid']}/cmdline").read_text()
        assert PASSWORD not in (tmp_path / "status_page" / service.name / "settings.json").read_text()


def test_it_does_not_start_where_everybody_could_read_it(tmp_path: Path) -> None:
    service = Service(tmp_path)
    with pytest.raises(BadInput, match="open to the network"):
        service.operate(address="0.0.0.0")
    assert is_free(service.port, "0.0.0.0")


def test_a_second_start_changes_nothing_and_other_settings_mean_a_new_start(tmp_path: Path) -> None:
    service = Service(tmp_path)
    first = service.operate(check_mode=True)
    assert first["changed"]
    assert is_free(service.port)
    first = service.operate()
    again = service.operate()
    assert (first["changed"], again["changed"], again["pid"]) == (True, False, first["pid"])
    other = service.operate(stale_after_s=60.0)
    assert other["changed"]
    assert other["pid"] != first["pid"]
    assert service.operate("stopped")["changed"]
    assert not service.operate("stopped")["changed"]
    assert is_free(service.port)


def test_a_taken_port_is_named_and_the_other_program_is_left_alone(tmp_path: Path) -> None:
    service = Service(tmp_path)
    with socket.create_server(("127.0.0.1", service.port)) as other:
        with pytest.raises(BadInput, match=f"port {service.port}") as caught:
            service.operate()
        assert str(os.getpid()) in str(caught.value)
        assert other.fileno() > 0


def bare_python(folder: Path) -> Path:
    """An interpreter that has nothing but the standard library."""
    path = folder / "bare-python"
    path.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    path.chmod(0o755)
    return path


def test_a_missing_library_and_a_broken_certificate_are_told_with_what_to_do(tmp_path: Path) -> None:
    service = Service(tmp_path)
    with pytest.raises(ToolMissing, match="pip install starlette uvicorn"):
        service.operate(python=str(bare_python(tmp_path)))
    (tmp_path / "broken.pem").write_text("no certificate")
    with pytest.raises(RunbookError, match="its last words"):
        service.operate(python=None, tls_certificate=str(tmp_path / "broken.pem"), tls_key=str(tmp_path / "broken.pem"))
    assert is_free(service.port)
