# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Names that are made from a store's own: of what is being restored beside it, and of what a restore has replaced."""

from __future__ import annotations

import datetime
import hashlib
import re
import typing as t

NAME_BYTES = 63
"""As long as PostgreSQL's may be, which allows the fewest of all stores: NAMEDATALEN - 1 (manual, 4.1.1)."""
_STAMP = r"\d{8}T\d{6}Z"
_FORM = "%Y%m%dT%H%M%SZ"


def stamp(is_taken: t.Callable[[str], bool] = lambda time_stamp: False, after: str = "") -> str:
    """UTC time now, in the form that derived names end with (`YYYYmmddTHHMMSSZ`).

    Args:
        is_taken: Whether a time stamp is used already; then the next second that is not is taken.
        after: Time stamp that shall be an earlier one, so that what was made in one second keeps its order.
    """
    second = datetime.timedelta(seconds=1)
    moment = datetime.datetime.now(datetime.timezone.utc)
    if after:
        moment = max(moment, datetime.datetime.strptime(f"{after}+0000", f"{_FORM}%z") + second)
    while is_taken(f"{moment:{_FORM}}"):
        moment += second
    return f"{moment:{_FORM}}"


def derived_name(database: str, word: str, time_stamp: str) -> str:
    """`<database>_<word>_<time stamp>`; where that has more than PostgreSQL's 63 bytes, a digest takes the place of the name's end."""
    return f"{_front(database, word)}_{word}_{time_stamp}"


def _front(database: str, word: str) -> str:
    room = NAME_BYTES - len(f"_{word}_{stamp()}")
    name = database.encode()
    if len(name) <= room:
        return database
    # Two long names may begin alike, and neither may be taken for the other.
    digest = hashlib.sha256(name).hexdigest()[:8]
    return name[: room - len(digest) - 1].decode(errors="ignore") + "_" + digest


def names_derived_from(database: str, word: str, names: t.Iterable[str]) -> t.List[str]:
    """Those of `names` that `derived_name` made of this database and word, the newest first."""
    pattern = re.compile(rf"{re.escape(_front(database, word))}_{word}_{_STAMP}")
    return sorted((name for name in names if pattern.fullmatch(name)), key=lambda name: name[-16:], reverse=True)
