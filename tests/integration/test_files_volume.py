# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Docker volume that a running container uses: backed up, restored, undone, and restored after it was lost, by a real Docker Engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.sets import read_set
from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput, CommandFailed
from ansible_collections.sre.runbooks.plugins.module_utils.file_store.backup import back_up
from ansible_collections.sre.runbooks.plugins.module_utils.file_store.kept import prune, undo
from ansible_collections.sre.runbooks.plugins.module_utils.file_store.record import FilesBackup
from ansible_collections.sre.runbooks.plugins.module_utils.file_store.request import FilesStore
from ansible_collections.sre.runbooks.plugins.module_utils.file_store.restore import describe_restore, restore_files
from ansible_collections.sre.runbooks.plugins.module_utils.file_store.restore_plan import FilesRestore
from ansible_collections.sre.runbooks.plugins.module_utils.file_store.volume import Volume
from integration.containers import Docker
from integration.file_trees import picture
from tools.waiting import wait_until

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.needs_root]


def test_a_volume_in_use_is_restored_while_its_container_stands_still_for_a_moment(docker: Docker, tmp_path: Path) -> None:
    name = docker.name("volume")
    docker("volume", "create", name)
    try:
        run = ["run", "--detach", "--name", name, "--volume", f"{name}:/data", docker.image]
        docker(
            *run,
            "sh",
            "-c",
            "[ -L /data/link ] || { echo first > /data/value; ln -s value /data/link; }; trap 'exit 0' TERM; while :; do sleep 0.1; done",
        )
        files = FilesStore("prometheus_data", volume=Volume(name))
        top = Path(Volume(name).mount_point())
        wait_until("the container has written", lambda: (top / "link").is_symlink(), 20)
        one = read_set(back_up(FilesBackup(files, str(tmp_path / "sets")))["backup_set"]["folder"])
        wanted = picture(top)
        assert (one.manifest["kind"], one.manifest["volume"]) == ("volume", name)

        docker("exec", name, "sh", "-c", "echo second > /data/value")
        assert any(name in step and "stop" in step for step in describe_restore(FilesRestore(files, one))["plan"])
        result = restore_files(FilesRestore(files, one))
        assert picture(top) == wanted
        assert docker("exec", name, "cat", "/data/value") == "first", "the container sees it, too"
        assert 0 < result["cut_off_s"] < 60
        undo(files)
        assert docker("exec", name, "cat", "/data/link") == "second"
        assert prune(files, 0)["dropped"]

        docker("rm", "--force", name)
        docker("volume", "rm", name)
        with pytest.raises(BadInput, match="no volume"):
            back_up(FilesBackup(files, str(tmp_path / "sets")))
        assert "create the volume" in describe_restore(FilesRestore(files, one))["plan"][0]
        assert Volume(name).inspect() is None, "a dry run makes none"
        restore_files(FilesRestore(files, one))
        assert picture(Path(Volume(name).mount_point())) == wanted
        assert docker("run", "--rm", "--volume", f"{name}:/data", docker.image, "cat", "/data/value") == "first"
    finally:
        docker("rm", "--force", name)
        docker("volume", "rm", "--force", name)


def test_a_container_that_does_not_start_on_what_was_restored_is_told_and_the_exchange_stays(docker: Docker, tmp_path: Path) -> None:
    name, needed = docker.name("needy"), tmp_path / "needed"
    needed.mkdir()
    docker("volume", "create", name)
    try:
        mounts = ["--volume", f"{name}:/data", "--mount", f"type=bind,source={needed},target=/needed"]
        docker("run", "--detach", "--init", "--stop-timeout", "1", "--name", name, *mounts, docker.image, "sleep", "600")
        docker("exec", name, "sh", "-c", "echo first > /data/value")
        files = FilesStore("data", volume=Volume(name))
        one = read_set(back_up(FilesBackup(files, str(tmp_path / "sets")))["backup_set"]["folder"])
        docker("exec", name, "sh", "-c", "echo second > /data/value")
        needed.rmdir()
        with pytest.raises(CommandFailed) as failed:
            restore_files(FilesRestore(files, one))
        assert failed.value.changed
        assert name in failed.value.next_step
        assert "have changed places" in failed.value.next_step
        value = Path(Volume(name).mount_point()) / "value"
        assert value.read_text() == "first\n"
        needed.mkdir()
        undo(files)
        assert (Path(Volume(name).mount_point()) / "value").read_text() == "second\n"
    finally:
        docker("rm", "--force", name)
        docker("volume", "rm", "--force", name)
