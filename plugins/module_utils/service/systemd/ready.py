# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The ready checks of instances."""

from __future__ import annotations

import typing as t

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
