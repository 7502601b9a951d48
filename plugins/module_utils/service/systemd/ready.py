# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Checks that must pass before a unit counts as healthy, asked again until they do."""

from __future__ import annotations

import time
import typing as t

from ...errors import CommandFailed
from ...progress import Progress

_AGAIN_S = 0.3
_TIMEOUT_S = 5.0
_INSTANCE = "%i"
"""What systemd.unit(5) calls an instance's name."""


def for_instance(value: t.Any, instance: str) -> t.Any:
    """A check with the name of an instance in the place of `%i`."""
    if isinstance(value, str):
        return value.replace(_INSTANCE, instance)
    if isinstance(value, t.Mapping):
        return {key: for_instance(item, instance) for key, item in value.items()}
    return [for_instance(item, instance) for item in value] if isinstance(value, (list, tuple)) else value


def for_instances(checks: t.Sequence[t.Mapping[str, t.Any]], instances: t.Sequence[str]) -> t.List[t.Dict[str, t.Any]]:
    """The checks to ask: each that speaks of an instance once for every instance, all others once."""
    found: t.List[t.Dict[str, t.Any]] = []
    for check in checks:
        if instances and for_instance(check, "") != check:
            found += [{**for_instance(check, one), "name": f"{for_instance(check.get('name', ''), one)}-{one}"} for one in instances]
        else:
            found.append(dict(check))
    return found


class Ready:
    """Asks checks until all pass.

    Args:
        checks: As the module health_check takes them; `%i` in them stands for the instance.
    """

    def __init__(self, checks: t.Sequence[t.Mapping[str, t.Any]], progress: Progress) -> None:
        self._checks, self._progress = list(checks), progress

    def require_sense(self, instances: t.Sequence[str]) -> None:
        """Raise BadInput where there are mistakes in the checks; nothing is asked."""
        if self._checks:
            from ...checks.plan import plan

            plan(for_instances(self._checks, instances), timeout_s=_TIMEOUT_S)

    def wait(self, instances: t.Sequence[str], timeout_s: float, still: t.Callable[[], object]) -> int:
        """Ask until all pass; returns how many there are. Before each round `still` is called, which raises where asking on is of no use.

        Raises:
            CommandFailed: They did not within `timeout_s` seconds; the last answers are the cause.
        """
        if not self._checks:
            return 0
        from ...checks.engine import ask
        from ...checks.plan import plan, redactor_for

        raw = for_instances(self._checks, instances)
        redactor, give_up = redactor_for(raw), time.monotonic() + timeout_s
        while True:
            still()
            left_s = max(0.5, min(_TIMEOUT_S, give_up - time.monotonic()))
            results = ask(plan(raw, timeout_s=left_s, retries=0), redactor=redactor)
            wrong = [result for result in results if result.verdict in ("fail", "unknown")]
            if not wrong:
                return len(results)
            if time.monotonic() >= give_up:
                said = "; ".join(f"{result.name}: {result.reason}" for result in wrong[:3])
                raise CommandFailed(f"Its ready checks do not pass within {timeout_s:g} s", why=said, facts={"unready": True})
            self._progress.say(f"waiting for its ready checks ({wrong[0].reason})", len(results) - len(wrong), len(results), "checks")
            time.sleep(_AGAIN_S)
