# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Leases: exactly one has a resource, a dead holder loses it at once, everybody is told who has it."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.sre.runbooks.plugins.module_utils import lease as library
from ansible_collections.sre.runbooks.plugins.module_utils.controller import Controller
from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput, LeaseHeld, RunbookError
from ansible_collections.sre.runbooks.plugins.module_utils.lease import Leases
from ansible_collections.sre.runbooks.plugins.module_utils.lease_decision import Lease, decide
from ansible_collections.sre.runbooks.tests.unit.controllers import controller, dead_process

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
RESOURCE = "postgresql:reference"


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


def leases(folder: Path, clock: Clock | None = None) -> Leases:
    return Leases(str(folder), clock) if clock else Leases(str(folder))


def wanted(book: Leases, holder: str, controller: Controller | None = None, seconds: float = 3600) -> Lease:
    return book.wanted(RESOURCE, holder, who=f"{holder}@control1", reason="trying", duration_s=seconds, controller=controller)


def lease(holder: str, controller: Controller | None = None) -> Lease:
    return Lease(RESOURCE, holder, "anna@control1", "restore", NOON, NOON + timedelta(hours=1), controller)


def test_a_free_resource_is_given_and_its_file_tells_who_has_it_what_for_and_until_when(tmp_path: Path) -> None:
    book = leases(tmp_path, Clock())
    assert book.acquire(wanted(book, "RUN-1")).note == ""
    content = json.loads(Path(book.path(RESOURCE)).read_text())
    assert content["holder"] == "RUN-1"
    assert content["reason"] == "trying"
    assert (content["acquired_at"], content["expires_at"]) == ("2026-03-01T12:00:00.000Z", "2026-03-01T13:00:00.000Z")
    assert os.stat(book.path(RESOURCE)).st_mode & 0o777 == 0o600
    assert os.stat(book.folder).st_mode & 0o777 == 0o700


def test_a_held_lease_is_refused_with_holder_reason_since_when_until_when_and_what_to_do(tmp_path: Path) -> None:
    book = leases(tmp_path, Clock())
    book.acquire(wanted(book, "RUN-1"))
    with pytest.raises(LeaseHeld) as refused:
        book.acquire(wanted(book, "RUN-2"))
    message = refused.value.message
    for part in (RESOURCE, "RUN-1", "RUN-1@control1", "trying", "12:00:00 UTC", "13:00:00 UTC", "-e procedure_takeover=RUN-1"):
        assert part in message
    assert book.look(RESOURCE) == wanted(book, "RUN-1")


def test_a_lease_that_has_run_out_is_taken_over_and_that_is_said(tmp_path: Path) -> None:
    clock = Clock()
    book = leases(tmp_path, clock)
    book.acquire(wanted(book, "RUN-1"))
    clock.now += timedelta(hours=1)
    decision = book.acquire(wanted(book, "RUN-2"))
    assert "Took over" in decision.note
    assert "RUN-1" in decision.note
    current = book.look(RESOURCE)
    assert current is not None
    assert current.holder == "RUN-2"


def test_a_lease_that_has_run_out_stays_with_a_process_that_provably_works() -> None:
    decision = decide(lease("RUN-1", controller()), lease("RUN-2"), alive=True, now=NOON + timedelta(hours=2))
    assert not decision.granted
    assert "its process still works" in decision.next_step


def test_naming_the_holder_breaks_its_lease_and_naming_another_does_not() -> None:
    assert decide(lease("RUN-1"), lease("RUN-2"), alive=True, now=NOON, takeover="RUN-1").granted
    assert not decide(lease("RUN-1"), lease("RUN-2"), alive=True, now=NOON, takeover="RUN-0").granted
    assert not decide(lease("RUN-1"), lease("RUN-2"), alive=True, now=NOON, takeover="").granted


def test_a_procedure_within_a_procedure_shares_the_lease_and_does_not_give_it_back(tmp_path: Path) -> None:
    book, process = leases(tmp_path), Controller.of(os.getpid())
    book.acquire(wanted(book, "RUN-outer", process))
    assert "of which this is a part" in book.acquire(wanted(book, "RUN-inner", process)).note
    book.release(RESOURCE, "RUN-inner")
    current = book.look(RESOURCE)
    assert current is not None
    assert current.holder == "RUN-outer"


def test_only_ones_own_lease_can_be_renewed_and_released(tmp_path: Path) -> None:
    clock = Clock()
    book = leases(tmp_path, clock)
    with pytest.raises(BadInput, match="no lease"):
        book.renew(RESOURCE, "RUN-1", 60)
    assert not list(tmp_path.iterdir())
    book.acquire(wanted(book, "RUN-1"))
    clock.now += timedelta(minutes=30)
    assert book.renew(RESOURCE, "RUN-1", 7200).expires_at == NOON + timedelta(minutes=150)
    with pytest.raises(LeaseHeld, match="no longer held by RUN-2"):
        book.renew(RESOURCE, "RUN-2", 60)
    other = book.release(RESOURCE, "RUN-2")
    assert other is not None
    assert other.holder == "RUN-1"
    assert book.release(RESOURCE, "RUN-1") is None
    assert book.look(RESOURCE) is None


def test_a_lease_file_that_cannot_be_read_stops_the_procedure_instead_of_counting_as_free(tmp_path: Path) -> None:
    book = leases(tmp_path)
    book.acquire(wanted(book, "RUN-1"))
    Path(book.path(RESOURCE)).write_text("{}")
    with pytest.raises(RunbookError, match="cannot be read"):
        book.acquire(wanted(book, "RUN-2"))


def _try_to_take(folder: str, number: int, start: Event, won: multiprocessing.Queue[str]) -> None:
    book = Leases(folder)
    start.wait()
    try:
        book.acquire(book.wanted(RESOURCE, f"RUN-{number}", who="", reason="race", duration_s=60))
        won.put(f"RUN-{number}")
    except LeaseHeld:
        won.put("")


@pytest.mark.parametrize("there_before", ["nothing", "a lease that has run out", "a lease of a dead process"])
def test_of_many_processes_that_want_the_same_resource_exactly_one_gets_it(tmp_path: Path, there_before: str) -> None:
    context = multiprocessing.get_context("fork")
    for round_number in range(5):
        folder = tmp_path / str(round_number)
        book = leases(folder)
        if there_before != "nothing":
            old = wanted(book, "RUN-old", dead_process() if "dead" in there_before else None)
            past = old if "dead" in there_before else replace(old, expires_at=old.acquired_at - timedelta(seconds=1))
            book.acquire(past)
        start, won = context.Event(), context.Queue()
        racers = [context.Process(target=_try_to_take, args=(str(folder), number, start, won)) for number in range(16)]
        for racer in racers:
            racer.start()
        start.set()
        winners = [name for name in (won.get(timeout=30) for _racer in racers) if name]
        for racer in racers:
            racer.join()
        current = book.look(RESOURCE)
        assert current is not None
        assert winners == [current.holder]


def test_a_holder_killed_with_signal_9_loses_its_lease_at_once(tmp_path: Path) -> None:
    code = (
        "import os, sys, time\n"
        "from ansible_collections.sre.runbooks.plugins.module_utils.lease import Leases\n"
        "from ansible_collections.sre.runbooks.plugins.module_utils.controller import Controller\n"
        "book = Leases(sys.argv[1])\n"
        "book.acquire(book.wanted(sys.argv[2], 'RUN-1', who='a', reason='r', duration_s=3600, controller=Controller.of(os.getpid())))\n"
        "print('have it', flush=True)\n"
        "time.sleep(60)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path), RESOURCE], stdout=subprocess.PIPE, env=environment) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"have it\n"
        book = leases(tmp_path)
        with pytest.raises(LeaseHeld):
            book.acquire(wanted(book, "RUN-2"))
        holder.send_signal(signal.SIGKILL)
        # Even before its parent has collected it.
        deadline = time.monotonic() + 10
        while Path(f"/proc/{holder.pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z" and time.monotonic() < deadline:
            time.sleep(0.01)
        assert "whose process is gone" in book.acquire(wanted(book, "RUN-2")).note


def test_a_taker_killed_while_it_holds_the_lock_does_not_lock_the_others_out(tmp_path: Path) -> None:
    book = leases(tmp_path)
    book.acquire(wanted(book, "RUN-1"))
    book.release(RESOURCE, "RUN-1")
    code = (
        "import fcntl, os, sys, time\n"
        "fcntl.flock(os.open(sys.argv[1], os.O_RDWR), fcntl.LOCK_EX)\n"
        "print('locked', flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, os.path.join(book.folder, ".lock")], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        holder.kill()
        holder.wait()
    assert book.acquire(wanted(book, "RUN-2")).granted


def test_a_lock_that_a_stopped_process_holds_is_an_error_and_not_an_endless_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "_LOCK_WAIT_S", 0.2)
    book = leases(tmp_path)
    with book._locked(), pytest.raises(RunbookError, match="are locked"):
        leases(tmp_path).acquire(wanted(book, "RUN-1"))


@given(st.text(max_size=200), st.text(max_size=200))
def test_different_resources_have_different_files_whose_names_are_safe(first: str, second: str) -> None:
    book = Leases("/state")
    for resource in (first, second):
        name = os.path.basename(book.path(resource))
        assert os.path.dirname(book.path(resource)) == "/state/leases"
        assert len(name) < 100
        assert not name.startswith((".", "-"))
        assert name.isascii()
        assert "/" not in name
    assert (book.path(first) == book.path(second)) == (first == second)


def test_a_folder_that_a_group_shares_stays_shared(tmp_path: Path) -> None:
    shared = tmp_path / "state"
    shared.mkdir()
    shared.chmod(0o2770)
    book = leases(shared)
    book.acquire(wanted(book, "RUN-1"))
    assert os.stat(book.folder).st_mode & 0o777 == 0o770
    assert os.stat(book.path(RESOURCE)).st_mode & 0o777 == 0o660
    assert os.stat(os.path.join(book.folder, ".lock")).st_mode & 0o777 == 0o660


@pytest.mark.parametrize(
    "change", [{"resource": " "}, {"holder": ""}, {"duration_s": 0}, {"duration_s": float("nan")}, {"duration_s": 1e12}]
)
def test_a_lease_on_nothing_or_for_no_time_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    arguments: dict[str, object] = {"resource": RESOURCE, "holder": "RUN-1", "duration_s": 60.0, **change}
    with pytest.raises(BadInput):
        leases(tmp_path).wanted(str(arguments["resource"]), str(arguments["holder"]), who="", reason="", duration_s=arguments["duration_s"])  # type: ignore[arg-type]
