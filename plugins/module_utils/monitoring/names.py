# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Names of alerts, series, receivers and files, made from whatever a profile calls things; never two the same."""

from __future__ import annotations

import re
import typing as t
import unicodedata


def words_of(text: str) -> t.List[str]:
    """The words in `text` that can be part of a name: ASCII letters and digits, accents taken off."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.findall(r"[A-Za-z0-9]+", plain)


def camel_case(text: str) -> str:
    """`error rate` as `ErrorRate`, the way alerts are named; empty when nothing of it can be part of a name."""
    return "".join(word[0].upper() + word[1:] for word in words_of(text))


def snake_case(text: str) -> str:
    """`Error rate` as `error_rate`, the way series are named; empty when nothing of it can be part of a name."""
    return "_".join(word.lower() for word in words_of(text))


def label_value(text: str) -> str:
    """`text` for a label or a file's name: lower-case words with hyphens; empty when nothing is left."""
    return "-".join(word.lower() for word in words_of(text))


def spoken_name(metric: t.Mapping[str, t.Any]) -> str:
    """What a reader calls the metric: its title, or its name with spaces and a capital."""
    said = str(metric.get("title") or "").strip() or str(metric.get("name") or "").replace("_", " ").strip()
    return said[:1].upper() + said[1:] if said else "A metric without a name"


def distinct(wanted: t.Iterable[str], otherwise: str) -> t.List[str]:
    """The names in their order, each only once: `otherwise` stands for an empty one, a number makes a repeated one different."""
    taken: t.Set[str] = set()
    found = []
    for name in wanted:
        base = name or otherwise
        number, candidate = 1, base
        while candidate in taken:
            number += 1
            candidate = f"{base}_{number}"
        taken.add(candidate)
        found.append(candidate)
    return found
