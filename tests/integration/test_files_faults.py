# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""kill -9, a full disk and flipped bytes in backup and restore of files: what is in use stays whole, and so do finished sets."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.catalogue import list_sets
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.sets import read_set
from ansible_collections.sre.runbooks.plugins.module_utils.errors import NoSpace, SetDamaged
from ansible_collections.sre.runbooks.plugins.module_utils.file_store.backup import back_up
from ansible_collections.sre.runbooks.plugins.module_utils.file_store.kept import undo
from ansible_collections.sre.runbooks.plugins.module_utils.file_store.record import FilesBackup
from ansible_collections.sre.runbooks.plugins.module_utils.file_store.restore import restore_files
from ansible_collections.sre.runbooks.plugins.module_utils.file_store.restore_plan import FilesRestore
from integration.faults import FEWER, SEED, Operation, Series, Victim, own_process, programs, working_in
from integration.file_trees import picture, small_tree, store
from integration.test_disk_full import small_disk
from tools.waiting import wait_until

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("what", ["the operation", "tar", "zstd"])
def test_a_backup_of_files_that_is_killed_leaves_a_whole_set_or_none(what: str, tmp_path: Path, tell: Callable[[str], None]) -> None:
    tree, sets = tmp_path / "tree", tmp_path / "sets"
    small_tree(tree, 1000)
    (tree / "large").write_bytes(random.Random(1).randbytes(100_000_000))
    before = picture(tree)
    wanted = {"program": "files_operation.py", "operation": "backup", "paths": [str(tree)], "backup_folder": str(sets)}
    series = Series(f"{what} in a backup of files", own_process if what == "the operation" else programs(what), FEWER)
    leftovers = 0
    for moment in series.moments(Operation(wanted)):
        shutil.rmtree(sets)
        sets.mkdir()
        with series.round():
            outcome, told = series.strike(Operation(wanted), moment)
            found = list_sets(str(sets))
            assert [one.problems() for one in found] == [[]] * len(found)
            assert [one.id for one in found] == [told["backup_set"]["id"]] if outcome == "completed" else len(found) <= 1
            leftovers += len(list(sets.glob(".*")))
            assert outcome == "killed" or not list(sets.glob(".*"))
            made = back_up(FilesBackup(store(tree), str(sets)))["backup_set"]["id"]
            assert sorted(path.name for path in sets.iterdir()) == sorted([made, *(one.id for one in found)])
            wait_until("nothing of a killed run works on", lambda: not working_in(tree, "tar"), 5)
    assert picture(tree) == before
    series.conclude(tell, f"; {leftovers} left half a set, which the next run removed")


RESTORE_VICTIMS: dict[str, Victim] = {"the operation": own_process, "tar": programs("tar")}


@pytest.mark.parametrize("what", RESTORE_VICTIMS)
def test_a_restore_that_is_killed_leaves_each_path_whole_and_the_next_one_finishes(
    what: str, tmp_path: Path, tell: Callable[[str], None]
) -> None:
    trees = [tmp_path / "live" / name for name in ("first", "second", "third")]
    for number, tree in enumerate(trees):
        small_tree(tree, 250, seed=number)
    (trees[0] / "large").write_bytes(random.Random(1).randbytes(50_000_000))
    files, old = store(*trees), [picture(tree) for tree in trees]
    one = read_set(back_up(FilesBackup(files, str(tmp_path / "sets")))["backup_set"]["folder"])
    for tree in trees:
        shutil.rmtree(tree / "d1")
        (tree / "newer").write_text("newer")
    new = [picture(tree) for tree in trees]
    shutil.copytree(tmp_path / "live", tmp_path / "copy", symlinks=True)
    wanted = {"program": "files_operation.py", "operation": "restore", "paths": [str(tree) for tree in trees], "set_folder": one.folder}

    def renew() -> None:
        shutil.rmtree(tmp_path / "live")
        subprocess.run(["cp", "-a", str(tmp_path / "copy"), str(tmp_path / "live")], check=True)

    series = Series(f"{what} in a restore of files", RESTORE_VICTIMS[what], max(FEWER // 2, 1))
    mixed = 0
    for moment in series.moments(Operation(wanted)):
        renew()
        with series.round():
            operation = Operation(wanted)
            outcome, _told = series.strike(operation, moment)
            wait_until("what it forked has ended", operation.has_ended, 10)
            now = [picture(tree) for tree in trees]
            assert all(tree in (was, becomes) for tree, was, becomes in zip(now, new, old, strict=True)), "each path is whole"
            mixed += now not in (old, new)
            assert outcome != "completed" or now == old
            restore_files(FilesRestore(files, one))
            assert [picture(tree) for tree in trees] == old
            assert not [path.name for path in (tmp_path / "live").iterdir() if "restoring" in path.name or "exchange" in path.name]
            kept = list((tmp_path / "live").glob(".first_before_*"))
            assert any(picture(path) == new[0] for path in kept), "what was replaced is kept"
            if outcome == "failed":
                undo(files)
                assert [picture(tree) for tree in trees] == new
    series.conclude(tell, f"; {mixed} left some paths exchanged and others not, which the next run completed")


@pytest.mark.parametrize("step", range(6))
def test_an_exchange_that_dies_at_any_step_is_completed_or_taken_back_by_the_next_run(step: int, tmp_path: Path) -> None:
    trees = [tmp_path / "live" / name for name in ("first", "second")]
    for tree in trees:
        small_tree(tree, 3)
    files, old = store(*trees), [picture(tree) for tree in trees]
    one = read_set(back_up(FilesBackup(files, str(tmp_path / "sets")))["backup_set"]["folder"])
    for tree in trees:
        (tree / "newer").touch()
    new = [picture(tree) for tree in trees]
    # Before the first exchange, after each of the two, after each gets its name, before the journals go.
    program = (
        "import os, signal, sys;"
        "from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.sets import read_set;"
        "from ansible_collections.sre.runbooks.plugins.module_utils.file_store import swap;"
        "from ansible_collections.sre.runbooks.plugins.module_utils.file_store.request import FilesStore;"
        "from ansible_collections.sre.runbooks.plugins.module_utils.file_store.restore import restore_files;"
        "from ansible_collections.sre.runbooks.plugins.module_utils.file_store.restore_plan import FilesRestore;"
        "steps = [0]\n"
        "def dying(real):\n"
        "    def call(*arguments):\n"
        "        if steps[0] == int(sys.argv[2]): os.kill(os.getpid(), signal.SIGKILL)\n"
        "        steps[0] += 1; return real(*arguments)\n"
        "    return call\n"
        "swap.fsync_path = dying(swap.fsync_path); swap._forget = dying(swap._forget)\n"
        "if sys.argv[2] == '5':\n"
        "    sys.argv[2] = '0'; swap.fsync_path = lambda path: None; swap.exchange = dying(swap.exchange)\n"
        "restore_files(FilesRestore(FilesStore('files', tuple(sys.argv[3:])), read_set(sys.argv[1])))"
    )
    call = [sys.executable, "-c", program, one.folder, str(step), *map(str, trees)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2] / "collections")}
    done = subprocess.run(call, env=environment, capture_output=True, text=True)
    assert "interrupted" in done.stderr
    expected = {5: new, 0: [old[0], new[1]]}
    assert [picture(tree) for tree in trees] == expected.get(step, old)
    again = restore_files(FilesRestore(store(trees[1]), one))
    word = "killed before it exchanged" if step == 5 else "completed the exchange"
    assert any(word in note for note in again["notes"])
    assert [picture(tree) for tree in trees] == ([new[0], old[1]] if step == 5 else old)
    assert not list((tmp_path / "live").glob(".*.json")) or step == 4
    restore_files(FilesRestore(files, one))
    assert not [path.name for path in (tmp_path / "live").iterdir() if path.suffix == ".json" or "restoring" in path.name]


@pytest.mark.needs_root
def test_a_disk_that_fills_up_is_named_and_changes_nothing(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    for number in range(40):
        (tree / f"f{number}").write_bytes(random.Random(number).randbytes(2_000_000))
    with small_disk(100) as disk:
        with pytest.raises(NoSpace, match="disk"):
            back_up(FilesBackup(store(tree), str(disk / "sets")))
        assert list((disk / "sets").iterdir()) == []

    one = read_set(back_up(FilesBackup(store(tree), str(tmp_path / "sets")))["backup_set"]["folder"])
    with small_disk(180) as disk:
        shutil.copytree(tree, disk / "tree", copy_function=shutil.copy2)
        moved = store(disk / "tree")
        with pytest.raises(NoSpace):
            restore_files(FilesRestore(moved, one, from_other_server=True))
        # The manifest promises less than there is: then the disk fills while it is unpacked.
        small = {**one.manifest["content"], "paths": [{**one.manifest["content"]["paths"][0], "size_bytes": 1}]}
        one.manifest["content"] = small
        before = picture(disk / "tree")
        with pytest.raises(NoSpace, match="disk"):
            restore_files(FilesRestore(moved, one, from_other_server=True))
        assert picture(disk / "tree") == before
        assert not [path.name for path in disk.iterdir() if "restoring" in path.name]


@pytest.mark.needs_root
def test_what_only_the_folder_in_use_has_needs_room_beside_it_before_it_is_copied(tmp_path: Path) -> None:
    with small_disk(200) as disk:
        tree = disk / "tree"
        tree.mkdir()
        (tree / "settings").write_text("old")
        one = read_set(back_up(FilesBackup(store(tree), str(tmp_path / "sets")))["backup_set"]["folder"])
        (tree / "only here").write_bytes(random.Random(1).randbytes(80_000_000))
        before = picture(tree)
        with pytest.raises(NoSpace):
            restore_files(FilesRestore(store(tree), one, replace=False))
        assert picture(tree) == before
        assert not [path.name for path in disk.iterdir() if "restoring" in path.name]


def test_a_flipped_byte_anywhere_in_a_set_is_found_before_anything_is_replaced(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    small_tree(tree, 30)
    files = store(tree)
    one = read_set(back_up(FilesBackup(files, str(tmp_path / "sets")))["backup_set"]["folder"])
    (tree / "newer").touch()
    before, chance = picture(tree), random.Random(SEED)
    for name in sorted(os.listdir(one.folder)):
        path = Path(one.folder, name)
        content = path.read_bytes()
        for _round in range(4):
            at = chance.randrange(len(content))
            path.write_bytes(content[:at] + bytes([content[at] ^ 1 << chance.randrange(8)]) + content[at + 1 :])
            with pytest.raises(SetDamaged):
                restore_files(FilesRestore(files, read_set(one.folder)))
            assert picture(tree) == before, f"{name}, byte {at}, seed {SEED}"
        path.write_bytes(content)
    restore_files(FilesRestore(files, read_set(one.folder)))
