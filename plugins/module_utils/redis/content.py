# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The content of a server in figures that a restore can be compared with: keys of every database, and how many of them expire."""

from __future__ import annotations

import re
import typing as t

from .client import Client, text_of
from .protocol import ServerError, fields_of

SAMPLE_KEYS = 200
"""So many keys of each database are asked for their type."""

Keyspace = t.Dict[str, t.Dict[str, int]]
"""Number of the database -> `keys`, `expires`; databases without keys are left out."""


def keyspace(client: Client) -> Keyspace:
    """The databases of a server as INFO has them."""
    return keyspace_of(client.text("INFO", "keyspace"))


def keyspace_of(info: str) -> Keyspace:
    """The databases in the text of INFO."""
    found: Keyspace = {}
    for name, value in fields_of(info).items():
        if re.fullmatch(r"db\d+", name) and isinstance(value, dict):
            found[name[2:]] = {"keys": int(value["keys"]), "expires": int(value["expires"])}
    return found


def between(before: Keyspace, after: Keyspace) -> t.Dict[str, t.Any]:
    """The content as a manifest has it: for every database the figures just before and just after the moment that is held.

    Returns:
        `databases` (number -> `keys` and `expires`, each {`from`, `to`}) and whether that is `exact`.
    """
    nothing = {"keys": 0, "expires": 0}
    databases: t.Dict[str, t.Any] = {}
    for number in sorted({*before, *after}, key=int):
        one, other = before.get(number, nothing), after.get(number, nothing)
        databases[number] = {what: {"from": min(one[what], other[what]), "to": max(one[what], other[what])} for what in ("keys", "expires")}
    return {"databases": databases, "exact": before == after}


def sample_types(client: Client, databases: t.Iterable[str]) -> t.Dict[str, t.Dict[str, int]]:
    """For every database the types of some of its keys, counted."""
    found: t.Dict[str, t.Dict[str, int]] = {}
    for number in databases:
        if isinstance(client.pipeline([("SELECT", number)])[0], ServerError):
            continue
        cursor, keys = b"0", t.cast("t.List[bytes]", [])
        for _round in range(SAMPLE_KEYS):
            reply = client.pipeline([("SCAN", cursor, "COUNT", SAMPLE_KEYS)])[0]
            if isinstance(reply, ServerError):
                break
            cursor = reply[0]
            keys += reply[1]
            if cursor == b"0" or len(keys) >= SAMPLE_KEYS:
                break
        counts: t.Dict[str, int] = {}
        for reply in client.pipeline([("TYPE", key) for key in keys[:SAMPLE_KEYS]]):
            name = text_of(reply)
            if not isinstance(reply, ServerError) and name != "none":
                counts[name] = counts.get(name, 0) + 1
        found[number] = counts
    return found


def compare(expected: t.Mapping[str, t.Any], found: Keyspace, types: t.Mapping[str, t.Mapping[str, int]]) -> t.Dict[str, t.Any]:
    """Compare what a set was loaded to, with expired keys still in it, with the content in its manifest.

    Args:
        expected: `content` of the manifest.
        found: Databases of the server that loaded it.
        types: Types of a sample of its keys.

    Returns:
        `same`, `differences`, `unknown`, `compared` (how many databases, keys, and types of keys).
    """
    differences: t.List[str] = []
    unknown: t.List[str] = []
    told = differences if expected["exact"] else unknown
    nothing = {"keys": 0, "expires": 0}
    for number in sorted({*expected["databases"], *found}, key=int):
        limits = expected["databases"].get(number)
        here = found.get(number, nothing)
        if limits is None:
            told.append(f"database {number} has {here['keys']} keys instead of none")
            continue
        for what, words in (("keys", "keys"), ("expires", "keys that expire")):
            low, high = limits[what]["from"], limits[what]["to"]
            if not low <= here[what] <= high:
                wanted = str(low) if low == high else f"{low} to {high}"
                # While others write, the number at the very moment may lie outside those before and after it; nothing at all may not.
                (differences if low > 0 and here[what] == 0 and what == "keys" else told).append(
                    f"database {number} has {here[what]} {words} instead of {wanted}"
                )
    kinds = 0
    for number, sample in expected.get("sampled_types", {}).items():
        if expected["databases"][number]["expires"]["to"]:
            continue  # a key that has expired since has no type any more
        kinds += len(sample)
        for name in sorted(set(sample) - set(types.get(number, {}))):
            unknown.append(f"keys of type {name}: they were in a sample of database {number}, and are not in one of the restored database")
    return {
        "same": not differences,
        "differences": differences,
        "unknown": unknown,
        "compared": {"databases": len(found), "keys": sum(one["keys"] for one in found.values()), "types": kinds},
    }
