# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The options by which every Redis module is told how to reach a server, and what is made of them."""

from __future__ import annotations

import os
import typing as t

from ..place import PLACE_OPTIONS, place_from
from .client import Server
from .discovery import Wishes

CONNECTION_OPTIONS: t.Dict[str, t.Dict[str, t.Any]] = {
    "host": {"type": "str", "default": "127.0.0.1"},
    "port": {"type": "int", "default": 6379},
    "user": {"type": "str", "default": ""},
    "password": {"type": "str", "no_log": True, "default": ""},
    "tls": {"type": "bool", "default": False},
    "ca_file": {"type": "path"},
    "verify_tls": {"type": "bool", "default": True},
    "timeout_s": {"type": "int", "default": 10},
    **PLACE_OPTIONS,
}
"""Described by the documentation fragment sre.runbooks.redis."""

FILE_OPTIONS: t.Dict[str, t.Dict[str, t.Any]] = {
    "data_folder": {"type": "path"},
    "rdb_file": {"type": "path"},
    "server_account": {"type": "str", "default": ""},
    "server_stop_command": {"type": "list", "elements": "str", "default": []},
    "server_start_command": {"type": "list", "elements": "str", "default": []},
    "server_log_file": {"type": "path"},
    "start_timeout_s": {"type": "int", "default": 600},
}
"""Described by the documentation fragment sre.runbooks.redis_data_folder."""


def server_from(options: t.Mapping[str, t.Any]) -> Server:
    """The server that the options describe; a host that begins with a slash is a socket file.

    Raises:
        BadInput: Both a container and a pod are named, or a socket file in one of them.
    """
    host = options["host"]
    return Server(
        host=host,
        port=options["port"],
        user=options["user"],
        password=options["password"],
        socket_file=os.path.abspath(host) if host.startswith("/") else "",
        tls=options["tls"],
        ca_file=options["ca_file"] or "",
        verify_tls=options["verify_tls"],
        timeout_s=options["timeout_s"],
        place=place_from(options),
    )


def wishes_from(options: t.Mapping[str, t.Any]) -> Wishes:
    """What the options say of the server's files."""
    return Wishes(
        data_folder=options["data_folder"] or "",
        rdb_file=options["rdb_file"] or "",
        account=options["server_account"],
        stop_command=options["server_stop_command"],
        start_command=options["server_start_command"],
        log_file=options["server_log_file"] or "",
        timeout_s=options["start_timeout_s"],
    )
