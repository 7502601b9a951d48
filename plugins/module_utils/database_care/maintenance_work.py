# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Carrying out steps of maintenance beside a service at work: each statement with a time limit, each lock with a shorter one.

VACUUM, ANALYZE, REINDEX CONCURRENTLY and DROP INDEX CONCURRENTLY take locks that neither readers nor writers conflict with (SHARE UPDATE
EXCLUSIVE; PostgreSQL manual, 13.3.1), so that waiting for one holds up no query of the service.
"""

from __future__ import annotations

import queue
import re
import threading
import time
import typing as t
from dataclasses import dataclass, field

from ..errors import CommandFailed, RunbookError
from ..postgresql.connection import STEADY_SETTINGS, Connection, Session, literal
from ..progress import Progress
from .maintenance_plan import ANALYZE, DROP, REINDEX, VACUUM, Step
from .session_choice import OWN_APPLICATION

APPLICATION = f"{OWN_APPLICATION} maintenance"
DONE, POSTPONED, FAILED = "done", "postponed", "failed"
_SHORTEST_S = 1.0
"""A statement is not begun with less time than this."""
_STATE = re.compile(r"ERROR:\s+([0-9A-Z]{5}): ([^;]*)")
_REASONS = {
    "55P03": "it would have had to wait longer for others (lock_timeout)",
    "57014": "it was ended before it was done, because its time was up",
    "40P01": "it and another session waited for each other",
}
"""SQLSTATE of what may go well another time (manual, appendix A)."""
_DISK_FULL = "53100"

# A server that notices that its client is gone ends what it does for it (manual, 19.3.2); not every system can tell it.
_NOTICE_OUR_END = """
DO $$ BEGIN PERFORM set_config('client_connection_check_interval', '1s', false); EXCEPTION WHEN others THEN NULL; END $$
"""


@dataclass
class Outcome:
    """What became of a step.

    Attributes:
        step: The step.
        outcome: `done`, `postponed` or `failed`.
        why: Why it was not done.
        duration_s: Seconds that it took.
        disk_full: Whether the server's disk was full.
    """

    step: Step
    outcome: str = DONE
    why: str = ""
    duration_s: float = 0.0
    disk_full: bool = field(default=False, repr=False)


def statement(step: Step) -> str:
    """The SQL of a step.

    VACUUM does not give pages at the end of a table back to the disk, since that takes the one lock that queries wait for; autovacuum does
    it at times when nobody waits.
    """
    return {
        DROP: f"DROP INDEX CONCURRENTLY IF EXISTS {step.label}",
        VACUUM: f"VACUUM (ANALYZE, TRUNCATE false) {step.label}",
        ANALYZE: f"ANALYZE {step.label}",
        REINDEX: f"REINDEX INDEX CONCURRENTLY {step.label}",
    }[step.action]


class Worker:
    """Carries out steps, one after another, in a session that is renewed after a failure.

    Args:
        connection: The server.
        database: The database.
        lock_timeout_s: Seconds to wait for a lock, or for a transaction that must end first.
        deadline: `time.monotonic()` at which the work ends.
    """

    def __init__(self, connection: Connection, database: str, lock_timeout_s: float, deadline: float) -> None:
        self._connection, self._database = connection, database
        self._lock_timeout_s, self._deadline = lock_timeout_s, deadline
        self._session: t.Optional[Session] = None

    def do(self, step: Step, grace_s: float = 0) -> Outcome:
        """Carry out a step.

        Args:
            step: The step.
            grace_s: Seconds beyond the deadline that it may take, for cleaning up.

        Raises:
            RunbookError: The server cannot be reached any more.
        """
        left = self._deadline + grace_s - time.monotonic()
        if left < _SHORTEST_S:
            return Outcome(step, POSTPONED, "the time that maintenance may take is over")
        began = time.monotonic()
        try:
            self._ready().ask(f"SET statement_timeout = {int(left * 1000)};\n{statement(step)}")
        except CommandFailed as error:
            self.close()
            return self._judged(step, error, time.monotonic() - began)
        return Outcome(step, DONE, "", round(time.monotonic() - began, 3))

    def _judged(self, step: Step, error: CommandFailed, duration_s: float) -> Outcome:
        found = _STATE.search(error.why)
        state, said = (found[1], found[2].strip()) if found else ("", error.why)
        outcome = POSTPONED if state in _REASONS else FAILED
        return Outcome(step, outcome, _REASONS.get(state, said), round(duration_s, 3), state == _DISK_FULL)

    def _ready(self) -> Session:
        if self._session is None:
            settings = {**STEADY_SETTINGS, "lock_timeout": str(int(self._lock_timeout_s * 1000))}
            self._session = Session(self._connection, self._database, settings).__enter__()
            self._session.ask(f"\\set VERBOSITY verbose\nSET application_name = {literal(APPLICATION)};{_NOTICE_OUR_END}")
        return self._session

    def close(self) -> None:
        """End the session."""
        if self._session is not None:
            self._session.__exit__()
            self._session = None


def side_by_side(workers: t.Sequence[Worker], steps: t.Sequence[Step], progress: Progress) -> t.List[Outcome]:
    """Carry out steps that do not depend on one another, in their order as workers become free.

    Raises:
        RunbookError: The first error that a worker raised; what the others had begun was ended.
    """
    waiting: "queue.Queue[t.Tuple[int, Step]]" = queue.Queue()
    for item in enumerate(steps):
        waiting.put(item)
    outcomes: t.Dict[int, Outcome] = {}
    errors: t.List[BaseException] = []

    def work(worker: Worker) -> None:
        try:
            while not errors:
                number, step = waiting.get_nowait()
                outcomes[number] = worker.do(step)
                progress.say("vacuuming", len(outcomes), len(steps), "tables")
        except queue.Empty:
            pass
        except (RunbookError, OSError) as error:  # handed to the caller
            errors.append(error)
        finally:
            worker.close()

    threads = [threading.Thread(target=work, args=(worker,), daemon=True) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return [outcomes[number] for number in range(len(steps))]
