# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows how far long work is, and notes when each task began and ended."""

from __future__ import annotations

DOCUMENTATION = r"""
name: progress
type: notification
short_description: Show how far long work is
version_added: "0.1.0"
description:
  - Shows what the collection's modules report while they run on this host, at most one line a second, on standard error so that it never
    mixes with what the standard output callback prints. Lines of a log that is followed are all shown.
  - Notes when each task began and ended, for the record of the run (role P(sre.runbooks.procedure#role)).
  - Names the report of each run at the end.
  - Lets Python look for objects that only name each other every 100 000 objects, not every 700. A run of Ansible makes hundreds of thousands that
    all stay, and a seventh of a short run went into looking at them again, here and in the process of every task.
  - Modules on other hosts cannot report while they run.
author: The sre.runbooks authors (@sre-runbooks)
requirements:
  - enable in configuration - see examples section below for details.
"""

EXAMPLES = r"""
example: |
  To enable, add this to your ansible.cfg file in the defaults block
    [defaults]
    callbacks_enabled = sre.runbooks.progress
  or set the environment variable
    ANSIBLE_CALLBACKS_ENABLED=sre.runbooks.progress
"""

import atexit
import gc
import glob
import json
import os
import shutil
import tempfile
import threading
import time
import typing as t

from ansible.plugins.callback import CallbackBase

from ansible_collections.sre.runbooks.plugins.module_utils.progress import VARIABLE

_TIMELINE = "SRE_RUNBOOKS_TIMELINE_FILE"
_FOLDER_PREFIX = "sre-runbooks-progress-"
_LOOK_EVERY_S = 0.25
_SHOW_EVERY_S = 1.0
_COLLECT_EVERY = 100_000
"""Objects; a collection then takes 5 to 20 ms and at most some 10 MB more are held."""
_FRAME = ("sre.runbooks.procedure_run", "procedure_run")
_NO_STEPS = frozenset(
    [
        "meta",
        "include_role",
        "import_role",
        "include_tasks",
        "import_tasks",
        "include_vars",
        "validate_argument_spec",
        "set_fact",
        "debug",
        "procedure_run",
    ]
)


class CallbackModule(CallbackBase):
    """Callback plugin of type `notification`."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "sre.runbooks.progress"
    CALLBACK_NEEDS_ENABLED = True
    ANSIBLE_SUPPORTS_MASKING = True

    def __init__(self, *args: t.Any, **kwargs: t.Any) -> None:
        super().__init__(*args, **kwargs)
        # What is loaded by now stays to the end: https://docs.python.org/3/library/gc.html#gc.freeze says to freeze it before a process forks.
        gc.freeze()
        gc.set_threshold(_COLLECT_EVERY)
        self._folder = ""
        self._timeline: t.Optional[t.IO[str]] = None
        self._follower: t.Optional[Follower] = None
        self._began: t.Dict[t.Tuple[str, str], float] = {}
        self._reports: t.List[str] = []

    def v2_playbook_on_start(self, playbook: t.Any) -> None:
        """Make the files and let the modules know of them: their processes inherit the environment."""
        _remove_leftovers()
        self._folder = tempfile.mkdtemp(prefix=f"{_FOLDER_PREFIX}{os.getpid()}-")
        atexit.register(self._clean_up, os.getpid())
        timeline = os.path.join(self._folder, "timeline")
        self._timeline = open(timeline, "a", encoding="utf-8", buffering=1)
        os.environ[_TIMELINE] = timeline
        # Who started us may want to show the progress itself.
        if not os.environ.get(VARIABLE):
            path = os.path.join(self._folder, "progress")
            with open(path, "w", encoding="utf-8"):
                pass
            os.environ[VARIABLE] = path
            self._follower = Follower(path, lambda line: self._display.display(line, stderr=True))
            self._follower.start()

    def v2_runner_on_start(self, host: t.Any, task: t.Any) -> None:
        """A task begins on a host."""
        self._began[(task._uuid, host.get_name())] = time.time()

    def v2_runner_on_ok(self, result: t.Any) -> None:
        """A task ended well."""
        # Asked by this method: to look into `result.result` would copy all of a large result.
        self._ended(result, "changed" if result.is_changed() else "ok")

    def v2_runner_on_failed(self, result: t.Any, ignore_errors: bool = False) -> None:
        """A task failed."""
        self._ended(result, "ignored" if ignore_errors else "failed")

    def v2_runner_on_skipped(self, result: t.Any) -> None:
        """A task was not needed."""
        self._ended(result, "skipped")

    def v2_runner_on_unreachable(self, result: t.Any) -> None:
        """A host could not be reached."""
        self._ended(result, "unreachable")

    def v2_playbook_on_stats(self, stats: t.Any) -> None:
        """The end: name the reports, remove the files."""
        self._clean_up(os.getpid())
        for report in self._reports:
            self._display.display(f"Report: {report}", stderr=True)

    def _ended(self, result: t.Any, status: str) -> None:
        if self._follower is not None:
            self._follower.forget()
        task, host = result.task, result.host.get_name()
        if task.action in _FRAME:
            report, said = result.result.get("report"), result.result.get("msg")
            if said and status == "ok":
                self._display.display(f"  {said}", stderr=True)
            if report and report not in self._reports:
                self._reports.append(report)
        now = time.time()
        started = self._began.pop((task._uuid, host), now)
        if self._timeline is None or str(task.action).rpartition(".")[2] in _NO_STEPS:
            return
        entry = {
            "task": task.name or str(task.action),
            "id": task._uuid,
            "host": host,
            "started": started,
            "finished": now,
            "status": status,
            "within": _within(task),
        }
        try:
            self._timeline.write(json.dumps(entry) + "\n")
        except OSError:
            self._timeline = None

    def _clean_up(self, pid: int) -> None:
        # Forked workers inherit this object; the files are the parent's.
        if not self._folder or os.getpid() != pid:
            return
        if self._follower is not None:
            self._follower.stop()
            os.environ.pop(VARIABLE, None)
        if self._timeline is not None:
            self._timeline.close()
            self._timeline = None
        os.environ.pop(_TIMELINE, None)
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder = ""


def _within(task: t.Any) -> t.List[str]:
    """The names of the blocks, includes and roles that a task is a part of, as they are written, from the inside out."""
    part = getattr(task, "_parent", None)
    return [] if part is None else [*filter(None, [part.name]), *_within(part)]


class Follower(threading.Thread):
    """Follows the file of progress lines and shows the newest one, at most one a second, and every line that a module follows itself.

    Args:
        path: The file that modules append to.
        show: Shows a line to the user.
    """

    def __init__(self, path: str, show: t.Callable[[str], t.Any]) -> None:
        super().__init__(name="sre-runbooks-progress", daemon=True)
        self._path, self._show = path, show
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._read = 0
        self._rest = b""
        self._newest = ""
        self._lines: t.List[str] = []
        self._shown_at = time.monotonic()
        self._began: t.Dict[str, float] = {}

    def run(self) -> None:
        """Until `stop`: look, show."""
        while not self._over.wait(_LOOK_EVERY_S):
            with self._lock:
                self._look()
                now = time.monotonic()
                if self._newest and now - self._shown_at >= _SHOW_EVERY_S:
                    line, self._newest, self._shown_at = self._newest, "", now
                else:
                    line = ""
                lines, self._lines = [*self._lines, *([line] if line else [])], []
            for one in lines:
                self._show(one)

    def forget(self) -> None:
        """A task has ended: what it reported last is no news any more."""
        with self._lock:
            self._look()
            lines, self._lines, self._newest = self._lines, [], ""
            self._began.clear()
            self._shown_at = time.monotonic()
        for one in lines:
            self._show(one)

    def stop(self) -> None:
        """End the thread."""
        self._over.set()
        if self.is_alive():
            self.join(timeout=2.0)

    def _look(self) -> None:
        try:
            if os.stat(self._path).st_size == self._read:
                return
            with open(self._path, "rb") as stream:
                stream.seek(self._read)
                data = stream.read()
        except OSError:
            return
        self._read += len(data)
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        for raw in lines:
            try:
                report = json.loads(raw)
                if "line" in report:
                    self._lines.append(f"  {report['line']}")
                    continue
                began = self._began.setdefault(str(report["work"]), float(report["time"]))
                self._newest = "  … " + shown(report, float(report["time"]) - began)
            except (ValueError, KeyError, TypeError):
                continue


def _remove_leftovers() -> None:
    """Remove the folders of runs that were killed."""
    for folder in glob.glob(os.path.join(tempfile.gettempdir(), f"{_FOLDER_PREFIX}*")):
        pid = os.path.basename(folder)[len(_FOLDER_PREFIX) :].partition("-")[0]
        try:
            if pid.isdigit() and os.stat(folder).st_uid == os.getuid():
                os.kill(int(pid), 0)
        except ProcessLookupError:
            shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            continue


def shown(report: t.Mapping[str, t.Any], elapsed_s: float) -> str:
    """One reported line for a reader: `Dumping reference: tables, 240 of 1050 MB, 12 s`.

    Args:
        report: What `Progress.say` wrote.
        elapsed_s: Seconds since the work was first heard of.

    Raises:
        KeyError, TypeError, ValueError: It is no such report.
    """
    done, total, unit = report.get("done"), report.get("total"), str(report.get("unit") or "")
    parts = [str(report["step"])] if report["step"] else []
    if done is not None:
        if unit == "bytes":
            unit, scale = _scale(float(done if total is None else total))
            done, total = float(done) / scale, None if total is None else float(total) / scale
        amount = f"{float(done):,.0f}" if total is None else f"{float(done):,.0f} of {float(total):,.0f}"
        parts.append(f"{amount} {unit}".replace(",", " ").rstrip())
    if elapsed_s >= 1:
        parts.append(f"{elapsed_s:.0f} s")
    return " ".join(f"{report['work']}: {', '.join(parts)}".split())


def _scale(size_bytes: float) -> t.Tuple[str, float]:
    for unit, scale in (("GB", 1e10), ("MB", 1e6), ("kB", 1e3)):
        if size_bytes >= scale:
            return unit, min(scale, 1e9)
    return "bytes", 1.0
