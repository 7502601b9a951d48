# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Credentials: every look-up gives something, and what can be tried with it is."""

from __future__ import annotations

import re
import typing as t

from ..backup_set.object_store import ObjectStore
from ..backup_set.options import OFFSITE_OPTION
from ..errors import RunbookError
from ..profile.conformity import is_of_secrets
from ..profile.finding import clip, mapping
from ..profile.source import Source
from .item import GOOD, ROTTEN, UNTESTED, Item

_ENVIRONMENT = re.compile(r"lookup\(\s*['\"](?:ansible\.builtin\.)?env['\"]\s*,\s*['\"](\w+)['\"]")
_FILE = re.compile(r"lookup\(\s*['\"](?:ansible\.builtin\.)?file['\"]")


def credentials(source: Source, variables: t.Mapping[str, t.Any], unresolved: t.Mapping[str, str], tried: t.Container[str]) -> t.List[Item]:
    """Every variable of secrets.yml: it has a value; and whether a check or procedure has used it.

    Args:
        source: The profile's files.
        variables: Their values.
        unresolved: Variables that could not be evaluated.
        tried: Variables whose value something else tries, such as a check of the database.
    """
    found = []
    for name, file in source.files.items():
        if not is_of_secrets(file):
            continue
        for key, text, value in _parts(name, source.values.get(name), variables.get(name)):
            where = _looked_up(text)
            if name in unresolved:
                found.append(Item("credential", key, ROTTEN, f"it cannot be looked up: {clip(unresolved[name], 200)}", "see secrets.yml"))
            elif value in (None, ""):
                found.append(Item("credential", key, ROTTEN, f"it is empty{where}", "set it, or take the look-up out of secrets.yml"))
            elif name in tried:
                found.append(Item("credential", key, GOOD, "it has a value, and is tried below"))
            else:
                found.append(Item("credential", key, UNTESTED, "it has a value; nothing here can try it without changing something"))
    return found


def _parts(name: str, written: t.Any, value: t.Any) -> t.Iterator[t.Tuple[str, t.Any, t.Any]]:
    """The look-ups of a variable: its own, or those in its dictionary."""
    if isinstance(written, t.Mapping):
        for key, text in written.items():
            yield f"{name}.{key}", text, mapping(value).get(key)
    else:
        yield name, written, value


def _looked_up(text: t.Any) -> str:
    found = _ENVIRONMENT.search(text) if isinstance(text, str) else None
    if found:
        return f": the environment variable {found.group(1)} is not set"
    return ": its file is not there or empty" if isinstance(text, str) and _FILE.search(text) else ""


def object_store(variables: t.Mapping[str, t.Any]) -> t.List[Item]:
    """Whether the object store of off-site copies can be listed with the profile's keys."""
    given = mapping(variables.get("backup_offsite"))
    if not given:
        return []
    options = {key: str(given.get(key) or "") for key in OFFSITE_OPTION["options"]}
    store = ObjectStore(**options)
    try:
        store.call("lsf", "--max-depth", "1", store.remote())
    except RunbookError as error:
        return [Item("credential", f"backup_offsite {store}", ROTTEN, clip(error.why or error.what, 200), error.next_step)]
    return [Item("credential", f"backup_offsite {store}", GOOD, "the object store lists what it holds")]
