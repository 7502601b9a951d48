# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The options that say where programs run, and the place made of them."""

from __future__ import annotations

import typing as t

from .command import Place

PLACE_OPTIONS: t.Dict[str, t.Dict[str, t.Any]] = {
    "container": {"type": "str", "default": ""},
    "container_engine": {"type": "str", "choices": ["docker", "podman"], "default": "docker"},
    "pod": {"type": "str", "default": ""},
    "pod_namespace": {"type": "str", "default": ""},
    "pod_container": {"type": "str", "default": ""},
    "kube_context": {"type": "str", "default": ""},
    "tool_folder": {"type": "path"},
}
"""Named alike in all modules, stores of profiles and checks."""
_FIELDS = {
    "container": "container",
    "container_engine": "engine",
    "pod": "pod",
    "pod_namespace": "namespace",
    "pod_container": "pod_container",
    "kube_context": "context",
    "tool_folder": "tool_folder",
}


def place_from(options: t.Mapping[str, t.Any]) -> Place:
    """Where programs run; what is not named, or empty, is as by default.

    Raises:
        BadInput: Both a container and a pod are named.
    """
    return Place(**{field: str(options[name]) for name, field in _FIELDS.items() if options.get(name)})
