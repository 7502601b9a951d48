# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Quantities of Kubernetes: memory in bytes, processors in cores, written as Kubernetes writes them."""

from __future__ import annotations

import re
import typing as t
from fractions import Fraction

from ...errors import BadInput
from ..sizes import bytes_of

_BINARY = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40, "Pi": 1 << 50, "Ei": 1 << 60}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_QUANTITY = re.compile(r"([+-]?[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:([KMGTPE]i)|([eE][+-]?[0-9]{1,3})|([numkMGTPE]?))")


def number_of(quantity: t.Any) -> t.Optional[float]:
    """The number that a quantity of Kubernetes stands for (bytes, cores); None for what is none."""
    if isinstance(quantity, (int, float)) and not isinstance(quantity, bool):
        return float(quantity)
    found = _QUANTITY.fullmatch(quantity.strip()) if isinstance(quantity, str) else None
    if not found:
        return None
    number, binary, exponent, decimal = found.groups()
    if binary:
        return float(Fraction(number) * _BINARY[binary])
    power = int(exponent[1:]) if exponent else _DECIMAL[decimal or ""]
    return float(Fraction(number) * Fraction(10) ** power)


def memory_quantity(given: t.Any) -> str:
    """An amount of memory as Kubernetes writes it; `2g` and `512m` are meant as Docker means them.

    Raises:
        BadInput: It is no amount of memory.
    """
    size = bytes_of(given) or 0
    if size <= 0:
        raise BadInput(f"{given!r} is no amount of memory", next_step="write it as 2g, 512m, 2Gi or in bytes")
    for unit in ("Gi", "Mi", "Ki"):
        if size % _BINARY[unit] == 0:
            return f"{size // _BINARY[unit]}{unit}"
    return str(size)


def cpu_quantity(given: t.Any) -> str:
    """A number of processors as Kubernetes writes it: `1`, `500m`.

    Raises:
        BadInput: It is no number of processors.
    """
    number = number_of(given if not isinstance(given, str) else given.strip())
    millis = round(number * 1000) if number is not None else 0
    if millis <= 0:
        raise BadInput(f"{given!r} is no number of processors", next_step="write it as 1.5 or 1500m")
    return str(millis // 1000) if millis % 1000 == 0 else f"{millis}m"
