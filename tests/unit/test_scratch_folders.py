# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Folders that hold copies of data or keys for a while: nobody takes another's, and none outlives the next run."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

from ansible_collections.sre.runbooks.plugins.module_utils.restoring import scratch_folders
from ansible_collections.sre.runbooks.plugins.module_utils.restoring.scratch_folders import remove_scratch_folders, scratch_folder

HOLD = f"""
import sys
from {scratch_folders.__name__} import scratch_folder
with scratch_folder(sys.argv[1]) as folder:
    open(folder + "/key", "w").close()
    print(folder, flush=True)
    sys.stdin.read()
"""


def test_the_folder_of_a_killed_run_is_removed_by_the_next_that_of_a_running_one_stays(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as run:
        assert run.stdout is not None
        folder = Path(run.stdout.readline().strip())
        assert remove_scratch_folders(str(tmp_path)) == []
        assert (folder / "key").exists()
        run.kill()
        run.wait()
    assert remove_scratch_folders(str(tmp_path)) == [folder.name]
    assert os.listdir(tmp_path) == []


def test_what_is_not_ours_stays(tmp_path: Path) -> None:
    (tmp_path / f"{scratch_folders.SCRATCH_PREFIX}file").write_text("x")
    (tmp_path / f"{scratch_folders.SCRATCH_PREFIX}link").symlink_to(tmp_path)
    (tmp_path / "another").mkdir()
    assert remove_scratch_folders(str(tmp_path)) == []
    assert len(os.listdir(tmp_path)) == 3


def test_folders_that_are_made_while_others_clean_up_are_nobody_else_s(tmp_path: Path) -> None:
    over, lost = threading.Event(), []

    def clean() -> None:
        while not over.is_set():
            remove_scratch_folders(str(tmp_path))

    def work() -> None:
        for _round in range(150):
            with scratch_folder(str(tmp_path)) as folder:
                (Path(folder) / "key").write_text("x")
                if os.listdir(folder) != ["key"]:
                    lost.append(folder)

    cleaner, workers = threading.Thread(target=clean), [threading.Thread(target=work) for _worker in range(4)]
    for thread in (cleaner, *workers):
        thread.start()
    for thread in workers:
        thread.join()
    over.set()
    cleaner.join()
    assert lost == []
    assert os.listdir(tmp_path) == []
