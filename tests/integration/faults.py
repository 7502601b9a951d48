# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Faults for real: an operation in a process of its own, and kill -9 of it, or of what works for it, at random moments.

The moments of a series are spread over the time in which an undisturbed run has a victim of that kind: as many equal parts as there
are rounds, one random moment in each. The seed is printed; SRE_RUNBOOKS_FAULT_SEED=<number> repeats it, SRE_RUNBOOKS_FAULT_ROUNDS
changes the number of rounds.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import time
import typing as t
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ansible_collections.sre.runbooks.plugins.module_utils.errors import RunbookError
from integration.postgresql_server import PostgresqlServer

SEED = int(os.environ.get("SRE_RUNBOOKS_FAULT_SEED", 0)) or secrets.randbelow(10**6) + 1
ROUNDS = int(os.environ.get("SRE_RUNBOOKS_FAULT_ROUNDS", 20))
FEWER = max(ROUNDS * 2 // 5, 1)
"""For victims beyond those that every operation must bear: itself, its main tool and the server."""
REPOSITORY = Path(__file__).resolve().parents[2]
SAMPLE_S = 0.008


class Operation:
    """One operation of the library in a process of its own.

    Attributes:
        process: It.
        began: When the operation itself began, by `time.monotonic()`.
    """

    def __init__(self, order: t.Mapping[str, t.Any], temporary: str = "") -> None:
        reader, writer = os.pipe()
        with tempfile.NamedTemporaryFile("w", suffix=".json") as stream:
            json.dump({**order, "began_fd": writer}, stream)
            stream.flush()
            self._order = stream.name
            self._said = tempfile.TemporaryFile()
            environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "collections"), **({"TMPDIR": temporary} if temporary else {})}
            self.process = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name(order.get("program", "operation.py"))), stream.name],
                stdin=subprocess.DEVNULL,
                stdout=self._said,
                stderr=self._said,
                env=environment,
                pass_fds=[writer],
            )
            os.close(writer)
            os.read(reader, 1)  # returns when the other end is closed
            os.close(reader)
        self.began = time.monotonic()

    @property
    def runs(self) -> bool:
        """Whether its own process runs."""
        return self.process.poll() is None

    def elapsed(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self.began

    def remains(self) -> list[int]:
        """Processes that it forked and that live; they bear its command line."""
        return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if self._order in _title(pid)]

    def has_ended(self) -> bool:
        """Whether neither it nor what it forked lives."""
        return not self.remains()

    def finish(self, timeout_s: float = 60) -> tuple[str, dict[str, t.Any]]:
        """Wait for it: `completed` with its result, `failed` with its message, or `killed`.

        Raises:
            AssertionError: It ended in any other way, such as a traceback, or not at all.
        """
        try:
            status = self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"the operation did not end within {timeout_s} s") from None
        if status == -signal.SIGKILL:
            return "killed", {}
        self._said.seek(0)
        said = self._said.read().decode()
        assert status in (0, 3), f"ended with {status}: {said}"
        told = json.loads(said)
        return ("failed", told) if status else ("completed", told if isinstance(told, dict) else {"value": told})


Victim = Callable[[Operation], list[int]]
"""Finds the processes of one kind that work for an operation at this moment."""


def own_process(operation: Operation) -> list[int]:
    """The operation's own process, as when somebody kills the module."""
    return [operation.process.pid] if operation.runs else []


def programs(*names: str) -> Victim:
    """Programs that the operation has started, at any depth."""

    def find(operation: Operation) -> list[int]:
        return [pid for pid in descendants(operation.process.pid) if _comm(pid) in names]

    return find


def own_session(operation: Operation) -> list[int]:
    """What the operation has started in a session of its own, without the servers that are started from there."""
    found = [pid for pid in descendants(operation.process.pid) if _stat(pid)[3:4] == [str(pid)]]
    return [pid for pid in found if _comm(pid).startswith("python")]


def backends(server: PostgresqlServer, database: str = r"\S+") -> Victim:
    """The server's processes for the superuser's connections to the databases that fit."""
    title = re.compile(rf"postgres: postgres {database} 127\.0\.0\.1\(")
    return lambda operation: [pid for pid in descendants(server.pid()) if title.match(_title(pid))] if operation.runs else []


def postmaster(server: PostgresqlServer) -> Victim:
    """The server itself."""
    return lambda operation: [server.pid()] if operation.runs else []


def descendants(pid: int) -> list[int]:
    """The living processes below a process, at any depth."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        fields = _stat(int(entry)) if entry.isdigit() else []
        if fields and fields[0] != "Z":
            children.setdefault(int(fields[1]), []).append(int(entry))
    found = list(children.get(pid, []))
    for below in found:  # grows while it is walked
        found += children.get(below, [])
    return found


def naming(*texts: str) -> dict[int, str]:
    """The command lines of the living processes, other than this one, that name all the texts, such as a program and a folder."""
    titles = {int(pid): _title(int(pid)) for pid in os.listdir("/proc") if pid.isdigit() and int(pid) != os.getpid()}
    return {pid: title for pid, title in titles.items() if all(text in title for text in texts)}


def working_in(folder: Path, program: str) -> list[int]:
    """The living processes of a program whose working folder that is."""
    found = []
    for pid in (int(name) for name in os.listdir("/proc") if name.isdigit()):
        with contextlib.suppress(OSError):
            if _comm(pid) == program and os.readlink(f"/proc/{pid}/cwd") == str(folder):
                found.append(pid)
    return found


def _stat(pid: int) -> list[str]:
    """The fields of /proc/<pid>/stat behind the name: state, parent, group, session, ... (proc(5)); none when it is gone."""
    try:
        with open(f"/proc/{pid}/stat") as stream:
            return stream.read().rpartition(")")[2].split()
    except OSError:
        return []


def _comm(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _title(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


@dataclass
class Series:
    """Rounds of one kind of kill, and what became of them.

    Attributes:
        name: What is killed in what.
        victim: Finds it.
        rounds: How many.
    """

    name: str
    victim: Victim
    rounds: int = ROUNDS
    hits: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    _last: str = ""

    def __post_init__(self) -> None:
        self._random = random.Random(f"{SEED} {self.name}")
        self._moments: list[float] = []
        self._span, self._whole, self._pace, self._spare = (0.0, 0.0), 1.0, 1.0, max(self.rounds // 2, 6)

    def moments(self, undisturbed: Operation) -> Iterator[float]:
        """Let an operation run to its end, see when victims exist, and choose the moments, in random order.

        The machine has other work, too. A moment that came after the operation's end comes again, sooner by as much as that run was
        faster than the first; half as many rounds more, or six, are spent on this at most.
        """
        seen, before = [], 0.0
        while undisturbed.runs:
            now = undisturbed.elapsed()
            if self.victim(undisturbed):
                seen.append((before, now))
            before = now
            time.sleep(SAMPLE_S)
        self._whole = undisturbed.elapsed()
        outcome, told = undisturbed.finish()
        assert outcome == "completed", told
        # A busy machine looks seldom; that most kills hit something is required in the end.
        assert seen, f"{self.name}: no victim was seen in an undisturbed run"
        self._span = (seen[0][0], seen[-1][1])
        part = len(seen) / self.rounds
        looks = [seen[min(int((number + self._random.random()) * part), len(seen) - 1)] for number in range(self.rounds)]
        self._moments = [self._random.uniform(*look) for look in looks]
        self._random.shuffle(self._moments)
        return iter(self._moments)  # which grows while it is walked

    def strike(self, operation: Operation, moment: float) -> tuple[str, dict[str, t.Any]]:
        """kill -9 of one victim at that moment, or as soon after it as there is one; then the end of the operation."""
        while operation.runs and operation.elapsed() < moment * self._pace:
            time.sleep(0.0005)
        hit = False
        while operation.runs and not hit:
            found = self.victim(operation)
            if found:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self._random.choice(found), signal.SIGKILL)
                    hit = True
            else:
                time.sleep(0.001)
        took = operation.elapsed()
        outcome, told = operation.finish()
        self.hits += hit
        if not hit:
            self._pace = min(self._pace, took / self._whole)
            self._moments += [moment] * (self._spare > 0)
            self._spare -= 1
        self.outcomes[outcome] += 1
        self._last = f"{self.name}, seed {SEED}, at {moment:.3f} s, {'hit' if hit else 'missed'}: {outcome} {told}"
        return outcome, told

    @contextlib.contextmanager
    def round(self) -> Iterator[None]:
        """What fails inside says in which round it did."""
        try:
            yield
        except (AssertionError, RunbookError) as error:
            error.add_note(f"in round {sum(self.outcomes.values())}: {self._last}")
            raise

    def conclude(self, tell: Callable[[str], None], more: str = "") -> None:
        """Tell what was done, and require that most kills met a running process."""
        became = ", ".join(f"{count} {outcome}" for outcome, count in sorted(self.outcomes.items()))
        span = f"{self._span[0]:.2f} to {self._span[1]:.2f} s"
        tell(f"kill -9 of {self.name}, {len(self._moments)} runs, moments in {span}, seed {SEED}: {self.hits} hit; {became}{more}")
        assert self.hits >= 0.75 * self.rounds


def order(server: PostgresqlServer, operation: str, **more: t.Any) -> dict[str, t.Any]:
    """What operation.py reads, for this server."""
    return {"operation": operation, "connection": asdict(server.connection), "service": asdict(server.service), **more}


def serves(server: PostgresqlServer) -> bool:
    """Whether new connections can be made, now and in a moment: a busy server notices late that one of its processes was killed."""
    try:
        server.sql("SELECT 1")
        time.sleep(0.2)
        server.sql("SELECT 1")
        return True
    except RunbookError:
        return False


def load_logged_reference(server: PostgresqlServer, database: str, megabytes: int = 2) -> None:
    """The reference database; its unlogged table, which PostgreSQL empties after a crash (manual, CREATE TABLE), becomes a logged one."""
    server.load_reference(database, megabytes)
    server.sql("ALTER TABLE session_cache SET LOGGED", database)
