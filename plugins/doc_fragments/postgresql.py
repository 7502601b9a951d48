# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How every PostgreSQL module is told which server is meant."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation of the options in plugins/module_utils/postgresql/options.py."""

    DOCUMENTATION = r"""
options:
  login_host:
    description: Name, address or socket folder of the server. Empty for the default socket.
    type: str
    default: ""
  login_port:
    description: Port of the server.
    type: int
    default: 5432
  login_user:
    description: Role to log in as. Backups need to read everything; restores need a superuser, or CREATEDB and pg_signal_backend.
    type: str
    default: postgres
  login_password:
    description: Password of the role. It travels in the environment of the client programs, never on a command line.
    type: str
    default: ""
  maintenance_database:
    description: Database to be connected to while others are created and renamed.
    type: str
    default: postgres
  ssl_mode:
    description: The client library's C(sslmode).
    type: str
    choices: [disable, allow, prefer, require, verify-ca, verify-full]
  ca_file:
    description: Certificates that the server's certificate must lead to.
    type: path
  connect_timeout_s:
    description: Seconds to wait for a connection.
    type: int
    default: 10
  container:
    description: Container in which the client programs are. Excludes O(pod).
    type: str
    default: ""
  container_engine:
    description: Client of the container engine.
    type: str
    choices: [docker, podman]
    default: docker
  pod:
    description: Kubernetes pod in which the client programs are. Passwords cannot be passed there, use trust, peer or a password file in the pod.
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
    description: Folder of the client programs (psql, pg_dump, ...), where they run. By default the search path.
    type: path
  system_identifier:
    description:
      - The number that the server must have, as C(pg_control_system()) tells it. Another server is refused before anything is done.
      - Empty for no such guard.
    type: str
    default: ""
notes:
  - The work is done by PostgreSQL's own client programs; they must have the server's major version or a newer one.
"""
