# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every file of a set, damaged in every way: always found, the file named, the next good set taken, the damaged one marked."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.catalogue import Wanted
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.operations import select, verify
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.sets import BackupSet, read_set
from ansible_collections.sre.runbooks.plugins.module_utils.errors import SetDamaged, SetNotFound
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.base_backup import back_up_physically
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.connection import Connection
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.dump import BackupRequest, back_up_logically
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.exchange import Service
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.rehearsal import rehearse
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.restore import RestoreRequest, restore_logically
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.restore_folder import FolderRequest, restore_folder
from integration.postgresql_server import running_server

GOOD, BAD = "20260101T000000Z-reference-good-0001", "20260202T000000Z-reference-bad-0002"
SEALS = ("manifest.json", "manifest.json.sha256", "proof.json")


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, BackupSet]]:
    """A proven logical and a proven physical set of a small server."""
    folder = str(tmp_path_factory.mktemp("sets"))
    with running_server() as server:
        server.load_reference("reference", 1)
        request = BackupRequest(server.connection, "reference", "reference", folder)
        sets = {"logical": back_up_logically(request), "physical": back_up_physically(request)}
        for one in sets.values():
            one.add_proof("proven")
        yield sets


@pytest.fixture(params=["logical", "physical"])
def pair(request: pytest.FixtureRequest, originals: dict[str, BackupSet], tmp_path: Path) -> Pair:
    """An older good set and a newer one to damage, both proven."""
    return Pair(originals[request.param], tmp_path)


class Pair:
    """Two copies of one set in a folder of their own."""

    def __init__(self, original: BackupSet, folder: Path) -> None:
        self.original, self.folder = original, folder
        self.good, self.bad = folder / GOOD, folder / BAD
        shutil.copytree(original.folder, self.good)
        self.renew()
        self.files = sorted(str(path.relative_to(self.bad)) for path in self.bad.rglob("*") if path.is_file())
        self.wanted = Wanted(store="reference", method=str(original.manifest["method"]))

    def renew(self) -> None:
        """Undo the damage."""
        shutil.rmtree(self.bad, ignore_errors=True)
        shutil.copytree(self.original.folder, self.bad)

    def require_noticed(self, named: str) -> None:
        """The damage is told by every way that looks at a set, with the file's name."""
        with pytest.raises(SetDamaged) as found:
            verify(read_set(str(self.bad)), dry_run=True)
        assert named in found.value.message
        assert BAD in found.value.message
        chosen = select(str(self.folder), self.wanted, None)
        assert chosen["set_id"] == GOOD
        told = [line for line in chosen["passed_over"] if line.startswith(BAD)]
        assert len(told) == 1 and named in told[0]
        assert read_set(str(self.bad)).state == "failed"
        assert read_set(str(self.good)).state == "proven"


def flip(path: Path, position: float) -> None:
    """Turn one bit of a file around."""
    with path.open("r+b") as stream:
        offset = min(int(path.stat().st_size * position), path.stat().st_size - 1)
        stream.seek(offset)
        byte = stream.read(1)[0]
        stream.seek(offset)
        stream.write(bytes([byte ^ 1 << offset % 8]))


def folder_instead(path: Path) -> None:
    """Put a folder where a file was."""
    path.unlink()
    path.mkdir()


FAULTS: dict[str, Callable[[Path], object]] = {
    "the first byte": lambda path: flip(path, 0),
    "a bit in the middle": lambda path: flip(path, 0.5),
    "the last byte": lambda path: flip(path, 1),
    "cut by a byte": lambda path: os.truncate(path, path.stat().st_size - 1),
    "emptied": lambda path: os.truncate(path, 0),
    "a byte too many": lambda path: path.write_bytes(path.read_bytes() + b"\n"),
    "removed": lambda path: path.unlink(),
    "a folder in its place": folder_instead,
}


def test_every_fault_in_every_file_is_found_and_the_next_good_set_is_taken(pair: Pair) -> None:
    assert set(SEALS) < set(pair.files)
    count = 0
    for name in pair.files:
        for fault, do in FAULTS.items():
            if (name, fault) == ("proof.json", "removed"):
                continue  # the next test
            do(pair.bad / name)
            try:
                pair.require_noticed(name)
            except AssertionError as error:
                raise AssertionError(f"{name}: {fault}: {error}") from error
            count += 1
            pair.renew()
    assert count == len(pair.files) * len(FAULTS) - 1


def test_a_set_whose_proof_is_gone_is_trusted_no_more_than_a_new_one(pair: Pair) -> None:
    (pair.bad / "proof.json").unlink()
    assert read_set(str(pair.bad)).state == "written"
    chosen = select(str(pair.folder), pair.wanted, None)
    assert chosen["set_id"] == GOOD
    assert chosen["reason"] == "it is the newest proven set"


def test_two_files_in_each_other_s_place_are_found(pair: Pair) -> None:
    for first, second in zip(pair.files, pair.files[1:] + pair.files[:1], strict=True):
        one, two = pair.bad / first, pair.bad / second
        if one.read_bytes() == two.read_bytes():
            continue
        aside = pair.bad / "aside"
        one.rename(aside)
        two.rename(one)
        aside.rename(two)
        pair.require_noticed(
            "manifest.json"
            if {first, second} & {"manifest.json", "manifest.json.sha256"}
            else first
            if first not in SEALS
            else "proof.json"
        )
        pair.renew()


def test_a_file_that_does_not_belong_is_found(pair: Pair) -> None:
    inner = next(name for name in pair.files if "/" in name).split("/")[0]
    for added in ("extra", f"{inner}/extra.dat", ".hidden", "proof.json.old"):
        (pair.bad / added).write_text("x")
        pair.require_noticed(added)
        pair.renew()


def test_a_link_in_the_place_of_a_file_is_found(pair: Pair) -> None:
    for name in pair.files:
        if name not in SEALS:
            (pair.bad / name).unlink()
            (pair.bad / name).symlink_to(pair.good / name)
            pair.require_noticed(name)
            pair.renew()


def test_a_damaged_set_is_refused_before_the_server_is_even_asked(pair: Pair, originals: dict[str, BackupSet]) -> None:
    nowhere = Connection(host="127.0.0.1", port=1)
    name = next(name for name in reversed(pair.files) if name not in SEALS)
    before = sorted(path.name for path in pair.folder.iterdir())
    flip(pair.bad / name, 0.5)
    one = read_set(str(pair.bad))
    live = pair.folder / "data"
    restores: list[Callable[[], object]] = [lambda: rehearse(read_set(str(pair.bad)), str(pair.folder), "/nonexistent")]
    if one.manifest["method"] == "logical":
        restores = [lambda: restore_logically(RestoreRequest(nowhere, "reference", one))]
    else:
        restores.append(lambda: restore_folder(FolderRequest(Service(str(live)), one)))
    for restore in restores:
        with pytest.raises(SetDamaged) as found:
            restore()
        assert name in found.value.message
    assert sorted(path.name for path in pair.folder.iterdir() if not path.name.endswith(".lock")) == before


def test_a_damaged_set_is_not_taken_even_when_it_is_named_and_the_message_says_why(pair: Pair) -> None:
    for name in pair.files:
        flip(pair.bad / name, 0.5)
        with pytest.raises(SetNotFound) as found:
            select(str(pair.folder), Wanted(name=BAD), None)
        assert name in found.value.message
        pair.renew()


def test_when_all_sets_are_damaged_each_is_named_with_its_fault(pair: Pair) -> None:
    first, second = [name for name in pair.files if name not in SEALS][:2]
    flip(pair.bad / first, 0.5)
    (pair.good / second).unlink()
    with pytest.raises(SetNotFound) as found:
        select(str(pair.folder), pair.wanted, None)
    assert f"{BAD}: {first} has another content" in found.value.message
    assert f"{GOOD}: {second} is missing" in found.value.message
    with pytest.raises(SetNotFound) as again:
        select(str(pair.folder), pair.wanted, None)
    assert BAD in again.value.message and GOOD in again.value.message


def test_a_dry_run_finds_the_same_and_marks_nothing(pair: Pair) -> None:
    name = next(name for name in pair.files if name not in SEALS)
    flip(pair.bad / name, 0.5)
    before = {path: path.read_bytes() for path in pair.folder.rglob("*.json*")}
    assert select(str(pair.folder), pair.wanted, None, dry_run=True)["set_id"] == GOOD
    assert {path: path.read_bytes() for path in pair.folder.rglob("*.json*")} == before


def test_that_the_finding_cannot_be_written_down_hides_neither_the_finding_nor_the_next_good_set(pair: Pair) -> None:
    name = next(name for name in pair.files if name not in SEALS)
    (pair.bad / name).unlink()
    (pair.bad / f".proof.json.{os.getpid()}.partial").mkdir()  # in the way of the new proof.json, as a full or read-only disk would be
    assert select(str(pair.folder), pair.wanted, None)["set_id"] == GOOD
    with pytest.raises(SetDamaged, match="is missing"):
        verify(read_set(str(pair.bad)))
