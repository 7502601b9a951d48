# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The question of the role service whether a service is ready, asked by real runs of Ansible."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import typing as t
from pathlib import Path

ROOT = Path(__file__).parents[2]


def ask(folder: Path, **variables: t.Any) -> tuple[subprocess.CompletedProcess[str], float]:
    """A run that only asks, and how long the asking took, without the start of Ansible."""
    role = {"ansible.builtin.include_role": {"name": "sre.runbooks.service", "tasks_from": "_ready"}}
    note = {"ansible.builtin.copy": {"content": "", "dest": str(folder / "begun")}}
    (folder / "play.yml").write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": [note, role]}]))
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "localhost,", "-c", "local", str(folder / "play.yml")]
    extra = {"ansible_python_interpreter": sys.executable, **variables}
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "SRE_RUNBOOKS_STATE": str(folder / "state")}
    done = subprocess.run(
        [*command, "-e", json.dumps(extra)], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=90, check=False
    )
    return done, time.time() - (folder / "begun").stat().st_mtime


def test_an_endpoint_that_hangs_is_waited_for_no_longer_than_the_health_timeout_and_one_answer(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        url = f"http://127.0.0.1:{hanging.getsockname()[1]}/"
        checks = [{"name": "ready", "type": "http", "url": url, "timeout_s": 1.5}]
        done, took_s = ask(tmp_path, service_health_timeout_s=4, service_ready_checks=checks)
    assert done.returncode == 2, done.stdout
    assert "ready" in done.stdout
    assert 4 <= took_s < 9, "it is the time that counts, and not the tries"
