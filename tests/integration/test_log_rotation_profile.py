# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The profile whose logs are kept below 100 MB, with a real logrotate and a service that keeps its log open."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from integration.playbook_runs import ROOT, Finished, Profile
from tools.engine import NoEngine, install_packages

pytestmark = [pytest.mark.slow, pytest.mark.needs_root, pytest.mark.timeout(180)]
LIMIT_BYTES = 100 * 2**20


@pytest.fixture(scope="module", autouse=True)
def logrotate() -> None:
    """The program, installed where it is missing."""
    if not shutil.which("logrotate"):
        try:
            install_packages("logrotate")
        except NoEngine as error:
            pytest.skip(str(error))


def rotate(own: Profile, folder: Path, *options: str, inventory: str = "calendar_api") -> Finished:
    """The playbook with an inventory of the collection, unchanged, pointed at folders of the test."""
    command = own.command(
        "log_rotation", "-e", f"service_log_folder={folder}/logs", "-e", f"maintenance_logrotate_folder={folder}/d", *options
    )
    command[command.index("-i") + 1] = str(ROOT / "inventories" / inventory)
    done = subprocess.run(
        command, cwd=ROOT, env=own.environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, check=False
    )
    return Finished(done.returncode, done.stdout)


def test_a_log_that_the_service_keeps_open_is_turned_where_it_is_over_100_mb(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    large, small, aged = logs / "calendar-api.log", logs / "parsing-decisions.log", logs / "calendar-api.log-20250101-1.gz"
    small.write_text("a line\n")
    aged.write_bytes(gzip.compress(b"old"))
    then = time.time() - 31 * 86400
    os.utime(aged, (then, then))
    with large.open("ab") as service:
        service.truncate(LIMIT_BYTES)
        service.write(b"the last line\n")
        service.flush()
        own = Profile(tmp_path / "profile")
        checked = rotate(own, tmp_path, "--check", "--diff")
        assert checked.status == 0, checked.output
        assert "size 100M" in checked.output
        assert not (tmp_path / "d").exists()
        done = rotate(own, tmp_path)
        assert done.status == 0, done.output
        assert large.stat().st_size > LIMIT_BYTES, "what is open is for logrotate alone"
        assert not aged.exists()
        assert "changed=0" in rotate(own, tmp_path).output
        (configuration,) = (tmp_path / "d").iterdir()
        subprocess.run(["logrotate", "--state", str(tmp_path / "state"), str(configuration)], check=True)
        assert large.stat().st_size == 0, "the disk fills up"
        service.write(b"after\n")
    assert large.read_bytes() == b"after\n"
    (turned,) = logs.glob("calendar-api.log-*.gz")
    with gzip.open(turned) as content:
        content.seek(LIMIT_BYTES)
        assert content.read() == b"the last line\n"
    assert small.read_text() == "a line\n"


def test_a_profile_that_exports_the_log_of_compose_keeps_its_files_on_another_runtime_too(tmp_path: Path) -> None:
    aged = tmp_path / "logs" / "app_20250101.log"
    aged.parent.mkdir()
    aged.write_text("a line\n")
    then = time.time() - 31 * 86400
    os.utime(aged, (then, then))
    done = rotate(Profile(tmp_path / "profile"), tmp_path, "-e", "service_runtime=systemd", inventory="paralegal")
    assert done.status == 0, done.output
    assert [one.name for one in aged.parent.iterdir()] == ["app_20250101.log.gz"]
