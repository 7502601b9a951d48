# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run of ansible-runner under way: watch it, wait for it, end it whole."""

from __future__ import annotations

import json
import logging
import shlex
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import ansible_runner

from .aftermath import close_record
from .errors import RunNotFound
from .events import Event, Progress
from .preparation import OneReading, Request, new_folder, new_run_id
from .processes import GRACE_S, MARK, Survivor, end_processes_of
from .record import RunRecord, load_record, read_record
from .redaction import Redactor, secrets_in
from .result import Result, RunStatus, Tally

PROGRESS_VARIABLE = "SRE_RUNBOOKS_PROGRESS_FILE"
PROGRESS_FILE = "progress.jsonl"
_LOOK_EVERY_S = 0.2
_ENDED_RC = 254
"""ansible-runner's own exit status for a run that it ended (ansible_runner/runner.py)."""
_log = logging.getLogger(__name__)


class Handle:
    """A run under way; made by `run_async`.

    Attributes:
        run_id: Id of the run; the procedure's record bears it too.
        procedure: Short name of the procedure.
        artifacts: Folder of the run.
    """

    def __init__(self, request: Request, environment: Mapping[str, str], state: Path, on_event: Callable[[Event], None] | None) -> None:
        self.run_id = new_run_id(request.procedure.name)
        self.procedure = request.procedure.name
        self.artifacts = request.artifacts or state / "artifacts" / self.run_id
        self._request, self._environment, self._state, self._on_event = request, environment, state, on_event
        self._tally, self._redactor = Tally(), Redactor(secrets_in(request.extra_vars))
        self._events: list[Event] = []
        self._news, self._emitting = threading.Condition(), threading.Lock()
        self._stop: Literal["timeout", "canceled"] | None = None
        self._grace_s = GRACE_S
        self._swept, self._over, self._finished = threading.Event(), threading.Event(), threading.Event()
        self._survivors: list[Survivor] = []
        self._crash = ""
        self._started = time.monotonic()
        self._result: Result | None = None
        self._watcher = threading.Thread(target=self._watch, name=f"sre-runbooks-watch-{self.run_id}")
        self._worker = threading.Thread(target=self._work, name=f"sre-runbooks-{self.run_id}")

    def start(self) -> Handle:
        """Check the request, make the folder and start; `run_async` has done it.

        Raises:
            BadInput: The request names something that is not there.
        """
        request = self._request
        inventories, variables, options = request.inventories(), request.variables(self.run_id), request.options()
        new_folder(self.artifacts)
        self._progress_file.touch(mode=0o600)
        self._variables = OneReading(variables)
        try:
            self._runner = ansible_runner.interface.init_runner(
                private_data_dir=str(self.artifacts),
                artifact_dir=str(self.artifacts.parent),
                ident=self.artifacts.name,
                # Ansible starts in the caller's folder, so that relative paths mean what they mean to the caller.
                project_dir=str(Path.cwd()),
                playbook=request.procedure.fqcn,
                inventory=inventories or None,
                cmdline=shlex.join([*options, "--extra-vars", f"@{self._variables.path}"]),
                limit=request.limit or None,
                tags=",".join(request.tags) or None,
                skip_tags=",".join(request.skip_tags) or None,
                verbosity=request.verbosity or None,
                envvars={**self._environment, MARK: self.run_id, PROGRESS_VARIABLE: str(self._progress_file)},
                suppress_env_files=True,
                # Its default writes facts, the environment's secrets included, into the artifacts.
                fact_cache_type="",
                quiet=True,
                event_handler=self._handle_raw,
                status_handler=self._handle_status,
                cancel_callback=self._asked_by_runner,
            )
        except BaseException:
            self._variables.close()
            raise
        self._started = time.monotonic()
        self._watcher.start()
        self._worker.start()
        return self

    @property
    def _progress_file(self) -> Path:
        return self.artifacts / PROGRESS_FILE

    @property
    def done(self) -> bool:
        """Whether the run is over."""
        return self._finished.is_set()

    def wait(self, timeout_s: float | None = None) -> Result:
        """Wait for the end of the run.

        Args:
            timeout_s: Seconds to wait at most; None for no limit. The run goes on when they are over.

        Raises:
            TimeoutError: The run is not over yet.
        """
        if not self._finished.wait(timeout_s):
            raise TimeoutError(f"The run {self.run_id} of {self.procedure} is not over after {timeout_s:g} s of waiting.")
        if self._result is None:
            raise RuntimeError(f"The run {self.run_id} has ended without a result; its traces are in {self.artifacts}.")
        return self._result

    def cancel(self, grace_s: float = GRACE_S) -> None:
        """End the run with everything that it has started, and wait until that has happened.

        Processes are asked to end (SIGTERM), and after `grace_s` seconds made to (SIGKILL); those that ignore SIGTERM, because they
        finish what must not be cut short, have that time. Called from `on_event` it does not wait.
        """
        self._ask_to_stop("canceled", grace_s)
        if threading.current_thread() not in (self._worker, self._watcher):
            self._finished.wait()

    def events(self) -> Iterator[Event]:
        """All events from the first on, each as it comes; ends with the run."""
        number = 0
        while True:
            with self._news:
                self._news.wait_for(lambda seen=number: len(self._events) > seen or self._finished.is_set())  # type: ignore[misc]
                fresh, over = self._events[number:], self._finished.is_set()
            yield from fresh
            number += len(fresh)
            if over and not fresh:
                return

    def _ask_to_stop(self, reason: Literal["timeout", "canceled"], grace_s: float) -> None:
        if self._stop is None and not self._over.is_set():
            self._grace_s = grace_s
            self._stop = reason

    # The worker thread: ansible-runner.

    def _work(self) -> None:
        try:
            self._runner.run()
        except Exception as error:
            _log.debug("ansible-runner failed", exc_info=True)
            self._crash = f"ansible-runner failed: {type(error).__name__}: {error}."
        finally:
            self._over.set()
            self._watcher.join()
            self._variables.close()
            try:
                self._result = result = self._conclude()
                self._emit(Event("end", status=result.status, message=result.error, duration_s=result.duration_s))
            finally:
                with self._news:
                    self._finished.set()
                    self._news.notify_all()

    def _handle_raw(self, raw: dict[str, Any]) -> bool:
        self._redactor.event(raw)
        event = self._tally.see(raw)
        if event is not None:
            self._emit(event)
        return True

    def _handle_status(self, status: Mapping[str, Any], runner_config: Any) -> None:
        # ansible-runner has just written the whole environment, secrets included, beside the command line; the playbook has not begun.
        if status["status"] == "running":
            started = {"command": runner_config.command, "cwd": runner_config.cwd}
            (self.artifacts / "command").write_text(json.dumps(started, ensure_ascii=False) + "\n", encoding="utf-8")

    def _asked_by_runner(self) -> bool:
        # ansible-runner would kill its direct child at once and leave the rest: it may only when our own sweep is over.
        if self._stop is None:
            return False
        self._swept.wait()
        self._runner.timed_out = self._stop == "timeout"
        return self._stop == "canceled"

    # The watcher thread: progress, the time limit, the end.

    def _watch(self) -> None:
        deadline = None if self._request.timeout_s is None else self._started + self._request.timeout_s
        with open(self._progress_file, encoding="utf-8", errors="replace") as lines:
            unfinished = ""
            while True:
                over = self._over.wait(_LOOK_EVERY_S)
                unfinished = self._read_progress(unfinished + lines.read())
                if deadline is not None and time.monotonic() > deadline:
                    self._ask_to_stop("timeout", self._grace_s)
                if self._stop is not None:
                    try:
                        self._survivors = end_processes_of(self.run_id, self._grace_s)
                    finally:
                        self._swept.set()
                if over:
                    return

    def _read_progress(self, text: str) -> str:
        *whole, rest = text.split("\n")
        for line in whole:
            if progress := Progress.from_line(self._redactor.text(line)):
                self._emit(Event("progress", task=self._tally.running, progress=progress))
        return rest

    def _emit(self, event: Event) -> None:
        with self._emitting:
            with self._news:
                self._events.append(event)
                self._news.notify_all()
            if self._on_event is not None:
                try:
                    self._on_event(event)
                except Exception:
                    _log.exception("on_event failed; the run goes on")

    # The end.

    def _conclude(self) -> Result:
        status, error = self._outcome()
        record = self._record()
        if self._stop is not None and record is not None and record.status == "running":
            close_record(record.folder, self._environment)
            record = self._record()
        failure = self._tally.failure if status in ("failed", "unreachable") else None
        task = failure.task if failure else ""
        if status == "failed" and record is not None and record.error is not None:
            # The last task to fail was the one that closed the record.
            error, task = record.error.message, record.error.step or task
        return Result(
            status=status,
            rc=self._rc,
            procedure=self.procedure,
            run_id=self.run_id,
            hosts=self._tally.hosts,
            error=self._redactor.text(error),
            failed_task=task,
            failed_host=failure.host if failure else "",
            record=record,
            report=(record.report("html") or record.report("md")) if record else None,
            artifacts=self.artifacts,
            duration_s=round(time.monotonic() - self._started, 3),
        )

    @property
    def _rc(self) -> int:
        return _ENDED_RC if self._runner.rc is None else int(self._runner.rc)

    def _outcome(self) -> tuple[RunStatus, str]:
        if self._crash:
            return "failed", self._crash
        if self._stop is None or self._runner.status == "successful":
            status = self._tally.status(self._rc)
            return status, "" if status == "successful" else self._tally.error(self._rc)
        said = "The run was canceled"
        if self._stop == "timeout":
            said = f"The run did not end within its {self._request.timeout_s:g} s and was ended"
        said += f" in the step {self._tally.running!r}" if self._tally.running else " before its first step"
        if self._survivors:
            return self._stop, f"{said}. These could not be ended: {', '.join(map(str, self._survivors))}. Next: end them by hand."
        return self._stop, f"{said}; all that it had started has ended."

    def _record(self) -> RunRecord | None:
        try:
            # The profile may keep its records in a folder of its own; the procedure says where.
            return load_record(self._tally.record) if self._tally.record else read_record(self.run_id, self._state)
        except RunNotFound:
            return None
