# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The option by which modules are told where off-site copies are kept."""

from __future__ import annotations

import typing as t

from .offsite import ObjectStore

OFFSITE_OPTION: t.Dict[str, t.Any] = {
    "type": "dict",
    "options": {
        "bucket": {"type": "str", "required": True},
        "endpoint": {"type": "str", "default": ""},
        "prefix": {"type": "str", "default": ""},
        "region": {"type": "str", "default": ""},
        "access_key": {"type": "str", "no_log": True, "default": ""},
        "secret_key": {"type": "str", "no_log": True, "default": ""},
        "ca_file": {"type": "path"},
        "tool_folder": {"type": "path"},
    },
}
"""Described by the documentation fragment sre.runbooks.offsite."""


def object_store_from(options: t.Optional[t.Mapping[str, t.Any]]) -> t.Optional[ObjectStore]:
    """The object store that the option describes; None when it is not given."""
    return None if not options else ObjectStore(**{key: value or "" for key, value in options.items()})
