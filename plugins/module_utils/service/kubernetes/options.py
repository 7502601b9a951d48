# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Options of the module service_kubernetes."""

from __future__ import annotations

import typing as t

VERBS = ("status", "start", "stop", "restart", "scale", "limits", "apply", "wait", "back", "exec")
WAYS = ("rolling", "all", "one", "down_and_up", "to_zero_and_back")
OPTIONS: t.Dict[str, t.Dict[str, t.Any]] = {
    "operation": {"type": "str", "required": True, "choices": list(VERBS)},
    "service": {"type": "str", "default": ""},
    "kube_config": {"type": "path", "default": ""},
    "kube_context": {"type": "str", "default": ""},
    "namespace": {"type": "str", "default": "default"},
    "workload_kind": {"type": "str", "default": "deployment"},
    "workload_name": {"type": "str", "required": True},
    "container": {"type": "str", "default": ""},
    "config_map": {"type": "str", "default": ""},
    "secret": {"type": "str", "default": "", "no_log": False},
    "configuration_is_new": {"type": "bool", "default": False},
    "former_annotations": {"type": "dict"},
    "former_replicas": {"type": "list", "elements": "dict", "default": []},
    "autoscaler": {"type": "str", "default": ""},
    "autoscaler_file": {"type": "path", "default": ""},
    "replicas_named": {"type": "dict", "default": {}},
    "health_timeout_s": {"type": "float", "default": 100.0},
    "restart_way": {"type": "str", "default": "rolling", "choices": list(WAYS)},
    "restart_replica": {"type": "str", "default": ""},
    "scale_to": {"type": "raw", "default": ""},
    "scale_minimum": {"type": "int", "default": 0},
    "scale_maximum": {"type": "int", "default": 0},
    "limits": {"type": "dict", "default": {}},
    "command": {"type": "list", "elements": "str", "default": []},
    "command_replica": {"type": "str", "default": ""},
    "command_timeout_s": {"type": "float", "default": 60.0},
    "output_bytes": {"type": "int", "default": 65536},
    "keep_back": {"type": "bool", "default": False},
    "back": {"type": "list", "elements": "dict", "default": []},
}
