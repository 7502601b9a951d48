# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The whole schema of a profile."""

from __future__ import annotations

import functools
import typing as t

from . import checks, operations
from .incident import INCIDENT, REMEDIATION, SECURITY
from .language import Shape, from_option
from .operations import OPERATIONS
from .service import LOG, MONITORING, SCHEDULE_SHAPES, SERVICE

_DRAFT = "https://json-schema.org/draft/2020-12/schema"
REQUIRED = ("service_name", "service_url", "health_checks")
"""Without these no procedure says anything about the service."""


@functools.lru_cache(maxsize=1)
def own_variables() -> t.Dict[str, Shape]:
    """Variables whose shape is written here, by name."""
    return {**SERVICE, **MONITORING, **SCHEDULE_SHAPES, **INCIDENT, **REMEDIATION, **SECURITY, **OPERATIONS}


def schema(options_of_roles: t.Mapping[str, t.Mapping[str, t.Any]]) -> Shape:
    """The schema of a profile, as JSON Schema (draft 2020-12).

    Args:
        options_of_roles: Options of the roles' argument specs by name; a shape that is written here outweighs them.
    """
    variables = {name: from_option(option) for name, option in sorted(options_of_roles.items())}
    variables.update(own_variables())
    return {
        "$schema": _DRAFT,
        "$id": "https://github.com/sre-runbooks/sre.runbooks/meta/profile.schema.json",
        "title": "Profile of a service for the Ansible collection sre.runbooks",
        "description": "The variables of group_vars/all, after templating. Other variables may stand beside them.",
        "type": "object",
        "required": list(REQUIRED),
        "properties": dict(sorted(variables.items())),
        "$defs": {**checks.definitions(), **operations.definitions(), "log": LOG},
    }
