# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The operation of the module log_files_age: log files are compressed and deleted as the rules of a profile say."""

from __future__ import annotations

import os
import stat
import time
import typing as t

from ..errors import BadInput, RunbookError
from ..files import fsync_path
from ..process_tree import start_of
from ..progress import Progress
from ..readable import size, span
from .log_compress import Stays, compress, is_unchanged, target_of
from .log_rules import LogFile, LogPlan, Rule, Step, decide, leftover_of, rules_of, written_names
from .log_writers import CannotTell, Written, unwritten

OPTIONS: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "rules": {"type": "list", "elements": "dict", "required": True},
    "quiet_s": {"type": "float", "default": 60},
}
"""Described in plugins/modules/log_files_age.py."""


def operate(parameters: t.Mapping[str, t.Any], check_mode: bool) -> t.Dict[str, t.Any]:
    """Compress and delete by the rules in `parameters`, valid for OPTIONS; in check mode only tell what that would be.

    Raises:
        BadInput: A rule makes no sense; nothing was changed.
        RunbookError: The disk is full, or a file cannot be read; the facts say what was done before.
    """
    rules = rules_of(parameters["rules"])
    files, leftovers, notes = _find(rules, parameters["rules"], parameters["quiet_s"])
    plan = decide(rules, files)
    work = _Work(plan)
    if check_mode:
        work.look()
    else:
        work.carry_out(leftovers)
    return work.result([*notes, *work.notes()], leftovers, check_mode)


def _find(
    rules: t.Sequence[Rule], entries: t.Sequence[t.Mapping[str, t.Any]], quiet_s: float
) -> t.Tuple[t.List[LogFile], t.List[str], t.List[str]]:
    """The files that the rules cover, what killed runs have left, and sentences about folders that are not there."""
    now, notes = time.time(), []
    found: t.Dict[str, os.stat_result] = {}
    leftovers: t.Dict[str, None] = {}
    write_to, follow_to = written_names(entries)
    # A log that is written to has today's name, or, about midnight or in another time zone, that of the day before or after.
    present = {os.path.realpath(time.strftime(one, time.gmtime(now + hours * 3600))) for one in write_to for hours in (-24, 0, 24)}
    targets: t.Dict[str, str] = {os.path.realpath(one): one for one in follow_to}
    for rule in rules:
        if not os.path.isdir(rule.folder):
            notes.append(f"There is no folder {rule.folder} (rule {rule.name})")
        for folder, _folders, names in os.walk(rule.folder, onerror=_unreadable):
            for name in names:
                path = os.path.join(folder, name)
                status = _status(path)
                if status is None:
                    continue
                if stat.S_ISLNK(status.st_mode):
                    targets[os.path.realpath(path)] = path
                elif stat.S_ISREG(status.st_mode) and leftover_of(name):
                    if not start_of(leftover_of(name)):
                        leftovers[path] = None
                elif stat.S_ISREG(status.st_mode) and rule.covers(path):
                    found[path] = status
            if not rule.pattern.startswith("**/"):
                break
    files = []
    for path, status in found.items():
        needed = _needed(path, status, now, quiet_s, present, targets)
        files.append(LogFile(path, status.st_size, now - status.st_mtime, needed))
    return files, list(leftovers), notes


def _unreadable(error: OSError) -> None:
    if not isinstance(error, (FileNotFoundError, NotADirectoryError)):  # it was removed meanwhile
        step = "let the procedure run as an account that may read it (become: true)"
        why = error.strerror or str(error)
        raise BadInput("A folder of log files cannot be read", where=str(error.filename), why=why, next_step=step) from error


def _status(path: str) -> t.Optional[os.stat_result]:
    try:
        return os.lstat(path)
    except FileNotFoundError:
        return None


def _needed(path: str, status: os.stat_result, now: float, quiet_s: float, present: t.Set[str], targets: t.Mapping[str, str]) -> str:
    """Why a file stays as it is, whatever the rules say."""
    real = os.path.realpath(path)
    link = targets.get(real, path)
    if os.path.islink(link):
        return f"the link {link} points to it"
    if real in present or real in targets:
        return "it is the log that is written to now"
    if status.st_nlink > 1:
        return f"it has {status.st_nlink} names (hard links)"
    if now - status.st_mtime < quiet_s:
        return f"it was written to {span(max(now - status.st_mtime, 0))} ago"
    return ""


class _Work:
    """Carries out a plan. What turns out to be in use goes over to what is kept."""

    def __init__(self, plan: LogPlan) -> None:
        self.plan, self.kept = plan, list(plan.kept)
        self.deleted: t.List[Step] = []
        self.compressed: t.List[t.Tuple[Step, str, int]] = []
        self.removed_leftovers = False
        self.written: t.List[str] = []
        self.untold: t.List[str] = []

    def look(self) -> None:
        """Find out which of the files are in use; nothing is changed."""
        for step in self.plan.delete:
            self.one(step, self.would_delete)
        for step in self.plan.compress:
            self.one(step, self.would_compress)

    def carry_out(self, leftovers: t.Sequence[str]) -> None:
        progress = Progress("Compressing log files")
        try:
            for path in leftovers:
                self.one(Step(path, 0, ""), self.remove_leftover)
            for step in self.plan.delete:
                self.one(step, self.delete)
            total = float(sum(step.size_bytes for step in self.plan.compress))
            for step in self.plan.compress:
                self.one(step, lambda step: self.compress(step, progress, total))
        except RunbookError as error:
            error.changed = bool(self.deleted or self.compressed or self.removed_leftovers)
            error.facts.update(deleted=[one.path for one in self.deleted], compressed=[one[0].path for one in self.compressed])
            raise

    def one(self, step: Step, work: t.Callable[[Step], None]) -> None:
        try:
            work(step)
        except FileNotFoundError:
            self.keep(step, "it was removed by somebody else meanwhile")
        except (Written, Stays) as why:
            self.keep(step, str(why))
            if isinstance(why, Written):
                (self.untold if isinstance(why, CannotTell) else self.written).append(step.path)
        except OSError as error:
            what = "A log file cannot be read or replaced"
            step_text = "let the procedure run as an account that may (become: true)" if isinstance(error, PermissionError) else ""
            raise RunbookError(what, where=step.path, why=error.strerror or str(error), next_step=step_text) from error

    def would_delete(self, step: Step) -> None:
        with unwritten(step.path):
            self.deleted.append(step)

    def would_compress(self, step: Step) -> None:
        with unwritten(step.path) as watch:
            self.compressed.append((step, target_of(step.path, os.fstat(watch.descriptor)), 0))

    def remove_leftover(self, step: Step) -> None:
        os.unlink(step.path)
        self.removed_leftovers = True

    def delete(self, step: Step) -> None:
        with unwritten(step.path) as watch:
            before = os.fstat(watch.descriptor)
            if before.st_size != step.size_bytes or not is_unchanged(step.path, watch, before):
                raise Stays("it was written to meanwhile")
            watch.check()
            os.unlink(step.path)
        fsync_path(os.path.dirname(step.path))
        self.deleted.append(step)

    def compress(self, step: Step, progress: Progress, total: float) -> None:
        base = sum(other.size_bytes for other, _to, _size in self.compressed)
        target, packed = compress(step.path, lambda done: progress.say(f"compressing {step.path}", base + done, total, "bytes"))
        self.compressed.append((step, target, packed))

    def keep(self, step: Step, why: str) -> None:
        self.kept.append(Step(step.path, step.size_bytes, why))

    def notes(self) -> t.List[str]:
        notes = []
        if self.written:
            notes.append(
                f"A process has these files open for writing, so that they stay as they are: {', '.join(self.written)}. "
                "Let logrotate turn them (maintenance_log_rotations), or the service write to a new file each day"
            )
        if self.untold:
            told = ", ".join(self.untold)
            notes.append(f"Only root can see whether a process has these files open for writing (become: true), so that they stay: {told}")
        return notes

    def result(self, notes: t.List[str], leftovers: t.Sequence[str], check_mode: bool) -> t.Dict[str, t.Any]:
        done = ("delete", "compress") if check_mode else ("deleted", "compressed")
        lines = [f"{done[0]} {step.path} ({size(step.size_bytes)}): {step.reason}" for step in self.deleted]
        lines += [f"{done[1]} {step.path} ({size(step.size_bytes)}): {step.reason}" for step, _to, _size in self.compressed]
        lines += [f"remove {path}, which a killed run has left" for path in leftovers]
        saved = sum(step.size_bytes for step in self.deleted)
        saved += 0 if check_mode else sum(step.size_bytes - packed for step, _to, packed in self.compressed)
        return {
            "changed": bool(lines),
            "plan": lines,
            "deleted": [_told(step) for step in self.deleted],
            "compressed": [
                {**_told(step), "to": to, "compressed_bytes": None if check_mode else packed} for step, to, packed in self.compressed
            ],
            "kept": [_told(step) for step in self.kept],
            "saved_bytes": saved,
            "notes": notes,
            "diff": {"before": "".join(f"{line}\n" for line in lines), "after": ""},
        }


def _told(step: Step) -> t.Dict[str, t.Any]:
    return {"path": step.path, "size_bytes": step.size_bytes, "reason": step.reason}
