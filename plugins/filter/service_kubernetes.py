# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters over objects of Kubernetes, as kubernetes.core.k8s_info returns them."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.sre.runbooks.plugins.module_utils.errors import RunbookError


def service_kubernetes_state(objects: t.Any, container: str = "") -> t.Dict[str, t.Any]:
    """What runs of the workload among these objects, and how far its rollout is."""
    from ansible_collections.sre.runbooks.plugins.module_utils.service.kubernetes.state import KINDS, rollout_of, state_of

    there = [one for one in objects if isinstance(one, t.Mapping)] if isinstance(objects, (list, tuple)) else []
    workloads = [one for one in there if one.get("kind") in KINDS.values()]
    if len(workloads) != 1:
        raise AnsibleFilterError(
            f"There must be one Deployment, StatefulSet or DaemonSet among the objects, and there are {len(workloads)}. "
            "Next: give the resources that k8s_info found for the workload and for its pods, as one list."
        )
    try:
        rollout = rollout_of(workloads[0])
        state = state_of(workloads[0], [one for one in there if one.get("kind") == "Pod"], container)
    except RunbookError as error:
        raise AnsibleFilterError(error.message) from None
    return {**state.as_dict(), "rollout": rollout._asdict()}


class FilterModule:
    """Filters over objects of Kubernetes."""

    def filters(self) -> t.Dict[str, t.Callable[..., t.Any]]:
        """The filters by name."""
        return {"service_kubernetes_state": service_kubernetes_state}
