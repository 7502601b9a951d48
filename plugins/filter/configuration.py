# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters of the role configuration: what has to change in Kubernetes, and which files are placed."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.sre.runbooks.plugins.module_utils.errors import RunbookError


def configuration_placed(files: t.Any, contents: t.Any, folder: str = "") -> t.List[t.Dict[str, str]]:
    """The files for the module configuration_files."""
    from ansible_collections.sre.runbooks.plugins.module_utils.configuration.patches import placed

    try:
        return placed(files, contents, folder)
    except RunbookError as error:
        raise AnsibleFilterError(error.message) from error


def configuration_patches(objects: t.Any, values: t.Any, secret_values: t.Any, remove: t.Any) -> t.Dict[str, t.Any]:
    """What has to change in the ConfigMap and the Secret among the objects."""
    from ansible_collections.sre.runbooks.plugins.module_utils.configuration.patches import patches

    found: t.Dict[str, t.Any] = {kind: next((one for one in objects if one.get("kind") == kind), {}) for kind in ("ConfigMap", "Secret")}
    try:
        return patches(found["ConfigMap"], found["Secret"], values, secret_values, remove)
    except RunbookError as error:
        raise AnsibleFilterError(error.message) from error


def configuration_restorable(kept: t.Any, present: t.Any, kinds: t.Any = ()) -> t.List[t.Dict[str, t.Any]]:
    """The objects of a point that differ from what there is now."""
    from ansible_collections.sre.runbooks.plugins.module_utils.configuration.patches import restorable

    try:
        return restorable(kept, present, kinds)
    except RunbookError as error:
        raise AnsibleFilterError(error.message) from error


def configuration_secrets(secret_values: t.Any, files: t.Any = (), contents: t.Any = ()) -> t.List[str]:
    """What must be in no output."""
    from ansible_collections.sre.runbooks.plugins.module_utils.configuration.patches import secrets_of

    return secrets_of(secret_values or {}, files, contents)


def configuration_cause(result: t.Any, secrets: t.Any = ()) -> str:
    """Why a task failed."""
    from ansible_collections.sre.runbooks.plugins.module_utils.configuration.patches import cause

    return cause(result or {}, secrets)


class FilterModule:
    """The filters."""

    def filters(self) -> t.Dict[str, t.Callable[..., t.Any]]:
        """The filters by name."""
        return {
            "configuration_cause": configuration_cause,
            "configuration_placed": configuration_placed,
            "configuration_patches": configuration_patches,
            "configuration_restorable": configuration_restorable,
            "configuration_secrets": configuration_secrets,
        }
