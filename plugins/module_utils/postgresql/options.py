# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The options by which every PostgreSQL module is told how to reach a server, and the connection made of them."""

from __future__ import annotations

import os
import typing as t

from ..errors import BadInput
from ..place import PLACE_OPTIONS, place_from
from .connection import Connection
from .exchange import Service
from .scratch import owner_of

CONNECTION_OPTIONS: t.Dict[str, t.Dict[str, t.Any]] = {
    "login_host": {"type": "str", "default": ""},
    "login_port": {"type": "int", "default": 5432},
    "login_user": {"type": "str", "default": "postgres"},
    "login_password": {"type": "str", "no_log": True, "default": ""},
    "maintenance_database": {"type": "str", "default": "postgres"},
    "ssl_mode": {"type": "str", "choices": ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]},
    "ca_file": {"type": "path"},
    "connect_timeout_s": {"type": "int", "default": 10},
    **PLACE_OPTIONS,
    "system_identifier": {"type": "str", "default": ""},
}
"""Described by the documentation fragment sre.runbooks.postgresql."""

DATA_FOLDER_OPTIONS: t.Dict[str, t.Dict[str, t.Any]] = {
    "data_folder": {"type": "path"},
    "server_account": {"type": "str", "default": ""},
    "server_stop_command": {"type": "list", "elements": "str", "default": []},
    "server_start_command": {"type": "list", "elements": "str", "default": []},
    "server_log_file": {"type": "path"},
}
"""Described by the documentation fragment sre.runbooks.postgresql_data_folder."""


def service_from(options: t.Mapping[str, t.Any]) -> Service:
    """The server of a data folder that the options describe.

    Raises:
        BadInput: No data folder is named.
    """
    if not options["data_folder"]:
        raise BadInput(
            "A physical set needs to know the server's data folder", next_step="name it in the store of the profile (data_folder)"
        )
    return Service(
        data_folder=os.path.abspath(options["data_folder"]),
        account=owner_of(options["data_folder"], options["server_account"]),
        tool_folder=options["tool_folder"] or "",
        stop_command=options["server_stop_command"],
        start_command=options["server_start_command"],
        log_file=options["server_log_file"] or "",
    )


def connection_from(options: t.Mapping[str, t.Any]) -> Connection:
    """The connection that the options describe.

    Raises:
        BadInput: Both a container and a pod are named.
    """
    return Connection(
        host=options["login_host"],
        port=options["login_port"],
        user=options["login_user"],
        password=options["login_password"],
        maintenance_database=options["maintenance_database"],
        ssl_mode=options["ssl_mode"] or "",
        ca_file=options["ca_file"] or "",
        connect_timeout_s=options["connect_timeout_s"],
        place=place_from(options),
    )
