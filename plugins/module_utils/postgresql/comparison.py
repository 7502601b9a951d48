# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Is the restored database the one that was backed up? The comparison is a pure function over two fingerprints."""

from __future__ import annotations

import typing as t

from ..restoring.comparison import Comparison


def compare(expected: t.Mapping[str, t.Any], found: t.Mapping[str, t.Any], *, same_versions: bool) -> Comparison:
    """Compare a restored database's fingerprint with its manifest's.

    Args:
        expected: The manifest's.
        found: The restored database's, in the same form.
        same_versions: Whether server and client have the major versions of the backup; if not, the text of the schema and the
            text of rows may differ without meaning anything, and are reported as not compared.
    """
    result = Comparison()
    _compare_tables(expected, found, result)
    _compare_sequences(expected["sequences"], found["sequences"], result)
    _compare_extensions(expected["extensions"], found["extensions"], result)
    before, after = expected.get("large_objects"), found.get("large_objects")
    if before is None or after is None:
        result.unknown.append("large objects: the role may not read them")
    else:
        result.compared["large_objects"] = int(before["count"])
        if before != after:
            found_instead = f"{after['count']} ({after['bytes']} bytes) instead of {before['count']} ({before['bytes']} bytes)"
            result.differences.append(f"large objects: {found_instead}, or other content")
    if not same_versions:
        result.unknown.append("schema text: the PostgreSQL versions differ from those of the backup")
    elif expected["schema"] != found["schema"]:
        result.differences.append("the schema (pg_dump --schema-only) has another text")
    return result


def _compare_tables(expected: t.Mapping[str, t.Any], found: t.Mapping[str, t.Any], result: Comparison) -> None:
    tables, restored = expected["tables"], found["tables"]
    hashes = expected["method"] == found["method"]
    if not hashes:
        result.unknown.append(f"row content: this server hashes rows by {found['method']}, the backup by {expected['method']}")
    for label, before in tables.items():
        after = restored.get(label)
        if after is None:
            result.differences.append(f"table {label} is missing")
        elif before["hash"] is None and after["hash"] is None and before["rows"] != after["rows"]:
            # It held what its query gave when it was last refreshed; a restore computes it anew from the tables.
            result.unknown.append(f"materialised view {label}: it had {before['rows']} rows, its query now gives {after['rows']}")
        elif before["rows"] != after["rows"]:
            result.differences.append(f"table {label} has {after['rows']} rows instead of {before['rows']}")
        elif hashes and before["hash"] != after["hash"]:
            result.differences.append(f"table {label} has the right number of rows ({before['rows']}) but other content")
    result.differences.extend(f"table {label} was not in the backup" for label in restored if label not in tables)
    result.compared.update(tables=len(tables), rows=sum(int(table["rows"]) for table in tables.values()))


def _compare_sequences(expected: t.Mapping[str, t.Any], found: t.Mapping[str, t.Any], result: Comparison) -> None:
    result.compared["sequences"] = len(expected)
    for name, limits in expected.items():
        state = found.get(name)
        if state is None:
            result.differences.append(f"sequence {name} is missing")
            continue
        low, high = sorted((limits["from"], limits["to"]))
        if not low <= state["last_value"] <= high:
            wanted = str(low) if low == high else f"{low} to {high}"
            result.differences.append(f"sequence {name} stands at {state['last_value']} instead of {wanted}")
        elif low == high and state["is_called"] not in limits["is_called"]:
            result.differences.append(f"sequence {name} stands at {low} but is_called is {state['is_called']}")


def _compare_extensions(expected: t.Mapping[str, str], found: t.Mapping[str, str], result: Comparison) -> None:
    result.compared["extensions"] = len(expected)
    for name, version in expected.items():
        if name not in found:
            result.differences.append(f"extension {name} is missing")
        elif found[name] != version:
            result.unknown.append(f"extension {name}: version {found[name]} instead of {version}, as installed on this server")
