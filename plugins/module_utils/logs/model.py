# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The words of a scan: which logs, which lines of them, which questions."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

LEVEL, TYPE, MESSAGE = "level", "type", "message"
"""Names by which questions mean the source's own fields of that role, whatever they are called there."""
PERIODS_S: t.Mapping[str, int] = {"minute": 60, "hour": 3600, "day": 86400}
SOURCE = "source"


@dataclass(frozen=True)
class Source:
    """A log, and how to read it.

    Attributes:
        name: Its name in the results.
        paths: Files, with wildcards; rotated generations are found by themselves.
        generations: Whether rotated generations are read, too.
        compose_service: Service of a Compose project.
        project_folder: Folder of that project.
        compose_files: Its Compose files, when they are not the usual ones.
        container: Container whose output, or with `paths` whose file, is read.
        engine: Client program of the container engine.
        kubernetes_workload: `kind/name`, or the name of a pod.
        namespace: Its namespace.
        kube_config: The kubeconfig; empty for the usual ways.
        kube_context: Its context.
        pod_container: Container in the pods; empty for all.
        previous: Whether the output of the pods' previous containers is read, those that crashed.
        systemd_unit: Unit in the journal.
        journal_folder: Folder of the journal's files; empty for the machine's own journal.
        format: `auto`, `json`, `plain`, `docker` (json-file), `journal` (export as JSON).
        time_fields: Names of the field with the time, the first that has a value counts; so in the next three.
        fields: Regular expression by field, for plain lines; its first group is the value.
        time_zone: Of times that name none.
    """

    name: str
    title: str = ""
    paths: t.Tuple[str, ...] = ()
    generations: bool = True
    compose_service: str = ""
    project_folder: str = ""
    compose_files: t.Tuple[str, ...] = ()
    container: str = ""
    engine: str = "docker"
    kubernetes_workload: str = ""
    namespace: str = ""
    kube_config: str = ""
    kube_context: str = ""
    pod_container: str = ""
    previous: bool = False
    systemd_unit: str = ""
    journal_folder: str = ""
    format: str = "auto"
    time_fields: t.Tuple[str, ...] = ()
    level_fields: t.Tuple[str, ...] = ()
    message_fields: t.Tuple[str, ...] = ()
    type_fields: t.Tuple[str, ...] = ()
    fields: t.Mapping[str, str] = field(default_factory=dict)
    time_zone: str = "UTC"

    def names_of(self, name: str) -> t.Tuple[str, ...]:
        """The names under which the field `name` of a question is looked for in this log."""
        return {LEVEL: self.level_fields, TYPE: self.type_fields, MESSAGE: self.message_fields}.get(name, (name,))


@dataclass(frozen=True)
class Question:
    """A selection of lines, and what is asked about them.

    Attributes:
        name: Its name in the results.
        sources: Names of the logs that it is put to; empty for all.
        levels: Levels of the lines; empty for all.
        pattern: Regular expression found in the lines; empty for all.
        ignore_case: Whether the pattern means capitals and small letters alike.
        where: Field and the texts of which its value must be one.
        lines: How many of the last lines are shown.
        group_by: Fields by whose values lines are counted; `source` for the log's name.
        per: Period (`minute`, `hour`, `day`, UTC) by which they are counted, too; empty for none.
        top: How many groups, and how many of the highest numbers, are shown.
        number: Field whose numbers are looked at.
        percentiles: Of these numbers, 0 to 100.
        above: Limits; how many numbers are above each is counted.
        distinct: Field whose different values are counted.
        last_value: Field whose last value is told.
        every_s: Length in seconds of the periods of a series of counts; 0 for none.
        since: Lines before it do not count for this question; None for those of the scan.
    """

    name: str
    sources: t.Tuple[str, ...] = ()
    levels: t.FrozenSet[str] = frozenset()
    pattern: str = ""
    ignore_case: bool = False
    where: t.Tuple[t.Tuple[str, t.FrozenSet[str]], ...] = ()
    lines: int = 0
    group_by: t.Tuple[str, ...] = ()
    per: str = ""
    top: int = 20
    number: str = ""
    percentiles: t.Tuple[float, ...] = (50.0, 95.0, 99.0)
    above: t.Tuple[float, ...] = ()
    distinct: str = ""
    last_value: str = ""
    every_s: int = 0
    since: t.Optional[float] = None

    @property
    def keeps_lines(self) -> bool:
        """Whether lines themselves are wanted, not only what is counted."""
        return self.lines > 0 or bool(self.last_value)

    @property
    def needs_time(self) -> bool:
        """Whether the time of each line is needed."""
        return bool(self.per) or self.every_s > 0 or self.since is not None

    def within(self, when: t.Optional[float]) -> bool:
        """Whether a line of this time, which is in the window of the scan, counts for the question."""
        return self.since is None or (when is not None and when >= self.since)

    @property
    def fields(self) -> t.Tuple[str, ...]:
        """All fields that the question looks at, except the log's own name."""
        names = [name for name, _values in self.where] + [name for name in self.group_by if name != SOURCE]
        names += [name for name in (self.number, self.distinct, self.last_value) if name]
        return tuple(dict.fromkeys(names))


@dataclass(frozen=True)
class Plan:
    """A whole scan.

    Attributes:
        sources: The logs.
        questions: The questions.
        since: Lines before it do not count; seconds since 1970, None for no limit.
        until: Lines from it on do not count; None for no limit.
        last_lines: How many of the last lines of each log are read; 0 for all.
        now: The time that the scan takes for the present.
        fast: Whether whole blocks may be read at once where that gives the same answers (False is for tests).
        numbers_kept: How many numbers are kept one by one, in all questions together, before they are put into classes.
    """

    sources: t.Tuple[Source, ...]
    questions: t.Tuple[Question, ...]
    since: t.Optional[float] = None
    until: t.Optional[float] = None
    now: float = 0.0
    last_lines: int = 0
    fast: bool = True
    numbers_kept: int = 4_500_000

    @property
    def has_window(self) -> bool:
        """Whether lines are chosen by their time."""
        return self.since is not None or self.until is not None

    def within(self, when: t.Optional[float]) -> bool:
        """Whether a line of this time counts; one whose time is not known does so only where no time is asked for."""
        if when is None:
            return not self.has_window
        return (self.since is None or when >= self.since) and (self.until is None or when < self.until)
