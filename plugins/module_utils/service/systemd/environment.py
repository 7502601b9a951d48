# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The environment that a unit gives its program (systemd.exec(5), Environment= and EnvironmentFile=)."""

from __future__ import annotations

import codecs
import glob
import re
import typing as t

from ...configuration.systemd_syntax import parse
from ...errors import RunbookError
from .state import Unit

_WORD = re.compile(r"""\$'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|([^\s"]+)""", re.DOTALL)
SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""What systemd gives units of the system."""


def shown_environment(text: str) -> t.Dict[str, str]:
    """The variables in systemctl's property Environment: words, quoted where they have to be."""
    found = {}
    for escaped, quoted, plain in _WORD.findall(text):
        word = codecs.decode(escaped.encode("latin-1", "backslashreplace"), "unicode_escape") if escaped else plain
        name, equals, value = (re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL) if quoted else word).partition("=")
        if equals:
            found[name] = value
    return found


def environment_of(unit: Unit) -> t.Dict[str, str]:
    """All variables that the unit's program gets, those of its files over its own, with systemd's search path.

    Raises:
        RunbookError: A file is missing that must not be, or cannot be read.
    """
    found = {"PATH": SEARCH_PATH, **shown_environment(unit.get("Environment", ""))}
    for pattern, may_be_missing in unit.environment_files:
        paths = sorted(glob.glob(pattern))
        if not paths and not may_be_missing:
            raise RunbookError(
                "The unit's environment file is missing", where=pattern, next_step="put it there; the unit cannot start without it either"
            )
        for path in paths:
            try:
                with open(path, encoding="utf-8", errors="replace") as stream:
                    found.update({one.name: one.value or "" for one in parse(stream.read())})
            except OSError as error:
                raise RunbookError("The unit's environment file cannot be read", where=path, why=error.strerror or str(error)) from error
    return found
