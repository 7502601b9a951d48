# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""A profile's `service_log_questions`, in the words of `log_scan`."""

from __future__ import annotations

import typing as t

_LINES = 20


def from_profile(questions: t.Iterable[t.Any], used_by: t.Sequence[str] = ()) -> t.List[t.Dict[str, t.Any]]:
    """The questions that are used by one of `used_by`; all of them when that is empty.

    Args:
        questions: Items of `service_log_questions`.
        used_by: Names of procedures and symptoms.
    """
    found = []
    for one in questions:
        users = one.get("used_by") if isinstance(one, t.Mapping) else None
        if isinstance(one, t.Mapping) and (not used_by or set(used_by) & set(users if isinstance(users, (list, tuple)) else [users])):
            found.append(_translated(one))
    return found


def _translated(one: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    asked: t.Dict[str, t.Any] = {"name": str(one.get("name") or "")}
    if one.get("log"):
        asked["sources"] = [str(one["log"])]
    for key in ("pattern", "ignore_case", "levels", "where"):
        if one.get(key):
            asked[key] = one[key]
    if one.get("since_s"):
        asked["since"] = f"{float(one['since_s']):.0f}s"
    lines = one.get("last") or one.get("last_lines")
    if one.get("numeric_field"):
        asked.update(number=str(one["numeric_field"]), top=int(one.get("top") or lines or _LINES))
        if one.get("above") is not None:
            asked["above"] = [float(one["above"])]
    elif one.get("count_by"):
        fields = one["count_by"]
        asked.update(group_by=list(fields) if isinstance(fields, (list, tuple)) else [str(fields)], top=int(one.get("top") or _LINES))
    elif one.get("field"):
        asked.update(last_value=str(one["field"]), lines=int(lines or 1))
    else:
        asked["lines"] = int(lines or _LINES)
    return asked
