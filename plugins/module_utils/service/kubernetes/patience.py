# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""How long is waited for a workload of Kubernetes, and what counts as getting on."""

from __future__ import annotations

import typing as t

from .state import Object, part, replicas_wanted


class Patience:
    """How long is waited: so many seconds since something last got on."""

    def __init__(self, clock: t.Callable[[], float], seconds: float) -> None:
        self._clock, self.seconds = clock, seconds
        self._best: t.Tuple[int, ...] = ()
        self._until, self._may_be_longer = 0.0, True

    def left_s(self, progress: t.Tuple[int, ...]) -> float:
        """The seconds that are left, now that it has got so far."""
        if progress > self._best:
            self._best, self._until, self._may_be_longer = progress, self._clock() + self.seconds, True
        return self._until - self._clock()

    def longer(self, seconds: float) -> bool:
        """Wait so much longer; false where that was done already and nothing has got on since."""
        may, self._may_be_longer = self._may_be_longer, False
        self._until += seconds if may else 0
        return may


def progress_of(workload: Object) -> t.Tuple[int, ...]:
    """What grows while a rollout gets on: the number of the new version gets nearer to what is wanted, others go, more are ready."""
    status, wanted = part(workload, "status"), replicas_wanted(workload)
    all_of_them = int(status.get("replicas") or status.get("currentNumberScheduled") or 0)
    updated = int(status.get("updatedReplicas") or status.get("updatedNumberScheduled") or 0)
    ready = int(status.get("readyReplicas") or status.get("numberReady") or 0)
    return (int(status.get("observedGeneration") or 0), -abs(updated - wanted), -max(0, all_of_them - updated), ready)


def grace_s(workload: Object) -> float:
    """How long a pod may take to end, in seconds."""
    return float(part(workload, "spec", "template", "spec").get("terminationGracePeriodSeconds") or 0)
