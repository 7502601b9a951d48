# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Logs of real containers and Compose services, and of the journal."""

from __future__ import annotations

import json
import os
import shutil
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput
from ansible_collections.sre.runbooks.plugins.module_utils.logs.operation import operate
from integration.containers import Docker

PROJECT = "sre-runbooks-logs"
PROGRAM = (
    'i=0; while [ $i -lt 50 ]; do echo "{\\"level\\": \\"INFO\\", \\"duration_ms\\": $i}"; i=$((i+1)); done; '
    "echo 'ERROR TimeoutError: connection refused' >&2; head -c 40000 /dev/zero | tr '\\0' x; echo; exec sleep 600"
)
QUESTIONS = [
    {"name": "refused", "pattern": "connection refused", "lines": 5},
    {"name": "durations", "number": "duration_ms", "top": 1},
    {"name": "types", "levels": ["ERROR"], "group_by": ["type"]},
]


def check(result: dict[str, t.Any]) -> None:
    """The answers about what the program prints."""
    refused, durations, types = result["answers"]
    assert result["logs"][0]["lines"] == 52
    assert [one["text"] for one in refused["lines"]] == ["ERROR TimeoutError: connection refused"]
    assert refused["lines"][0]["at"] is not None
    assert (durations["numbers"]["count"], durations["numbers"]["maximum"]) == (50, 49.0)
    assert types["groups"] == [{"type": "TimeoutError", "count": 1}]


def scanned(source: dict[str, t.Any], **more: t.Any) -> dict[str, t.Any]:
    """The result of a scan."""
    return operate({"sources": [{"name": "app", **source}], "questions": QUESTIONS, **more})


@pytest.fixture(scope="module")
def project(docker: Docker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A Compose project whose one service has printed what it prints."""
    folder = tmp_path_factory.mktemp("project")
    service: dict[str, t.Any] = {"image": docker.image, "command": ["sh", "-c", PROGRAM.replace("$", "$$")], "pull_policy": "never"}
    service.update(init=True, stop_grace_period="1s")
    (folder / "compose.yaml").write_text(json.dumps({"name": PROJECT, "services": {"app": service}}))
    docker("compose", "up", "--detach", "--wait", folder=folder)
    try:
        yield folder
    finally:
        docker("compose", "down", "--timeout", "1", folder=folder)


@pytest.mark.docker
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_logs_of_a_container_a_service_and_the_engines_own_file_say_the_same(docker: Docker, project: Path) -> None:
    container = f"{PROJECT}-app-1"
    check(scanned({"compose_service": "app", "project_folder": str(project)}))
    check(scanned({"container": container}, since="1h"))
    assert scanned({"container": container}, until="1h")["logs"][0]["lines"] == 0
    for source in ({"container": container}, {"compose_service": "app", "project_folder": str(project)}):
        # The engine keeps the last line, of 40 000 characters, in three pieces.
        last = scanned(source, last_lines=8)
        assert 2 < last["logs"][0]["lines"] <= 8
        numbers = last["answers"][1]["numbers"]
        assert (numbers["count"] < 8, numbers["maximum"]) == (True, 49.0)
    path = docker("inspect", "--format", "{{.LogPath}}", container)
    if not os.access(path, os.R_OK):
        pytest.skip(f"the engine's file {path} cannot be read here")
    check(scanned({"path": [path]}))
    with pytest.raises(BadInput, match=r"(?i)no such container"):
        scanned({"container": "sre-runbooks-no-such"})


@pytest.mark.skipif(shutil.which("journalctl") is None, reason="the program journalctl is not installed")
def test_the_journal_of_a_folder_without_entries_is_empty(tmp_path: Path) -> None:
    result = scanned({"systemd_unit": "nginx.service", "journal_folder": str(tmp_path)}, since="1h")
    assert result["logs"][0]["lines"] == 0
    assert result["complete"]
