# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Background processes: started together, found again, never taken for somebody else's, and ended."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import typing as t
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput, RunbookError
from ansible_collections.sre.runbooks.plugins.module_utils.local_ports import is_free, listener, owner
from ansible_collections.sre.runbooks.plugins.module_utils.local_process import Process
from ansible_collections.sre.runbooks.plugins.module_utils.local_processes import plan_start, running, start, stop
from ansible_collections.sre.runbooks.plugins.module_utils.process_tree import start_of
from tools.ports import free_port

SERVER = """
import http.server, os, signal, sys, time
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(int(os.environ.get("STATUS", "200")))
        self.end_headers()
    def log_message(self, *_arguments):
        pass
if os.environ.get("DEAF"):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if os.fork() == 0:
        time.sleep(600)
print("speaking on", sys.argv[1], flush=True)
time.sleep(float(os.environ.get("DELAY", "0")))
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
GO_TRACE = """I1121 11:36:21 filer.go:448 starting
F1121 11:36:21 filer.go:461 failed to listen on grpc port 31558: address already in use
goroutine 141 [running]:
example.com/glog.stacks(0x0)
	example.com/glog/glog.go:832 +0x85
created by example.com/command.run in goroutine 1
	example.com/command/server.go:395 +0x1210
I1121 11:36:21 meta.go:335 reading
"""
Make = Callable[..., Process]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes descriptions of a small web server in the test's folder; whatever of them runs at the end is ended."""
    made: list[Process] = []
    script = tmp_path / "server.py"
    script.write_text(SERVER)

    def make_one(name: str = "web", **options: t.Any) -> Process:
        port = options.pop("port", free_port())
        argv = options.pop("argv", [sys.executable, str(script), str(port)])
        process = Process(name, str(tmp_path / "run"), port, argv, http_path=options.pop("http_path", "/"), **options)
        made.append(process)
        return process

    yield make_one
    for process in made:
        pid = process.pid()
        if pid:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)


def alive(pid: int) -> bool:
    return bool(start_of(pid))


def test_processes_start_side_by_side_and_a_second_start_does_nothing(make: Make) -> None:
    slow = [make(name, environment={"DELAY": "2"}) for name in ("one", "two", "three")]
    began = time.monotonic()
    assert start(slow) == ["one", "two", "three"]
    assert time.monotonic() - began < 5.5, "one after another they would take 6 s"
    pids = running(slow)
    assert start(slow) == []
    assert running(slow) == pids
    assert sorted(stop(slow)) == ["one", "three", "two"]
    assert not running(slow)
    assert not any(alive(pid) for pid in pids.values())
    assert stop(slow) == []


def test_one_that_is_not_waited_for_is_waited_for_by_a_later_start(make: Make) -> None:
    slow, quick = make("slow", environment={"DELAY": "4"}, wait=False), make("quick")
    began = time.monotonic()
    assert start([slow, quick]) == ["slow", "quick"]
    assert time.monotonic() - began < 3.8
    assert start([replace(slow, wait=True)]) == []
    assert time.monotonic() - began > 4
    assert not slow.answer()


def test_one_that_ends_before_a_later_start_has_waited_for_it_is_an_error_at_once(make: Make) -> None:
    ends = make("ends", argv=[sys.executable, "-c", f"import time; time.sleep(1); print({GO_TRACE!r}); raise SystemExit(3)"], wait=False)
    start([ends])
    began = time.monotonic()
    with pytest.raises(RunbookError, match=r"it ended; its last words: .*address already in use; goroutine 141") as caught:
        start([replace(ends, wait=True)])
    assert time.monotonic() - began < 10
    assert "glog.go" not in caught.value.message


def test_a_started_process_leads_a_session_of_its_own_and_so_outlives_whoever_started_it(make: Make) -> None:
    process = make()
    start([process])
    assert os.getsid(process.pid()) == process.pid()


def test_a_busy_port_stops_everything_before_the_first_start_and_names_port_setting_and_program(make: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        innocent, blocked = make("innocent"), make("blocked", port=port, ports={"stack_web_port": port})
        with pytest.raises(BadInput) as caught:
            start([innocent, blocked])
    message = caught.value.message
    assert f"port {port} (stack_web_port of blocked)" in message
    assert f"(process {os.getpid()})" in message
    assert not innocent.pid()
    assert not Path(innocent.folder).exists()


def test_all_busy_ports_are_named_at_once_and_two_processes_with_one_port_are_too(make: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
        ports = [first.getsockname()[1], second.getsockname()[1]]
        with pytest.raises(BadInput) as caught:
            plan_start([make("one", port=ports[0]), make("two", port=ports[1])])
        assert all(str(port) in caught.value.message for port in ports)
    port = free_port()
    with pytest.raises(BadInput, match="by one of the same stack"):
        plan_start([make("one", port=port), make("two", port=port)])


def test_a_process_that_ends_at_once_is_an_error_with_its_last_words_and_takes_the_others_with_it(make: Make) -> None:
    good = make("good")
    bad = make("bad", argv=[sys.executable, "-c", "import sys; sys.exit('no such setting: colour')"])
    with pytest.raises(RunbookError, match="no such setting: colour"):
        start([good, bad])
    assert not running([good, bad])


def test_a_process_that_never_answers_is_an_error_that_says_how_it_answers(make: Make) -> None:
    with pytest.raises(RunbookError, match="answers with status 503"):
        start([make(environment={"STATUS": "503"}, timeout_s=1.0)])
    with pytest.raises(RunbookError, match="does not answer"):
        start([make(environment={"DELAY": "60"}, timeout_s=1.0)])


def test_a_program_that_does_not_exist_is_one_clear_error(make: Make) -> None:
    with pytest.raises(RunbookError, match="/no/such/program"):
        start([make(argv=["/no/such/program"])])


def test_a_process_number_that_belongs_to_another_program_by_now_is_never_touched(make: Make) -> None:
    process = make()
    start([process])
    stop([process])
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        Path(process.pid_file).write_text(json.dumps({"pid": stranger.pid, "start": "1"}))
        assert process.pid() == 0
        assert stop([process]) == []
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_killed_process_is_started_again(make: Make) -> None:
    process = make()
    start([process])
    first = process.pid()
    os.kill(first, signal.SIGKILL)
    os.waitpid(first, 0)
    assert start([process]) == ["web"]
    assert process.pid() not in (0, first)


def test_a_process_whose_note_is_lost_is_found_by_its_port_and_folder(make: Make) -> None:
    process = make()
    start([process])
    first = process.pid()
    Path(process.pid_file).unlink()
    assert process.pid() == first
    assert start([process]) == []
    assert stop([process]) == ["web"]


def test_a_process_that_is_described_otherwise_now_is_started_anew(make: Make, tmp_path: Path) -> None:
    first = make(files={"settings": "a"}, secrets={"PASSWORD": "one"})
    start([first])
    moved = make(files={"settings": "b"}, secrets={"PASSWORD": "one"}, port=first.port)
    assert plan_start([moved]).names == ["web"]
    before = first.pid()
    assert start([moved]) == ["web"]
    assert moved.pid() != before
    assert (tmp_path / "run" / "settings").read_text() == "b"
    assert (tmp_path / "run" / "settings").stat().st_mode & 0o777 == 0o600


def test_a_process_that_does_not_listen_to_a_polite_signal_is_killed_with_its_children(make: Make) -> None:
    process = make(environment={"DEAF": "1"}, timeout_s=1.0)
    start([process])
    pid = process.pid()
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    assert children
    assert stop([process]) == ["web"]
    deadline = time.monotonic() + 5
    while any(alive(int(child)) for child in children) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(alive(number) for number in [pid, *map(int, children)])


def test_what_a_killed_process_left_outside_its_folder_is_removed(make: Make, tmp_path: Path) -> None:
    left = tmp_path / "left.sock"
    left.write_text("")
    process = make(leftovers=[str(left)])
    start([process])
    assert not left.exists()
    left.write_text("")
    stop([process])
    assert not left.exists()


def test_secrets_are_in_the_environment_of_the_process_and_neither_in_its_note_nor_in_its_description(make: Make) -> None:
    process = make(secrets={"PASSWORD": "Okapi4Secret"})
    start([process])
    assert b"Okapi4Secret" in Path(f"/proc/{process.pid()}/environ").read_bytes()
    assert b"Okapi4Secret" not in Path(f"/proc/{process.pid()}/cmdline").read_bytes()
    assert "Okapi4Secret" not in Path(process.pid_file).read_text() + repr(process)


def test_a_log_that_is_a_link_is_refused(make: Make, tmp_path: Path) -> None:
    process = make()
    Path(process.folder).mkdir()
    victim = tmp_path / "victim"
    victim.write_text("mine")
    Path(process.log_file).symlink_to(victim)
    with pytest.raises(OSError, match="symbolic link"):
        start([process])
    assert victim.read_text() == "mine"


def test_the_owner_of_a_port_is_told_by_name_and_number() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert not is_free(port)
        assert listener(port) == os.getpid()
        assert owner(port).endswith(f"(process {os.getpid()})")
    assert listener(port) == 0
    assert owner(port) == ""
    assert is_free(port)
