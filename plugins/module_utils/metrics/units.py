# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Numbers with their units, as a sentence has them."""

from __future__ import annotations

import typing as t

_SIZES = ("bytes", "kB", "MB", "GB", "TB", "PB")
_AFTER: t.Mapping[str, str] = {
    "percent": " %",
    "ms": " ms",
    "s": " s",
    "per_second": " per second",
    "days": " days",
    "usd_per_hour": " USD per hour",
    "usd": " USD",
    "count": "",
    "": "",
}
_DIGITS = 4


def spoken(value: float, unit: str, digits: int = _DIGITS) -> str:
    """`value` with its unit, rounded to significant digits: `12.5 %` for a ratio of 0.125, `1.5 GB`, `250 ms`."""
    if unit == "ratio":
        return f"{_plain(value * 100, digits)} %"
    if unit == "bytes":
        size, step = value, 0
        while abs(size) >= 1000 and step < len(_SIZES) - 1:
            size, step = size / 1000, step + 1
        return f"{_plain(size, digits)} {_SIZES[step]}"
    return _plain(value, digits) + _AFTER.get(unit, f" {unit.replace('_', ' ')}")


def against(value: float, limit: float, unit: str) -> t.Tuple[str, str]:
    """Both with their units, with as many digits as it takes to tell them apart."""
    for digits in (_DIGITS, 8, 12, 17):
        said = spoken(value, unit, digits), spoken(limit, unit, digits)
        if said[0] != said[1] or value == limit:
            break
    return said


def _plain(value: float, digits: int) -> str:
    rounded = float(f"{value:.{digits}g}")
    return f"{rounded:.17g}" if digits == 17 else f"{rounded:.15g}"
