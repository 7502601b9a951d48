# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Metrics for the tests: planned as from an inventory, and measured against real sockets."""

from __future__ import annotations

import typing as t

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.sre.runbooks.plugins.module_utils.metrics.model import Metric, Moment
from ansible_collections.sre.runbooks.plugins.module_utils.metrics.operation import OPTIONS, operate
from ansible_collections.sre.runbooks.plugins.module_utils.metrics.plan import plan


def metric(**options: t.Any) -> Metric:
    """A metric; its address leads nowhere."""
    return plan([{"name": "m", "type": "json", "url": "http://127.0.0.1:1/", "value": "v", **options}], service="reference")[0]


def counter(**options: t.Any) -> Metric:
    """A metric over a window of a minute."""
    return metric(**{"window_s": 60, "aggregate": "increase", **options})


def moment(
    value: float | None,
    at_s: float = 0.0,
    *,
    divisor: float | None = None,
    samples: float | None = None,
    verdict: str = "pass",
    reason: str = "",
) -> Moment:
    """One reading; without a number and without a verdict it is one that failed."""
    if value is None and verdict == "pass" and not reason:
        verdict, reason = "fail", "connection refused"
    return Moment(at_s, value, divisor, samples, verdict, reason)


def gate(*metrics: t.Mapping[str, t.Any], **options: t.Any) -> dict[str, t.Any]:
    """What the module returns for these metrics; what they leave out is given by default."""
    given = [{"name": f"metric {number}", "timeout_s": 3, "retries": 0, **one} for number, one in enumerate(metrics)]
    validated = ArgumentSpecValidator({name: dict(option) for name, option in OPTIONS.items()}).validate({"metrics": given, **options})
    assert not validated.error_messages, validated.error_messages
    return operate(validated.validated_parameters, False)


def measured(metric: t.Mapping[str, t.Any], **options: t.Any) -> dict[str, t.Any]:
    """What is said of one metric."""
    return dict(gate(metric, **options)["metrics"][0])
