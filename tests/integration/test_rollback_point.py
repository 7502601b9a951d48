# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rollback points and real faults: killed at random moments, a full disk; and environment files as the real Compose reads them."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import time
import typing as t
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ansible_collections.sre.runbooks.plugins.module_utils.configuration.environment import plan, read
from ansible_collections.sre.runbooks.plugins.module_utils.configuration.points import points_of
from ansible_collections.sre.runbooks.plugins.module_utils.configuration.rollback import INFO_OPTIONS, OPTIONS, inform, operate
from ansible_collections.sre.runbooks.plugins.module_utils.errors import NoSpace
from integration.containers import Docker
from integration.faults import ROUNDS, SEED
from integration.test_disk_full import small_disk

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
FILES = 40
ENOUGH = 16
"""Rounds from which on every outcome of a killed restore is expected."""


class Service:
    """A folder of configuration in one of two states, and an environment file that only its owner may read."""

    def __init__(self, folder: Path, home: Path | None = None) -> None:
        self.folder, self.home, self.conf = folder, home or folder / "rollback_points", folder / "conf"
        self.write("a")

    def write(self, state: str, size: int = 3000) -> None:
        """Every file gets another content, some come or go."""
        self.conf.mkdir(exist_ok=True)
        for number in range(FILES):
            path = self.conf / f"{number:02d}.conf"
            if (number + ord(state)) % 5:
                path.write_text(f"{state}{number}\n" * (size // 4))
            else:
                path.unlink(missing_ok=True)
        (self.conf / ".env").write_text(f"TOKEN=hidden-{state}\n")
        (self.conf / ".env").chmod(0o600)

    def picture(self) -> dict[str, bytes]:
        return {str(path.relative_to(self.conf)): path.read_bytes() for path in self.conf.rglob("*") if path.is_file()}

    def call(self, operation: str, **more: t.Any) -> dict[str, t.Any]:
        options = {name: told.get("default") for name, told in OPTIONS.items()}
        options.update(
            operation=operation, service="rag7", state_folder=str(self.home.parent), paths=[str(self.conf)] if operation == "create" else []
        )
        return operate({**options, **more}, False)

    def damaged(self) -> list[str]:
        """What is wrong with any of the points."""
        options = {name: told.get("default") for name, told in INFO_OPTIONS.items()}
        told = inform({**options, "service": "rag7", "state_folder": str(self.home.parent), "verify": True}, False)
        return [problem for one in told["points"] for problem in one["problems"]]

    def leftovers(self) -> list[str]:
        """Temporary names of any kind."""
        found = [
            path.name for path in self.folder.rglob("*") if path.name.endswith((".partial", ".restoring", ".restore.json", ".outcome.json"))
        ]
        return sorted(found)


def children(pid: int) -> list[int]:
    """Processes that a process has started, whatever session they are in."""
    with contextlib.suppress(OSError):
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def killed(work: Callable[[], t.Any], moment_s: float, *, whole: bool, since: Path | None = None) -> bool:
    """Run `work` in a process and kill it, with `whole` what it has started too; returns whether it was still at work.

    The moment is that many seconds after its beginning, or after the file `since` is there.
    """
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            work()
        os._exit(0)
    while since is not None and not since.exists() and os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        pass
    time.sleep(moment_s)
    started = children(pid)
    for one in [pid, *(started if whole else [])]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(one, signal.SIGKILL)
    _pid, status = os.waitpid(pid, 0)
    give_up = time.monotonic() + 20
    while any(Path(f"/proc/{one}").exists() and "Z" not in Path(f"/proc/{one}/stat").read_text().split()[2] for one in started):
        assert time.monotonic() < give_up
        time.sleep(0.005)
    return os.WIFSIGNALED(status)


def seconds(work: Callable[[], t.Any]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def undisturbed(work: Callable[[], t.Any], journal: Path) -> tuple[float, float]:
    """Seconds that the whole takes, and that its journal is there: the time of the exchange."""
    pid, began = os.fork(), time.monotonic()
    if pid == 0:
        with contextlib.suppress(BaseException):
            work()
        os._exit(0)
    seen = []
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        seen += [time.monotonic()] if journal.exists() else []
    os.waitpid(pid, 0)
    return time.monotonic() - began, seen[-1] - seen[0]


def spread(rounds: int, chance: random.Random) -> list[float]:
    """Moments from 0 to 1, one in each of as many equal parts, in random order."""
    moments = [(number + chance.random()) / rounds for number in range(rounds)]
    chance.shuffle(moments)
    return moments


def test_a_killed_creation_leaves_no_half_point_and_the_next_run_cleans_up(tmp_path: Path, tell: Callable[[str], None]) -> None:
    service, chance, hits = Service(tmp_path), random.Random(SEED), 0
    whole_s = seconds(lambda: service.call("create"))
    for number, part in enumerate(spread(ROUNDS, chance)):
        service.write("ab"[number % 2], 3000 + number)
        hits += killed(lambda: service.call("create"), part * whole_s, whole=True)
        assert not service.damaged(), SEED
        service.write("ab"[number % 2], 4000 + number)
        assert service.call("create")["changed"] is True
        assert not service.leftovers(), SEED
    tell(f"kill -9 of rollback_point create, {ROUNDS} runs, seed {SEED}: {hits} hit; no half point, nothing left")
    assert hits > ROUNDS // 3


def test_a_killed_restore_is_done_whole_or_taken_back_whole(tmp_path: Path, tell: Callable[[str], None]) -> None:
    service, chance, hits, outcomes = Service(tmp_path), random.Random(SEED), 0, {"done": 0, "as before": 0, "taken back": 0}
    point, then = service.call("create")["point"], service.picture()
    service.write("b")
    now = service.picture()
    journal, spans = service.home / ".rag7.restore.json", undisturbed(lambda: service.call("restore"), service.home / ".rag7.restore.json")
    for number, part in enumerate(spread(ROUNDS, chance)):
        service.write("b")
        whole, in_exchange = number % 2 == 0, number % 4 < 2
        moment_s = part * spans[in_exchange]
        hits += killed(lambda: service.call("restore", point=point), moment_s, whole=whole, since=journal if in_exchange else None)
        found = service.picture()
        if not whole:  # the exchange goes on in a process of its own
            assert found in (then, now), SEED
        notes = service.call("prune")["notes"]
        assert service.picture() in (then, now), SEED
        assert not service.leftovers(), SEED
        assert not service.damaged(), SEED
        outcomes["taken back" if notes else "done" if service.picture() == then else "as before"] += 1
    told = ", ".join(f"{count} {what}" for what, count in outcomes.items())
    tell(f"kill -9 of rollback_point restore, {ROUNDS} runs, seed {SEED}: {hits} hit; {told}")
    # Few rounds may all miss, or have one outcome; of so many every fourth is killed as a whole in the exchange.
    assert ROUNDS < ENOUGH or (hits > ROUNDS // 4 and outcomes["taken back"] and outcomes["done"])


@pytest.mark.needs_root
def test_a_full_disk_leaves_no_half_point_and_every_file_as_it_was(tmp_path: Path) -> None:
    with small_disk(2) as disk:
        service = Service(tmp_path, disk / "rollback_points")
        service.write("a", 100_000)
        with pytest.raises(NoSpace, match="The disk is full"):
            service.call("create")
        assert (
            points_of(str(service.home)),
            [path.name for path in (disk / "rollback_points").iterdir() if not path.name.endswith(".lock")],
        ) == (
            [],
            [],
        )
    with small_disk(2) as disk:
        (disk / "service").mkdir()
        service = Service(disk / "service", tmp_path / "rollback_points")
        service.write("a", 30_000)
        point = service.call("create")["point"]
        service.write("b", 4000)
        before = service.picture()
        with (disk / "filler").open("wb", buffering=0) as stream, contextlib.suppress(OSError):
            while True:
                stream.write(b"x" * 4096)
        with pytest.raises(NoSpace, match="The disk is full"):
            service.call("restore", point=point)
        assert (service.picture(), service.leftovers()) == (before, [])
        (disk / "filler").unlink()
        assert service.call("restore", point=point)["changed"] is True


NASTY = [
    "",
    " ",
    "a b",
    "it's",
    'say "x"',
    "back\\slash",
    "$HOME ${A} $$ `id`",
    "tab\there",
    "two\nlines",
    "cr\r",
    "# no comment",
    "a # b",
    "'",
    "\\",
    "x\\\ny",
    "end\\",
    "\\'",
    "'\\",
    "=;:%i",
    "ä ü",
]
VALUES = st.lists(st.sampled_from([*list("'\"\\$`#= \t%n;\n\r{}"), "\\n", "a", "${A}"]), max_size=8).map("".join)


@pytest.mark.docker
def test_compose_reads_exactly_the_values_that_were_written(docker: Docker, tmp_path: Path) -> None:
    made: list[str] = []

    @given(VALUES)
    @settings(max_examples=250, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    def collect(value: str) -> None:
        made.append(value)

    collect()
    wanted = {f"V{number}": value for number, value in enumerate([*NASTY, *made])}
    # Half of them are there before, with other values and in other words.
    old = "".join(f"export V{number}='x'  # note {number}\n" if number % 4 else f'V{number}: "y"\n' for number in range(0, len(wanted), 2))
    text = plan(old, "compose", wanted, ()).text
    (tmp_path / "service.env").write_text(text, newline="")
    (tmp_path / ".env").write_text(text, newline="")
    service = {"image": "x", "env_file": ["service.env"], "labels": {name: f"${{{name}}}" for name in wanted}}
    (tmp_path / "compose.yaml").write_text(json.dumps({"name": docker.name("values"), "services": {"app": service}}))
    done = subprocess.run(
        ["docker", "compose", "config", "--format", "json"],
        cwd=tmp_path,
        env=docker.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)["services"]["app"]
    # What is shown could be read again: a dollar sign is doubled.
    for where in ("environment", "labels"):
        assert {name: value.replace("$$", "$") for name, value in shown[where].items()} == wanted, where
    assert read(text, "compose") == wanted
