# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Numbers and texts as a person reads them, alike in every report."""

from __future__ import annotations

import re
import typing as t

_MARKDOWN = re.compile(r"([\\`*_\[\]<>|#])")
_PER = {"per_second": "/s", "per_minute": "/min", "usd_per_hour": "USD/h", "count": "", "days": "days", "percent": "%", "%": "%"}


def duration(seconds: t.Optional[float]) -> str:
    """Seconds for a reader: `0.25 s`, `12.3 s`, `1 min 23 s`, `2 h 5 min`; empty for None."""
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours} h", f"{minutes} min"] if hours else [f"{minutes} min", f"{rest} s"]
    return " ".join(part for part in parts if not part.startswith("0 "))


def span(seconds: float) -> str:
    """A longer time for a reader, in its largest two units: `45 s`, `12 min`, `7 h 30 min`, `3 days 4 h`."""
    sign, seconds = ("-" if seconds < 0 else ""), abs(seconds)
    days, rest = divmod(round(seconds / 3600), 24)
    if days >= 2:
        return f"{sign}{days} days" + (f" {rest} h" if rest and days < 10 else "")
    return sign + (duration(round(seconds)) if seconds >= 60 else f"{seconds:.3g} s")


def size(count: float) -> str:
    """Bytes for a reader, in powers of 1000: `512 bytes`, `1.05 GB`."""
    value = float(count)
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if abs(value) < 1000 or unit == "TB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.3g} {unit}" if abs(value) < 999.5 else f"{value:.0f} {unit}"


def measured(value: t.Optional[float], unit: str) -> str:
    """A measurement with its unit, for a reader."""
    if value is None:
        return "not measured"
    if unit == "s":
        return duration(value)
    return size(value) if unit == "bytes" else f"{value:,.6g} {unit}".replace(",", " ").strip()


def quantity(value: t.Optional[float], unit: str) -> str:
    """A number of a metric with its unit (ratio, percent, ms, s, bytes, count, per_second, usd_per_hour, days, ...), three digits of it."""
    if value is None:
        return "no data"
    if unit == "ratio":
        return f"{percent(value)} %"
    if unit == "bytes":
        return size(value)
    if unit == "s":
        return f"{digits(value)} s" if abs(value) < 120 else span(value)
    return f"{digits(value)} {_PER.get(unit, unit)}".strip()


def percent(share: float) -> str:
    """A share as percent; near 1 with as many digits as tell it from 1 (`99.95`), and never rounded up to 100."""
    value = 100 * share
    if 90 < value < 100:
        for places in (1, 2, 3, 4):
            text = f"{value:.{places}f}"
            if 100 - value >= 0.5 * 10 ** (1 - places):
                return text.rstrip("0").rstrip(".") if float(text) < 100 else text
        return "99.9999"
    return digits(value)


def digits(value: float) -> str:
    """A number with three digits, or all of those before the point: `0.0421`, `12.3`, `1 234 567`."""
    if value == 0 or not 1e-6 <= abs(value) < 1e15:
        return f"{value:.3g}"
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}".replace(",", "\u202f")
    text = f"{value:.3g}"
    return text if "e" not in text else f"{value:.8f}".rstrip("0")


def part_in_percent(part: float) -> str:
    """A part of a whole (0 to 1) in percent, for readers whom the first thousandth does not matter: `12.3 %`, `under 0.1 %`."""
    return "under 0.1 %" if 0 < part < 0.001 else f"{digits(100 * part)} %"


def markdown(value: t.Any) -> str:
    """`value` on one line of Markdown; nothing in it becomes markup."""
    return _MARKDOWN.sub(r"\\\1", " ".join(str(value).split()))
