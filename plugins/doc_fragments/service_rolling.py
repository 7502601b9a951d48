# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How modules that treat the replicas of a Compose service one by one find the service and the proxy in front of it."""

from __future__ import annotations


class ModuleDocFragment:
    """The options that module_utils/service/compose/rolling_project.py reads."""

    DOCUMENTATION = r"""
options:
  proxy:
    description:
      - The proxy in front of the replicas, by which one is drained before it stops. Without it, requests that are at a replica may fail.
    type: dict
    default: {}
    suboptions:
      kind:
        description: Which proxy it is.
        type: str
        choices: [haproxy]
        default: haproxy
      backend:
        description: Name of the backend with the replicas.
        type: str
      socket:
        description:
          - Path of HAProxy's runtime socket (C(stats socket ... level admin)) on the host, or with O(proxy.container) in that container.
        type: path
      address:
        description: Where HAProxy's runtime interface listens on TCP, C(host:port); with O(proxy.container) the port is enough (V(:9999)).
        type: str
      container:
        description:
          - Name of the container in which HAProxy runs. A socket in it is reached through the file system of its first process, which
            only root of the engine's own host may.
        type: str
  stop_timeout_s:
    description: Seconds that a replica has to end by itself, before it is killed.
    type: int
    default: 10
  drain_timeout_s:
    description: Seconds that requests in flight have to end, before the replica is stopped in spite of them.
    type: float
    default: 30.0
"""
