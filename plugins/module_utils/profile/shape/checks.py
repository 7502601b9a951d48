# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Shapes of checks and metrics, made from the argument specs of the types of checks."""

from __future__ import annotations

import typing as t

from ...checks.catalogue import TYPES
from ...checks.plan import COMMON
from ...metrics.model import BASELINE_SPEC, SPEC
from .language import Shape, choice, from_option, name

UNITS: t.Mapping[str, str] = {
    "ratio": "share", "percent": "share",
    "s": "time", "ms": "time", "days": "time",
    "bytes": "size", "bytes_per_second": "size_rate",
    "count": "count", "per_second": "rate", "per_minute": "rate", "usd_per_hour": "money_rate", "usd": "money",
}  # fmt: skip
"""Units of metrics, panels and objectives, and what each measures; only units that measure the same can be compared."""
NUMBER_TYPES_WITHOUT_VALUE = frozenset(("http", "tcp", "dns", "grafana", "prometheus_server", "statuspage", "command"))
"""Types of checks that give a number only when a key such as `value` asks for one, or never."""

UNIT = choice(*UNITS, description="Unit of the number.")
_VERDICTS = ("warn", "fail", "unknown")

METRIC_KEYS: t.Mapping[str, Shape] = {
    **{key: from_option(option) for key, option in SPEC.items()},
    "unit": UNIT,
    "baseline": from_option(
        {"type": "dict", "options": BASELINE_SPEC, "description": "What the number is divided by, and limits of that."}
    ),
}
_LOG_KEYS: t.Mapping[str, Shape] = {
    key: {}
    for key in (
        "source", "measure", "levels", "pattern", "ignore_case", "where", "of_levels", "of_pattern", "of_where", "field", "percentile",
        "limit",
    )
}  # fmt: skip
"""Keys of a metric of type `log`; they are checked by the library of logs when the metric is read."""


def types() -> t.Dict[str, t.Mapping[str, t.Any]]:
    """Argument spec of every type of check that can be loaded."""
    return {name: TYPES[name]().spec for name in sorted(TYPES)}


def definitions() -> t.Dict[str, Shape]:
    """`check` and `metric`, and for each type what else it takes."""
    found: t.Dict[str, Shape] = {}
    common = {key: from_option(option) for key, option in COMMON.items()}
    common["name"] = name("Name, used by dependencies, rules and objectives.")
    specs = types()
    for kind, spec in specs.items():
        own = {key: from_option(option) for key, option in spec.items()}
        required = sorted(["name", "type", *(key for key, option in spec.items() if option.get("required"))])
        found[f"check_{kind}"] = {"properties": {**common, **own}, "required": required, "additionalProperties": False}
        found[f"metric_{kind}"] = {
            "properties": {**common, **own, **METRIC_KEYS},
            "required": required,
            "additionalProperties": False,
        }
    found.setdefault(
        "metric_log",
        {"properties": {**common, **METRIC_KEYS, **_LOG_KEYS}, "required": ["name", "type"], "additionalProperties": False},
    )
    for word in ("check", "metric"):
        known = sorted(key.split("_", 1)[1] for key in found if key.startswith(f"{word}_"))
        found[word] = {
            "type": "object",
            "required": ["name", "type"],
            "properties": {"type": {"type": "string", "enum": known}},
            "allOf": [
                {"if": {"properties": {"type": {"const": kind}}, "required": ["type"]}, "then": {"$ref": f"#/$defs/{word}_{kind}"}}
                for kind in known
            ],
        }
    return found


def verdicts() -> Shape:
    """Verdicts for which a rule is true: one, or a list."""
    return {"type": ["array", "string"], "items": {"type": "string", "enum": list(_VERDICTS)}}
