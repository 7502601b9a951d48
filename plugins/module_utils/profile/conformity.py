# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Does a profile have the shape that the schema asks for?

jsonschema reads the schema: it is the library that json-schema.org's own test suite is kept against, knows draft 2020-12 as a whole, and
gives for every mistake its place and its rule, from which a sentence for the reader is made here. It is needed by this procedure alone.
"""

from __future__ import annotations

import typing as t

from ..checks.redaction import is_secret_name
from ..errors import ToolMissing
from ..library import library
from .finding import ERROR, WARNING, Finding, Where, clip, near, spoken_path

_MOST = 200
_WORDS = {
    "string": "a text", "number": "a number", "integer": "a whole number", "boolean": "true or false", "object": "a dictionary",
    "array": "a list", "null": "null",
}  # fmt: skip
_LIMITS = {
    "minimum": "at least", "maximum": "at most", "exclusiveMinimum": "more than", "exclusiveMaximum": "less than",
    "minItems": "a list of at least", "maxItems": "a list of at most",
}  # fmt: skip
_PREFIXES = (
    "backup", "deploy", "health", "incident", "load_test", "maintenance", "monitoring", "notify", "procedure", "recovery", "remediation",
    "report", "restore", "schedule", "security", "service", "status_page", "traffic",
)  # fmt: skip
"""What the names of variables begin with that roles read; another one of these is a slip of the pen."""


def shape_mistakes(variables: t.Mapping[str, t.Any], schema: t.Mapping[str, t.Any], where: Where) -> t.List[Finding]:
    """What of `variables` has not the shape of `schema`.

    Args:
        variables: The profile's variables, templated as far as that was possible.
        schema: JSON Schema, draft 2020-12.
        where: Gives file and line of a path.
    """
    what, step = "The shape of the profile could not be checked", "install jsonschema for the Python that runs Ansible"
    try:
        jsonschema = library("jsonschema", what, step)
    except ToolMissing as missing:
        return [Finding(ERROR, "no_schema_library", (), what, missing.why, step)]
    found: t.List[Finding] = []
    try:
        for error in jsonschema.Draft202012Validator(schema).iter_errors(dict(variables)):
            found += _told(error, where)
            if len(found) >= _MOST:
                step = "correct these first"
                found.append(Finding(ERROR, "too_many", (), f"There are more than {_MOST} mistakes; the rest is left out", "", step))
                break
    except RecursionError:
        found.append(Finding(ERROR, "too_deep", (), "The profile is nested too deeply to be checked", "", "make it flatter"))
    return found


def unknown_variables(defined: t.Mapping[str, str], used: t.Container[str], known: t.Iterable[str], where: Where) -> t.List[Finding]:
    """Variables that nobody reads: neither a role nor another variable of the profile.

    Args:
        defined: The variables of the profile, each with its file. Those of secrets.yml need no reader: a role to come may be it.
        used: Names in the profile's templates.
        known: Names that roles read.
    """
    names, found = set(known), []
    for name, file in defined.items():
        # `<word>_hosts` says on which hosts a playbook runs; a secret may be for a role that is yet to come.
        if name in names or name in used or name.startswith(("ansible_", "_")) or name.endswith("_hosts"):
            continue
        if is_of_secrets(file) or is_secret_name(name):
            continue
        slip = name.startswith(tuple(f"{prefix}_" for prefix in _PREFIXES))
        hint = near(name, names)
        if slip or hint:
            step = "correct the name" if hint else "remove it, or name it so that no role's name is in front"
            what = f"No role reads the variable {clip(name)!r}{hint}"
            found.append(Finding(ERROR if slip else WARNING, "unknown_variable", (name,), what, "", step, where((name,))))
        else:
            what = f"The variable {clip(name)!r} is read by nobody"
            why = "neither a role nor another variable of the profile uses it"
            found.append(Finding(WARNING, "unused_variable", (name,), what, why, "remove it", where((name,))))
    return found


def is_of_secrets(file: str) -> bool:
    """Whether a file is the one for look-ups of secrets."""
    return file.rsplit("/", 1)[-1].split(".")[0] == "secrets"


def _told(error: t.Any, where: Where) -> t.List[Finding]:
    """The findings for one error of the library; values are left out where they may be secret."""
    path = tuple(error.absolute_path)
    rule, wanted, given = error.validator, error.validator_value, error.instance
    at, place = spoken_path(path) or "the profile", where(path)

    def finding(what: str, why: str = "", next_step: str = "correct the value", kind: str = "wrong_value") -> Finding:
        return Finding(ERROR, kind, path, what, why, next_step, place)

    if rule == "additionalProperties" and isinstance(given, t.Mapping):
        known = list(error.schema.get("properties", {}))
        strange = [key for key in given if key not in known]
        step = "correct the name of the key, or remove it"
        return [
            Finding(ERROR, "unknown_key", (*path, str(key)), f"{at} has the unknown key {clip(key)!r}{near(key, known)}", "", step,
                    where((*path, str(key))) or place)
            for key in strange
        ]  # fmt: skip
    if rule == "required":
        missing = [key for key in wanted if key not in given]
        if not path:
            return [finding(f"The variable {key!r} is missing", "no procedure can do without it", "add it", "missing") for key in missing
                    if f"'{key}'" in error.message]  # fmt: skip
        return [finding(f"{at} has no {key}", "", "add it", "missing") for key in missing if f"'{key}'" in error.message]
    if rule == "type":
        kinds = [wanted] if isinstance(wanted, str) else [kind for kind in wanted if kind != "null" or len(wanted) == 1]
        return [finding(f"{at} is {_kind(given)}, and must be {' or '.join(_WORDS.get(kind, kind) for kind in kinds)}", kind="wrong_type")]
    if rule in ("enum", "const"):
        choices = [one for one in (wanted if rule == "enum" else [wanted]) if one is not None]
        said = ", ".join(map(str, choices))
        return [finding(f"{at} is {clip(given, 40)!r}, and must be one of {clip(said, 400)}{near(given, choices)}")]
    if rule in _LIMITS:
        shown = "empty" if given in ([], "") else f"{clip(given, 40)}"
        return [finding(f"{at} is {shown}, and must be {_LIMITS[rule]} {wanted}")]
    if rule == "minLength":
        return [finding(f"{at} is empty")]
    if rule == "pattern":
        return [finding(f"{at} has not the form that it must have", str(error.schema.get("description", "")))]
    return [finding(f"{at} has not the right form ({clip(rule, 40)})")]


def _kind(value: t.Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, str):
        return "a text"
    if isinstance(value, (int, float)):
        return "a number"
    return "a list" if isinstance(value, (list, tuple)) else "a dictionary"


def plain(value: t.Any, depth: int = 60) -> t.Any:
    """A copy of `value` in JSON's own types, as the schema library expects them; what is too deep becomes null."""
    if depth == 0:
        return None
    if isinstance(value, t.Mapping):
        return {str(key): plain(item, depth - 1) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item, depth - 1) for item in value]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    return str(value)


__all__ = ["plain", "shape_mistakes", "unknown_variables"]
