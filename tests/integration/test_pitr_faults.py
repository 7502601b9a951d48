# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Point in time under faults: kills, a full disk, an archive that is down, a flipped byte, a lost segment. The live data keeps serving."""

from __future__ import annotations

import shutil
import typing as t
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.errors import (
    BadInput,
    NoSpace,
    NotTheSame,
    RunbookError,
    SetDamaged,
    SetNotFound,
)
from ansible_collections.sre.runbooks.plugins.module_utils.pitr.look import information, verify
from ansible_collections.sre.runbooks.plugins.module_utils.pitr.model import Archive
from ansible_collections.sre.runbooks.plugins.module_utils.pitr.restore import fetch, replay_and_read, restore_to
from ansible_collections.sre.runbooks.plugins.module_utils.pitr.setup import set_up
from ansible_collections.sre.runbooks.plugins.module_utils.pitr.take import take
from ansible_collections.sre.runbooks.plugins.module_utils.pitr.target import find_target
from ansible_collections.sre.runbooks.plugins.module_utils.progress import Progress
from integration.faults import Operation, Series, Victim, naming, own_process, postmaster, programs, serves
from integration.pitr_server import ArchivedServer, archived_server
from integration.test_disk_full import Filler, small_disk
from tools.waiting import wait_until

pytestmark = pytest.mark.slow
ROUNDS = 4


@pytest.fixture(scope="module")
def server() -> Iterator[ArchivedServer]:
    """A server with a full backup; every test leaves it serving and its archive whole."""
    with archived_server(repository_passphrase="") as one:
        yield one


def order(archive: Archive, operation: str, **more: t.Any) -> dict[str, t.Any]:
    """What operation.py reads."""
    return {"operation": operation, "database": "reference", "archive": asdict(archive), **more}


def flip(path: Path) -> bytes:
    """Flip a bit in the middle of a file; returns what it held."""
    before = path.read_bytes()
    path.write_bytes(before[: len(before) // 2] + bytes([before[len(before) // 2] ^ 1]) + before[len(before) // 2 + 1 :])
    return before


def beside_the_live_data(operation: Operation) -> list[int]:
    """pgBackRest, and the server that replays where nobody can reach it; never the live one, which is just being started at the end."""
    return sorted(set(programs("pgbackrest", "postgres")(operation)) & set(naming("_restoring_")))


VICTIMS: dict[str, Victim] = {"the operation": own_process, "pgBackRest or the server by itself": beside_the_live_data}


@pytest.mark.parametrize("what", VICTIMS)
def test_a_restore_to_a_moment_that_is_killed_leaves_the_old_or_the_new_data_and_the_next_one_cleans_up(
    what: str, server: ArchivedServer, tell: Callable[[str], None]
) -> None:
    at, old = server.now(), server.content("reference")
    server.sql(f"CREATE TABLE after_the_moment_{len(what)} (i int)", "reference")
    new = server.content("reference")
    wanted = order(server.archive, "pitr_restore", restore_time=at)
    series = Series(f"{what} in a restore to a moment", VICTIMS[what], ROUNDS)
    moments = series.moments(Operation(wanted))
    assert server.content("reference") == old
    for moment in moments:
        with series.round():
            operation = Operation(wanted)
            outcome, told = series.strike(operation, moment)
            wait_until("what runs in a session of its own ends", operation.has_ended, 60)
            wait_until("the server serves", lambda: serves(server), 30)
            assert server.content("reference") in (old, new), told
            assert outcome != "completed" or server.content("reference") == old
    restore_to(server.archive, "reference", at)
    assert server.content("reference") == old
    assert server.beside() == set()
    for path in server.folder.glob("data_before_*"):
        shutil.rmtree(path)
    series.conclude(tell)


@pytest.mark.parametrize("what", ["the operation", "the server"])
def test_a_backup_that_is_killed_leaves_the_earlier_ones_and_the_next_one_is_whole(
    what: str, server: ArchivedServer, tell: Callable[[str], None]
) -> None:
    victim, content = own_process if what == "the operation" else postmaster(server), server.content("reference")
    series = Series(f"{what} in a backup for point in time", victim, ROUNDS // (1 if victim is own_process else 2))
    moments = series.moments(Operation(order(server.archive, "pitr_take")))
    before = len(information(server.archive)["backups"])
    for moment in moments:
        with series.round():
            operation = Operation(order(server.archive, "pitr_take"))
            series.strike(operation, moment)
            wait_until("nothing works on", operation.has_ended, 60)
            if victim is not own_process and not serves(server):
                server.wait_until_gone()
                server.restart_after_kill()
            assert serves(server)
    assert len(information(server.archive)["backups"]) >= before, "only one that was completed takes the place of another"
    verify(server.archive)
    wait_until("a backup after the kills", lambda: succeeds(lambda: take(server.archive, "full")), 60)
    verify(server.archive)
    assert server.content("reference") == content
    series.conclude(tell)


def succeeds(work: Callable[[], object]) -> bool:
    """Whether it does; a lock of a killed program may live for another moment."""
    try:
        work()
        return True
    except RunbookError:
        return False


def test_a_flipped_byte_in_a_backup_is_found_though_pgbackrest_ends_with_0_and_the_live_data_stays(server: ArchivedServer) -> None:
    newest = information(server.archive)["backups"][-1]["label"]
    bundle = max(
        (Path(server.archive.repository.path) / "backup" / "reference" / newest).rglob("bundle/*"), key=lambda one: one.stat().st_size
    )
    live, kept = server.content("reference"), flip(bundle)
    try:
        with pytest.raises(SetDamaged, match="checksum"):
            verify(server.archive)
        with pytest.raises(RunbookError):
            restore_to(server.archive, "reference", "latest")
        assert server.content("reference") == live
        assert server.beside() == set()
    finally:
        bundle.write_bytes(kept)
    verify(server.archive)


def test_a_lost_segment_is_named_and_moments_behind_it_are_refused(server: ArchivedServer) -> None:
    before = server.now()
    server.sql("CREATE TABLE one_more (i int); SELECT pg_switch_wal()", "reference")
    server.sql("DROP TABLE one_more; SELECT pg_switch_wal()", "reference")
    after = server.now()
    wait_until("the log is archived", lambda: information(server.archive)["unarchived_bytes"] < 10_000, 30)
    row = sorted((Path(server.archive.repository.path) / "archive" / "reference").rglob("0*-*.zst"), key=lambda one: one.name)
    gone = row[-2]
    away = server.home / "away"
    gone.rename(away)
    try:
        assert information(server.archive)["missing_segment"] == gone.name[:24]
        with pytest.raises(SetDamaged, match=gone.name[:24]):
            verify(server.archive)
        with pytest.raises((BadInput, SetNotFound), match=gone.name[:24]):
            restore_to(server.archive, "reference", after)
        assert serves(server)
    finally:
        away.rename(gone)
    assert information(server.archive)["missing_segment"] == ""
    assert before < after


def test_a_server_whose_archive_is_down_goes_on_and_the_lag_is_told_until_it_is_back(server: ArchivedServer) -> None:
    repository = Path(server.archive.repository.path)
    known = information(server.archive)
    assert known["archive_failing"] is False
    away = repository.with_name("away")
    repository.rename(away)
    try:
        server.sql("CREATE TABLE meanwhile AS SELECT generate_series(1, 1000) AS i; SELECT pg_switch_wal()", "reference")
        assert server.sql("SELECT count(*) FROM meanwhile", "reference") == "1000"
        with pytest.raises(RunbookError):
            take(server.archive)
        with pytest.raises(RunbookError):
            restore_to(server.archive, "reference", "latest")
        wait_until("the server has tried to archive", lambda: server.sql("SELECT failed_count > 0 FROM pg_stat_archiver") == "t", 60)
        assert server.sql("SELECT count(*) FROM meanwhile", "reference") == "1000"
        shutil.copytree(away, repository, copy_function=shutil.copy2)
        for path in [repository, *repository.rglob("*")]:
            shutil.chown(path, "root" if server.account == "" else server.account)
            path.chmod(path.stat().st_mode & ~0o222)
        lagging = information(server.archive)
        assert lagging["archive_failing"] is True
        assert lagging["waiting_segments"] > 0
        assert lagging["unarchived_bytes"] > 10_000
        assert lagging["rpo_s"] > 0
        assert "cannot archive" in lagging["notes"][0]
    finally:
        shutil.rmtree(repository, ignore_errors=True)
        away.rename(repository)
    server.sql("CREATE TABLE woken (i int); SELECT pg_switch_wal()", "reference")  # it looks at once, else every minute
    wait_until("the server catches up by itself", lambda: not information(server.archive)["archive_failing"], 90)
    restore_to(server.archive, "reference", "latest")
    assert server.sql("SELECT count(*) FROM meanwhile", "reference") == "1000"


def test_an_archive_that_fails_during_the_replay_is_not_taken_for_the_end_of_the_log(server: ArchivedServer) -> None:
    take(server.archive, "full")
    server.sql("CREATE TABLE nearly_lost AS SELECT generate_series(1, 100) AS i", "reference")
    target, _found = find_target(server.archive, "latest")
    folder = str(server.folder / "data_restoring_20260101T000000Z")
    fetch(server.archive, target, folder, Progress("a test"))
    away = server.home / "away"
    row = sorted((Path(server.archive.repository.path) / "archive" / "reference").rglob("0*-*.zst"), key=lambda one: one.name)
    row[-1].rename(away)
    try:
        with pytest.raises(NotTheSame, match="ended too early"):
            replay_and_read(server.archive, target, folder, "reference", 60, 1, Progress("a test"))
    finally:
        away.rename(row[-1])
    restore_to(server.archive, "reference", "latest")
    assert server.sql("SELECT count(*) FROM nearly_lost", "reference") == "100"
    assert server.beside() == set()


@pytest.mark.needs_root
def test_a_disk_that_is_full_before_or_in_the_middle_of_a_restore_leaves_the_live_data() -> None:
    with small_disk(600) as disk, archived_server(parent=disk) as server:
        live = server.content("reference")
        moments: list[Callable[[], bool]] = [lambda: True, lambda: any(server.folder.glob("data_restoring_*/base/*/*"))]
        for number, begun in enumerate(moments):
            with Filler(disk, begun, 40_000_000, ("pgbackrest", str(server.home))) as filler:
                if number == 0:
                    wait_until("the disk is full", partial(getattr, filler, "filled"), 30)
                with pytest.raises(NoSpace):
                    restore_to(server.archive, "reference", "latest")
                assert filler.filled
            assert server.content("reference") == live
            assert server.beside() == set()
        restore_to(server.archive, "reference", "latest")
        assert server.content("reference") == live


@pytest.mark.needs_root
def test_a_full_repository_is_named_and_leaves_the_server_and_earlier_backups(server: ArchivedServer) -> None:
    with small_disk(120) as disk:
        shutil.chown(disk, server.account)
        tight = replace(server.archive, repository=replace(server.archive.repository, path=str(disk / "repository")))
        set_up(tight)
        take(tight)
        kept = [one["label"] for one in information(tight)["backups"]]
        filler = disk / "filler"
        filler.write_bytes(b"x" * 45_000_000)
        with pytest.raises(NoSpace):
            take(tight, "full")
        assert serves(server)
        filler.unlink()
        assert [one["label"] for one in information(tight)["backups"]] == kept
        verify(tight)
        set_up(server.archive)
    # Meanwhile the log went elsewhere: the gap is named, and a full backup makes the archive whole again from there on.
    server.sql("CREATE TABLE back_again (i int); SELECT pg_switch_wal()", "reference")
    wait_until("the gap is seen", lambda: information(server.archive)["missing_segment"] != "", 30)
    with pytest.raises(SetDamaged, match="is missing"):
        verify(server.archive)
    take(server.archive, "full")
    assert "is missing" in verify(server.archive)["notes"][0]
