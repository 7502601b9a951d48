# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Python API finds the collection where Ansible would, and reads its catalogue and the records of runs."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from sre_runbooks import CollectionNotFound, RunNotFound, UnknownProcedure, collection, find_collection, find_procedure, procedures
from sre_runbooks.collection import AnsibleConfiguration, ansible_environment
from sre_runbooks.record import read_record, state_folder


@pytest.fixture(autouse=True)
def _quiet_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith(("ANSIBLE_", "SRE_RUNBOOKS_", "XDG_"))]:
        monkeypatch.delenv(name)
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


def _install(path: Path, catalogue: str = "procedures:\n  restore: {title: Restore a database, changes: destroys}\n") -> Path:
    meta = path / "ansible_collections" / "sre" / "runbooks" / "meta"
    meta.mkdir(parents=True)
    (meta / "procedures.yml").write_text(catalogue)
    return path


def test_a_development_install_uses_its_own_checkout(repository: Path) -> None:
    found = find_collection()
    assert found.folder == repository
    assert found.from_checkout
    environment = ansible_environment(found)
    assert environment["ANSIBLE_COLLECTIONS_PATH"].split(":")[0] == str(repository / "collections")
    assert environment["ANSIBLE_CONFIG"] == str(repository / "ansible.cfg")


def test_what_the_environment_names_comes_before_the_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSIBLE_COLLECTIONS_PATH", f"/nowhere:{_install(tmp_path / 'named')}")
    found = find_collection()
    assert (found.collections_path, found.from_checkout) == (tmp_path / "named", False)


def test_without_a_checkout_the_users_configuration_and_ansibles_defaults_are_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collection, "_checkout_path", lambda: None)
    with pytest.raises(CollectionNotFound, match="ansible-galaxy collection install"):
        find_collection()
    _install(tmp_path / "home" / ".ansible" / "collections")
    assert find_collection().collections_path == tmp_path / "home" / ".ansible" / "collections"
    _install(tmp_path / "ours")
    (tmp_path / "ansible.cfg").write_text("[defaults]\ncollections_path = ./ours:~/other  ; ours first\nhost_key_checking = no\n")
    found = find_collection()
    assert found.collections_path == tmp_path / "ours"
    environment = ansible_environment(found)
    assert environment["ANSIBLE_COLLECTIONS_PATH"].split(":")[:2] == [str(tmp_path / "ours"), str(tmp_path / "home" / "other")]
    assert environment["ANSIBLE_HOST_KEY_CHECKING"] == "no"
    assert environment["ANSIBLE_CONFIG"] == str(tmp_path / "ansible.cfg")


def test_a_path_that_ends_in_ansible_collections_is_understood(tmp_path: Path) -> None:
    _install(tmp_path / "named")
    assert find_collection(tmp_path / "named" / "ansible_collections").collections_path == tmp_path / "named"


def test_host_keys_are_checked_unless_the_user_says_otherwise() -> None:
    assert AnsibleConfiguration(None).host_key_checking == "True"


def test_the_progress_callback_is_added_to_those_of_the_user(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSIBLE_CALLBACKS_ENABLED", "ansible.posix.profile_tasks")
    assert ansible_environment(find_collection())["ANSIBLE_CALLBACKS_ENABLED"] == "ansible.posix.profile_tasks,sre.runbooks.progress"


def test_every_procedure_of_the_real_catalogue_can_be_read_and_has_its_playbook() -> None:
    known = procedures()
    assert "restore" in [procedure.name for procedure in known]
    for procedure in known:
        assert procedure.title
        assert procedure.changes in ("reads", "changes", "destroys")
    restore = find_procedure("sre.runbooks.restore")
    assert (restore.fqcn, restore.inverse) == ("sre.runbooks.restore", "restore_undo")
    assert restore.playbook.is_file()


def test_an_unknown_procedure_and_a_broken_catalogue_are_told(tmp_path: Path) -> None:
    with pytest.raises(UnknownProcedure, match="did you mean restore"):
        find_procedure("restor", find_collection(_install(tmp_path / "good")))
    for number, catalogue in enumerate(("", "[1]", "procedures: {x: {title: t}}", "procedures: {")):
        broken = find_collection(_install(tmp_path / str(number), catalogue))
        with pytest.raises(CollectionNotFound, match="cannot be read"):
            procedures(broken)


def test_the_state_folder_follows_the_rules_of_the_role(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert state_folder() == tmp_path / "home" / ".local" / "state" / "sre-runbooks"
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    assert state_folder() == tmp_path / "xdg" / "sre-runbooks"
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert state_folder() == Path("/var/lib/sre-runbooks")
    monkeypatch.setenv("SRE_RUNBOOKS_STATE", str(tmp_path / "named"))
    assert state_folder() == tmp_path / "named"
    assert state_folder("given") == tmp_path / "given"


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": "other/1"}'], ids=["empty", "list", "bare", "other format"])
def test_a_record_that_cannot_be_read_is_told(tmp_path: Path, content: str) -> None:
    folder = tmp_path / "runs" / "RUN-1"
    folder.mkdir(parents=True)
    (folder / "record.json").write_text(content)
    with pytest.raises(RunNotFound, match="cannot be read"):
        read_record("RUN-1", tmp_path)


@pytest.mark.parametrize("run_id", ["latest", "RUN-2", "../etc", "", "."])
def test_a_run_that_there_is_not_is_told(tmp_path: Path, run_id: str) -> None:
    with pytest.raises(RunNotFound):
        read_record(run_id, tmp_path)


def test_a_record_is_read_into_types(tmp_path: Path) -> None:
    error = {"message": "No space. Next: make room.", "kind": "NoSpace", "what": "No space", "next_step": "make room", "step": "Dump"}
    step = {
        "name": "Dump",
        "status": "failed",
        "changed": False,
        "duration_s": 1.5,
        "summary": "",
        "facts": {"size_bytes": 3},
        "hosts": ["a"],
    }
    content: dict[str, Any] = {
        **dict.fromkeys(("title", "profile", "target", "who", "reason"), "x"),
        "format": "sre.runbooks/run/1",
        "run_id": "RUN-1",
        "procedure": "backup",
        "status": "failed",
        "incident": None,
        "started_at": "2026-03-01T03:15:00Z",
        "finished_at": None,
        "duration_s": None,
        "versions": {},
        "decisions": ["chose zstd"],
        "steps": [{"started_at": None, **step}],
        "measurements": {},
        "error": error,
        "diffs": [],
    }
    folder = tmp_path / "runs" / "RUN-1"
    folder.mkdir(parents=True)
    (folder / "record.json").write_text(json.dumps(content))
    record = read_record("latest", tmp_path)
    assert record.error is not None
    assert (record.error.message, record.error.step) == ("No space. Next: make room.", "Dump")
    assert record.steps[0].facts == {"size_bytes": 3}
    assert record.report("md") is None
