# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The syntax of `docker run --env-file`, and of Compose's `env_file` with `format: raw`: `NAME=value`, without quotes or escapes."""

from __future__ import annotations

import typing as t

from .statement import Statement, not_understood


def encode(value: str) -> str:
    """`value` as it stands behind `NAME=`."""
    return value


def parse(text: str) -> t.List[Statement]:
    """The variables of a file, in order.

    Raises:
        BadInput: Docker would refuse the file.
    """
    found, offset = [], 1 if text.startswith("\ufeff") else 0
    for line in text[offset:].split("\n"):
        start = offset + len(line) - len(line.lstrip())
        offset += len(line) + 1
        words = line.strip()
        if not words or words.startswith("#"):
            continue
        name, equals, value = line.lstrip().partition("=")
        value = value[:-1] if value.endswith("\r") else value
        name = name if equals else name.rstrip("\r")
        if not name or any(character.isspace() for character in name):
            raise not_understood(text, start, "there is no name of a variable, or one with a space")
        behind = start + len(name)
        if equals:
            found.append(Statement(name, value, start, behind + 1, behind + 1 + len(value)))
        else:
            found.append(Statement(name, None, start, behind, behind, is_bare=True))
    return found
