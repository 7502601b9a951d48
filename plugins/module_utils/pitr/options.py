# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The option by which modules are told how a server's log is archived."""

from __future__ import annotations

import typing as t

from ..postgresql.options import connection_from, service_from
from .model import Archive, Repository

PITR_OPTION: t.Dict[str, t.Any] = {
    "type": "dict",
    "required": True,
    "options": {
        "stanza": {"type": "str", "required": True},
        "config_file": {"type": "path"},
        "program": {"type": "str", "default": "pgbackrest"},
        "repository": {
            "type": "dict",
            "default": {},
            "options": {
                "type": {"type": "str", "choices": ["posix", "s3"], "default": "posix"},
                "path": {"type": "str", "default": "/var/lib/pgbackrest"},
                "bucket": {"type": "str", "default": ""},
                "endpoint": {"type": "str", "default": ""},
                "region": {"type": "str", "default": "us-east-1"},
                "access_key": {"type": "str", "no_log": True, "default": ""},
                "secret_key": {"type": "str", "no_log": True, "default": ""},
                "ca_file": {"type": "path"},
                "uri_style": {"type": "str", "choices": ["host", "path"], "default": "host"},
                "passphrase": {"type": "str", "no_log": True, "default": ""},
            },
        },
        "compression": {"type": "str", "default": "zst:1"},
        "jobs": {"type": "int", "default": 2},
        "keep_full": {"type": "int", "default": 2},
        "keep_days": {"type": "int", "default": 0},
        "archive_timeout_s": {"type": "int", "default": 60},
        "wal_wait_s": {"type": "int", "default": 60},
        "lock_folder": {"type": "path"},
    },
}
"""Described by the documentation fragment sre.runbooks.pitr."""


PITR_OF_A_STORE: t.Dict[str, t.Any] = {**PITR_OPTION, "options": {**PITR_OPTION["options"], "stanza": {"type": "str"}}}
"""The key `pitr` of a store of a profile; there the stanza bears the store's name unless it says otherwise."""


def archive_from(options: t.Mapping[str, t.Any]) -> Archive:
    """The server and its stanza that the options of a module describe.

    Raises:
        BadInput: They make no sense, or no data folder is named.
    """
    pitr = dict(options["pitr"])
    repository = pitr.pop("repository") or {}
    words = {key: value for key, value in repository.items() if value not in (None, "")}
    return Archive(
        service=service_from(options),
        connection=connection_from(options),
        repository=Repository(**words),
        config_file=pitr.pop("config_file") or f"/etc/pgbackrest/{pitr['stanza']}.conf",
        lock_folder=pitr.pop("lock_folder") or "",
        expected_identifier=options["system_identifier"],
        **pitr,
    )
