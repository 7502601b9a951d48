# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""health_history and health_history_info in a playbook: rehearsed, run, read back; a damaged file stops with one message."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

PLAY = [
    {
        "hosts": "localhost",
        "gather_facts": False,
        "tasks": [
            {
                "name": "Record",
                "sre.runbooks.health_history": {
                    "service": "reference",
                    "procedure": "health_check",
                    "run_id": "run-1",
                    "at": "2026-03-01T03:15:00Z",
                    "checks": [{"name": "api", "verdict": "fail", "reason": "connection refused", "latency_ms": None}],
                    "documents": {"health": {"verdict": "fail"}},
                },
            },
            {
                "name": "Read",
                "sre.runbooks.health_history_info": {"service": "reference", "until": "2026-03-02", "documents": ["health"]},
                "register": "told",
            },
            {"name": "Show", "ansible.builtin.copy": {"content": "{{ told | to_json }}", "dest": "{{ shown }}"}, "check_mode": False},
        ],
    }
]


def play(folder: Path, *arguments: str, **variables: t.Any) -> subprocess.CompletedProcess[str]:
    """Run the playbook with a state folder of its own."""
    document = json.loads(json.dumps(PLAY).replace("2026-03-02", "2026-03-02T00:00:00Z"))
    (folder / "play.yml").write_text(json.dumps(document))
    command = ["ansible-playbook", "-i", "localhost,", "-c", "local", str(folder / "play.yml"), *arguments]
    command += ["-e", json.dumps({"shown": str(folder / "told.json"), "ansible_python_interpreter": sys.executable, **variables})]
    environment = {**os.environ, "SRE_RUNBOOKS_STATE": str(folder / "state")}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    "variables", [{}, {"ansible_become": True, "ansible_become_method": "ansible.builtin.su"}], ids=["here", "as a module"]
)
def test_a_playbook_records_and_reads_and_a_rehearsal_writes_nothing(tmp_path: Path, variables: dict[str, t.Any]) -> None:
    if variables and os.geteuid() != 0:
        pytest.skip("needs root, to become root without a password")
    rehearsed = play(tmp_path, "--check", **variables)
    assert rehearsed.returncode == 0, rehearsed.stdout + rehearsed.stderr
    assert json.loads((tmp_path / "told.json").read_text())["exists"] is False
    assert not (tmp_path / "state").exists()
    done = play(tmp_path, **variables)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads((tmp_path / "told.json").read_text())
    (api,) = told["checks"]
    assert (api["latest"]["reason"], api["availability"], api["samples"]) == ("connection refused", 0.0, 1)
    assert told["documents"]["health"]["verdict"] == "fail"
    assert [run["run_id"] for run in told["runs"]] == ["run-1"]


def test_a_damaged_history_stops_with_one_message_and_stays_as_it_is(tmp_path: Path) -> None:
    assert play(tmp_path).returncode == 0
    path = tmp_path / "state" / "history" / "reference.sqlite3"
    path.write_bytes(b"damaged" * 1000)
    done = play(tmp_path)
    assert done.returncode == 2
    assert "The history is damaged and was left as it is" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert path.read_bytes() == b"damaged" * 1000
