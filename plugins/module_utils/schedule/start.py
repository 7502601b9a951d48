# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Start the run of an entry: once for each moment, one at a time, with a time limit, a log and a status that outlive it.

cron and systemd call this as a program: `python -m ansible_collections.sre.runbooks.plugins.module_utils.schedule.start JOBS NAME`. It
begins a run when one is due that has not begun; whatever fires it twice, too often, late (a timer that makes up for an outage), or for an
entry that is not in the schedule yet or any more, does no harm.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
import typing as t
from datetime import datetime, timedelta

from ..checks.redaction import Redactor, is_secret_name
from ..command import RUN_MARK, Command
from ..controller import Controller
from ..errors import LeaseHeld, RunbookError
from ..files import fsync_path
from ..lease import Leases
from ..process_tree import marked
from ..run_record import RUNS
from ..state import VARIABLE as STATE_VARIABLE
from ..state import make_folder, state_folder, utc_now, utc_text, utc_time
from .entry import lease_of
from .environment import read_environment
from .front_ends import VARIABLE
from .job import LOG, Job, read_jobs, read_status, write_status

SUCCEEDED, FAILED, BAD_INPUT, ENDED = 0, 1, 2, 3
"""Exit statuses, as those of the console command; what is not due, or still runs, is no failure."""
_EARLY_S = 30.0
"""How much earlier than its moment a start may come: clocks of machines differ."""
_GRACE_S = 10.0
_PLAIN = {"LC_ALL": "C.UTF-8", "ANSIBLE_NOCOLOR": "1", "HOME": os.path.expanduser("~")}
"""cron and systemd give a program next to nothing; Ansible wants a locale of UTF-8."""
_LOG_IN_RECORD = "output.log"
_MOST_LOG_BYTES = 20_000_000


def main(arguments: t.Sequence[str]) -> int:
    """Start one of the jobs in a file; what went wrong is told on standard error."""
    if len(arguments) != 2:
        sys.stderr.write("usage: start JOBS NAME\n")
        return BAD_INPUT
    try:
        return start(arguments[0], arguments[1])
    except RunbookError as error:
        sys.stderr.write(f"{error}\n")
        return BAD_INPUT


def start(path: str, name: str, clock: t.Callable[[], datetime] = utc_now) -> int:
    """Start the job of that name in a file, if there is one and it is due, and return an exit status.

    Raises:
        RunbookError: The jobs, its environment file or the state folder cannot be used.
    """
    job, folder = read_jobs(path).get(name), os.path.dirname(os.path.abspath(path))
    if job is None:
        return SUCCEEDED
    state = make_folder(state_folder(job.state_folder))
    due = job.due(clock() + timedelta(seconds=_EARLY_S))
    if due is None or not is_new(job, read_status(folder, job.name), due):
        return SUCCEEDED
    environment = read_environment(job.environment_file) if job.environment_file else {}
    run_id = f"RUN-{clock():%Y%m%dT%H%M%SZ}-{job.procedure}-{secrets.token_hex(2)}"
    leases, resource, own = Leases(state), lease_of(job.profile, job.name), Controller.of(os.getpid())
    wanted = leases.wanted(
        resource,
        run_id,
        who=str(own),
        reason=f"schedule: {job.at} {job.time_zone}",
        duration_s=job.timeout_s + 10 * _GRACE_S,
        controller=own,
    )
    try:
        leases.acquire(wanted)
    except LeaseHeld as error:
        # A run that outlasts its interval: the next firing looks again, and schedule_check tells.
        write_status(folder, job.name, {**read_status(folder, job.name), "held": {"due": utc_text(due), "why": error.why}})
        return SUCCEEDED
    try:
        # Another start may have begun, and even ended, since the look above.
        before = read_status(folder, job.name)
        if not is_new(job, before, due):
            return SUCCEEDED
        return _Run(job, folder, state, run_id, due, environment, before, clock).carry_out()
    finally:
        leases.release(resource, run_id)


def is_new(job: Job, status: t.Mapping[str, t.Any], due: datetime) -> bool:
    """Whether no run has begun yet for what was due at that moment. What was due before the entry was set up is past."""
    begun = str(status.get("due") or "")
    try:
        return due >= utc_time(job.since) and (not begun or due > utc_time(begun))
    except ValueError:
        return True


class _Run:
    """One run, from its status on disk to its log in the run record."""

    def __init__(
        self,
        job: Job,
        folder: str,
        state: str,
        run_id: str,
        due: datetime,
        environment: t.Mapping[str, str],
        before: t.Mapping[str, t.Any],
        clock: t.Callable[[], datetime],
    ) -> None:
        self.job, self.folder, self.state, self.run_id, self.clock = job, folder, state, run_id, clock
        self.environment = dict(environment)
        self.redactor = Redactor({value for name, value in environment.items() if is_secret_name(name) and value})
        self.log = os.path.join(folder, f"{job.name}.{run_id}{LOG}")
        kept = {name: before[name] for name in ("succeeded_at",) if name in before}
        self.status: t.Dict[str, t.Any] = {
            **kept,
            "due": utc_text(due),
            "started_at": utc_text(clock()),
            "status": "running",
            "run_id": run_id,
            "log": self.log,
            "controller": Controller.of(os.getpid()).as_dict(),
        }

    def carry_out(self) -> int:
        write_status(self.folder, self.job.name, self.status)
        ended = {"status": "failed", "exit_status": None, "why": ""}
        try:
            ended = self._run()
        except RunbookError as error:
            ended["why"] = error.message
        finally:
            self._note(ended)
        if ended["status"] != "succeeded":
            # cron sends this by mail, systemd keeps it in the journal.
            sys.stderr.write(f"{self.job.profile}: {self.job.name} has {ended['status']}: {ended['why']} ({self.status['log']})\n")
        return {"succeeded": SUCCEEDED, "ended": ENDED}.get(str(ended["status"]), FAILED)

    def _run(self) -> t.Dict[str, t.Any]:
        job = self.job
        told = {"name": job.name, "at": job.at, "time_zone": job.time_zone, "due": self.status["due"]}
        variables = {**job.variables, "procedure_run_id": self.run_id, VARIABLE: told}
        command = Command(
            [*job.argv, "--extra-vars", json.dumps(variables)],
            environment={**_PLAIN, **job.environment, STATE_VARIABLE: self.state, RUN_MARK: self.run_id},
            secrets=self.environment,
            folder=job.folder or "/",
        )
        process = command.start(stderr=subprocess.STDOUT)
        asked: t.List[int] = []
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, lambda signum, _frame: asked.append(signum))
        copier = threading.Thread(target=self._copy, args=(process,), daemon=True)
        copier.start()
        give_up = time.monotonic() + job.timeout_s
        while process.poll() is None and not asked and time.monotonic() < give_up:
            time.sleep(0.05)
        if process.poll() is None:
            why = f"it was ended by {signal.Signals(asked[0]).name}" if asked else f"it did not end within {job.timeout_s:g} s"
            self._end(process)
            copier.join(_GRACE_S)
            return {"status": "ended", "exit_status": process.returncode, "why": why}
        copier.join(_GRACE_S)
        code = process.returncode
        return {"status": "failed" if code else "succeeded", "exit_status": code, "why": f"exit status {code}" if code else ""}

    def _end(self, process: "subprocess.Popen[bytes]") -> None:
        """End the run with all that it started; ansible-playbook's workers are in sessions of their own and bear the run's mark."""
        process.terminate()
        try:
            process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pid in marked(RUN_MARK, self.run_id):
            if pid != os.getpid():
                try:
                    os.kill(pid, signal.SIGKILL)
                except (ProcessLookupError, PermissionError):
                    pass

    def _copy(self, process: "subprocess.Popen[bytes]") -> None:
        """Copy what the run says into its log, without the values of its secrets."""
        left = _MOST_LOG_BYTES
        with open(os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as log:
            for line in process.stdout or ():
                data = self.redactor.text(line.decode("utf-8", "replace")).encode()
                try:
                    log.write(data[: max(left, 0)])
                    log.flush()
                    left -= len(data)
                except OSError:
                    left = 0  # a full disk; who writes to us must not wait for ever

    def _note(self, ended: t.Mapping[str, t.Any]) -> None:
        finished = utc_text(self.clock())
        self.status.update(ended, finished_at=finished)
        if ended["status"] == "succeeded":
            self.status["succeeded_at"] = self.status["started_at"]
        record = os.path.join(self.state, RUNS, self.run_id)
        if os.path.isdir(record) and os.path.isfile(self.log):
            try:
                os.replace(self.log, os.path.join(record, _LOG_IN_RECORD))
                fsync_path(record)
                self.status["log"] = os.path.join(record, _LOG_IN_RECORD)
            except OSError:
                pass  # another file system; the log stays where it is
        write_status(self.folder, self.job.name, self.status)
        self._drop_old_logs()

    def _drop_old_logs(self) -> None:
        begin = f"{self.job.name}.RUN-"
        logs = sorted(name for name in os.listdir(self.folder) if name.startswith(begin) and name.endswith(LOG))
        for name in logs[: -self.job.keep_logs or None]:
            try:
                os.unlink(os.path.join(self.folder, name))
            except OSError:
                pass


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
