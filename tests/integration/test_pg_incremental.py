# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sets that hold only what changed since another: taken, verified, rehearsed and restored together, and never parted by retention."""

from __future__ import annotations

import datetime
import os
import shutil
import signal
import time
import typing as t
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.catalogue import Wanted, list_sets
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.chain import chain
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.operations import copy_offsite, prune, select, verify
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.prune import Keep, plan_prune
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.sets import BackupSet, read_set
from ansible_collections.sre.runbooks.plugins.module_utils.errors import RunbookError, SetDamaged
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.backup import back_up, describe
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.dump import BackupRequest
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.rehearsal import rehearse
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.restore_folder import FolderRequest, restore_folder
from ansible_collections.sre.runbooks.tests.unit.small_sets import make_set
from integration.faults import Operation, load_logged_reference, naming, order
from integration.object_store import running_store
from integration.postgresql_server import PostgresqlServer, running_server
from integration.test_disk_full import release
from tools.waiting import wait_until

pytestmark = pytest.mark.slow


class Chain:
    """A server, its sets, and what it held at each of them."""

    def __init__(self, server: PostgresqlServer, folder: Path) -> None:
        self.server, self.folder = server, folder
        self.contents: list[dict[str, t.Any]] = []

    def take(self, method: str = "incremental") -> BackupSet:
        """Take a set and remember the content. Sets of the same second have no order."""
        time.sleep(1.1)
        told = back_up(BackupRequest(self.server.connection, "reference", "reference", str(self.folder)), method)
        self.contents.append(self.server.content("reference"))
        return read_set(told["backup_set"]["folder"])


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Chain, list[BackupSet]]]:
    """A server with a full set and two that are built on it."""
    with running_server() as server:
        load_logged_reference(server, "reference", 4)
        one = Chain(server, tmp_path_factory.mktemp("sets"))
        sets = [one.take("physical")]
        for number in (1, 2):
            server.sql(f"CREATE TABLE added_{number} AS SELECT generate_series(1, 50) AS i", "reference")
            sets.append(one.take())
        yield one, sets


@pytest.fixture
def copies(taken: tuple[Chain, list[BackupSet]], tmp_path: Path) -> list[BackupSet]:
    """The three sets in a folder of their own, to be damaged."""
    for one in taken[1]:
        shutil.copytree(one.folder, tmp_path / one.id)
    return [read_set(str(tmp_path / one.id)) for one in taken[1]]


def test_an_incremental_set_is_small_and_says_what_it_is_built_on(
    taken: tuple[Chain, list[BackupSet]], tell: Callable[[str], None]
) -> None:
    full, first, second = taken[1]
    assert [one.id for one in chain(second)] == [full.id, first.id, second.id]
    parts = [sum(entry["size_bytes"] for entry in one.manifest["files"] if "/base.tar" in entry["path"]) for one in (second, full)]
    assert parts[0] < parts[1] / 4
    tell(f"incremental set after 50 new rows: {parts[0] / 1e6:.1f} MB beside its log, the full one {parts[1] / 1e6:.1f} MB")


def test_an_incremental_set_restores_to_what_was_there_when_it_was_taken(taken: tuple[Chain, list[BackupSet]]) -> None:
    one, sets = taken
    rehearse(sets[1], "", one.server.tools)
    assert read_set(sets[1].folder).state == "proven"
    one.server.sql("DROP TABLE billing.invoices CASCADE", "reference")
    for number in (1, 2):
        restore_folder(FolderRequest(one.server.service, sets[number]))
        assert one.server.content("reference") == one.contents[number]


def test_after_a_restore_of_an_older_set_no_new_one_is_built_on_what_came_later_in_the_history_that_was_left(
    taken: tuple[Chain, list[BackupSet]],
) -> None:
    one, sets = taken
    restore_folder(FolderRequest(one.server.service, sets[1]))
    one.server.sql("CREATE TABLE another_history AS SELECT generate_series(1, 5000) AS i; CHECKPOINT", "reference")
    before = one.server.content("reference")
    told = back_up(BackupRequest(one.server.connection, "reference", "reference", str(one.folder)), "incremental")
    made = read_set(told["backup_set"]["folder"])
    assert not made.manifest.get("base")
    assert "a full set was taken" in told["notes"][0]
    restore_folder(FolderRequest(one.server.service, made))
    assert one.server.content("reference") == before


def test_a_dry_run_says_which_set_it_would_be_built_on_or_why_all_is_copied(taken: tuple[Chain, list[BackupSet]], tmp_path: Path) -> None:
    server = taken[0].server
    said = describe(BackupRequest(server.connection, "reference", "reference", str(taken[0].folder)), "incremental")["plan"]
    assert "only what changed since" in said[-1] or "since its data was last restored" in said[-1]
    said = describe(BackupRequest(server.connection, "reference", "reference", str(tmp_path)), "incremental")["plan"]
    assert "to build on" in said[-1]


@pytest.mark.parametrize("damage", ["a flipped byte", "a missing base", "another base of that name"])
def test_a_set_whose_base_is_not_what_it_was_is_found_out_before_the_live_data_is_touched(
    damage: str, copies: list[BackupSet], taken: tuple[Chain, list[BackupSet]]
) -> None:
    server, (full, first, second) = taken[0].server, copies
    if damage == "a missing base":
        shutil.rmtree(first.folder)
    elif damage == "a flipped byte":
        path = Path(full.path(full.manifest["files"][0]["path"]))
        text = bytearray(path.read_bytes())
        text[len(text) // 2] ^= 1
        path.write_bytes(text)
    else:
        path = Path(first.path("manifest.json"))
        path.write_text(path.read_text() + "\n")
    live = server.data.stat().st_ino
    with pytest.raises(RunbookError) as caught:
        restore_folder(FolderRequest(server.service, second))
    assert first.id in caught.value.message or full.id in caught.value.message
    assert server.data.stat().st_ino == live
    with pytest.raises(SetDamaged):
        verify(second)
    if damage != "a flipped byte":
        chosen = select(str(Path(full.folder).parent), Wanted(store="reference", method="physical"), None)
        assert chosen["set_id"] == full.id


def test_retention_never_removes_a_base_that_a_kept_set_needs(taken: tuple[Chain, list[BackupSet]]) -> None:
    sets = [one for one in list_sets(str(taken[0].folder)) if one.id in [known.id for known in taken[1]]]
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=400)
    for one in sets:
        one.proofs.clear()
    plan = plan_prune(sets, Keep(last=1, days=1), later)
    assert list(plan.remove) == []
    assert sum("is built on it" in reason for reason in plan.reasons.values()) == 2


def test_retention_beside_an_incremental_backup_spares_what_the_new_set_is_being_built_on(
    taken: tuple[Chain, list[BackupSet]], tmp_path: Path
) -> None:
    server, folder = taken[0].server, tmp_path
    full = back_up(BackupRequest(server.connection, "reference", "reference", str(folder)), "physical")["backup_set"]["id"]
    # Of another server, and newer: without the backup, only this one would have to stay.
    make_set(folder, at="2099-01-01T00:00:00Z", kind="postgresql", method="physical", server={"system_identifier": "another"})
    backup = Operation(order(server, "backup", database="reference", backup_folder=str(folder), method="incremental"))
    copying: dict[int, str] = {}
    wait_until("the copy is on its way", lambda: bool(copying.update(naming("pg_basebackup", str(folder))) or copying), 20, every_s=0.005)
    for pid in copying:
        os.kill(pid, signal.SIGSTOP)
    removed = prune(str(folder), Keep(last=1, days=0))["removed"]
    release(copying)
    outcome, told = backup.finish()
    assert outcome == "completed", told
    new = read_set(told["backup_set"]["folder"])
    verify(new)
    assert [one.id for one in chain(new)] == [full, new.id], new.manifest.get("full_because")
    assert full not in removed


def test_a_set_that_comes_back_from_off_site_brings_what_it_is_built_on(taken: tuple[Chain, list[BackupSet]], tmp_path: Path) -> None:
    one, sets = taken
    with running_store(tmp_path / "s3") as store:
        for known in sets:
            copy_offsite(store, known)
        chosen = select(str(tmp_path / "fetched"), Wanted(store="reference", method="physical", name=sets[2].id), store)
        assert chosen["location"] == "offsite"
        fetched = read_set(chosen["set_folder"])
        assert [link.id for link in chain(fetched)] == [known.id for known in sets]
        rehearse(fetched, "", one.server.tools)
        store.call("delete", f"offsite:{store.path(sets[1].id)}")
        with pytest.raises(RunbookError, match=sets[1].id):
            select(str(tmp_path / "again"), Wanted(store="reference", method="physical", name=sets[2].id), store)
