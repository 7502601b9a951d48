# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Everything that a report is made from: what was just asked, what the profile says, what the history remembers."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ..checks.model import FAIL, WARN
from ..history.entry import CHECK, METRIC
from ..history.store import History
from .slo import Reading
from .trend import Terms

Result = t.Mapping[str, t.Any]
Series = t.List[t.Tuple[float, float]]
Limit = t.Tuple[float, str, str]


@dataclass
class Gathered:
    """What a report stands on. What is None or empty was not configured, and the report says so.

    Attributes:
        kind: Name of the report, one of `kinds.KINDS`.
        service: `name`, `title`, `environment`, `url`, `components`, `objectives` of the profile.
        at: When it was gathered, in seconds since 1970-01-01 UTC; the end of the window.
        window_s: Length of the window in seconds.
        history: Results of earlier runs.
        checks: Results of health_check; None when there are no checks.
        metrics: Results of metrics_gate; None when there are no metrics.
        definitions: Checks and metrics as the profile has them, by name.
        logs: Result of log_scan; None when there are no logs.
        log_questions: The profile's questions to its logs.
        log_sources: The logs themselves.
        largest_log_bytes: Size from which on a log should have been rotated; 0 for no such size.
        alerts: Result of alerts_info, or what alert_check keeps; None without both.
        backups: Result of backup_set_info; None when there are no stores to back up.
        stores: The stores that are backed up.
        tasks: What a person is to do besides.
        runs: Records of the runs of the window, the newest first.
        severity: The gravest severity whose rule is true; None for none.
        contacts: Whom to call.
        escalation: Escalation levels of the profile, the first one first.
        capacity: What can be full: `check` or `metric`, `limit`, `title`.
        reading_valid_s: How long a reading vouches for, in seconds.
        minimum_coverage: Share of a window that must be measured before an objective can be met.
        burn_rates: `window_s`, `warn_above`: how fast an error budget may burn.
        trend: When a series may be extrapolated.
        recovery: For the recovery report `components`, `schedule`, `windows`, `keep` of the profile, and `archives` by store.
    """

    kind: str
    service: t.Mapping[str, t.Any]
    at: float
    window_s: float
    history: History
    checks: t.Optional[t.Sequence[Result]] = None
    metrics: t.Optional[t.Sequence[Result]] = None
    definitions: t.Mapping[str, t.Mapping[str, t.Any]] = field(default_factory=dict)
    logs: t.Optional[t.Mapping[str, t.Any]] = None
    log_questions: t.Sequence[t.Mapping[str, t.Any]] = ()
    log_sources: t.Sequence[t.Mapping[str, t.Any]] = ()
    largest_log_bytes: float = 0.0
    alerts: t.Optional[t.Mapping[str, t.Any]] = None
    backups: t.Optional[t.Mapping[str, t.Any]] = None
    stores: t.Sequence[t.Mapping[str, t.Any]] = ()
    tasks: t.Sequence[str] = ()
    runs: t.Sequence[t.Mapping[str, t.Any]] = ()
    severity: t.Optional[t.Mapping[str, t.Any]] = None
    contacts: t.Sequence[t.Mapping[str, t.Any]] = ()
    escalation: t.Sequence[t.Mapping[str, t.Any]] = ()
    capacity: t.Sequence[t.Mapping[str, t.Any]] = ()
    reading_valid_s: float = 900.0
    minimum_coverage: float = 0.9
    burn_rates: t.Sequence[t.Mapping[str, float]] = ()
    trend: Terms = field(default_factory=Terms)
    recovery: t.Mapping[str, t.Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._series: t.Dict[t.Tuple[str, str, float, str], Series] = {}

    @property
    def since(self) -> float:
        """Begin of the window, in seconds since 1970-01-01 UTC."""
        return self.at - self.window_s

    @property
    def window(self) -> t.Tuple[float, float]:
        """Begin and end of the window."""
        return self.since, self.at

    def series(self, kind: str, name: str, since: t.Optional[float] = None, of: str = "value") -> Series:
        """The numbers of a check or metric from `since` (the window's begin) to now."""
        begin = self.since if since is None else since
        key = (kind, name, begin, of)
        if key not in self._series:
            # `until` is not included, and the newest reading is one of now.
            self._series[key] = self.history.series(kind, name, begin, self.at + 1, of=of)
        return self._series[key]

    def apart(self, points: t.Sequence[t.Tuple[float, float]]) -> float:
        """How far apart readings may be to be joined in a chart, in seconds: those of a daily report are a day apart, and still a line."""
        gaps = sorted(later[0] - earlier[0] for earlier, later in zip(points, points[1:]))
        return max(self.reading_valid_s, 2.5 * gaps[len(gaps) // 2]) if gaps else self.reading_valid_s

    def readings(self, check: str, since: float) -> t.List[Reading]:
        """What a check said: a warning is up, `unknown` is not known. One reading from before `since` is there when it reaches into it."""
        return [
            Reading(at, None if verdict == "unknown" else verdict != FAIL)
            for at, verdict in self.history.verdicts(CHECK, check, since - self.reading_valid_s, self.at + 1)
        ]

    def title(self, name: str) -> str:
        """What reports call a check or metric."""
        return str(self.definitions.get(name, {}).get("title") or name)

    def unit(self, name: str) -> str:
        """The unit of a metric."""
        return str(self.definitions.get(name, {}).get("unit") or "")

    def limits(self, name: str) -> t.List[Limit]:
        """The thresholds of a check or metric, for charts."""
        given = self.definitions.get(name, {})
        found: t.List[Limit] = []
        for verdict, mark in ((WARN, "other"), (FAIL, "bad")):
            for side in ("above", "below"):
                limit = given.get(f"{verdict}_{side}")
                if isinstance(limit, (int, float)) and not isinstance(limit, bool):
                    found.append((float(limit), f"{verdict} {side}", mark))
        return found

    def metric_names(self) -> t.List[str]:
        """Metrics of the profile, then those that only the history knows."""
        named = [name for name, given in self.definitions.items() if given.get("kind") == METRIC]
        return [*named, *(name for name in self.history.names(METRIC) if name not in named)]

    def check_names(self) -> t.List[str]:
        """Checks of the profile, then those that only the history knows."""
        named = [name for name, given in self.definitions.items() if given.get("kind") == CHECK]
        return [*named, *(name for name in self.history.names(CHECK) if name not in named)]
