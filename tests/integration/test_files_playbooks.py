# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The procedures of backup and restore with a store of files: as for any other store, with an encrypted secret among the files."""

from __future__ import annotations

import os
import shutil
import typing as t
from pathlib import Path

import pytest

from integration.file_trees import SECRET, age_key, picture, small_tree
from integration.playbook_runs import HOSTS, Profile
from tools.debian_packages import NoPackage, program


class FilesProfile(Profile):
    """An inventory with one store of files."""

    def __init__(self, folder: Path, store: dict[str, t.Any]) -> None:
        self.folder, self.store, self.variables = folder, store, {}
        self.backups, self.state, self.logs = folder / "backups", folder / "state", folder / "ansible.log"
        (folder / "inventory" / "group_vars" / "all").mkdir(parents=True)
        (folder / "inventory" / "hosts.ini").write_text(HOSTS)
        (folder / "tmp").mkdir()


def test_files_are_backed_up_lost_restored_undone_pruned_and_rehearsed_by_the_same_procedures(tmp_path: Path, cache: Path) -> None:
    try:
        age, keygen = program("age", "age", cache), program("age-keygen", "age", cache)
    except NoPackage as error:
        pytest.skip(str(error))
    public, identity = age_key(keygen, tmp_path)
    config, environment = tmp_path / "service" / "config", tmp_path / "service" / ".env"
    small_tree(config, 10)
    environment.write_text(SECRET)
    store = {
        "kind": "files",
        "name": "configuration",
        "rto_s": 3600,
        "rpo_s": 3600,
        "paths": [str(environment), f"{config}/"],
        "into": "config",
        "encrypt": [".env"],
    }
    profile = FilesProfile(tmp_path / "profile", store)
    profile.variables["backup_encryption"] = {"recipients": [public], "tool_folder": os.path.dirname(age)}
    profile.variables["restore_files"] = [{"store": "configuration", "replace": False}]
    wanted = picture(config)

    predicted = profile.run("backup", "--check", "--diff")
    assert predicted.status == 0, predicted.output
    assert f"archive {config} with tar" in predicted.output
    assert profile.sets() == []
    done = profile.run("backup")
    assert done.status == 0, done.output
    (name,) = profile.sets()
    assert sorted(path.name for path in (profile.backups / name / "config").iterdir()) == [
        *("config.contents.zst", "config.tar.zst", "env.contents.zst", "env.secret.contents.zst.age"),
        *("env.secret.tar.zst.age", "env.tar.zst"),
    ]

    shutil.rmtree(config / "d1")
    (config / "mine").write_text("mine")
    environment.write_text("lost")
    lost = picture(config)
    refused = profile.run("restore", "-e", "confirm=configuration")
    assert refused.status == 2
    assert "private key" in refused.message, refused.output
    profile.variables["backup_encryption"]["identity_file"] = str(identity)
    told = profile.run("restore", "--check", "--diff", "-e", "confirm=configuration")
    assert told.status == 0, told.output
    assert f"copy what only {config} has" in told.output
    assert (picture(config), environment.read_text()) == (lost, "lost")
    done = profile.run("restore", "-e", "confirm=configuration")
    assert done.status == 0, done.output
    assert environment.read_text() == SECRET
    assert {key: entry[3:5] for key, entry in picture(config).items() if key != b"mine"} == {k: entry[3:5] for k, entry in wanted.items()}
    assert (config / "mine").read_text() == "mine"
    measured = profile.records()[-1]["measurements"]
    assert {"rto_s", "rpo_s", "cut_off_s"} <= set(measured)

    for step in (["restore_undo"], ["restore_prune", "-e", "restore_keep_replaced=0"]):
        done = profile.run(*step, "-e", "confirm=configuration")
        assert done.status == 0, done.output
    assert (picture(config), environment.read_text()) == (lost, "lost")
    assert not [path.name for path in config.parent.iterdir() if path.name.endswith("Z")]
    done = profile.run("restore_drill")
    assert done.status == 0, done.output
    assert '"state": "proven"' in (profile.backups / name / "proof.json").read_text()
    for told_file in [profile.logs, *(path for path in profile.state.rglob("*") if path.is_file()), *profile.backups.rglob("*.json")]:
        assert "correct-horse" not in told_file.read_text(errors="replace"), told_file
