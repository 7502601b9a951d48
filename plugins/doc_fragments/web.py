# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a server with an HTTP interface, such as Alertmanager, is reached."""

from __future__ import annotations


class ModuleDocFragment:
    """The options of module_utils/monitoring/web.py."""

    DOCUMENTATION = r"""
options:
  user:
    description: Account for basic authentication.
    type: str
  password:
    description: Its password.
    type: str
  token:
    description: Bearer token.
    type: str
  ca_file:
    description: File of certificates that the server's must lead to.
    type: path
  verify_tls:
    description: Whether the server's certificate is verified.
    type: bool
    default: true
  timeout_s:
    description: Deadline of each call in seconds, everything included.
    type: float
    default: 10
"""
