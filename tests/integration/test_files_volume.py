# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Docker volume that a running container uses: backed up, restored, undone, and restored after it was lost, by a real Docker Engine."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.sets import read_set
from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput
from ansible_collections.sre.runbooks.plugins.module_utils.file_store.backup import back_up
from ansible_collections.sre.runbooks.plugins.module_utils.file_store.kept import prune, undo
from ansible_collections.sre.runbooks.plugins.module_utils.file_store.record import FilesBackup
from ansible_collections.sre.runbooks.plugins.module_utils.file_store.request import FilesStore
from ansible_collections.sre.runbooks.plugins.module_utils.file_store.restore import describe_restore, restore_files
from ansible_collections.sre.runbooks.plugins.module_utils.file_store.restore_plan import FilesRestore
from ansible_collections.sre.runbooks.plugins.module_utils.file_store.volume import Volume
from integration.faults import wait_until
from integration.file_trees import picture
from tools.engine import NoEngine, docker_engine
from tools.image import postgresql_image

pytestmark = [pytest.mark.slow, pytest.mark.needs_root]
NAME = f"sre-runbooks-test-{os.getpid()}"


@pytest.fixture(scope="module")
def docker(cache: Path) -> Iterator[tuple[dict[str, str], str]]:
    """The environment of a Docker Engine, and an image."""
    try:
        with docker_engine(cache / "docker") as environment:
            yield environment, postgresql_image(environment)
    except NoEngine as error:
        pytest.skip(str(error))


def test_a_volume_in_use_is_restored_while_its_container_stands_still_for_a_moment(
    docker: tuple[dict[str, str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment, image = docker
    for key, value in environment.items():
        monkeypatch.setenv(key, value)

    def call(*arguments: str) -> str:
        return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True).stdout.strip()

    call("volume", "create", NAME)
    try:
        run = ["run", "--detach", "--name", NAME, "--volume", f"{NAME}:/data", image]
        call(
            *run,
            "sh",
            "-c",
            "[ -L /data/link ] || { echo first > /data/value; ln -s value /data/link; }; trap 'exit 0' TERM; while :; do sleep 0.1; done",
        )
        files = FilesStore("prometheus_data", volume=Volume(NAME))
        top = Path(Volume(NAME).mount_point())
        wait_until(lambda: (top / "link").is_symlink(), 20, "the container has written")
        one = read_set(back_up(FilesBackup(files, str(tmp_path / "sets")))["backup_set"]["folder"])
        wanted = picture(top)
        assert (one.manifest["kind"], one.manifest["volume"]) == ("volume", NAME)

        call("exec", NAME, "sh", "-c", "echo second > /data/value")
        assert any(NAME in step and "stop" in step for step in describe_restore(FilesRestore(files, one))["plan"])
        result = restore_files(FilesRestore(files, one))
        assert picture(top) == wanted
        assert call("exec", NAME, "cat", "/data/value") == "first", "the container sees it, too"
        assert 0 < result["cut_off_s"] < 60
        undo(files)
        assert call("exec", NAME, "cat", "/data/link") == "second"
        assert prune(files, 0)["dropped"]

        call("rm", "--force", NAME)
        call("volume", "rm", NAME)
        with pytest.raises(BadInput, match="no volume"):
            back_up(FilesBackup(files, str(tmp_path / "sets")))
        assert "create the volume" in describe_restore(FilesRestore(files, one))["plan"][0]
        assert Volume(NAME).inspect() is None, "a dry run makes none"
        restore_files(FilesRestore(files, one))
        assert picture(Path(Volume(NAME).mount_point())) == wanted
        assert call("run", "--rm", "--volume", f"{NAME}:/data", image, "cat", "/data/value") == "first"
    finally:
        subprocess.run(["docker", "rm", "--force", NAME], capture_output=True, check=False)
        subprocess.run(["docker", "volume", "rm", "--force", NAME], capture_output=True, check=False)
