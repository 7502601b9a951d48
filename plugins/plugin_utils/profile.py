# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What only the controller knows of a profile: its variables, templated one by one, the roles' options, the catalogue."""

from __future__ import annotations

import typing as t
from pathlib import Path

import yaml

from ansible_collections.sre.runbooks.plugins.module_utils.errors import RunbookError
from ansible_collections.sre.runbooks.plugins.module_utils.profile.source import read
from ansible_collections.sre.runbooks.plugins.plugin_utils.on_controller import OnController

_COLLECTION = Path(__file__).resolve().parent.parent.parent
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_LONGEST = 300


class OfProfile(OnController):
    """An operation on a profile, which lies on the controller; only there can its templates be evaluated."""

    def is_here(self, arguments: t.Mapping[str, t.Any]) -> bool:
        """Always."""
        return True

    def arguments(self, task_vars: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
        """Those of the task, the profile's variables, and what the collection says of roles and procedures."""
        arguments = super().arguments(task_vars)
        try:
            names = read(str(arguments.get("folder", ""))).files
        except RunbookError:
            # It is told once the arguments have been validated.
            return arguments
        values, unresolved = templated(names, task_vars, self._templar)
        return {"variables": values, "unresolved": unresolved, "role_options": role_options(), **self.collection(), **arguments}

    def collection(self) -> t.Dict[str, t.Any]:
        """What the operation needs to know of this collection's procedures."""
        return {"procedures": procedures()}


def templated(names: t.Iterable[str], variables: t.Mapping[str, t.Any], templar: t.Any) -> t.Tuple[t.Dict[str, t.Any], t.Dict[str, str]]:
    """The values of variables, and why those that have none cannot be evaluated.

    Args:
        names: Variables to evaluate.
        variables: All that the task sees.
        templar: The task's own.
    """
    values: t.Dict[str, t.Any] = {}
    unresolved: t.Dict[str, str] = {}
    for name in names:
        if name not in variables:
            continue
        try:
            values[name] = templar.template(variables[name])
        except Exception as error:  # a template may raise whatever its filters and look-ups raise
            unresolved[name] = " ".join(str(error).split())[:_LONGEST]
    return values, unresolved


def role_options() -> t.Dict[str, t.Dict[str, t.Any]]:
    """The options of all roles' argument specs, by name."""
    found: t.Dict[str, t.Dict[str, t.Any]] = {}
    for path in sorted((_COLLECTION / "roles").glob("*/meta/argument_specs.yml")):
        content = _content(path)
        for entry in (content.get("argument_specs") or {}).values():
            for name, option in (entry.get("options") or {}).items():
                if isinstance(option, dict):
                    found.setdefault(str(name), option)
    return found


def procedures() -> t.Dict[str, t.Dict[str, t.Any]]:
    """The catalogue, by name."""
    entries = _content(_COLLECTION / "meta" / "procedures.yml").get("procedures") or {}
    return {str(name): dict(entry) for name, entry in entries.items() if isinstance(entry, dict)}


def playbook_of(procedure: str) -> Path:
    """Path of a procedure's playbook."""
    return _COLLECTION / "playbooks" / f"{procedure}.yml"


def leaves_record(procedure: str) -> bool:
    """Whether a procedure's playbook begins a run, so that its successes are on record."""
    try:
        return "sre.runbooks.procedure" in playbook_of(procedure).read_text(encoding="utf-8")
    except OSError:
        return False


def _content(path: Path) -> t.Dict[str, t.Any]:
    try:
        with open(path, encoding="utf-8") as stream:
            content = yaml.load(stream, Loader=_LOADER)  # noqa: S506  (both are safe loaders)
    except (OSError, yaml.YAMLError):
        return {}
    return content if isinstance(content, dict) else {}
