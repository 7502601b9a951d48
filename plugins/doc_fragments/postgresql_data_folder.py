# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How modules are told about the server of a data folder."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation of the options in plugins/module_utils/postgresql/options.py."""

    DOCUMENTATION = r"""
options:
  data_folder:
    description: For physical sets, the server's data folder on this host. Its file system must have room for a second one beside it.
    type: path
  server_account:
    description: Account that the server runs as. By default the owner of O(data_folder).
    type: str
    default: ""
  server_stop_command:
    description: Argument list that stops the server, for example C([systemctl, stop, postgresql]). By default C(pg_ctl) does.
    type: list
    elements: str
    default: []
  server_start_command:
    description: Argument list that starts the server and returns when it serves. By default C(pg_ctl) does.
    type: list
    elements: str
    default: []
  server_log_file:
    description: Where a server that C(pg_ctl) starts writes its messages. By default C(server.log) in the data folder.
    type: path
"""
