# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The operation of the module profile_check: read a profile's files, hold them against schema, names, promises; report."""

from __future__ import annotations

import typing as t

from ..checks.redaction import Redactor, secrets_within
from . import completeness, consistency, promises, refusals, samples, secrets, severities
from .conformity import plain, shape_mistakes, unknown_variables
from .finding import ERROR, WARNING, Finding, clip
from .options import OPTIONS as PROFILE
from .shape.document import schema
from .source import read

OPTIONS: t.Mapping[str, t.Mapping[str, t.Any]] = {
    **PROFILE,
    "fail_on": {"type": "list", "elements": "str", "choices": [ERROR, WARNING], "default": [ERROR]},
}
"""Described in plugins/modules/profile_check.py."""
_SHOWN = 300


def operate(parameters: t.Mapping[str, t.Any], check_mode: bool) -> t.Dict[str, t.Any]:
    """Check the profile in `parameters` (valid for OPTIONS); it only reads, so check mode does the same.

    Returns:
        `findings`, `errors`, `warnings` (their numbers), `table`, `msg`; `failed` when there is a finding of a level of `fail_on`.

    Raises:
        BadInput: There is no profile in the folder.
        ToolMissing: YAML cannot be read here.
    """
    found = check(
        str(parameters["folder"]),
        parameters["variables"],
        unresolved=parameters["unresolved"],
        role_options=parameters["role_options"],
        procedures=parameters["procedures"],
    )
    counts = {level: sum(finding.level == level for finding in found) for level in (ERROR, WARNING)}
    said = _said(counts)
    outcome: t.Dict[str, t.Any] = {
        "changed": False,
        "msg": said,
        "errors": counts[ERROR],
        "warnings_found": counts[WARNING],
        "findings": [finding.as_dict() for finding in found[:_SHOWN]],
        "table": [finding.line for finding in found[:_SHOWN]],
    }
    if any(counts[level] for level in parameters["fail_on"]):
        outcome["failed"] = True
        outcome["msg"] = f"{said} " + " ".join(finding.line for finding in found if finding.level in parameters["fail_on"])[:4000]
    return outcome


def check(
    folder: str,
    variables: t.Mapping[str, t.Any],
    *,
    unresolved: t.Optional[t.Mapping[str, t.Any]] = None,
    role_options: t.Optional[t.Mapping[str, t.Any]] = None,
    procedures: t.Optional[t.Mapping[str, t.Any]] = None,
) -> t.List[Finding]:
    """What is found in a profile, errors first, then by file and line; secrets masked.

    Args:
        folder: The inventory's folder.
        variables: Its variables, templated; those that are missing here are taken as they are written.
        unresolved: Variables that could not be templated: name -> why.
        role_options: Options of the roles' argument specs by name.
        procedures: The catalogue: name -> entry.
    """
    source = read(folder)
    unresolved = unresolved or {}
    # What was not templated is judged by its files alone; a template in it says nothing about its type.
    values = {name: value for name, value in source.values.items() if name not in variables and not _templated(value)}
    values.update({name: variables[name] for name in variables if name not in unresolved})
    values = {str(name): plain(value) for name, value in values.items() if str(name) not in unresolved}
    rules = {str(name): option for name, option in (role_options or {}).items() if isinstance(option, t.Mapping)}
    entries = {str(name): entry for name, entry in (procedures or {}).items() if isinstance(entry, t.Mapping)}
    shape = schema(rules)
    known = [*shape["properties"], *(str(name) for entry in entries.values() for name in entry.get("required_variables") or ())]
    shape["required"] = [name for name in shape["required"] if name not in source.files or name in values]
    of_profile = {name: value for name, value in values.items() if name in shape["properties"]}
    found = list(source.findings)
    found += [_unresolved(name, why, source.where((name,))) for name, why in unresolved.items() if name in source.files]
    found += secrets.in_clear(source) + secrets.misplaced(source)
    found += unknown_variables(source.files, source.used, known, source.where)
    found += shape_mistakes(of_profile, shape, source.where)
    found += consistency.mistakes(values, source.where, unresolved)
    found += severities.mistakes(values, source.where)
    found += promises.mistakes(values, entries, source.where)
    found += samples.mistakes(values, source.where)
    found += completeness.missing(values, entries, source.where)
    found += refusals.mistakes(values, [finding for finding in found if finding.level == ERROR], source.where)
    redactor = Redactor(secrets_within(values))
    found = [_masked(finding, redactor) for finding in dict.fromkeys(found)]
    return sorted(found, key=lambda finding: (finding.level != ERROR, finding.where.rpartition(":")[0], _line(finding.where)))


def _unresolved(name: str, why: t.Any, where: str) -> Finding:
    step = "define what it uses, or give the password of Vault"
    return Finding(ERROR, "unresolved", (name,), f"The variable {clip(name)!r} cannot be evaluated", clip(why, 300), step, where)


def _masked(finding: Finding, redactor: Redactor) -> Finding:
    return Finding(
        finding.level,
        finding.kind,
        tuple(redactor.text(part) if isinstance(part, str) else part for part in finding.path),
        redactor.text(finding.what),
        redactor.text(finding.why),
        redactor.text(finding.next_step),
        redactor.text(finding.where),
    )


def _line(where: str) -> int:
    number = where.rpartition(":")[2]
    return int(number) if number.isdigit() else 0


def _templated(value: t.Any) -> bool:
    if isinstance(value, str):
        return "{{" in value or "{%" in value or value == "!opaque"
    if isinstance(value, t.Mapping):
        return any(_templated(item) for item in value.values())
    return isinstance(value, (list, tuple)) and any(_templated(item) for item in value)


def _said(counts: t.Mapping[str, int]) -> str:
    if not any(counts.values()):
        return "The profile is right."
    parts = [f"{count} {level}{'' if count == 1 else 's'}" for level, count in counts.items() if count]
    return f"The profile has {' and '.join(parts)}."
