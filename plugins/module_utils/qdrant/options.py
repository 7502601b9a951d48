# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The options by which every Qdrant module is told how to reach a server."""

from __future__ import annotations

import typing as t

from ..errors import BadInput
from .http import Http
from .server import Server

CONNECTION_OPTIONS: t.Dict[str, t.Dict[str, t.Any]] = {
    "url": {"type": "str", "required": True},
    "api_key": {"type": "str", "no_log": True, "default": ""},
    "ca_file": {"type": "path"},
    "verify_tls": {"type": "bool", "default": True},
    "timeout_s": {"type": "float", "default": 30.0},
    "work_timeout_s": {"type": "float", "default": 3600.0},
    "peer_id": {"type": "str", "default": ""},
}
"""Described by the documentation fragment sre.runbooks.qdrant."""


def server_from(options: t.Mapping[str, t.Any]) -> Server:
    """The server that the options describe.

    Raises:
        BadInput: The address or a time makes no sense.
    """
    for name in ("timeout_s", "work_timeout_s"):
        if not 0 < options[name] < 1e6:
            raise BadInput(f"{options[name]} s is no time to wait", next_step=f"give a number above 0 ({name})")
    return Server(
        Http(
            url=options["url"].rstrip("/"),
            api_key=options["api_key"],
            ca_file=options["ca_file"] or "",
            verify_tls=options["verify_tls"],
            timeout_s=options["timeout_s"],
            work_timeout_s=options["work_timeout_s"],
        )
    )
