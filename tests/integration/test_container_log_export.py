# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Logs of real containers in dated files: each line once and in order, while they are written, through kills, a full disk and rotation."""

from __future__ import annotations

import itertools
import json
import os
import random
import re
import subprocess
import sys
import time
import typing as t
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils import files
from ansible_collections.sre.runbooks.plugins.module_utils.errors import BadInput, NoSpace, RunbookError
from ansible_collections.sre.runbooks.plugins.module_utils.maintenance.container_log_export import operate
from integration.containers import Docker
from integration.faults import ROUNDS, SEED
from integration.playbook_runs import ROOT, Profile, picture
from integration.test_disk_full import free, small_disk
from tools.waiting import wait_until

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(300)]
ROUNDS_HERE = max(ROUNDS // 3, 1)
BACKLOG = 20_000
COUNTING = """import itertools, sys, time
for number in itertools.count():
    stream = sys.stderr if number % 7 == 0 else sys.stdout
    stream.write(f"number {number}\\n")
    stream.flush()
    if number >= int(sys.argv[1]):
        time.sleep(0.002)
"""
"""Counts on both streams, at first as fast as it can, then five hundred lines a second."""
LAST_WORDS = "echo began; printf 'last words'; echo error >&2"
LONG = "head -c 40000 /dev/zero | tr '\\0' x; echo; i=0; while [ $i -lt 300 ]; do echo number $i; i=$((i+1)); done; exec sleep 600"
BURST = (
    "trap 'i=0; while [ $i -lt 500 ]; do n=$((n+1)); echo number $n; i=$((i+1)); done' USR1; n=0; echo ready; while :; do sleep 0.05; done"
)


class Containers:
    """Containers that write, each by its own name."""

    def __init__(self, docker: Docker) -> None:
        self._docker = docker
        self.names: list[str] = []

    def start(self, what: str, *command: str, options: t.Sequence[str] = ()) -> str:
        name = self._docker.name(what)
        self.names.append(name)
        self._docker("run", "--detach", "--init", "--network=none", "--name", name, *options, self._docker.image, *command)
        return name


@pytest.fixture(scope="module")
def containers(docker: Docker) -> Iterator[Containers]:
    """Where containers are made for a test; all are removed."""
    made = Containers(docker)
    try:
        yield made
    finally:
        if made.names:
            docker("rm", "--force", "--volumes", *made.names)


@pytest.fixture(scope="module")
def counting(containers: Containers, docker: Docker) -> str:
    """A container that counts for ever."""
    name = containers.start("counting", "python3", "-c", COUNTING, str(BACKLOG))
    wait_until("the backlog", lambda: int(docker("logs", "--tail", "1", name).rpartition(" ")[2] or 0) > BACKLOG)
    return name


@pytest.fixture(autouse=True)
def own_state(monkeypatch: pytest.MonkeyPatch) -> None:
    """The state folder is the one that the test names."""
    monkeypatch.delenv("SRE_RUNBOOKS_STATE", raising=False)


def given(folder: Path, container: str, state: Path | None = None) -> dict[str, t.Any]:
    """The module's parameters for the log of one container."""
    rule = {"name": "rotate", "source": "app", "write_to": f"{folder}/app_%Y%m%d.log", "follow_to": f"{folder}/app_current.log"}
    return {"rules": [rule], "logs": [{"name": "app", "container": container}], "state_folder": str(state or folder.parent / "state")}


def written(folder: Path) -> list[str]:
    """All lines of the dated files, in order of days."""
    return "".join(path.read_text() for path in sorted(folder.glob("app_2*.log"))).splitlines()


def require_each_once(lines: t.Sequence[str]) -> int:
    """Every number from 0 is there once, in order on either stream; returns how many there are."""
    numbers = [int(line.removeprefix("number ")) for line in lines]
    for own in (True, False):
        stream = [number for number in numbers if (number % 7 == 0) == own]
        assert stream == sorted(set(stream))
        assert not stream or stream == [number for number in range(stream[-1] + 1) if (number % 7 == 0) == own]
    return len(numbers)


def test_each_line_is_written_once_in_several_runs_while_the_container_writes(
    counting: str, tmp_path: Path, tell: Callable[[str], None]
) -> None:
    logs, counts = tmp_path / "logs", []
    told = operate(given(logs, counting), True)
    assert told["lines"] > 0
    assert not list(tmp_path.iterdir()), "nothing was changed"
    for _run in range(5):
        began = time.monotonic()
        done = operate(given(logs, counting), False)
        counts.append(require_each_once(written(logs)))
        tell(f"{done['lines']} lines ({done['bytes']} bytes) in {time.monotonic() - began:.2f} s")
        time.sleep(0.2)
    assert counts == sorted(set(counts))
    assert counts[0] >= told["lines"]
    assert done["changed"]
    assert not done["gaps"]
    assert "number" not in json.dumps(done)
    today = logs / time.strftime("app_%Y%m%d.log")
    assert (logs / "app_current.log").resolve() == today
    assert (today.stat().st_mode & 0o777, logs.stat().st_mode & 0o777) == (0o640, 0o750)
    if len(done["files"]) == 1:
        assert done["files"] == [{"rule": "rotate", "path": str(today), "lines": done["lines"], "bytes": done["bytes"]}]


KILLED = """import sys, json
from ansible_collections.sre.runbooks.plugins.module_utils.maintenance import container_log_export
container_log_export._CHUNK = 10_000
print("began", flush=True)
container_log_export.operate(json.loads(sys.argv[1]), False)
"""


def test_runs_that_are_killed_at_any_moment_lose_no_line_and_write_none_twice(
    counting: str, tmp_path: Path, tell: Callable[[str], None]
) -> None:
    chance, lasts, states = random.Random(SEED), 1.0, []
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "collections")}
    for number in range(-1, ROUNDS_HERE):
        logs = tmp_path / str(number) / "logs"
        parameters = given(logs, counting)
        for _kill in range(1 if number < 0 else 3):
            with subprocess.Popen(
                [sys.executable, "-c", KILLED, json.dumps(parameters)], env=environment, stdout=subprocess.PIPE
            ) as process:
                assert process.stdout is not None
                process.stdout.readline()
                began = time.monotonic()
                if number >= 0:
                    time.sleep(lasts / 2 * (number + chance.random()) / ROUNDS_HERE)
                    process.kill()
                process.wait()
            if number < 0:
                lasts = time.monotonic() - began
            states.append(len(written(logs)))
        operate(parameters, False)
        assert require_each_once(written(logs)) >= BACKLOG
        left = [path.name for path in (tmp_path / str(number) / "state" / "log_exports").iterdir()]
        assert len(left) == 2, "the bookmarks and the lock: what killed runs left is gone"
    tell(f"kill -9 of {len(states) - 1} exports of {lasts:.2f} s, seed {SEED}: {states} lines by then")
    assert len(set(states)) > 2


def test_a_full_disk_stops_the_export_and_the_next_one_goes_on_behind_the_last_whole_line(
    counting: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with small_disk(8) as disk:
        parameters = given(disk / "logs", counting, tmp_path / "state")
        with pytest.raises(NoSpace, match="almost full") as kept:
            operate(parameters, False)
        assert not kept.value.changed
        assert not written(disk / "logs"), "nothing goes into the reserve"
        # Where the disk is full in spite of the reserve, since others write, too.
        monkeypatch.setattr(files, "RESERVE_BYTES", -(1 << 40))
        filler = disk / "filler"
        filler.write_bytes(b"0" * (free(disk) - 100_000))
        with pytest.raises(NoSpace) as told:
            operate(parameters, False)
        assert told.value.changed
        part = len(written(disk / "logs"))
        assert 0 < part < BACKLOG
        filler.unlink()
        assert operate(parameters, False)["lines"] > 0
        assert require_each_once(written(disk / "logs")) >= BACKLOG


def test_a_terminal_last_words_and_a_restart_hide_no_line(containers: Containers, docker: Docker, tmp_path: Path) -> None:
    terminal = containers.start("terminal", "sh", "-c", LONG, options=["--tty"])
    words = containers.start("words", "sh", "-c", LAST_WORDS)
    docker("wait", words)
    for _run in range(2):
        operate(given(tmp_path / "words" / "logs", words), False)
    assert sorted(written(tmp_path / "words" / "logs")) == ["began", "error", "last words"]
    docker("start", words)
    docker("wait", words)
    again = operate(given(tmp_path / "words" / "logs", words), False)
    assert (again["lines"], again["gaps"]) == (3, [])
    assert sorted(written(tmp_path / "words" / "logs")) == ["began", "began", "error", "error", "last words", "last words"]
    wait_until("all lines", lambda: "number 299" in docker("logs", "--tail", "1", terminal))
    operate(given(tmp_path / "terminal" / "logs", terminal), False)
    assert written(tmp_path / "terminal" / "logs") == ["x" * 40000, *(f"number {number}" for number in range(300))]
    assert not operate(given(tmp_path / "terminal" / "logs", terminal), False)["changed"]


def test_lines_that_the_engine_has_rotated_away_are_told_and_the_rest_is_written_once(
    containers: Containers, docker: Docker, tmp_path: Path
) -> None:
    burst = containers.start("burst", "bash", "-c", BURST, options=["--log-opt", "max-size=20k", "--log-opt", "max-file=2"])
    logs = tmp_path / "logs"
    wait_until("its start", lambda: docker("logs", burst) == "ready")
    operate(given(logs, burst), False)
    docker("kill", "--signal", "USR1", burst)
    wait_until("the burst", lambda: docker("logs", "--tail", "1", burst) == "number 500")
    lost = operate(given(logs, burst), False)
    assert len(lost["gaps"]) == 1
    assert "rotated away" in lost["gaps"][0]
    numbers = [int(line.split()[1]) for line in written(logs)[1:]]
    assert numbers == list(range(numbers[0], 501))
    assert 1 < numbers[0] < 500
    assert (operate(given(logs, burst), False)["changed"], lost["changed"]) == (False, True)


def test_what_cannot_be_carried_out_is_told_before_anything_is_changed(
    containers: Containers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = containers.start("silent", "sleep", "600", options=["--log-driver=none"])
    with pytest.raises(BadInput, match="no such container"):
        operate(given(tmp_path / "logs", "sre-runbooks-no-such"), False)
    with pytest.raises(RunbookError, match="does not support reading"):
        operate(given(tmp_path / "logs", silent), False)
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot be written"):
        operate(given(tmp_path / "file" / "logs", containers.names[0]), False)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
    with pytest.raises(RunbookError, match="cannot be reached"):
        operate(given(tmp_path / "logs", silent), False)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


SAYS = "i=0; while [ $i -lt 40 ]; do echo number $i; sleep 0.01; i=$((i+1)); done; exec sleep 600"


def test_the_procedure_writes_the_lines_of_all_replicas_in_order_of_time_and_says_what_went_with_a_container(
    docker: Docker, tmp_path: Path, tell: Callable[[str], None]
) -> None:
    name, folder, logs = docker.name("export"), tmp_path / "project", tmp_path / "logs"
    folder.mkdir()
    service: dict[str, t.Any] = {"image": docker.image, "command": ["sh", "-c", SAYS.replace("$", "$$")], "pull_policy": "never"}
    service.update(init=True, network_mode="none", stop_grace_period="1s", scale=2)
    (folder / "compose.yaml").write_text(json.dumps({"name": name, "services": {"app": service}}))
    profile = Profile(tmp_path / "profile")
    profile.variables = {
        "service_name": "trial",
        "service_logs": [
            {"name": "app", "title": "Application", "compose_service": "app", "project_folder": str(folder), "format": "auto"}
        ],
        "maintenance_log_rules": [
            {"name": "rotate", "source": "app", "write_to": f"{logs}/app_%Y%m%d.log", "follow_to": f"{logs}/app_current.log"},
            {"name": "compress", "path": str(logs), "pattern": "*.log", "compress_after_days": 30},
        ],
        "maintenance_logrotate_folder": str(tmp_path / "logrotate.d"),
    }
    try:
        docker("compose", "up", "--detach", folder=folder)
        wait_until("all lines", lambda: docker("compose", "logs", folder=folder).count("number 39") == 2)
        (folder.parent / "logs").mkdir()
        before = picture(logs)
        told = profile.run("log_rotation", "--check", "--diff")
        assert "append 80 lines" in told.output, told.output
        assert picture(logs) == before
        done = profile.run("log_rotation")
        assert "changed=1" in done.output, done.output
        lines = written(logs)
        for number in (1, 2):
            assert [line for line in lines if line.startswith(f"app-{number}  | ")] == [f"app-{number}  | number {i}" for i in range(40)]
        assert len(lines) == 80
        writers = [line.partition(" ")[0] for line in lines]
        assert sum(one != other for one, other in itertools.pairwise(writers)) > 1, "both wrote at the same time"
        stamped = docker("compose", "logs", "--no-color", "--timestamps", folder=folder).splitlines()
        in_time = sorted(stamped, key=lambda line: re.search(r"\| (\S+)", line)[1].ljust(40, "0"))  # type: ignore[index]
        assert lines == [re.sub(r"\| \S+ ", "| ", line) for line in in_time]
        assert "changed=0" in profile.run("log_rotation").output
        docker("compose", "up", "--detach", "--force-recreate", "--scale", "app=1", folder=folder)
        wait_until("all lines", lambda: "number 39" in docker("compose", "logs", folder=folder))
        last = profile.run("log_rotation")
        assert last.output.count("went with it") >= 2, last.output
        assert len(written(logs)) == 120
        record = profile.records()[-1]
        assert any("appended 40 lines" in decision for decision in record["decisions"])
        tell(f"log_rotation.yml with an export: {record['duration_s']:.1f} s")
    finally:
        docker("compose", "down", "--timeout", "1", folder=folder)
