# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Copies in a real S3 service: uploaded, interrupted, damaged, fetched back, refused."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.backup_set import object_store
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.catalogue import Wanted
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.object_store import ObjectStore
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.offsite import (
    download,
    remote_sets,
    upload,
    upload_proof,
)
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.offsite_prune import prune_offsite
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.operations import (
    copy_offsite,
    information,
    note_service_set,
    select,
)
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.prune import Keep
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.service_sets import describe
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.sets import read_set
from ansible_collections.sre.runbooks.plugins.module_utils.command import run
from ansible_collections.sre.runbooks.plugins.module_utils.errors import SetDamaged, SetNotFound, Unreachable
from ansible_collections.sre.runbooks.tests.unit.small_sets import make_set
from integration.cut_path import CutPath
from integration.object_store import option, running_store
from integration.playbook_runs import Profile, picture, server_picture
from integration.postgresql_server import running_server
from tools.ports import free_port

UPLOAD = """
import json, sys
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.object_store import ObjectStore
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.offsite import upload
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.sets import read_set
upload(ObjectStore(**json.loads(sys.argv[1])), read_set(sys.argv[2]))
"""
LARGE = {f"dump/{number}.dat": os.urandom(400_000) for number in range(8)}


def names_in(store: ObjectStore) -> list[str]:
    """The complete sets in the store, the newest first."""
    return [one.id for one in remote_sets(store)]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """The S3 service."""
    with running_store(tmp_path_factory.mktemp("s3")) as store:
        yield store


@pytest.fixture
def store(service: ObjectStore, request: pytest.FixtureRequest) -> ObjectStore:
    """A folder of its own in it."""
    return replace(service, prefix=f"tests/{abs(hash(request.node.nodeid))}")


def objects(store: ObjectStore) -> dict[str, str]:
    """Path -> time of every object."""
    listed = store.call("lsf", store.remote() + "/", "--recursive", "--files-only", "--format", "pt")
    return dict(line.split(";", 1) for line in listed.splitlines())


def put(store: ObjectStore, path: str, content: bytes) -> None:
    """Overwrite an object."""
    run(store.command("rcat", store.remote(path)), stdin=content)


def test_a_copy_is_compared_sealed_last_and_not_sent_again(store: ObjectStore, tmp_path: Path) -> None:
    one = make_set(tmp_path)
    first = upload(store, one)
    assert first == {"changed": True, "location": f"s3://{store.path(one.id)}", "bytes": one.size_bytes}
    there = objects(store)
    assert {path.split("/", 1)[1] for path in there} == {
        "dump/toc.dat",
        "dump/1.dat",
        "globals.sql",
        "manifest.json",
        "manifest.json.sha256",
    }
    assert names_in(store) == [one.id]
    assert upload(store, one)["changed"] is False
    assert objects(store) == there
    one.add_proof("proven")
    assert [upload(store, one)["changed"] for _twice in range(2)] == [True, False]
    assert [(seen.id, seen.state) for seen in remote_sets(store)] == [(one.id, "proven")]
    assert upload(store, one, download_check=True)["changed"] is False


def test_a_damaged_set_is_not_uploaded(store: ObjectStore, tmp_path: Path) -> None:
    one = make_set(tmp_path)
    Path(one.path("globals.sql")).write_bytes(b"CREATE ROLE clerk,\n")
    with pytest.raises(SetDamaged, match=r"globals\.sql has another content"):
        upload(store, one)
    assert objects(store) == {}


def test_an_upload_that_is_killed_is_never_chosen_and_the_next_completes_it(store: ObjectStore, tmp_path: Path) -> None:
    one = make_set(tmp_path / "here", LARGE)
    slow = {**os.environ, "RCLONE_BWLIMIT": "1M", "RCLONE_TRANSFERS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    uploading = subprocess.Popen([sys.executable, "-c", UPLOAD, json.dumps(option(store)), one.folder], env=slow)
    try:
        deadline = time.monotonic() + 30
        while len(objects(store)) < 2:
            assert uploading.poll() is None and time.monotonic() < deadline
            time.sleep(0.1)
        children = subprocess.run(["pgrep", "-P", str(uploading.pid)], capture_output=True, text=True).stdout.split()
        assert len(children) == 1
        os.kill(int(children[0]), 9)
        assert uploading.wait(30) != 0
    finally:
        uploading.kill()
        uploading.wait()
    partial = objects(store)
    assert 0 < len(partial) < len(LARGE)
    assert remote_sets(store) == []
    with pytest.raises(SetNotFound):
        select(str(tmp_path / "elsewhere"), Wanted(store="reference"), store)
    assert not (tmp_path / "elsewhere").exists() or os.listdir(tmp_path / "elsewhere") == []

    assert copy_offsite(store, one, dry_run=True)["changed"] is True
    assert upload(store, one)["changed"] is True
    assert names_in(store) == [one.id]
    after = objects(store)
    assert {path: after[path] for path in partial} == partial, "what had arrived was sent again"
    fetched = select(str(tmp_path / "elsewhere"), Wanted(store="reference"), store)
    assert (fetched["location"], fetched["set_id"]) == ("offsite", one.id)
    assert read_set(fetched["set_folder"]).problems() == []


@pytest.mark.parametrize("damaged", ["dump/1.dat", "globals.sql", "manifest.json", "manifest.json.sha256", "proof.json", "extra"])
def test_a_damaged_copy_is_found_when_fetched_the_next_one_is_taken_and_an_upload_mends_it(
    store: ObjectStore, tmp_path: Path, damaged: str
) -> None:
    here = tmp_path / "here"
    older, newer = make_set(here, at="2026-11-20T02:00:00Z"), make_set(here, at="2026-11-21T02:00:00Z")
    for one in (older, newer):
        one.add_proof("proven")
        upload(store, one)
    good = Path(newer.path(damaged)).read_bytes() if damaged != "extra" else b"x"
    put(store, f"{newer.id}/{damaged}", good[:-2] + b"?" + good[-1:])
    away = str(tmp_path / "away")
    chosen = select(away, Wanted(store="reference"), store)
    assert chosen["set_id"] == older.id
    assert [line for line in chosen["passed_over"] if line.startswith(f"{newer.id} off-site: ")], chosen["passed_over"]
    assert damaged in " ".join(chosen["passed_over"])
    assert os.listdir(away) == [older.id]
    shutil.rmtree(away)
    if damaged != "extra":
        upload(store, newer)
        assert select(away, Wanted(store="reference"), store)["set_id"] == newer.id


def test_only_sets_of_the_wanted_store_are_fetched_the_proven_before_the_newer(store: ObjectStore, tmp_path: Path) -> None:
    here = tmp_path / "here"
    proven, newer = make_set(here, at="2026-11-20T02:00:00Z"), make_set(here, at="2026-11-21T02:00:00Z")
    other = make_set(here, store="billing", at="2026-11-22T02:00:00Z")
    failed = make_set(here, at="2026-11-23T02:00:00Z")
    proven.add_proof("proven")
    failed.add_proof("failed", detail="it did not restore")
    for one in (proven, newer, other, failed):
        upload(store, one)
    away = tmp_path / "away"
    dry = select(str(away), Wanted(store="reference"), store, dry_run=True)
    assert (dry["location"], dry["set_id"]) == ("offsite", proven.id)
    assert not away.exists()
    assert select(str(away), Wanted(store="reference"), store)["set_id"] == proven.id
    assert os.listdir(away) == [proven.id]
    with pytest.raises(SetNotFound) as found:
        select(str(away), Wanted(store="nothing"), store)
    assert f"{other.id} is of the store billing" in found.value.message


def test_a_set_that_is_damaged_here_is_replaced_by_its_copy(store: ObjectStore, tmp_path: Path) -> None:
    one = make_set(tmp_path)
    assert upload(store, one)["changed"]
    one.add_proof("verified")
    assert copy_offsite(store, one, dry_run=True)["changed"]
    assert [upload(store, one)["changed"] for _twice in range(2)] == [True, False]
    Path(one.path("dump/1.dat")).unlink()
    chosen = select(str(tmp_path), Wanted(store="reference"), store)
    assert (chosen["location"], chosen["set_id"]) == ("offsite", one.id)
    assert "dump/1.dat is missing" in chosen["passed_over"][0]
    assert os.listdir(tmp_path) == [one.id]
    assert read_set(one.folder).state == "verified"
    assert read_set(one.folder).problems() == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"secret_key": "wrong"}, "SignatureDoesNotMatch"),
        ({"access_key": "WRONG"}, "InvalidAccessKeyId"),
        ({"bucket": "no-such-bucket"}, "the bucket was not found"),
        ({"endpoint": "http://127.0.0.1:{free}"}, "connection refused"),
        ({"endpoint": "http://no-such-host.invalid"}, "no such host"),
    ],
)
def test_a_store_that_refuses_says_why_in_one_line_within_seconds(
    store: ObjectStore, tmp_path: Path, changed: dict[str, str], said: str
) -> None:
    one = make_set(tmp_path / "here")
    wrong = replace(store, **{key: value.format(free=free_port()) for key, value in changed.items()})
    calls: list[Callable[[], object]] = [
        lambda: upload(wrong, one),
        lambda: select(str(tmp_path / "away"), Wanted(store="reference"), wrong),
        lambda: copy_offsite(wrong, one, dry_run=True),
    ]
    for call in calls:
        began = time.monotonic()
        with pytest.raises(Unreachable) as found:
            call()
        assert time.monotonic() - began < 15
        message = found.value.message
        assert said in message and message.count(said) == 1
        assert str(wrong) in message and "Next: check that it runs" in message
        assert len(message) < 500
        assert store.secret_key not in message and wrong.secret_key not in message
    assert not (tmp_path / "away").exists()


def test_a_service_that_accepts_and_never_answers_is_given_up(store: ObjectStore, tmp_path: Path) -> None:
    def accept() -> None:
        with contextlib.suppress(OSError):  # it is closed at the end
            for _number in range(50):
                taken.append(silent.accept())

    taken: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        threading.Thread(target=accept, daemon=True).start()
        wrong = replace(store, endpoint=f"http://127.0.0.1:{silent.getsockname()[1]}")
        began = time.monotonic()
        with pytest.raises(Unreachable, match="The object store could not be used"):
            remote_sets(wrong)
        assert time.monotonic() - began < 60


def test_copies_are_pruned_by_rules_of_their_own_and_what_was_cut_off_is_cleared_away_after_a_day(
    store: ObjectStore, tmp_path: Path
) -> None:
    sets = [make_set(tmp_path, at=f"2020-0{month}-01T00:00:00Z") for month in range(1, 6)]
    sets[0].add_proof("proven")
    for one in sets:
        upload(store, one)
    members = [{"set": one.id, "consistent_at": one.consistent_at} for one in (sets[2], sets[4])]
    told_of = [note_service_set(str(tmp_path), describe("clinic", [one]), store)["service_set"]["id"] for one in members]
    interrupted = "20200101T000000Z-reference-logical-0000"
    put(store, f"{interrupted}/dump/1.dat", b"half")
    put(store, "notes/2020.txt", b"somebody else's")
    rules = Keep(1, 0, monthly=2)
    before = objects(store)
    told = prune_offsite(store, rules, dry_run=True)
    assert objects(store) == before
    done = prune_offsite(store, rules)
    assert told["removed"] == done["removed"] == [sets[2].id, sets[1].id] and done["leftovers"] == []
    assert told["service_sets"] == done["service_sets"] == told_of[:1]
    listed = information(str(tmp_path / "elsewhere"), Wanted(store="reference"), store)
    assert [one["id"] for one in listed["offsite_service_sets"]] == told_of[1:]
    assert [one["id"] for one in listed["offsite_sets"]] == [sets[4].id, sets[3].id, sets[0].id] and listed["backup_sets"] == []
    assert names_in(store) == [sets[4].id, sets[3].id, sets[0].id]
    assert f"{interrupted}/dump/1.dat" in objects(store), "it may still be on its way"
    tomorrow = datetime.now(UTC) + timedelta(days=2)
    assert prune_offsite(store, rules, now=tomorrow)["leftovers"] == [interrupted]
    assert not [path for path in objects(store) if path.startswith((interrupted, sets[2].id))]
    assert "notes/2020.txt" in objects(store)
    assert prune_offsite(store, rules, now=tomorrow)["changed"] is False


def test_without_a_rule_nothing_off_site_is_removed_and_that_is_said(store: ObjectStore, tmp_path: Path) -> None:
    sets = [make_set(tmp_path, at=f"2020-0{month}-01T00:00:00Z") for month in (1, 2)]
    for one in sets:
        upload(store, one)
    put(store, "20200101T000000Z-reference-logical-0000/dump/1.dat", b"half")
    before = objects(store)
    done = prune_offsite(store, Keep(0, 0), now=datetime.now(UTC) + timedelta(days=4000))
    assert (done["changed"], done["removed"], done["leftovers"]) == (False, [], [])
    assert done["decisions"] == [
        "Nothing off-site is ever removed, as no rule says what may go (backup_offsite_keep_*); 2 copies are there"
    ]
    assert objects(store) == before


def test_a_removal_that_is_cut_off_leaves_nothing_that_a_restore_takes(store: ObjectStore, tmp_path: Path) -> None:
    sets = [make_set(tmp_path, at=f"2020-0{month}-01T00:00:00Z") for month in (1, 2)]
    for one in sets:
        upload(store, one)
    store.call("deletefile", store.remote(sets[0].id, "manifest.json"))  # as far as a removal came that was killed after its first step
    assert names_in(store) == [sets[1].id]
    assert prune_offsite(store, Keep(1, 0), now=datetime.now(UTC) + timedelta(days=2))["leftovers"] == [sets[0].id]


def test_a_store_that_is_down_fails_the_pruning_with_its_cause(store: ObjectStore) -> None:
    with pytest.raises(Unreachable, match="connection refused"):
        prune_offsite(replace(store, endpoint=f"http://127.0.0.1:{free_port()}"), Keep())


def test_what_is_proven_later_reaches_the_copy_but_no_copy_is_made_for_it(store: ObjectStore, tmp_path: Path) -> None:
    copied, other = make_set(tmp_path, at="2020-01-01T00:00:00Z"), make_set(tmp_path, at="2020-02-01T00:00:00Z")
    upload(store, copied)
    for one in (copied, other):
        one.add_proof("failed", detail="it did not restore")
        told = {**upload_proof(store, one, dry_run=True)}
        assert upload_proof(store, one) == told
        assert (told["changed"], upload_proof(store, one)["changed"]) == (one is copied, False)
    assert [(one.id, one.state) for one in remote_sets(store)] == [(copied.id, "failed")]


@pytest.mark.parametrize("download_check", [False, True])
def test_a_store_that_fails_during_the_comparison_is_not_called_a_damaged_copy(
    store: ObjectStore, tmp_path: Path, download_check: bool
) -> None:
    from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.offsite import _differences

    one = make_set(tmp_path)
    upload(store, one)
    md5: dict[str, str] = {}
    assert one.problems(md5=md5) == []
    assert _differences(store, one, md5, [], download_check=download_check) == []
    with pytest.raises(Unreachable):
        _differences(replace(store, secret_key="wrong"), one, md5, [], download_check=download_check)


@pytest.fixture
def path(service: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[CutPath]:
    """A network path to the service, one file on it at a time, and less patience with it than usual."""
    monkeypatch.setenv("RCLONE_TRANSFERS", "1")
    monkeypatch.setattr(object_store, "LONG_PATIENCE", ("--retries", "2", "--low-level-retries", "2"))
    monkeypatch.setattr(object_store, "STALLED_S", 0.0)
    one = CutPath(int(service.endpoint.rpartition(":")[2]))
    yield one
    one.cut()


def test_a_network_that_breaks_in_the_middle_of_an_upload_is_named_and_the_next_run_sends_the_rest(
    store: ObjectStore, tmp_path: Path, path: CutPath
) -> None:
    one, away = make_set(tmp_path / "here", LARGE), replace(store, endpoint=f"http://127.0.0.1:{path.port}")
    path.left["up"] = 1_500_000
    with pytest.raises(Unreachable, match=f"127.0.0.1:{path.port}: connect: connection refused"):
        upload(away, one)
    partial = objects(store)
    assert 0 < len(partial) < len(LARGE)
    assert remote_sets(store) == []
    path.mend()
    assert upload(away, one)["changed"] is True
    assert names_in(store) == [one.id]
    after = objects(store)
    assert {name: after[name] for name in partial} == partial, "what had arrived was sent again"


def test_a_network_that_breaks_in_the_middle_of_a_download_is_named_and_leaves_nothing_that_looks_like_a_set(
    store: ObjectStore, tmp_path: Path, path: CutPath
) -> None:
    one, away = make_set(tmp_path / "here", LARGE), replace(store, endpoint=f"http://127.0.0.1:{path.port}")
    upload(store, one)
    path.left["down"] = 1_500_000
    with pytest.raises(Unreachable, match=f"127.0.0.1:{path.port}: connect: connection refused"):
        select(str(tmp_path / "away"), Wanted(store="reference"), away)
    assert os.listdir(tmp_path / "away") == []
    path.mend()
    fetched = select(str(tmp_path / "away"), Wanted(store="reference"), away)
    assert read_set(fetched["set_folder"]).problems() == []


@pytest.mark.parametrize("way", ["up", "down"])
def test_what_is_damaged_on_its_way_is_sent_again(store: ObjectStore, tmp_path: Path, path: CutPath, way: str) -> None:
    one, away = make_set(tmp_path / "here", LARGE), replace(store, endpoint=f"http://127.0.0.1:{path.port}")
    path.flip_at = {way: 1_500_000}
    upload(away, one)
    assert download(away, one.id, str(tmp_path / "away")).problems() == []
    assert path.flipped


def test_from_the_backup_to_the_restore_when_all_that_is_left_is_the_copy(store: ObjectStore, tmp_path: Path) -> None:
    with running_server() as server:
        server.load_reference("reference", 1)
        profile = Profile(tmp_path, server)
        profile.variables["backup_offsite"] = option(store)
        done = profile.run("backup")
        assert done.status == 0, done.output
        (name,) = profile.sets()
        assert names_in(store) == [name]
        before = server.content("reference")
        shutil.rmtree(profile.backups)
        server.sql("DROP DATABASE reference")

        rehearsed = profile.run("restore", "--check", "--diff", "-e", "confirm=reference")
        assert rehearsed.status == 0, rehearsed.output
        assert not profile.backups.exists()
        assert f"{name} would be fetched from" in rehearsed.output
        assert f"restore {name} into the new database reference_restoring_" in rehearsed.output
        done = profile.run("restore", "-e", "confirm=reference")
        assert done.status == 0, done.output
        assert server.content("reference") == before
        assert profile.sets() == [name]

        profile.variables["backup_offsite"] = option(store, secret_key="wrong")
        shutil.rmtree(profile.backups)
        untouched = server_picture(server, "reference"), picture(profile.backups)
        done = profile.run("restore", "-e", "confirm=reference")
        assert done.status == 2
        assert "SignatureDoesNotMatch" in done.message and "Traceback" not in done.output
        assert (server_picture(server, "reference"), picture(profile.backups)) == untouched
