# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Words for JSON Schema (draft 2020-12, json-schema.org/draft/2020-12/json-schema-validation), so that shapes read like lists of keys."""

from __future__ import annotations

import typing as t

Shape = t.Dict[str, t.Any]


def text(description: str = "", **more: t.Any) -> Shape:
    """A text."""
    return _described({"type": "string", **more}, description)


def name(description: str = "") -> Shape:
    """A text that is not empty."""
    return text(description, minLength=1)


def number(description: str = "", **more: t.Any) -> Shape:
    """A number."""
    return _described({"type": "number", **more}, description)


def amount(description: str = "", **more: t.Any) -> Shape:
    """A number, 0 or more."""
    return number(description, minimum=0, **more)


def whole(description: str = "", **more: t.Any) -> Shape:
    """A whole number, 0 or more."""
    return _described({"type": "integer", "minimum": 0, **more}, description)


def port(description: str = "") -> Shape:
    """A TCP port."""
    return _described({"type": "integer", "minimum": 1, "maximum": 65535}, description)


def flag(description: str = "") -> Shape:
    """True or false."""
    return _described({"type": "boolean"}, description)


def anything(description: str = "") -> Shape:
    """Any value."""
    return _described({}, description)


def url(description: str = "", empty: bool = True) -> Shape:
    """An address of a web server; empty where there is none."""
    return text(description, pattern=r"^(https?://[^\s/?#@]+([/?#]\S*)?)" + ("?$" if empty else "$"))


def choice(*values: str, description: str = "") -> Shape:
    """One of these words."""
    return _described({"type": "string", "enum": list(values)}, description)


def words(description: str = "", **more: t.Any) -> Shape:
    """A list of texts."""
    return _described({"type": "array", "items": {"type": "string"}, **more}, description)


def choices(*values: str, description: str = "") -> Shape:
    """A list of some of these words."""
    return _described({"type": "array", "items": {"type": "string", "enum": list(values)}}, description)


def listing(of: Shape, description: str = "", **more: t.Any) -> Shape:
    """A list."""
    return _described({"type": "array", "items": of, **more}, description)


def table(of: Shape, description: str = "") -> Shape:
    """A dictionary with keys of the profile's own choice."""
    return _described({"type": "object", "additionalProperties": of}, description)


def record(required: t.Sequence[str], description: str = "", open_: bool = False, **keys: Shape) -> Shape:
    """A dictionary with these keys; `open_` allows others besides."""
    return record_of(required, keys, description, open_)


def record_of(required: t.Sequence[str], keys: t.Mapping[str, Shape], description: str = "", open_: bool = False) -> Shape:
    """The same, with the keys in a dictionary."""
    shape: Shape = {"type": "object", "properties": dict(keys)}
    if required:
        shape["required"] = list(required)
    if not open_:
        shape["additionalProperties"] = False
    return _described(shape, description)


def or_null(shape: Shape) -> Shape:
    """The same, or null for `there is none`."""
    return {**shape, "type": [*_listed(shape["type"]), "null"]}


def from_option(option: t.Mapping[str, t.Any]) -> Shape:
    """The shape of an option in the words of an Ansible argument spec; null stands for an option that is not given."""
    kind = option.get("type", "str")
    shape: Shape = dict(_KINDS.get(str(kind), {}))
    if kind == "list":
        items = from_option({**option, "type": option.get("elements", "raw"), "elements": None, "default": None})
        items.pop("description", None)
        # Ansible reads a text with commas as a list of texts.
        one = option.get("elements") in ("str", "path", None, "raw")
        shape = {"type": ["array", *(["string"] if one else []), "null"], "items": items}
    elif kind == "dict" and option.get("options"):
        keys = {str(key): from_option(value) for key, value in option["options"].items()}
        shape = {"type": ["object", "null"], "properties": keys, "additionalProperties": False}
        required = sorted(str(key) for key, value in option["options"].items() if value.get("required"))
        if required:
            shape["required"] = required
    if option.get("choices") and kind != "list":
        shape["enum"] = [*option["choices"], *([] if option.get("required") else [None])]
    description = option.get("description")
    return _described(shape, " ".join(description) if isinstance(description, (list, tuple)) else str(description or ""))


_KINDS: t.Mapping[str, Shape] = {
    "str": {"type": ["string", "number", "boolean", "null"]},
    "path": {"type": ["string", "null"]},
    "int": {"type": ["integer", "null"]},
    "float": {"type": ["number", "null"]},
    "bool": {"type": ["boolean", "null"]},
    "dict": {"type": ["object", "null"]},
}


def _listed(kind: t.Any) -> t.List[str]:
    return list(kind) if isinstance(kind, list) else [kind]


def _described(shape: Shape, description: str) -> Shape:
    return {**shape, "description": description} if description else shape
