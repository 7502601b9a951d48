# Copyright (c) 2026, the sre.runbooks authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How modules are told about the files of a Redis server."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation of the options in plugins/module_utils/redis/options.py."""

    DOCUMENTATION = r"""
options:
  data_folder:
    description:
      - The server's data folder (its setting C(dir)) on the host on which the module runs. By default the server is asked, or, for a container,
        the folder at which the engine keeps what is mounted there.
    type: path
  rdb_file:
    description: The server's RDB file, as it is seen where the server is. By default the server is asked.
    type: path
  server_account:
    description: Account that the server runs as. By default the owner of O(data_folder).
    type: str
    default: ""
  server_stop_command:
    description:
      - Argument list that stops the server, for example C([systemctl, stop, redis-server]). By default the server is told to shut down, and a
        container is stopped by its engine.
    type: list
    elements: str
    default: []
  server_start_command:
    description:
      - Argument list that starts the server. By default the program that runs is started anew with its configuration file, and a container by its
        engine.
    type: list
    elements: str
    default: []
  server_log_file:
    description: Where a server that is started without O(server_start_command) writes its messages. By default nowhere.
    type: path
  start_timeout_s:
    description: Seconds until the server must have loaded its data.
    type: int
    default: 600
"""
