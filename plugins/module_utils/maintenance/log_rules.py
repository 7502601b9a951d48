# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Which log files are compressed and which are deleted, by their age and size. Decides from what was found, changes nothing."""

from __future__ import annotations

import fnmatch
import os
import re
import typing as t
from dataclasses import dataclass, field

from ..errors import BadInput
from ..readable import size, span

DAY_S = 86400.0
_NUMBERS = ("compress_after_days", "compress_above_bytes", "delete_after_days")
_WORDS = ("name", "path", "pattern", "source", "write_to", "follow_to")
_PACKED = (".gz", ".bz2", ".xz", ".zst", ".zip", ".lz4")
_LEFTOVER = re.compile(r"^\..+\.gz\.(\d+)\.partial$")


@dataclass(frozen=True)
class Rule:
    """When files of a folder are compressed or deleted.

    Attributes:
        name: What the profile calls it.
        folder: Absolute path.
        pattern: Of the files' names; `**/` in front of it stands for all folders below, too.
        compress_after_s: Seconds since a file was last written to; None for no such limit.
        compress_above_bytes: Its size; None for no such limit. One of the two is enough.
        delete_after_s: As above.
    """

    name: str
    folder: str
    pattern: str
    compress_after_s: t.Optional[float] = None
    compress_above_bytes: t.Optional[float] = None
    delete_after_s: t.Optional[float] = None

    def covers(self, path: str) -> bool:
        """Whether it is about this file."""
        folder, name = os.path.split(path)
        deep = self.pattern.startswith("**/")
        inside = folder == self.folder or (deep and folder.startswith(self.folder + "/"))
        return inside and fnmatch.fnmatchcase(name, self.pattern[3:] if deep else self.pattern)


@dataclass(frozen=True)
class LogFile:
    """A file that a rule covers.

    Attributes:
        path: Absolute path.
        size_bytes: Its size.
        age_s: Seconds since it was last written to.
        needed: Why it must stay as it is; empty when nothing speaks against it.
    """

    path: str
    size_bytes: int
    age_s: float
    needed: str = ""


@dataclass(frozen=True)
class Step:
    """A file that is compressed or deleted, or that stays although a rule would have it so."""

    path: str
    size_bytes: int
    reason: str


@dataclass
class LogPlan:
    """What is done: first what makes room, then the small files before the large ones, since each makes room for the next."""

    delete: t.List[Step] = field(default_factory=list)
    compress: t.List[Step] = field(default_factory=list)
    kept: t.List[Step] = field(default_factory=list)


def rules_of(entries: t.Sequence[t.Mapping[str, t.Any]]) -> t.List[Rule]:
    """The rules that say when something is compressed or deleted; others, which say where logs are written to, are left out.

    Raises:
        BadInput: One makes no sense.
    """
    rules = []
    for entry in entries:
        name = str(entry.get("name") or "")
        unknown = sorted(set(entry) - {*_NUMBERS, *_WORDS})
        if unknown:
            what = "A rule of log files has keys that mean nothing"
            raise BadInput(what, where=name, why=", ".join(unknown), next_step="correct the profile")
        numbers = {key: _number(name, key, entry[key]) for key in _NUMBERS if entry.get(key) is not None}
        if not numbers:
            continue
        rules.append(_rule(name, entry, numbers))
    return rules


def _rule(name: str, entry: t.Mapping[str, t.Any], numbers: t.Mapping[str, float]) -> Rule:
    folder, pattern = str(entry.get("path") or ""), str(entry.get("pattern") or "")
    if not os.path.isabs(folder) or os.path.normpath(folder) == "/":
        step = "name the folder of the log files by its absolute path, not /"
        raise BadInput("A rule of log files has no folder", where=name, why=f"path is {folder!r}", next_step=step)
    rest = pattern[3:] if pattern.startswith("**/") else pattern
    if not rest or "/" in rest or rest.strip("*") == "":
        step = "write names with wildcards, such as *.log, or **/*.log for all folders below"
        raise BadInput("A rule of log files has no pattern of names", where=name, why=f"pattern is {pattern!r}", next_step=step)
    days = {key: numbers[key] * DAY_S for key in numbers if key.endswith("_days")}
    return Rule(
        name,
        os.path.normpath(folder),
        pattern,
        days.get("compress_after_days"),
        numbers.get("compress_above_bytes"),
        days.get("delete_after_days"),
    )


def _number(name: str, key: str, value: t.Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = -1.0
    if not 0 <= number < float("inf") or isinstance(value, bool):
        what = "A rule of log files has a limit that is no number"
        raise BadInput(what, where=name, why=f"{key} is {value!r}", next_step="correct the profile")
    return number


def written_names(entries: t.Sequence[t.Mapping[str, t.Any]]) -> t.Tuple[t.List[str], t.List[str]]:
    """Where logs are written to, as strftime(3) patterns, and the names under which the present one is always found."""
    return (
        [str(entry["write_to"]) for entry in entries if entry.get("write_to")],
        [str(entry["follow_to"]) for entry in entries if entry.get("follow_to")],
    )


def leftover_of(name: str) -> int:
    """The process that was compressing to a file of this name; 0 when it is no such file."""
    found = _LEFTOVER.match(name)
    return int(found[1]) if found else 0


def decide(rules: t.Sequence[Rule], files: t.Sequence[LogFile]) -> LogPlan:
    """What the rules mean for these files. A file that would be deleted as soon as it was compressed is deleted at once."""
    plan = LogPlan()
    for one in files:
        mine = [rule for rule in rules if rule.covers(one.path)]
        reason = _delete_reason(mine, one)
        if reason:
            _add(plan.delete, plan, one, reason)
            continue
        reason = "" if one.path.endswith(_PACKED) else _compress_reason(mine, one)
        if not reason:
            continue
        after = LogFile(f"{one.path}.gz", one.size_bytes, one.age_s)
        late = _delete_reason([rule for rule in rules if rule.covers(after.path)], after)
        _add(plan.delete if late else plan.compress, plan, one, late or reason)
    plan.delete.sort(key=lambda step: step.path)
    plan.compress.sort(key=lambda step: (step.size_bytes, step.path))
    return plan


def _add(steps: t.List[Step], plan: LogPlan, one: LogFile, reason: str) -> None:
    if one.needed:
        plan.kept.append(Step(one.path, one.size_bytes, one.needed))
    else:
        steps.append(Step(one.path, one.size_bytes, reason))


def _delete_reason(rules: t.Sequence[Rule], one: LogFile) -> str:
    for rule in rules:
        if rule.delete_after_s is not None and one.age_s > rule.delete_after_s:
            return f"last written to {span(one.age_s)} ago, deleted after {rule.delete_after_s / DAY_S:g} days"
    return ""


def _compress_reason(rules: t.Sequence[Rule], one: LogFile) -> str:
    for rule in rules:
        if rule.compress_after_s is not None and one.age_s > rule.compress_after_s:
            return f"last written to {span(one.age_s)} ago, compressed after {rule.compress_after_s / DAY_S:g} days"
        if rule.compress_above_bytes is not None and one.size_bytes > rule.compress_above_bytes:
            return f"{size(one.size_bytes)}, compressed above {size(rule.compress_above_bytes)}"
    return ""
