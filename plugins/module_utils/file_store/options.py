# Copyright (c) 2026, the sre.runbooks authors
# BSD 2-Clause License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/license/bsd-2-clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The options by which modules are told about a store of files; described by the documentation fragment sre.runbooks.files."""

from __future__ import annotations

import typing as t

from .encryption import Encryption
from .request import FilesStore
from .selection import Selection
from .volume import Volume

ENCRYPTION_OPTION: t.Dict[str, t.Any] = {
    "type": "dict",
    "options": {
        "tool": {"type": "str", "choices": ["age", "gpg"], "default": "age"},
        "recipients": {"type": "list", "elements": "str", "default": []},
        "identity_file": {"type": "path"},
        "tool_folder": {"type": "path"},
    },
}
FILES_OPTIONS: t.Dict[str, t.Any] = {
    "paths": {"type": "list", "elements": "path", "default": []},
    "volume": {"type": "str", "default": ""},
    "engine": {"type": "str", "choices": ["docker", "podman"], "default": "docker"},
    "encryption": ENCRYPTION_OPTION,
    "tool_folder": {"type": "path"},
}
SELECTION_OPTIONS: t.Dict[str, t.Any] = {
    "into": {"type": "str", "default": ""},
    "include": {"type": "list", "elements": "str", "default": []},
    "exclude": {"type": "list", "elements": "str", "default": []},
    "encrypt": {"type": "list", "elements": "str", "default": []},
}


def encryption_from(option: t.Optional[t.Mapping[str, t.Any]]) -> t.Optional[Encryption]:
    """The encryption that the option describes; None when it is not given."""
    if not option:
        return None
    return Encryption(option["tool"], tuple(option["recipients"]), option["identity_file"] or "", option["tool_folder"] or "")


def store_from(options: t.Mapping[str, t.Any], name: str) -> FilesStore:
    """The store that a module's options describe."""
    return FilesStore(
        name=name,
        paths=tuple(options["paths"]),
        volume=Volume(options["volume"], options["engine"]) if options["volume"] else None,
        into=options.get("into") or "",
        selection=Selection(tuple(options.get("include") or ()), tuple(options.get("exclude") or ()), tuple(options.get("encrypt") or ())),
        encryption=encryption_from(options["encryption"]),
        tool_folder=options["tool_folder"] or "",
    )
