# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""kill -9 of what a rehearsal works with, as when memory is out: the cause is named, and a good set is not taken for a bad one."""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
import threading
import typing as t
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from ansible_collections.sre.runbooks.plugins.module_utils.backup_set.sets import BackupSet, read_set
from ansible_collections.sre.runbooks.plugins.module_utils.errors import RunbookError
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.backup import back_up
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.dump import BackupRequest
from ansible_collections.sre.runbooks.plugins.module_utils.postgresql.rehearsal import rehearse
from ansible_collections.sre.runbooks.plugins.module_utils.redis import backup as redis_backup
from ansible_collections.sre.runbooks.plugins.module_utils.redis import rehearsal as redis_rehearsal
from integration.faults import load_logged_reference, naming
from integration.postgresql_server import running_server
from integration.redis_server import running_redis

pytestmark = pytest.mark.slow
Rehearsal = Callable[[str], object]


class Set(t.NamedTuple):
    """A good set, and how it is rehearsed in a folder."""

    one: BackupSet
    rehearse: Rehearsal


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Set]]:
    """One of each kind that is restored by programs which can be killed."""
    found, folder = {}, str(tmp_path_factory.mktemp("sets"))
    with running_server() as server, running_redis() as redis:
        load_logged_reference(server, "reference", 8)
        tools = server.tools
        for method in ("logical", "physical", "incremental"):
            told = back_up(BackupRequest(server.connection, "reference", "reference", folder), method)
            one = read_set(told["backup_set"]["folder"])
            found[method] = Set(one, partial(rehearse, one, tool_folder=tools))
        redis.fill(60_000)
        cache = read_set(redis_backup.back_up(redis_backup.BackupRequest(redis.server, "cache", folder))["backup_set"]["folder"])
        found["redis"] = Set(cache, lambda work: redis_rehearsal.rehearse(cache, redis.server.place, work))
        yield found


@pytest.fixture
def work() -> Iterator[Path]:
    """A folder that the account of a scratch server may enter."""
    with tempfile.TemporaryDirectory(prefix="sre-runbooks-test-") as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


def ancestors(pid: int) -> Iterator[int]:
    """Its parent, the parent's parent and so on."""
    with contextlib.suppress(OSError):
        while pid > 1:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
            yield pid


@contextlib.contextmanager
def killing(victim: str, work: Path) -> Iterator[list[str]]:
    """kill -9 of the first of the rehearsal's processes whose command line has the word, as soon as it is there; the list tells of it."""
    killed: list[str] = []
    over = threading.Event()

    def strike() -> None:
        while not killed and not over.wait(0.001):
            for pid, title in naming(victim).items():
                parents = [pid, *ancestors(pid)]
                if not killed and (os.getpid() in parents or set(naming(str(work))) & set(parents)):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                        killed.append(title)

    thread = threading.Thread(target=strike)
    thread.start()
    try:
        yield killed
    finally:
        over.set()
        thread.join()


def said_when_killed(rehearse: Rehearsal, victim: str, work: Path) -> str:
    """How a rehearsal fails whose victim was killed; one that was missed, or met when all was done, is taken again."""
    for _attempt in range(10):
        message = ""
        with killing(victim, work) as killed:
            try:
                rehearse(str(work))
            except RunbookError as error:
                message = error.message
        if message:
            assert killed, message
            return message
    raise AssertionError(f"no kill of {victim} has met it at work")


@pytest.mark.parametrize(
    ("kind", "victim"),
    [
        ("logical", "pg_restore"),
        ("logical", "postgres: postgres reference"),
        ("logical", "bin/postgres -D"),
        ("physical", "pg_verifybackup"),
        ("physical", "bin/postgres -D"),
        ("incremental", "pg_combinebackup"),
        ("redis", "check-rdb"),
        ("redis", "valkey-server"),
    ],
)
def test_a_good_set_whose_rehearsal_is_killed_is_not_marked_as_failed_and_the_next_rehearsal_proves_it(
    kind: str, victim: str, sets: dict[str, Set], work: Path
) -> None:
    one = sets[kind].one
    message = said_when_killed(sets[kind].rehearse, victim, work)
    assert read_set(one.folder).state != "failed", message
    assert "use another set" not in message
    sets[kind].rehearse(str(work))
    assert read_set(one.folder).state == "proven"
    assert not list(work.iterdir())
