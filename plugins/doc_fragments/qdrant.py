# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How every Qdrant module is told which server is meant."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation of the options in plugins/module_utils/qdrant/options.py."""

    DOCUMENTATION = r"""
options:
  url:
    description: Address of the server's HTTP API, as seen from this host, for example V(http://127.0.0.1:6333).
    type: str
    required: true
  api_key:
    description: Key that may manage the server. It travels in a header, so give it to an C(https) address only, or to one on this host.
    type: str
    default: ""
  ca_file:
    description: Certificates that the server's certificate must lead to. By default those of the machine.
    type: path
  verify_tls:
    description: Whether the server's certificate is looked at.
    type: bool
    default: true
  timeout_s:
    description: Seconds to wait for a connection, for an answer to a question, and for the next bytes of a snapshot.
    type: float
    default: 30
  work_timeout_s:
    description: Seconds that a snapshot, a recovery or an exact count may take on the server.
    type: float
    default: 3600
  peer_id:
    description:
      - The number of the server (C(peer_id) of C(GET /collections/<name>/cluster), the second part of its snapshots' names). When given, a
        server with another one is refused.
    type: str
    default: ""
"""
