# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How every Redis module is told which server is meant."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation of the options in plugins/module_utils/redis/options.py."""

    DOCUMENTATION = r"""
options:
  host:
    description: Name or address of the server, as seen from where its programs are; a path for its socket file.
    type: str
    default: 127.0.0.1
  port:
    description: Port of the server.
    type: int
    default: 6379
  user:
    description: User of the server's access control list. Empty for the default user.
    type: str
    default: ""
  password:
    description: Password of the user. It is a part of the protocol, never on a command line or in an environment.
    type: str
    default: ""
  tls:
    description: Whether the server speaks TLS.
    type: bool
    default: false
  ca_file:
    description: Certificates that the server's certificate must lead to. By default those of the machine.
    type: path
  verify_tls:
    description: Whether the server's certificate is looked at.
    type: bool
    default: true
  timeout_s:
    description: Seconds to wait for a connection, and for an answer.
    type: int
    default: 10
  container:
    description: Container in which the server is. Excludes O(pod).
    type: str
    default: ""
  container_engine:
    description: Client of the container engine.
    type: str
    choices: [docker, podman]
    default: docker
  pod:
    description: Kubernetes pod in which the server is.
    type: str
    default: ""
  pod_namespace:
    description: Namespace of the pod.
    type: str
    default: ""
  pod_container:
    description: Container in the pod.
    type: str
    default: ""
  kube_context:
    description: Context of the kubeconfig.
    type: str
    default: ""
  tool_folder:
    description: Folder of the server's programs (redis-server, redis-check-rdb, or Valkey's), where they run. By default the search path.
    type: path
notes:
  - Works with Redis 6 and newer and with Valkey. The server is spoken to in its own protocol; in a container or pod by way of bash or nc there.
"""
