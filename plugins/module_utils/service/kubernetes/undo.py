# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The way back from a change of the pods' template: only what was changed is put back, and only where it still is as it was left."""

from __future__ import annotations

import typing as t

from .state import Object, part

Patch = t.List[t.Dict[str, t.Any]]
TEMPLATE = "/spec/template"
_NOTHING = object()


def back_to(before: Object, after: Object) -> Patch:
    """The JSON patch (RFC 6902) that makes the template of `before` of that of `after`; empty where they are the same.

    What others change besides stays. Where they have changed the same, a `test` fails, and the API server refuses the patch as a whole.
    """
    return _between(TEMPLATE, part(after, "spec", "template"), part(before, "spec", "template"))


def is_back(patch: Patch, workload: Object) -> bool:
    """Whether a workload is as such a patch makes it."""
    wanted = {one["path"]: one.get("value", _NOTHING) for one in patch if one["op"] != "test"}
    return all(_at(workload, path) == value for path, value in wanted.items())


def is_overtaken(patch: Patch, workload: Object) -> bool:
    """Whether others have changed what such a patch is to put back."""
    return any(_at(workload, one["path"]) != one["value"] for one in patch if one["op"] == "test")


def _between(path: str, here: t.Any, wanted: t.Any) -> Patch:
    if here == wanted:
        return []
    if isinstance(here, t.Mapping) and isinstance(wanted, t.Mapping):
        names = sorted({*here, *wanted})
        parts = [(f"{path}/{_escaped(name)}", here.get(name, _NOTHING), wanted.get(name, _NOTHING)) for name in names]
    elif isinstance(here, list) and isinstance(wanted, list) and len(here) == len(wanted):
        parts = [(f"{path}/{number}", *pair) for number, pair in enumerate(zip(here, wanted))]
    elif here is _NOTHING:
        return [{"op": "add", "path": path, "value": wanted}]
    else:
        last = {"op": "remove", "path": path} if wanted is _NOTHING else {"op": "replace", "path": path, "value": wanted}
        return [{"op": "test", "path": path, "value": here}, last]
    return [one for member in parts for one in _between(*member)]


def _escaped(name: t.Any) -> str:
    return str(name).replace("~", "~0").replace("/", "~1")


def _at(document: t.Any, path: str) -> t.Any:
    """What a JSON pointer (RFC 6901) points at; `_NOTHING` where that is not there."""
    for name in path[1:].split("/"):
        name = name.replace("~1", "/").replace("~0", "~")
        if isinstance(document, list):
            document = document[int(name)] if int(name) < len(document) else _NOTHING
        else:
            document = document.get(name, _NOTHING) if isinstance(document, t.Mapping) else _NOTHING
    return document


__all__ = ["TEMPLATE", "Patch", "back_to", "is_back", "is_overtaken"]
