# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Faults while a Qdrant server is backed up and restored: the cause is named, nothing is lost, and nothing stays behind for good."""

from __future__ import annotations

import shutil
import subprocess
import time
import typing as t
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.backup_set import operations
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.catalogue import Wanted, list_sets
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.hashing import hash_file
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.sets import BackupSet, SetWriter, read_set
from ansible_collections.sre.runbooks.plugins.module_utils.errors import (
    NoSpace,
    NotTheSame,
    RunbookError,
    SetDamaged,
    Unreachable,
)
from ansible_collections.sre.runbooks.plugins.module_utils.qdrant.archive import tool_problems
from ansible_collections.sre.runbooks.plugins.module_utils.qdrant.backup import BackupRequest, back_up
from ansible_collections.sre.runbooks.plugins.module_utils.qdrant.http import Http, Refused
from ansible_collections.sre.runbooks.plugins.module_utils.qdrant.rehearsal import rehearse
from ansible_collections.sre.runbooks.plugins.module_utils.qdrant.replaced import prune
from ansible_collections.sre.runbooks.plugins.module_utils.qdrant.restore import RestoreRequest, restore
from ansible_collections.sre.runbooks.plugins.module_utils.qdrant.server import Server
from integration.faults import FEWER, Operation, Series, own_process
from integration.test_disk_full import Filler, free, small_disk
from tools.waiting import wait_until

from .qdrant_server import API_KEY, QdrantServer, qdrant_server

pytestmark = pytest.mark.slow
NAMES = ["statutes_prod", "notes"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QdrantServer]:
    """A server with a collection behind an alias, and one without."""
    with qdrant_server(tmp_path_factory.mktemp("qdrant") / "data") as one:
        one.fill("statutes_2026", 1500, size=16)
        one.alias("statutes_prod", "statutes_2026")
        one.fill("notes", 300)
        yield one


@pytest.fixture(autouse=True)
def _well_again(server: QdrantServer) -> Iterator[None]:
    """After each test the server runs and nothing goes wrong in it."""
    yield
    if server.process is None or server.process.poll() is not None:
        server.stop()
        server.start()
    server.faults()


def api(server: QdrantServer) -> Server:
    """The server, as the library has it."""
    return Server(Http(server.url, API_KEY, timeout_s=20))


def take(server: QdrantServer, folder: Path, **more: t.Any) -> BackupSet:
    """A set of both collections."""
    return read_set(back_up(BackupRequest(api(server), "vectors", str(folder), NAMES, **more))["backup_set"]["folder"])


def content(server: QdrantServer) -> list[t.Any]:
    """Every point of what serves."""
    return [server.points(name) for name in NAMES]


def nothing_left(server: QdrantServer, folder: Path) -> None:
    """No half-written set, no note, no snapshot and no half-restored collection."""
    assert not [path.name for path in folder.iterdir() if path.name.startswith(".") and "restore" not in path.name]
    assert not server.snapshots() and not any(server.snapshots(name) for name in server.collections())
    assert not [name for name in server.collections() if "restoring" in name and name not in server.aliases().values()]


def wanted(server: QdrantServer, operation: str, folder: Path, **more: t.Any) -> dict[str, t.Any]:
    """What operation_qdrant.py reads."""
    order = {"url": server.url, "api_key": API_KEY, "backup_folder": str(folder), "collections": NAMES}
    return {"program": "operation_qdrant.py", "operation": operation, **order, **more}


BACKUP_FAULTS: dict[str, tuple[dict[str, t.Any], type[RunbookError], str]] = {
    "a wrong checksum": ({"wrong_checksum": True}, SetDamaged, "is not the one that the server made"),
    "a flipped byte on the way": ({"flip_download_byte": 70_000}, SetDamaged, "is not the one that the server made"),
    "a connection that always breaks": ({"cut_download_after": 90_000}, Unreachable, "90000 of"),
    "a full disk on the server": ({"full": "snapshot"}, NoSpace, "The Qdrant server's disk is full"),
}


@pytest.mark.parametrize("fault", BACKUP_FAULTS)
def test_a_backup_that_cannot_be_right_fails_with_the_cause_and_leaves_nothing(fault: str, server: QdrantServer, tmp_path: Path) -> None:
    what, kind, words = BACKUP_FAULTS[fault]
    (tmp_path / "sets").mkdir()
    server.faults(**what)
    with pytest.raises(kind) as failed:
        take(server, tmp_path / "sets")
    assert words in failed.value.message
    server.faults()
    assert list_sets(str(tmp_path / "sets")) == []
    nothing_left(server, tmp_path / "sets")


@pytest.mark.parametrize("moment", ["snapshot", "download"])
def test_a_server_that_dies_in_a_backup_is_named_and_its_snapshot_goes_with_the_next(
    moment: str, server: QdrantServer, tmp_path: Path
) -> None:
    server.faults(die_at=moment)
    with pytest.raises(Unreachable, match="cannot be reached, or is gone"):
        take(server, tmp_path / "sets")
    server.stop()
    server.start()
    assert list_sets(str(tmp_path / "sets")) == []
    one = take(server, tmp_path / "sets")
    assert one.problems() == [] and tool_problems(one) == []
    nothing_left(server, tmp_path / "sets")


RESTORE_FAULTS: dict[str, tuple[dict[str, t.Any], type[RunbookError], str]] = {
    "points that are lost": ({"lose_points": 3}, NotTheSame, "points, not"),
    "a full disk on the server": ({"full": "recover"}, NoSpace, "disk is full"),
}


@pytest.mark.parametrize("fault", RESTORE_FAULTS)
def test_a_restore_that_goes_wrong_leaves_what_serves_as_it_is(fault: str, server: QdrantServer, tmp_path: Path) -> None:
    what, kind, words = RESTORE_FAULTS[fault]
    one = take(server, tmp_path / "sets")
    server.fill("notes", 5, seed=int(time.time()))
    before, aliases, collections = content(server), server.aliases(), server.collections()
    server.faults(**what)
    with pytest.raises(kind) as failed:
        restore(RestoreRequest(api(server), "vectors", one, str(tmp_path / "sets")))
    assert words in failed.value.message and "the live collections are as they were" in failed.value.message
    server.faults()
    assert (content(server), server.aliases(), server.collections()) == (before, aliases, collections)
    assert [one.id for one in list_sets(str(tmp_path / "sets"))] == [one.id]


def test_a_server_that_dies_in_a_restore_serves_on_afterwards_and_the_next_restore_cleans_up(server: QdrantServer, tmp_path: Path) -> None:
    one, was = take(server, tmp_path / "sets"), content(server)
    server.fill("notes", 5, seed=int(time.time()))
    spoilt = content(server)
    server.faults(die_at="recover")
    with pytest.raises(Unreachable):
        restore(RestoreRequest(api(server), "vectors", one, str(tmp_path / "sets")))
    server.stop()
    server.start()
    assert content(server) == spoilt
    restore(RestoreRequest(api(server), "vectors", one, str(tmp_path / "sets")))
    assert content(server) == was
    nothing_left(server, tmp_path / "sets")
    prune(api(server), "vectors", str(tmp_path / "sets"), 0)


def test_what_fails_while_it_is_recovered_in_place_is_put_back(
    server: QdrantServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server loses points just when the live collection is recovered into, not before."""
    one = take(server, tmp_path / "sets")
    server.fill("notes", 5, seed=int(time.time()))
    before, aliases, upload = content(server), server.aliases(), Http.upload

    def first_wrong(self: Http, path: str, *arguments: t.Any, **more: t.Any) -> t.Any:
        in_place = path.startswith("/collections/notes/")
        server.faults(**({"lose_points": 2} if in_place and not spoilt else {}))
        spoilt.extend([path] * in_place)
        return upload(self, path, *arguments, **more)

    spoilt: list[str] = []
    monkeypatch.setattr(Http, "upload", first_wrong)
    with pytest.raises(NotTheSame) as failed:
        restore(RestoreRequest(api(server), "vectors", one, str(tmp_path / "sets")))
    assert "notes was put back as" in failed.value.message and "as they were" not in failed.value.message
    assert len(spoilt) == 2
    assert (content(server), server.aliases()) == (before, aliases)
    nothing_left(server, tmp_path / "sets")


def test_when_the_aliases_cannot_be_moved_what_was_recovered_in_place_is_put_back_too(
    server: QdrantServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = take(server, tmp_path / "sets")
    server.fill("notes", 5, seed=int(time.time()))
    before, aliases = content(server), server.aliases()

    def refuse(_self: Server, _actions: t.Any) -> None:
        raise Refused("The Qdrant server refused the request")

    monkeypatch.setattr(Server, "change_aliases", refuse)
    with pytest.raises(Refused) as failed:
        restore(RestoreRequest(api(server), "vectors", one, str(tmp_path / "sets")))
    assert failed.value.changed
    assert "notes was put back as" in failed.value.message
    assert (content(server), server.aliases()) == (before, aliases)
    nothing_left(server, tmp_path / "sets")


def test_a_collection_that_once_was_restored_and_serves_no_more_is_not_taken_for_a_leftover(tmp_path: Path) -> None:
    sets = tmp_path / "sets"
    with qdrant_server(tmp_path / "data") as server:
        server.fill("statutes_2026", 20)
        server.alias("statutes_prod", "statutes_2026")
        one = read_set(back_up(BackupRequest(api(server), "vectors", str(sets)))["backup_set"]["folder"])
        restore(RestoreRequest(api(server), "vectors", one, str(sets)))
        restored, points = server.aliases()["statutes_prod"], server.points("statutes_prod")
        assert "_restoring_" in restored
        # The service builds a new collection, and leads its alias there.
        server.fill("statutes_2027", 20)
        server.alias("statutes_prod", "statutes_2027")
        everything = read_set(back_up(BackupRequest(api(server), "vectors", str(sets)))["backup_set"]["folder"])
        assert restored in everything.manifest["content"]["collections"]
        assert rehearse(api(server), one, str(sets))["changed"]
        restore(RestoreRequest(api(server), "vectors", one, str(sets)))
        prune(api(server), "vectors", str(sets), 0)
        assert server.points(restored) == points


def test_every_flipped_byte_of_a_set_is_found_before_the_server_is_asked_for_anything(server: QdrantServer, tmp_path: Path) -> None:
    one = take(server, tmp_path / "sets")
    path = Path(one.folder) / one.manifest["files"][0]["path"]
    whole, collections = path.read_bytes(), server.collections()
    for place in (0, len(whole) // 3, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        with pytest.raises(SetDamaged):
            restore(RestoreRequest(api(server), "vectors", one, str(tmp_path / "sets")))
    assert server.collections() == collections


def test_a_set_whose_files_are_whole_but_do_not_restore_is_marked_as_failed_and_passed_over(server: QdrantServer, tmp_path: Path) -> None:
    """As when the server wrote a snapshot wrong, and told the checksum of that."""
    good = take(server, tmp_path / "sets")
    time.sleep(1.1)
    bad = take(server, tmp_path / "sets")
    file = Path(bad.folder) / bad.manifest["content"]["collections"]["notes"]["path"]
    unpacked = tmp_path / "unpacked"
    unpacked.mkdir()
    subprocess.run(["tar", "-xf", file, "-C", unpacked], check=True)
    shutil.rmtree(next((unpacked / "0" / "segments").iterdir()))
    subprocess.run(["tar", "-S", "--format=gnu", "-cf", file, "-C", unpacked, "0", "config.json", "payload_index.json"], check=True)
    shutil.rmtree(unpacked)
    bad = _sealed_anew(bad, tmp_path)
    assert operations.verify(bad)["backup_set"]["state"] == "verified"
    with pytest.raises((NotTheSame, Refused)):
        rehearse(api(server), bad, str(tmp_path / "sets"))
    assert read_set(bad.folder).state == "failed"
    chosen = operations.select(str(tmp_path / "sets"), Wanted(store="vectors"), None)
    assert chosen["set_id"] == good.id and any(bad.id in line for line in chosen["passed_over"])
    nothing_left(server, tmp_path / "sets")


def _sealed_anew(one: BackupSet, tmp_path: Path) -> BackupSet:
    """The set with the checksums of its files as they are now."""
    with SetWriter(str(tmp_path / "sets"), "vectors", "snapshot") as writer:
        files = {}
        manifest = {key: value for key, value in one.manifest.items() if key not in ("files", "format", "id")}
        for entry in one.manifest["files"]:
            (Path(one.folder) / entry["path"]).rename(Path(writer.folder) / entry["path"])
            sha256, size = hash_file(str(Path(writer.folder) / entry["path"]))
            files[entry["path"]] = {"size_bytes": size, "sha256": sha256}
            for part in manifest["content"]["collections"].values():
                if part["path"] == entry["path"]:
                    part.update(files[entry["path"]])
        shutil.rmtree(one.folder)
        return writer.seal(manifest, files)


def test_snapshots_of_others_are_never_touched(server: QdrantServer, tmp_path: Path) -> None:
    theirs = server.ask("POST", "/collections/notes/snapshots")["name"]
    time.sleep(1.1)  # the name of a snapshot has seconds
    operation = Operation(wanted(server, "backup", tmp_path / "sets"))
    wait_until("the backup is on its way", lambda: any((tmp_path / "sets").glob(".qdrant-*.note")), 20, every_s=0.005)
    operation.process.kill()
    operation.finish()
    time.sleep(0.5)  # what the server was asked for by then, it goes on to do
    take(server, tmp_path / "sets")
    assert server.snapshots("notes") == [theirs]
    server.ask("DELETE", f"/collections/notes/snapshots/{theirs}")
    nothing_left(server, tmp_path / "sets")


def test_a_backup_that_is_killed_leaves_a_whole_set_or_none_and_the_next_one_cleans_up(
    server: QdrantServer, tmp_path: Path, tell: Callable[[str], None]
) -> None:
    folder, before = tmp_path / "sets", content(server)
    series = Series("a backup of Qdrant", own_process, FEWER // 2 + 1)
    for moment in series.moments(Operation(wanted(server, "backup", folder))):
        shutil.rmtree(folder)
        folder.mkdir()
        with series.round():
            outcome, _told = series.strike(Operation(wanted(server, "backup", folder)), moment)
            sets = list_sets(str(folder))
            assert [one.problems() for one in sets] == [[]] * len(sets) and len(sets) <= 1
            assert outcome != "completed" or sets
            time.sleep(0.2)  # what the server was asked for by then, it goes on to do
            assert tool_problems(take(server, folder)) == []
            nothing_left(server, folder)
            assert content(server) == before
    series.conclude(tell)


def test_a_restore_that_is_killed_leaves_what_serves_or_the_restored_and_the_next_one_succeeds(
    server: QdrantServer, tmp_path: Path, tell: Callable[[str], None]
) -> None:
    """The collection behind the alias is the old one or the restored one, whole, at every moment."""
    folder = tmp_path / "sets"
    one, was = take(server, folder), content(server)
    server.ask("POST", "/collections/statutes_prod/points/delete", {"points": list(range(700))})
    spoilt = server.points("statutes_prod")
    series = Series("a restore of Qdrant", own_process, FEWER // 2 + 1)
    request = RestoreRequest(api(server), "vectors", one, str(folder))
    order = wanted(server, "restore", folder, set_folder=one.folder)
    for moment in series.moments(Operation(order)):
        assert content(server) == was
        server.ask("POST", "/collections/statutes_prod/points/delete", {"points": list(range(700))})
        with series.round():
            series.strike(Operation(order), moment)
            assert server.points("statutes_prod") in (spoilt, was[0])
            time.sleep(0.3)  # what the server was asked for by then, it goes on to do
            restore(request)
            assert content(server) == was
            prune(api(server), "vectors", str(folder), 0)
            nothing_left(server, folder)
            assert len(server.collections()) == 2
    series.conclude(tell)


@pytest.mark.needs_root
def test_a_backup_folder_without_room_is_named_and_nothing_is_left(server: QdrantServer, tmp_path: Path) -> None:
    with small_disk(66) as disk:  # less than a snapshot above what must stay free
        server.fill("notes", 3)
        with pytest.raises(NoSpace, match=r"too little room|almost full"):
            take(server, disk / "sets")
        assert not list_sets(str(disk / "sets"))
        nothing_left(server, disk / "sets")


@pytest.mark.needs_root
@pytest.mark.parametrize("full_storage", [False, True], ids=["of each collection", "of the whole storage"])
def test_a_disk_that_becomes_full_while_a_snapshot_is_fetched_is_named_and_nothing_is_left_anywhere(
    full_storage: bool, server: QdrantServer
) -> None:
    before = content(server)
    with small_disk(200) as disk:
        sets, room = disk / "sets", free(disk)
        server.faults(bytes_per_s=1_000_000)
        with Filler(disk, lambda: any(path.stat().st_size for path in sets.glob(".*.partial/*.snapshot"))) as filler:
            with pytest.raises(NoSpace, match="The disk is full") as failed:
                back_up(BackupRequest(api(server), "vectors", str(sets), [] if full_storage else NAMES, full_storage=full_storage))
            assert filler.filled
        assert str(sets) in failed.value.message
        server.faults()
        assert list(sets.iterdir()) == []
        assert free(disk) == room
        nothing_left(server, sets)
        assert content(server) == before
        assert tool_problems(take(server, sets)) == []
