# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Options that modules about sets share: which set is restored, where off-site copies are kept, and what is kept how long."""

from __future__ import annotations

import typing as t

from ..errors import BadInput
from .object_store import ObjectStore
from .prune import Keep
from .sets import BackupSet, read_set

RESTORED_SET_OPTIONS: t.Dict[str, t.Dict[str, t.Any]] = {"set_folder": {"type": "path"}, "set_manifest": {"type": "dict", "default": {}}}
"""Described by the documentation fragment sre.runbooks.restored_set."""

REHEARSED_SET_OPTIONS: t.Dict[str, t.Dict[str, t.Any]] = {
    "set_folder": {"type": "path", "required": True},
    "run_id": {"type": "str", "default": ""},
}
"""Described by the documentation fragment sre.runbooks.restored_set.rehearsed."""


def restored_set_from(options: t.Mapping[str, t.Any], check_mode: bool) -> BackupSet:
    """The set that RESTORED_SET_OPTIONS name; for check mode its manifest is enough.

    Raises:
        BadInput: Neither is named.
        SetNotFound: There is no such folder.
    """
    if options["set_folder"]:
        return read_set(options["set_folder"])
    manifest = options["set_manifest"]
    if not (manifest and check_mode):
        raise BadInput("No backup set is named", next_step="give set_folder; set_manifest alone is enough for check mode only")
    return BackupSet(str(manifest["id"]), dict(manifest), is_here=False)


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


KEEP_OPTIONS: t.Dict[str, t.Dict[str, t.Any]] = {
    "keep_last": {"type": "int", "default": Keep.last},
    "keep_days": {"type": "int", "default": Keep.days},
    "keep_daily": {"type": "int", "default": Keep.daily},
    "keep_weekly": {"type": "int", "default": Keep.weekly},
    "keep_monthly": {"type": "int", "default": Keep.monthly},
    "time_zone": {"type": "str", "default": Keep.time_zone},
}
"""Described by the documentation fragment sre.runbooks.keep."""

OFFSITE_KEEP_OPTIONS: t.Dict[str, t.Dict[str, t.Any]] = {
    key: {**option, "default": 0} if option["type"] == "int" else option for key, option in KEEP_OPTIONS.items()
}
"""The same for copies off-site, which nothing removes by default."""


def keep_from(options: t.Mapping[str, t.Any]) -> Keep:
    """The rules that the options describe."""
    rules = {key[len("keep_") :]: options[key] for key in KEEP_OPTIONS if key.startswith("keep_")}
    return Keep(**rules, time_zone=options["time_zone"])
