# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files come back as they were, all that a file system knows of them included, and nothing is replaced before that is known."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.catalogue import list_sets
from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.sets import BackupSet, read_set
from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput, NotTheSame, RunbookError, WrongTarget
from ansible_collections.sre.runbooks.plugins.module_utils.file_store.backup import back_up, describe
from ansible_collections.sre.runbooks.plugins.module_utils.file_store.kept import prune, undo
from ansible_collections.sre.runbooks.plugins.module_utils.file_store.record import FilesBackup
from ansible_collections.sre.runbooks.plugins.module_utils.file_store.rehearsal import rehearse
from ansible_collections.sre.runbooks.plugins.module_utils.file_store.request import FilesStore
from ansible_collections.sre.runbooks.plugins.module_utils.file_store.restore import describe_restore, restore_files
from ansible_collections.sre.runbooks.plugins.module_utils.file_store.restore_plan import FilesRestore
from ansible_collections.sre.runbooks.plugins.module_utils.file_store.selection import Selection
from ansible_collections.sre.runbooks.plugins.module_utils.file_store.tools import Tools
from integration.file_trees import odd_tree, picture, small_tree, store


def take(one: FilesStore, sets: Path) -> BackupSet:
    """A new set of a store."""
    return read_set(back_up(FilesBackup(one, str(sets)))["backup_set"]["folder"])


def test_everything_of_a_folder_and_of_a_single_file_comes_back_and_can_be_undone_and_pruned(tmp_path: Path) -> None:
    tree, single, sets = tmp_path / "live" / "tree", tmp_path / "live" / "settings.toml", tmp_path / "sets"
    odd_tree(tree)
    single.write_text("a = 1\n")
    wanted = picture(tree), picture(single)
    files = store(tree, single)
    one = take(files, sets)
    assert one.size_bytes < 20_000_000, "holes take no room"

    shutil.rmtree(tree / "names")
    (tree / "size1").write_bytes(b"!")
    (tree / "later").touch()
    single.write_text("a = 2\n")
    lost = picture(tree), picture(single)
    told = describe_restore(FilesRestore(files, one))
    assert (picture(tree), picture(single)) == lost, "a dry run changes nothing"
    result = restore_files(FilesRestore(files, one))
    assert [step.rpartition("_")[0] for step in result["plan"]] == [step.rpartition("_")[0] for step in told["plan"]]
    assert (picture(tree), picture(single)) == wanted
    assert result["comparison"]["same"]
    assert not result["comparison"]["differences"]
    assert {path: picture(Path(kept)) for path, kept in result["kept_as"].items()} == {str(tree): lost[0], str(single): lost[1]}

    undo(files)
    assert (picture(tree), picture(single)) == lost
    restore_files(FilesRestore(files, one))
    assert (picture(tree), picture(single)) == wanted
    beside = sorted(path.name for path in tree.parent.iterdir())
    assert prune(files, 1, dry_run=True)["dropped"]
    assert sorted(path.name for path in tree.parent.iterdir()) == beside
    prune(files, 1)
    assert sorted(path.name.rpartition("_")[0] for path in tree.parent.glob(".*Z")) == [".settings.toml_before", ".tree_before"]
    assert not prune(files, 1)["changed"]
    undo(files)
    assert (picture(tree), picture(single)) == lost


def test_what_was_lost_as_a_whole_is_put_where_it_was(tmp_path: Path) -> None:
    tree = tmp_path / "live" / "tree"
    odd_tree(tree)
    wanted, files = picture(tree), store(tree)
    one = take(files, tmp_path / "sets")
    shutil.rmtree(tmp_path / "live")
    result = restore_files(FilesRestore(files, one))
    assert picture(tree) == wanted
    assert result["kept_as"] == {str(tree): ""}
    with pytest.raises(BadInput, match="Nothing that a restore replaced"):
        undo(files)


def test_without_replace_what_only_the_folder_in_use_has_stays(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    small_tree(tree, 20)
    one = take(store(tree), tmp_path / "sets")
    before = picture(tree)
    shutil.rmtree(tree / "d1")
    (tree / "d0" / "f0.txt").write_text("changed")
    (tree / "new" / "deep").mkdir(parents=True)
    (tree / "new" / "deep" / "file").write_text("new")
    (tree / "d0" / "-later").write_text("later")
    os.link(tree / "d0" / "-later", tree / "d0" / "link")
    added = {name: entry for name, entry in picture(tree).items() if name not in before}
    restore_files(FilesRestore(store(tree), one, replace=False))
    now = picture(tree)
    assert {name: now[name][3:5] for name in now} == {name: entry[3:5] for name, entry in {**before, **added}.items()}
    assert {name: now[name] for name in added} == added


def test_what_only_the_folder_in_use_has_stays_though_it_is_being_written(tmp_path: Path) -> None:
    top = tmp_path / "app"
    top.mkdir()
    (top / "settings").write_text("old")
    one = take(store(top), tmp_path / "sets")
    log = top / "logs" / "app.log"
    log.parent.mkdir()
    log.write_bytes(b"x" * 30_000_000)
    over = threading.Event()

    def write() -> None:
        with log.open("ab", buffering=0) as stream:
            while not over.is_set():
                stream.write(b"y" * 1000)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        result = restore_files(FilesRestore(store(top), one, replace=False))
    finally:
        over.set()
        writer.join()
    assert log.stat().st_size >= 30_000_000
    assert any("app.log" in note and "changed while they were copied" in note for note in result["notes"])


def test_a_single_file_that_is_named_by_a_link_comes_back_behind_the_link(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    real, link = tmp_path / "secrets" / "app.env", tmp_path / ".env"
    real.write_text("COLOUR=blue\n")
    link.symlink_to("secrets/app.env")
    one = take(store(link), tmp_path / "sets")
    real.write_text("COLOUR=red\n")
    restore_files(FilesRestore(store(link), one))
    assert link.is_symlink()
    assert real.read_text() == "COLOUR=blue\n"


def test_patterns_say_what_goes_in_and_sets_never_hold_sets(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for name in ("a.log", "b.txt", "cache/c.txt", "data/d.log", "data/old/e.log", "data/old/f.tmp"):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(name)
    sets = tree / "backups"
    files = store(tree, selection=Selection(include=["*.log", "*.tmp"], exclude=["cache", "data/*.tmp"]))
    take(files, sets)
    one = take(files, sets)
    with pytest.raises(BadInput, match="lies in the folder that would be replaced"):
        restore_files(FilesRestore(files, one))
    moved = shutil.copytree(sets / one.id, tmp_path / "sets" / one.id)
    result = restore_files(FilesRestore(files, read_set(str(moved))))
    assert sorted(str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_file()) == ["a.log", "data/d.log", "data/old/e.log"]
    assert any("leaves out" in note for note in result["notes"])


def _archived(sets: Path) -> int:
    """How many bytes of the archive in the making have been written."""
    return sum(path.stat().st_size for path in sets.glob(".*.partial/tree.tar*"))


def test_a_file_that_changes_while_it_is_read_is_read_again(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    small_tree(tree, 20)
    (tree / "big").write_bytes(os.urandom(60_000_000))
    os.link(tree / "big", tree / "other name")
    done = threading.Event()

    def write_for_a_moment() -> None:
        deadline = time.monotonic() + 60
        while _archived(tmp_path / "sets") < 10_000_000 and time.monotonic() < deadline:
            time.sleep(0.001)
        with (tree / "big").open("r+b") as stream:
            stream.write(b"changed")
        done.set()

    writer = threading.Thread(target=write_for_a_moment)
    writer.start()
    one = take(store(tree), tmp_path / "sets")
    writer.join()
    content = one.manifest["content"]
    assert done.is_set()
    assert len(content["paths"][0]["parts"]) == 2, "it was read a second time"
    assert content["changed_while_read"] == []
    wanted = picture(tree)
    (tree / "big").write_bytes(b"lost")
    assert restore_files(FilesRestore(store(tree), one))["comparison"]["same"]
    assert picture(tree) == wanted


def test_a_file_that_never_rests_is_told_and_the_set_is_still_one_that_restores(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "busy.log").write_bytes(os.urandom(3_000_000))
    (tree / "calm").write_text("calm")
    stop = threading.Event()

    def write_on() -> None:
        with (tree / "busy.log").open("ab", buffering=0) as stream:
            while not stop.wait(0.0005):
                stream.write(b"line\n")

    writer = threading.Thread(target=write_on)
    writer.start()
    try:
        result = back_up(FilesBackup(store(tree), str(tmp_path / "sets")))
    finally:
        stop.set()
        writer.join()
    assert result["content"]["changed_while_read"] == ["busy.log"]
    assert any("busy.log" in note for note in result["notes"])
    one = read_set(result["backup_set"]["folder"])
    assert restore_files(FilesRestore(store(tree), one))["comparison"]["same"]
    assert (tree / "calm").read_text() == "calm"


def test_a_source_that_vanishes_half_way_fails_the_backup_and_leaves_no_set(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "first").mkdir(parents=True)
    (tree / "first" / "big").write_bytes(os.urandom(80_000_000))
    small_tree(tree / "then", 50)

    def remove() -> None:
        deadline = time.monotonic() + 60
        while _archived(tmp_path / "sets") < 10_000_000 and time.monotonic() < deadline:
            time.sleep(0.001)
        tree.rename(tmp_path / "moved away")
        shutil.rmtree(tmp_path / "moved away")

    remover = threading.Thread(target=remove)
    remover.start()
    with pytest.raises(RunbookError, match="vanished"):
        back_up(FilesBackup(store(tree), str(tmp_path / "sets")))
    remover.join()
    assert list((tmp_path / "sets").iterdir()) == []


@pytest.mark.parametrize("what", ["missing", "relative", "root", "nested", "twice", "pattern", "compression"])
def test_bad_input_is_refused_before_anything_is_written(what: str, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    small_tree(tree, 3)
    requests = {
        "missing": FilesBackup(store(tmp_path / "nothing"), str(tmp_path / "sets")),
        "relative": FilesBackup(FilesStore("files", ("tree",)), str(tmp_path / "sets")),
        "root": FilesBackup(FilesStore("files", ("/",)), str(tmp_path / "sets")),
        "nested": FilesBackup(store(tree, tree / "d1"), str(tmp_path / "sets")),
        "twice": FilesBackup(store(tree, tree), str(tmp_path / "sets")),
        "pattern": FilesBackup(store(tree, selection=Selection(exclude=["/"])), str(tmp_path / "sets")),
        "compression": FilesBackup(store(tree), str(tmp_path / "sets"), compression="brotli:11"),
    }
    for operation in (describe, back_up):
        with pytest.raises(BadInput) as caught:
            operation(requests[what])
        assert caught.value.next_step
    assert not (tmp_path / "sets").exists()


def test_a_set_of_other_paths_is_restored_only_when_that_is_meant(tmp_path: Path) -> None:
    here, there = tmp_path / "here" / "tree", tmp_path / "there" / "tree"
    small_tree(here, 5)
    one, wanted = take(store(here), tmp_path / "sets"), picture(here)
    with pytest.raises(WrongTarget, match="other paths"):
        restore_files(FilesRestore(store(there), one))
    with pytest.raises(BadInput, match="does not hold"):
        restore_files(FilesRestore(store(tmp_path / "stranger"), one, from_other_server=True))
    restore_files(FilesRestore(store(there), one, from_other_server=True))
    assert picture(there) == wanted


@pytest.mark.needs_root
def test_a_file_that_may_not_be_read_fails_the_backup_and_is_named(tmp_path: Path) -> None:
    tree, sets = Path(f"/var/tmp/sre-runbooks-test-{os.getpid()}"), tmp_path / "sets"
    small_tree(tree, 5)
    (tree / "d0" / "f0.txt").chmod(0)
    try:
        program = (
            "import os;"
            "from ansible_collections.sre.runbooks.plugins.module_utils.file_store.backup import back_up;"
            "from ansible_collections.sre.runbooks.plugins.module_utils.file_store.record import FilesBackup;"
            "from ansible_collections.sre.runbooks.plugins.module_utils.file_store.request import FilesStore;"
            "from ansible_collections.sre.runbooks.plugins.module_utils.errors import RunbookError\n"
            "os.setgid(65534); os.setuid(65534)\n"
            f"try: back_up(FilesBackup(FilesStore('files', ({str(tree)!r},)), {str(tree)!r} + '-sets'))\n"
            "except RunbookError as error: raise SystemExit(error.message)"
        )
        Path(f"{tree}-sets").mkdir(mode=0o777)
        Path(f"{tree}-sets").chmod(0o777)
        root = Path(__file__).resolve().parents[2]
        done = subprocess.run(
            [sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": str(root / "collections")}, capture_output=True, text=True
        )
        assert "f0.txt" in done.stderr
        assert "Permission denied" in done.stderr
        assert "become: true" in done.stderr
        assert list(Path(f"{tree}-sets").iterdir()) == []
    finally:
        shutil.rmtree(tree)
        shutil.rmtree(f"{tree}-sets", ignore_errors=True)
    assert not sets.exists()


def test_a_socket_is_no_reason_to_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = tmp_path / "tree"
    small_tree(tree, 3)
    monkeypatch.chdir(tree)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("s")
        one = take(store(tree), tmp_path / "sets")
    assert restore_files(FilesRestore(store(tree), one))["comparison"]["same"]


def test_a_rehearsal_proves_a_set_and_marks_one_that_restores_to_something_else_as_failed(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    odd_tree(tree)
    one = take(store(tree), tmp_path / "sets")
    result = rehearse(one, Tools())
    assert read_set(one.folder).state == "proven"
    assert result["comparison"]["compared"]["files"] > 20
    assert [path.name for path in (tmp_path / "sets").iterdir()] == [one.id]

    # Files intact, list of another archive: what a faulty backup would have made.
    wrong = take(store(tree), tmp_path / "sets")
    (tree / "size1").write_bytes(b"?")
    other = take(store(tree), tmp_path / "sets")
    contents = next(Path(other.folder).glob("*.contents*"))
    shutil.copy(contents, wrong.folder)
    manifest = {
        **wrong.manifest,
        "files": [e if "contents" not in e["path"] else _entry(other, e["path"]) for e in wrong.manifest["files"]],
    }
    with pytest.raises(NotTheSame, match="size1"):
        rehearse(replace(wrong, manifest=manifest), Tools())
    assert read_set(wrong.folder).state == "failed"
    lost = picture(tree)
    with pytest.raises(NotTheSame, match="size1"):
        restore_files(FilesRestore(store(tree), replace(wrong, manifest=manifest)))
    assert picture(tree) == lost
    assert [path.name for path in tmp_path.iterdir() if "restoring" in path.name] == []


def _entry(one: BackupSet, path: str) -> dict[str, object]:
    return next(dict(entry) for entry in one.manifest["files"] if entry["path"] == path)


def test_the_memory_that_it_takes_does_not_grow_with_the_files(tmp_path: Path, tell: Callable[[str], None]) -> None:
    root = Path(__file__).resolve().parents[2]
    program = (
        "import json, resource, sys;"
        "from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.sets import read_set;"
        "from ansible_collections.sre.runbooks.plugins.module_utils.file_store.backup import back_up;"
        "from ansible_collections.sre.runbooks.plugins.module_utils.file_store.record import FilesBackup;"
        "from ansible_collections.sre.runbooks.plugins.module_utils.file_store.rehearsal import rehearse;"
        "from ansible_collections.sre.runbooks.plugins.module_utils.file_store.request import FilesStore;"
        "from ansible_collections.sre.runbooks.plugins.module_utils.file_store.tools import Tools;"
        "made = back_up(FilesBackup(FilesStore('files', (sys.argv[1],)), sys.argv[2]));"
        "rehearse(read_set(made['backup_set']['folder']), Tools());"
        "print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))"
    )
    peaks = []
    for files in (100, 8000):
        small_tree(tmp_path / str(files), files)
        environment = {**os.environ, "PYTHONPATH": str(root / "collections")}
        done = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path / str(files)), str(tmp_path / f"sets{files}")],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        peaks.append(json.loads(done.stdout))
    tell(f"memory of backup and rehearsal: {peaks[0] / 1024:.0f} MiB for 100 files, {peaks[1] / 1024:.0f} MiB for 8000")
    assert peaks[1] - peaks[0] < 8192


def test_sets_of_files_are_listed_like_all_others(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    small_tree(tree, 3)
    take(replace(store(tree), into="monitoring/data"), tmp_path / "sets")
    (listed,) = list_sets(str(tmp_path / "sets"))
    assert (listed.manifest["kind"], listed.manifest["method"], listed.state) == ("files", "archive", "written")
    assert sorted(entry["path"].split(".")[0] for entry in listed.manifest["files"]) == ["monitoring/data/tree"] * 2
