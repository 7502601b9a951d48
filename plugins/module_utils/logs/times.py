# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Times as logs write them. Inside the library a time is seconds since 1970 in UTC; outside it is ISO 8601 in UTC."""

from __future__ import annotations

import datetime
import functools
import math
import re
import typing as t

from ..errors import BadInput

_MONTHS = {
    "jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6, "jul": 7, "aug": 8, "sep": 9, "oct": 10, "nov": 11, "dec": 12
}  # fmt: skip
_CLOCK = r"(?P<H>\d\d):(?P<M>\d\d)(?::(?P<S>\d\d)(?:[.,](?P<f>\d{1,9})\d{0,9})?)?"
_ZONE = r"(?:\s?(?P<z>Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)(?![\w:]))?"
_FORMS = tuple(
    re.compile(form)
    for form in (
        # ISO 8601 and RFC 3339, with blank and comma as Python's logging writes them; Go and nginx errors write slashes.
        rf"(?P<Y>\d{{4}})[-/](?P<m>\d\d)[-/](?P<d>\d\d)[T ]{_CLOCK}{_ZONE}",
        # Common Log Format of Apache and nginx.
        rf"(?P<d>\d\d)/(?P<b>[A-Za-z]{{3}})/(?P<Y>\d{{4}}):{_CLOCK}{_ZONE}",
        # syslog, RFC 3164: no year, no zone.
        rf"(?P<b>[A-Z][a-z]{{2}}) (?P<d>[ \d]\d) {_CLOCK}",
        # klog of Kubernetes: severity and date in one word, no year.
        rf"[IWEF](?P<m>\d\d)(?P<d>\d\d) {_CLOCK}",
    )
)
_EPOCH = re.compile(r"\d{9,10}(?:\.\d{1,9})?(?![\w:-])|\d{13}(?:\.\d{1,9})?(?![\w:-])|\d{16}(?![\w:-])|\d{19}(?![\w:-])")
_SEARCHED = 64
"""A plain line's time is looked for among its first characters."""
_UNITS_S = {"s": 1, "min": 60, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(s|sec|seconds?|m|min|minutes?|h|hours?|d|days?|w|weeks?)?", re.IGNORECASE)
_EARLIEST_S, _LATEST_S = 0.0, 32503680000.0
"""1970 to 3000: what is outside is no time of a log."""


def from_number(value: t.Any) -> t.Optional[float]:
    """The time that a number means, which may count seconds, milliseconds, microseconds or nanoseconds; None when it is none."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    if not math.isfinite(number):
        return None
    for limit, factor in ((1e11, 1.0), (1e14, 1e3), (1e17, 1e6), (1e20, 1e9)):
        if abs(number) < limit:
            number /= factor
            return number if _EARLIEST_S <= number <= _LATEST_S else None
    return None


class TimeReader:
    """Reads times of one log.

    Args:
        time_zone: Of times that name none: `UTC`, `local`, an offset (`+02:00`) or a name (`Europe/Zurich`).
        newest: Time about which the log was written last, from which times without a year get theirs.

    Raises:
        BadInput: There is no such zone.
    """

    def __init__(self, time_zone: str = "UTC", newest: t.Optional[float] = None) -> None:
        self._zone = _zone(time_zone)
        self._newest = datetime.datetime.now(datetime.timezone.utc).timestamp() if newest is None else newest
        self._known: t.Dict[str, t.Optional[float]] = {}

    def value(self, value: t.Any) -> t.Optional[float]:
        """The time that a field's value means; None when it is none."""
        if isinstance(value, str):
            return self.text(value)
        return None if value is None or isinstance(value, bool) else from_number(value)

    def text(self, text: str) -> t.Optional[float]:
        """The time that is the whole of `text`, or its beginning; None when it is none."""
        found = self.at(text.strip()[:_SEARCHED], 0)
        return None if found is None else found[0]

    def search(self, text: str) -> t.Optional[t.Tuple[float, int, int]]:
        """Time, begin and end of the first time among the first characters of `text`."""
        beginning = text[:_SEARCHED]
        for match in re.finditer(r"\b(?=\d)|\b(?=[A-Z][a-z]{2} [ \d]\d )|^[IWEF](?=\d{4} )", beginning):
            found = self.at(beginning, match.start())
            if found is not None:
                return found[0], match.start(), found[1]
        return None

    def at(self, text: str, position: int) -> t.Optional[t.Tuple[float, int]]:
        """Time that begins at `position`, and where it ends."""
        for form in _FORMS:
            match = form.match(text, position)
            if match is not None:
                when = self._of(match)
                return None if when is None else (when, match.end())
        match = _EPOCH.match(text, position)
        when = from_number(match.group()) if match else None
        return None if when is None or match is None else (when, match.end())

    def _of(self, match: "t.Match[str]") -> t.Optional[float]:
        part = match.groupdict()
        month = int(part["m"]) if part.get("m") else _MONTHS.get((part.get("b") or "").lower(), 0)
        fraction = float(f"0.{part['f']}") if part["f"] else 0.0
        clock = (int(part["H"]), int(part["M"]), min(int(part["S"] or 0), 59))
        zone = _offset_s(part["z"]) if part.get("z") else self._zone
        try:
            if part.get("Y"):
                return _epoch(int(part["Y"]), month, int(part["d"]), *clock, zone) + fraction
            year = datetime.datetime.fromtimestamp(self._newest, datetime.timezone.utc).year
            when = _epoch(year, month, int(part["d"]), *clock, zone) + fraction
            # December's lines are read in January, too.
            return when if when <= self._newest + 86400 else _epoch(year - 1, month, int(part["d"]), *clock, zone) + fraction
        except (ValueError, OverflowError):
            return None


@functools.lru_cache(maxsize=4096)
def _midnight(year: int, month: int, day: int) -> int:
    return (datetime.date(year, month, day).toordinal() - 719163) * 86400


def _epoch(year: int, month: int, day: int, hour: int, minute: int, second: int, zone: t.Any) -> float:
    if hour > 23 or minute > 59 or second > 59:
        raise ValueError("no such time of day")
    if isinstance(zone, int):
        return float(_midnight(year, month, day) + hour * 3600 + minute * 60 + second - zone)
    moment = datetime.datetime(year, month, day, hour, minute, second)  # noqa: DTZ001  (its zone follows, or is the machine's)
    return (moment.replace(tzinfo=zone) if zone is not None else moment).timestamp()


def _offset_s(text: str) -> int:
    digits = text[1:].replace(":", "")
    if text[0] not in "+-":
        return 0
    return (int(digits[:2]) * 3600 + int(digits[2:] or 0) * 60) * (-1 if text[0] == "-" else 1)


def _zone(name: str) -> t.Any:
    """Seconds east of Greenwich, or an object of the standard library; None for the machine's own zone."""
    if name.upper() in ("UTC", "Z", ""):
        return 0
    if name == "local":
        return None
    if re.fullmatch(r"[+-]\d\d(:?\d\d)?", name):
        return _offset_s(name)
    try:
        from zoneinfo import ZoneInfo

        return ZoneInfo(name)
    except (ImportError, KeyError, ValueError, OSError):
        raise BadInput("There is no such time zone", where=name, next_step="name UTC, local, an offset like +02:00, or a zone") from None


def moment(value: t.Any, now: float, option: str) -> t.Optional[float]:
    """The time that an option `since` or `until` means: a time, or how long before `now` (`90s`, `15min`, `1h`, `7d`); None for none.

    Raises:
        BadInput: It is neither.
    """
    text = str(value if value is not None else "").strip()
    if not text:
        return None
    span = _SPAN.fullmatch(text)
    if span and (span.group(2) or float(span.group(1)) < 1e8):
        unit = (span.group(2) or "s").lower()
        return now - float(span.group(1)) * _UNITS_S["min" if unit.startswith("mi") else unit[0]]
    if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        text += "T00:00:00"
    when = TimeReader(newest=now).text(text)
    if when is None:
        raise BadInput(
            f"{option} is no time",
            where=text[:60],
            next_step="give a time such as 2026-11-21T09:00:00Z, or a span before now such as 1h",
        )
    return when


def iso(when: t.Optional[float]) -> t.Optional[str]:
    """ISO 8601 in UTC, with milliseconds where there are some; None for None."""
    if when is None:
        return None
    moment_ = datetime.datetime.fromtimestamp(round(when, 3), datetime.timezone.utc)
    return moment_.isoformat(timespec="milliseconds" if moment_.microsecond else "seconds").replace("+00:00", "Z")
